"""Clients that are not ours produce to the embedded broker and consume from it, in every codec, across each other."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiokafka
import aiokafka.admin
import confluent_kafka
import confluent_kafka.admin
import kafka
import kafka.admin
import kafka.errors
import pytest

ROOT = Path(__file__).resolve().parents[2]
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
PARTITIONS = 3
COUNT = 600
LIMIT_S = 30.0


def values(codec: str) -> list[bytes]:
    return [f"{codec} value {i} ".encode() * 8 for i in range(COUNT)]


def key(i: int) -> bytes | None:
    return None if i % 7 == 0 else b"key %d" % i


def expected(codec: str) -> list[tuple[int, bytes | None, bytes]]:
    """Partition, key and value of every record, sorted."""
    return sorted(((i % PARTITIONS, key(i), v) for i, v in enumerate(values(codec))), key=repr)


# confluent-kafka ------------------------------------------------------------------------------------------------------


def confluent_create(bootstrap: str, name: str) -> None:
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([confluent_kafka.admin.NewTopic(name, PARTITIONS)])[name].result(LIMIT_S)


def confluent_produce(bootstrap: str, name: str, codec: str) -> None:
    config = {"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True, "linger.ms": 5}
    producer = confluent_kafka.Producer(config)
    failed: list[Any] = []

    def delivered(error: Any, _message: Any) -> None:
        if error is not None:
            failed.append(error)

    for i, value in enumerate(values(codec)):
        headers = [("n", str(i)), ("n", None)]
        producer.produce(name, value, key(i), partition=i % PARTITIONS, headers=headers, on_delivery=delivered)
    assert producer.flush(LIMIT_S) == 0
    assert not failed


@contextlib.contextmanager
def confluent_consumer(bootstrap: str) -> Iterator[confluent_kafka.Consumer]:
    config = {"bootstrap.servers": bootstrap, "group.id": "foreign", "enable.auto.commit": False}
    consumer = confluent_kafka.Consumer(config)
    try:
        yield consumer
    finally:
        consumer.close()


def confluent_consume(bootstrap: str, name: str) -> list[tuple[int, bytes | None, bytes]]:
    with confluent_consumer(bootstrap) as consumer:
        start = [confluent_kafka.TopicPartition(name, p, 0) for p in range(PARTITIONS)]
        consumer.assign(start)
        found = []
        deadline = time.monotonic() + LIMIT_S
        while len(found) < COUNT and time.monotonic() < deadline:
            for message in consumer.consume(COUNT, 0.5):
                assert message.error() is None, message.error()
                found.append((message.partition(), message.key(), message.value()))
        return sorted(found, key=repr)


# kafka-python ---------------------------------------------------------------------------------------------------------


def python_produce(bootstrap: str, name: str, codec: str) -> None:
    producer = kafka.KafkaProducer(
        bootstrap_servers=bootstrap.split(","), compression_type=None if codec == "none" else codec, acks="all"
    )
    try:
        futures = [
            producer.send(name, value, key(i), headers=[("n", str(i).encode())], partition=i % PARTITIONS)
            for i, value in enumerate(values(codec))
        ]
        producer.flush(LIMIT_S)
        assert all(future.succeeded() for future in futures)
    finally:
        producer.close()


def python_consume(bootstrap: str, name: str) -> list[tuple[int, bytes | None, bytes]]:
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap.split(","), auto_offset_reset="earliest")
    try:
        consumer.assign([kafka.TopicPartition(name, p) for p in range(PARTITIONS)])
        found = []
        deadline = time.monotonic() + LIMIT_S
        while len(found) < COUNT and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=500).values():
                found += [(r.partition, r.key, r.value) for r in records]
        return sorted(found, key=repr)
    finally:
        consumer.close()


# aiokafka -------------------------------------------------------------------------------------------------------------


async def aio_produce(bootstrap: str, name: str, codec: str) -> None:
    async with aiokafka.AIOKafkaProducer(
        bootstrap_servers=bootstrap, compression_type=None if codec == "none" else codec, enable_idempotence=True
    ) as producer:
        futures = [
            await producer.send(name, value, key(i), partition=i % PARTITIONS) for i, value in enumerate(values(codec))
        ]
        await asyncio.wait_for(asyncio.gather(*futures), LIMIT_S)


@contextlib.asynccontextmanager
async def aio_consumer(bootstrap: str) -> AsyncIterator[aiokafka.AIOKafkaConsumer]:
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def aio_consume(bootstrap: str, name: str) -> list[tuple[int, bytes | None, bytes]]:
    async with aio_consumer(bootstrap) as consumer:
        consumer.assign([aiokafka.TopicPartition(name, p) for p in range(PARTITIONS)])
        found = []
        deadline = time.monotonic() + LIMIT_S
        while len(found) < COUNT and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += [(r.partition, r.key, r.value) for r in records]
        return sorted(found, key=repr)


# The tests ------------------------------------------------------------------------------------------------------------

PRODUCERS = {
    "confluent-kafka": confluent_produce,
    "kafka-python": python_produce,
    "aiokafka": lambda *a: asyncio.run(aio_produce(*a)),
}
CONSUMERS = {
    "confluent-kafka": confluent_consume,
    "kafka-python": python_consume,
    "aiokafka": lambda *a: asyncio.run(aio_consume(*a)),
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("client", list(PRODUCERS))
def test_what_one_produces_all_consume(bootstrap: str, name: str, client: str, codec: str) -> None:
    confluent_create(bootstrap, name)
    PRODUCERS[client](bootstrap, name, codec)
    for consumer, consume in CONSUMERS.items():
        assert consume(bootstrap, name) == expected(codec), f"{client} to {consumer}"


def test_headers_and_offsets_by_time(bootstrap: str, name: str) -> None:
    confluent_create(bootstrap, name)
    confluent_produce(bootstrap, name, "lz4")
    each = COUNT // PARTITIONS
    with confluent_consumer(bootstrap) as consumer:
        first = confluent_kafka.TopicPartition(name, 0, 0)
        assert consumer.get_watermark_offsets(first, LIMIT_S) == (0, each)
        found = consumer.offsets_for_times([confluent_kafka.TopicPartition(name, 0, 1)], LIMIT_S)
        assert found[0].offset == 0
        consumer.assign([first])
        message = consumer.poll(LIMIT_S)
        assert message is not None and message.headers() == [("n", b"0"), ("n", None)]


def test_offsets_committed_by_one_are_seen_by_others(bootstrap: str, name: str) -> None:
    confluent_create(bootstrap, name)
    confluent_produce(bootstrap, name, "none")
    with confluent_consumer(bootstrap) as consumer:
        consumer.commit(offsets=[confluent_kafka.TopicPartition(name, 1, 42)], asynchronous=False)
        committed = consumer.committed([confluent_kafka.TopicPartition(name, p) for p in (0, 1)], LIMIT_S)
        assert [c.offset for c in committed] == [confluent_kafka.OFFSET_INVALID, 42]
    admin = kafka.admin.KafkaAdminClient(bootstrap_servers=bootstrap.split(","))
    try:
        partition = kafka.TopicPartition(name, 1)
        offsets = admin.list_group_offsets({"foreign": [partition]})
        assert "42" in repr(offsets)
    finally:
        admin.close()


def test_topics_are_made_described_and_unmade(bootstrap: str, name: str) -> None:
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    topic = confluent_kafka.admin.NewTopic(name, 2, config={"retention.ms": "1234567"})
    admin.create_topics([topic])[name].result(LIMIT_S)
    with pytest.raises(confluent_kafka.KafkaException, match="already exists"):
        admin.create_topics([topic])[name].result(LIMIT_S)
    admin.create_partitions([confluent_kafka.admin.NewPartitions(name, 4)])[name].result(LIMIT_S)
    assert len(admin.list_topics(name, LIMIT_S).topics[name].partitions) == 4
    resource = confluent_kafka.admin.ConfigResource("topic", name)
    settings = admin.describe_configs([resource])[resource].result(LIMIT_S)
    assert settings["retention.ms"].value == "1234567"
    cluster = admin.describe_cluster().result(LIMIT_S)
    assert len(cluster.nodes) == bootstrap.count(",") + 1
    admin.delete_topics([name])[name].result(LIMIT_S)
    assert name not in admin.list_topics(timeout=LIMIT_S).topics


def test_an_unknown_topic_is_told(bootstrap: str, name: str) -> None:
    failed: list[Any] = []
    producer = confluent_kafka.Producer(
        {"bootstrap.servers": bootstrap, "topic.metadata.propagation.max.ms": 500, "message.timeout.ms": 20_000}
    )
    producer.produce(name, b"lost", on_delivery=lambda error, _: failed.append(error))
    producer.flush(LIMIT_S)
    assert [error.code() for error in failed] == [confluent_kafka.KafkaError.UNKNOWN_TOPIC_OR_PART]


# Transactions ---------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def isolated(bootstrap: str, isolation: str) -> Iterator[confluent_kafka.Consumer]:
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "foreign-isolated",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def read_all(bootstrap: str, name: str, isolation: str) -> list[bytes]:
    """The values of all partitions up to their ends, sorted."""
    with isolated(bootstrap, isolation) as consumer:
        consumer.assign([confluent_kafka.TopicPartition(name, p, 0) for p in range(PARTITIONS)])
        found, ended = [], set()
        deadline = time.monotonic() + LIMIT_S
        while len(ended) < PARTITIONS and time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None:
                continue
            error = message.error()
            if error is None:
                found.append(message.value())
            else:
                assert error.code() == confluent_kafka.KafkaError._PARTITION_EOF, error
                ended.add(message.partition())
        assert len(ended) == PARTITIONS, "the ends were not reached"
        return sorted(found)


def transactional(bootstrap: str, name: str) -> confluent_kafka.Producer:
    config = {"bootstrap.servers": bootstrap, "transactional.id": name, "transaction.timeout.ms": 60_000}
    producer = confluent_kafka.Producer(config)
    producer.init_transactions(LIMIT_S)
    return producer


def transaction(producer: confluent_kafka.Producer, name: str, values: list[bytes]) -> None:
    producer.begin_transaction()
    for i, value in enumerate(values):
        producer.produce(name, value, partition=i % PARTITIONS)
    assert producer.flush(LIMIT_S) == 0


def test_confluent_transactions_are_seen_whole_or_not_at_all(bootstrap: str, name: str) -> None:
    confluent_create(bootstrap, name)
    producer = transactional(bootstrap, name)
    first, second, third = ([b"%s %d" % (kind, i) for i in range(50)] for kind in (b"first", b"second", b"third"))
    transaction(producer, name, first)
    producer.commit_transaction(LIMIT_S)
    transaction(producer, name, second)
    producer.abort_transaction(LIMIT_S)
    transaction(producer, name, third)
    assert read_all(bootstrap, name, "read_committed") == sorted(first)
    producer.commit_transaction(LIMIT_S)
    assert read_all(bootstrap, name, "read_committed") == sorted(first + third)
    assert read_all(bootstrap, name, "read_uncommitted") == sorted(first + second + third)


def test_a_confluent_producer_is_fenced_by_its_heir(bootstrap: str, name: str) -> None:
    confluent_create(bootstrap, name)
    old = transactional(bootstrap, name)
    transaction(old, name, [b"old"])
    new = transactional(bootstrap, name)
    with pytest.raises(confluent_kafka.KafkaException) as caught:
        old.commit_transaction(LIMIT_S)
    assert caught.value.args[0].fatal()
    transaction(new, name, [b"new"])
    new.commit_transaction(LIMIT_S)
    assert read_all(bootstrap, name, "read_committed") == [b"new"]


def test_confluent_offsets_count_with_their_transaction(bootstrap: str, name: str) -> None:
    confluent_create(bootstrap, name)
    confluent_produce(bootstrap, name, "none")
    producer = transactional(bootstrap, name)
    wanted = [confluent_kafka.TopicPartition(name, 0)]
    with confluent_consumer(bootstrap) as consumer:
        for offset, commit in [(10, True), (20, False), (30, True)]:
            transaction(producer, name, [b"%d" % offset])
            position = [confluent_kafka.TopicPartition(name, 0, offset)]
            producer.send_offsets_to_transaction(position, consumer.consumer_group_metadata(), LIMIT_S)
            if commit:
                producer.commit_transaction(LIMIT_S)
            else:
                producer.abort_transaction(LIMIT_S)
            assert consumer.committed(wanted, LIMIT_S)[0].offset == (offset if commit else 10)


async def aio_transactions(bootstrap: str, name: str) -> None:
    async with aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name) as producer:
        async with producer.transaction():
            await producer.send_and_wait(name, b"kept", partition=0)
        with contextlib.suppress(ZeroDivisionError):
            async with producer.transaction():
                await producer.send_and_wait(name, b"dropped", partition=0)
                raise ZeroDivisionError


def test_aiokafka_transactions(bootstrap: str, name: str) -> None:
    confluent_create(bootstrap, name)
    asyncio.run(asyncio.wait_for(aio_transactions(bootstrap, name), LIMIT_S))
    assert read_all(bootstrap, name, "read_committed") == [b"kept"]
    assert read_all(bootstrap, name, "read_uncommitted") == [b"dropped", b"kept"]


def test_keys_still_go_where_librdkafka_sends_them() -> None:
    """The golden file that Ottla's partitioners are held to is what the installed librdkafka chooses."""
    subprocess.run([sys.executable, ROOT / "tests" / "golden" / "librdkafka.py", "--check"], check=True)
