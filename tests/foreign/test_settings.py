"""Clients that are not ours change settings, delete records, and read a compacted topic back."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin
import kafka.errors
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from test_foreign_groups import LIMIT_S, until
from test_java import classpath, java_command  # noqa: F401 (a fixture)

SET, DELETE, APPEND, SUBTRACT = (
    AlterConfigOpType.SET,
    AlterConfigOpType.DELETE,
    AlterConfigOpType.APPEND,
    AlterConfigOpType.SUBTRACT,
)


def confluent_admin(bootstrap: str) -> confluent_kafka.admin.AdminClient:
    return confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})


def create(bootstrap: str, name: str, config: dict[str, str]) -> None:
    topic = confluent_kafka.admin.NewTopic(name, 1, config=config)
    admin = confluent_admin(bootstrap)
    admin.create_topics([topic])[name].result(LIMIT_S)


def produce(bootstrap: str, name: str, records: list[tuple[str, str | None]]) -> None:
    """Each record in a batch of its own."""
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    for key, value in records:
        producer.produce(name, value, key)
        assert producer.flush(LIMIT_S) == 0


def change(bootstrap: str, kind: ResourceType, name: str, *changes: tuple[AlterConfigOpType, str, str | None]) -> None:
    entries = [ConfigEntry(key, value, incremental_operation=operation) for operation, key, value in changes]
    resource = ConfigResource(kind, name, incremental_configs=entries)
    admin = confluent_admin(bootstrap)
    admin.incremental_alter_configs([resource])[resource].result(LIMIT_S)


def setting(bootstrap: str, kind: ResourceType, name: str, key: str) -> str | None:
    resource = ConfigResource(kind, name)
    admin = confluent_admin(bootstrap)
    found = admin.describe_configs([resource])[resource].result(LIMIT_S)
    value: str | None = found[key].value
    return value


def test_confluent_changes_settings(bootstrap: str, name: str) -> None:
    create(bootstrap, name, {"retention.ms": "1000000"})
    kind = ResourceType.TOPIC
    change(bootstrap, kind, name, (SET, "retention.ms", "2000000"), (APPEND, "cleanup.policy", "compact"))
    assert setting(bootstrap, kind, name, "retention.ms") == "2000000"
    assert setting(bootstrap, kind, name, "cleanup.policy") == "delete,compact"
    change(bootstrap, kind, name, (DELETE, "retention.ms", None), (SUBTRACT, "cleanup.policy", "delete"))
    assert setting(bootstrap, kind, name, "retention.ms") == "604800000"
    assert setting(bootstrap, kind, name, "cleanup.policy") == "compact"
    with pytest.raises(confluent_kafka.KafkaException, match="Not a number"):
        change(bootstrap, kind, name, (SET, "retention.ms", "soon"))
    with pytest.raises(confluent_kafka.KafkaException, match="does not exist"):
        change(bootstrap, kind, f"{name}-none", (SET, "retention.ms", "1"))
    # The older request says all that is to be set.
    resource = ConfigResource(kind, name, set_config={"segment.ms": "5000"})
    admin = confluent_admin(bootstrap)
    admin.alter_configs([resource])[resource].result(LIMIT_S)
    assert setting(bootstrap, kind, name, "segment.ms") == "5000"
    assert setting(bootstrap, kind, name, "cleanup.policy") == "delete"


def test_confluent_changes_settings_of_brokers(bootstrap: str) -> None:
    change(bootstrap, ResourceType.BROKER, "1", (SET, "log.cleaner.backoff.ms", "12345"))
    try:
        assert setting(bootstrap, ResourceType.BROKER, "1", "log.cleaner.backoff.ms") == "12345"
    finally:
        change(bootstrap, ResourceType.BROKER, "1", (DELETE, "log.cleaner.backoff.ms", None))
    listeners = setting(bootstrap, ResourceType.BROKER, "1", "advertised.listeners")
    assert listeners is not None
    assert listeners.split("//")[1] in bootstrap.split(",")


def test_a_setting_is_in_force_at_once(bootstrap: str, name: str) -> None:
    create(bootstrap, name, {})
    change(bootstrap, ResourceType.TOPIC, name, (SET, "max.message.bytes", "1000"))
    failed: list[Any] = []
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    producer.produce(name, b"x" * 2000, on_delivery=lambda error, _: failed.append(error))
    assert producer.flush(LIMIT_S) == 0
    assert [error.code() for error in failed] == [confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE]


def test_confluent_deletes_records(bootstrap: str, name: str) -> None:
    create(bootstrap, name, {})
    produce(bootstrap, name, [("k", str(i)) for i in range(10)])
    admin = confluent_admin(bootstrap)
    for before, low in [(4, 4), (-1, 10)]:
        wanted = confluent_kafka.TopicPartition(name, 0, before)
        [answer] = admin.delete_records([wanted]).values()
        assert answer.result(LIMIT_S).low_watermark == low
    [answer] = admin.delete_records([confluent_kafka.TopicPartition(name, 0, 11)]).values()
    with pytest.raises(confluent_kafka.KafkaException, match="out of range"):
        answer.result(LIMIT_S)
    consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": name})
    try:
        assert consumer.get_watermark_offsets(confluent_kafka.TopicPartition(name, 0), LIMIT_S) == (10, 10)
    finally:
        consumer.close()


def test_kafka_python_changes_settings_and_deletes_records(bootstrap: str, name: str) -> None:
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        create(bootstrap, name, {})
        topic = kafka.admin.ConfigResourceType.TOPIC
        for incremental, value in [(True, "300000"), (False, "400000")]:
            resource = kafka.admin.ConfigResource(topic, name, {"retention.ms": value})
            admin.alter_configs([resource], incremental=incremental)
            described = admin.describe_configs([kafka.admin.ConfigResource(topic, name)])
            assert described["topic"][name]["retention.ms"]["value"] == value
        produce(bootstrap, name, [("k", str(i)) for i in range(5)])
        partition = kafka.TopicPartition(name, 0)
        deleted = admin.delete_records({partition: 3})
        assert deleted[partition]["low_watermark"] == 3
    finally:
        admin.close()
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        found = [r.offset for batch in consumer.poll(LIMIT_S * 1000).values() for r in batch]
        assert found == [3, 4]
    finally:
        consumer.close()


def confluent_rows(bootstrap: str, name: str) -> list[tuple[int, str, str | None]]:
    """Offset, key and value of all there is."""
    config = {"bootstrap.servers": bootstrap, "group.id": name, "enable.partition.eof": True, "check.crcs": True}
    consumer = confluent_kafka.Consumer(config)
    rows: list[tuple[int, str, str | None]] = []
    try:
        consumer.assign([confluent_kafka.TopicPartition(name, 0, 0)])
        while (message := consumer.poll(LIMIT_S)) is not None:
            error: Any = message.error()
            if error is not None:
                assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF
                return rows
            offset, key, value = message.offset(), message.key(), message.value()
            assert offset is not None and key is not None
            rows.append((offset, key.decode(), value.decode() if value is not None else None))
        pytest.fail("no end of the partition")
    finally:
        consumer.close()


def kafka_python_rows(bootstrap: str, name: str) -> list[tuple[int, str, str | None]]:
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    rows: list[tuple[int, str, str | None]] = []
    try:
        partition = kafka.TopicPartition(name, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        while consumer.position(partition) < end:
            for batch in consumer.poll(1000).values():
                rows += [(r.offset, r.key.decode(), r.value.decode() if r.value is not None else None) for r in batch]
        return rows
    finally:
        consumer.close()


def test_a_compacted_topic_is_read_back(bootstrap: str, name: str) -> None:
    create(
        bootstrap,
        name,
        {
            "cleanup.policy": "compact",
            "segment.ms": "1",
            "min.cleanable.dirty.ratio": "0.01",
            "delete.retention.ms": "600000",
        },
    )
    change(bootstrap, ResourceType.BROKER, "1", (SET, "log.cleaner.backoff.ms", "100"))
    try:
        sent = [(f"key {i % 3}", f"value {i}") for i in range(30)]
        produce(bootstrap, name, [*sent, ("key 1", None)])
        # Later than segment.ms, so that a new segment begins and those before can be compacted.
        time.sleep(0.01)
        produce(bootstrap, name, [("last", "in the segment that grows")])
        expected = [
            (27, "key 0", "value 27"),
            (29, "key 2", "value 29"),
            (30, "key 1", None),
            (31, "last", "in the segment that grows"),
        ]
        until("compacted", lambda: confluent_rows(bootstrap, name) == expected)
        assert kafka_python_rows(bootstrap, name) == expected
    finally:
        change(bootstrap, ResourceType.BROKER, "1", (DELETE, "log.cleaner.backoff.ms", None))


@pytest.mark.java
def test_java_changes_settings_and_deletes_records(
    bootstrap: str,
    name: str,
    classpath: str,  # noqa: F811
    tmp_path: Path,
) -> None:
    create(bootstrap, name, {})
    produce(bootstrap, name, [("k", str(i)) for i in range(5)])

    def tool(main: str, *arguments: str) -> str:
        command = [*java_command(classpath), main, "--bootstrap-server", bootstrap, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    configs = "org.apache.kafka.tools.ConfigCommand"
    topic = ("--entity-type", "topics", "--entity-name", name)
    tool(configs, *topic, "--alter", "--add-config", "retention.ms=123456,cleanup.policy=[compact,delete]")
    told = tool(configs, *topic, "--describe")
    assert "retention.ms=123456" in told and "cleanup.policy=compact,delete" in told
    group = ("--entity-type", "groups", "--entity-name", name)
    tool(configs, *group, "--alter", "--add-config", "share.auto.offset.reset=earliest")
    assert "share.auto.offset.reset=earliest" in tool(configs, *group, "--describe")
    offsets = f'{{"partitions": [{{"topic": "{name}", "partition": 0, "offset": 2}}], "version": 1}}'
    file = tmp_path / "offsets.json"
    file.write_text(offsets)
    told = tool("org.apache.kafka.tools.DeleteRecordsCommand", "--offset-json-file", str(file))
    assert "low_watermark: 2" in told
