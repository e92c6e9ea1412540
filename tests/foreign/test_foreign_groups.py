"""Clients that are not ours consume in groups from the embedded broker: several members, one of them leaving."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import aiokafka
import confluent_kafka
import confluent_kafka.admin
import kafka
import pytest

PARTITIONS = 6
COUNT = 300
LIMIT_S = 60.0

Partitions = set[int]


class Member:
    """One member of a group, polled by a thread of its own until it is told to leave."""

    def __init__(self, bootstrap: str, group: str, topic: str, kind: str) -> None:
        self.kind = kind
        self.assigned: Partitions = set()
        self.seen: list[bytes] = []
        self.failed: BaseException | None = None
        self._leave = threading.Event()
        run = {"kafka-python": self._python, "aiokafka": self._aio}.get(kind, self._confluent)
        self._thread = threading.Thread(target=self._run, args=(run, bootstrap, group, topic), name=kind)
        self._thread.start()

    def leave(self) -> None:
        self._leave.set()
        self._thread.join(LIMIT_S)
        assert not self._thread.is_alive(), f"{self.kind} does not end"
        if self.failed is not None:
            raise self.failed

    def _run(self, run: Callable[[str, str, str], None], bootstrap: str, group: str, topic: str) -> None:
        try:
            run(bootstrap, group, topic)
        except BaseException as error:
            self.failed = error

    def _confluent(self, bootstrap: str, group: str, topic: str) -> None:
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "topic.metadata.refresh.interval.ms": 1000,
            "auto.commit.interval.ms": 200,
        }
        if self.kind == "confluent-kafka consumer":
            config["group.protocol"] = "consumer"
        else:
            config |= {"session.timeout.ms": 10_000, "heartbeat.interval.ms": 300}
            if self.kind == "confluent-kafka cooperative":
                config["partition.assignment.strategy"] = "cooperative-sticky"
        consumer = confluent_kafka.Consumer(config)
        consumer.subscribe([topic])
        while not self._leave.is_set():
            for message in consumer.consume(100, 0.1):
                error = message.error()
                # librdkafka tells of a join that it makes again, as when a group goes to the other protocol.
                if error is not None and error.code() == confluent_kafka.KafkaError.REBALANCE_IN_PROGRESS:
                    continue
                assert error is None, error
                self.seen.append(message.value() or b"")
            self.assigned = {p.partition for p in consumer.assignment()}
        self.assigned = set()
        consumer.close()

    def _python(self, bootstrap: str, group: str, topic: str) -> None:
        consumer = kafka.KafkaConsumer(
            topic,
            bootstrap_servers=bootstrap.split(","),
            group_id=group,
            auto_offset_reset="earliest",
            auto_commit_interval_ms=200,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=300,
            metadata_max_age_ms=1000,
        )
        # A leader that shares out before it knows the topic gives nobody anything; it does so again when it hears of
        # it, but not if that is at the same moment.
        until("the topic known", lambda: consumer.partitions_for_topic(topic) is not None)
        while not self._leave.is_set():
            for records in consumer.poll(timeout_ms=100).values():
                self.seen += [r.value for r in records]
            self.assigned = {p.partition for p in consumer.assignment()}
        self.assigned = set()
        consumer.close()

    def _aio(self, bootstrap: str, group: str, topic: str) -> None:
        async def consume() -> None:
            consumer = aiokafka.AIOKafkaConsumer(
                topic,
                bootstrap_servers=bootstrap,
                group_id=group,
                auto_offset_reset="earliest",
                auto_commit_interval_ms=200,
                session_timeout_ms=10_000,
                heartbeat_interval_ms=300,
            )
            await consumer.start()
            try:
                while not self._leave.is_set():
                    for records in (await consumer.getmany(timeout_ms=100)).values():
                        self.seen += [r.value for r in records]
                    self.assigned = {p.partition for p in consumer.assignment()}
            finally:
                self.assigned = set()
                await consumer.stop()

        asyncio.run(consume())


def create(bootstrap: str, topic: str) -> None:
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([confluent_kafka.admin.NewTopic(topic, PARTITIONS)])[topic].result(LIMIT_S)


def produce(bootstrap: str, topic: str, first: int) -> list[bytes]:
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    values = [b"%d" % i for i in range(first, first + COUNT)]
    for i, value in enumerate(values):
        producer.produce(topic, value, partition=i % PARTITIONS)
    assert producer.flush(LIMIT_S) == 0
    return values


def until(what: str, good: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not good():
        assert time.monotonic() < deadline, f"not {what} within {LIMIT_S:.0f} s"
        time.sleep(0.05)


def shared(members: list[Member]) -> bool:
    """Each partition has one owner, and each member some."""
    owned = sorted(p for m in members for p in m.assigned)
    for member in members:
        if member.failed is not None:
            raise member.failed
    return owned == list(range(PARTITIONS)) and all(m.assigned for m in members)


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(["confluent-kafka"] * 2, marks=pytest.mark.slow),
        pytest.param(["confluent-kafka cooperative"] * 2, marks=pytest.mark.slow),
        ["confluent-kafka consumer"] * 3,
        pytest.param(["kafka-python"] * 2, marks=pytest.mark.slow),
        pytest.param(["aiokafka"] * 2, marks=pytest.mark.slow),
        ["confluent-kafka", "kafka-python", "aiokafka"],
        # Both protocols in one group; who leaves is the last: of the new protocol, which makes the group a classic one
        # again, or of the classic one.
        ["confluent-kafka", "kafka-python", "confluent-kafka consumer"],
        ["confluent-kafka consumer", "confluent-kafka cooperative", "confluent-kafka cooperative"],
    ],
    ids=" with ".join,
)
def test_members_share_a_topic_and_take_over_from_one_that_leaves(bootstrap: str, name: str, kinds: list[str]) -> None:
    create(bootstrap, name)
    members: list[Member] = []
    try:
        for kind in kinds:
            members.append(Member(bootstrap, f"group-{name}", name, kind))
        until("shared by all", lambda: shared(members))
        sent = produce(bootstrap, name, 0)
        until("consumed", lambda: sum(len(m.seen) for m in members) >= COUNT)
        assert sorted(v for m in members for v in m.seen) == sorted(sent)
        assert all(m.seen for m in members)
        # The offsets of the one that leaves are committed by its close, so that nothing is read twice.
        gone = members.pop()
        gone.leave()
        until("shared by those left", lambda: shared(members))
        sent += produce(bootstrap, name, COUNT)
        everybody = [*members, gone]
        until("consumed by those left", lambda: sum(len(m.seen) for m in everybody) >= 2 * COUNT)
        assert sorted(v for m in everybody for v in m.seen) == sorted(sent)
    finally:
        for member in members:
            member.leave()
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    described = admin.describe_consumer_groups([f"group-{name}"])[f"group-{name}"].result(LIMIT_S)
    assert described.state == confluent_kafka.ConsumerGroupState.EMPTY
    listed = admin.list_consumer_groups().result(LIMIT_S)
    assert f"group-{name}" in [g.group_id for g in listed.valid]
    admin.delete_consumer_groups([f"group-{name}"])[f"group-{name}"].result(LIMIT_S)
