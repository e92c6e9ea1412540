"""Members of several kinds in one group: Ottla's, librdkafka's and, on a real Kafka, Java's own."""

from __future__ import annotations

import os
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import confluent_kafka
import ottla
import pytest

ROOT = Path(__file__).resolve().parents[3]
PARTITIONS = 12
LIMIT = 90
KAFKA = os.environ.get("OTTLA_TEST_KAFKA_VERSION")


class Member:
    """One member, driven by a thread of its own; `owned` is what it has, `read` what it was given."""

    def __init__(self, bootstrap: str, group: str, topic: str, strategy: str | None) -> None:
        self.owned: set[int] = set()
        self.read: set[tuple[int, int]] = set()
        self.error: BaseException | None = None
        self.leaves = threading.Event()
        self.where = (bootstrap, group, topic, strategy)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.run(*self.where)
        except BaseException as error:
            self.error = error
        self.owned = set()

    def run(self, bootstrap: str, group: str, topic: str, strategy: str | None) -> None:
        raise NotImplementedError

    def leave(self) -> None:
        self.leaves.set()
        self.thread.join(LIMIT)
        assert not self.thread.is_alive()
        if self.error:
            raise self.error


class Ottla(Member):
    def run(self, bootstrap: str, group: str, topic: str, strategy: str | None) -> None:
        keys: dict[str, Any] = {"group_id": group, "auto_offset_reset": "earliest"}
        if strategy is None:
            keys["group_protocol"] = "consumer"
        else:
            keys.update(partition_assignment_strategy=strategy, heartbeat_interval_ms=100)
        with ottla.Consumer(bootstrap, **keys) as consumer:

            def gone(partitions: list[ottla.TopicPartition]) -> None:
                self.owned -= {p.partition for p in partitions}

            consumer.subscribe(
                topic,
                on_assign=lambda partitions: self.owned.update(p.partition for p in partitions),
                on_revoke=gone,
                on_lost=gone,
            )
            while not self.leaves.is_set():
                self.read.update((r.partition, r.offset) for r in consumer.records(timeout=0.05))


class Librdkafka(Member):
    def run(self, bootstrap: str, group: str, topic: str, strategy: str | None) -> None:
        config: dict[str, Any] = {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
        }
        if strategy is None:
            config["group.protocol"] = "consumer"
        else:
            config.update({"partition.assignment.strategy": strategy, "heartbeat.interval.ms": 100})
        consumer = confluent_kafka.Consumer(config)

        def gained(_: object, partitions: list[confluent_kafka.TopicPartition]) -> None:
            self.owned.update(p.partition for p in partitions)

        def gone(_: object, partitions: list[confluent_kafka.TopicPartition]) -> None:
            self.owned -= {p.partition for p in partitions}

        consumer.subscribe([topic], on_assign=gained, on_revoke=gone, on_lost=gone)
        while not self.leaves.is_set():
            for message in consumer.consume(100, timeout=0.05):
                if message.error() is None:
                    self.read.add((int(message.partition() or 0), int(message.offset() or 0)))
        consumer.close()


JAVA = {
    "range": "Range",
    "roundrobin": "RoundRobin",
    "sticky": "Sticky",
    "cooperative-sticky": "CooperativeSticky",
}


class Java(Member):
    def run(self, bootstrap: str, group: str, topic: str, strategy: str | None) -> None:
        if strategy is None:
            keys = ["group.protocol=consumer"]
        else:
            name = f"org.apache.kafka.clients.consumer.{JAVA[strategy]}Assignor"
            keys = [f"partition.assignment.strategy={name}", "heartbeat.interval.ms=100"]
        jars = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "kafka" / str(KAFKA)
        source = ROOT / "tests" / "kafka" / "java" / "Member.java"
        command = ["java", "-Xmx128m", "-cp", f"{jars}/*", str(source), bootstrap, group, topic, *keys]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as java:
            try:
                assert java.stdin is not None and java.stdout is not None
                stop = threading.Thread(target=lambda: (self.leaves.wait(), java.stdin and java.stdin.close()))
                stop.start()
                for line in java.stdout:
                    what, *numbers = line.split()
                    if what == "has":
                        self.owned = set(map(int, numbers))
                    elif what == "read":
                        self.read.add((int(numbers[0]), int(numbers[1])))
                stop.join(LIMIT)
                assert java.wait(LIMIT) == 0
            finally:
                java.kill()


def settled(members: list[Member]) -> bool:
    """Every partition has one owner, and nobody has much more than others."""
    owned = [m.owned for m in members]
    counts = [len(o) for o in owned]
    return sum(counts) == PARTITIONS == len(set().union(*owned)) and max(counts) - min(counts) <= 1


def until(what: str, members: list[Member], condition: Any) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        for m in members:
            if m.error:
                raise m.error
        assert time.monotonic() < end, f"{what} did not come about: {[(type(m).__name__, m.owned) for m in members]}"
        time.sleep(0.02)


# librdkafka has no sticky strategy of the eager kind; `None` is the new protocol, which 3.9 has as a preview only.
STRATEGIES: list[str | None] = ["range", "roundrobin", "cooperative-sticky", "sticky", None, "both"]


def way(strategy: str | None, number: int) -> str | None:
    """How the member with this number joins: in a group of both protocols, every other one by the new."""
    if strategy == "both":
        return None if number % 2 else "cooperative-sticky"
    return strategy


@pytest.mark.parametrize("first", ["ottla", "other"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s or "new protocol")
def test_members_of_all_kinds_share_a_topic(bootstrap: str, strategy: str | None, first: str) -> None:
    if strategy in (None, "both") and (KAFKA or "").startswith("3"):
        pytest.skip("this Kafka has the new protocol as a preview only")
    topic = group = f"mixed-{uuid.uuid4().hex[:12]}"
    with ottla.Admin(bootstrap) as admin:
        admin.create_topic(topic, partitions=PARTITIONS)
    others: list[type[Member]] = [] if strategy == "sticky" else [Librdkafka]
    if KAFKA:
        others.append(Java)
    kinds: list[type[Member]] = [Ottla, *others, Ottla] if first == "ottla" else [*others, Ottla, Ottla]
    members: list[Member] = []
    written = 0
    try:
        with ottla.Producer(bootstrap, linger_ms=1) as producer:

            def write() -> None:
                nonlocal written
                for partition in range(PARTITIONS):
                    producer.send_many(topic, [b"x"] * 5, partition=partition)
                producer.flush(timeout=LIMIT)
                written += 5

            for number, kind in enumerate(kinds):
                members.append(kind(bootstrap, group, topic, way(strategy, number)))
                until("a share each", members, lambda: settled(members))
                write()
            leaver = members.pop(0)
            leaver.leave()
            write()
            until("a share each of those who stay", members, lambda: settled(members))
            everything = {(p, o) for p in range(PARTITIONS) for o in range(written)}
            until(
                "everything read", members, lambda: set().union(leaver.read, *(m.read for m in members)) >= everything
            )
    finally:
        for member in members:
            member.leaves.set()
        for member in members:
            member.leave()
