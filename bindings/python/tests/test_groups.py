"""Consumer groups."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import ottla
import pytest
from ottla.testing import Broker

LIMIT = 30


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        broker.create_topic("t", partitions=2)
        with ottla.Producer(broker.bootstrap_servers) as producer:
            for partition in range(2):
                producer.send_many("t", [b"%d" % n for n in range(10)], partition=partition)
        yield broker


def member(broker: Broker, **keys: ottla.ConfigValue) -> ottla.Consumer:
    given: dict[str, ottla.ConfigValue] = {
        "group_id": "g",
        "auto_offset_reset": "earliest",
        "heartbeat_interval_ms": 50,
        **keys,
    }
    return ottla.Consumer(broker.bootstrap_servers, config=None, on_event=None, **given)


def read(consumer: ottla.Consumer, count: int) -> list[ottla.Record]:
    records: list[ottla.Record] = []
    end = time.monotonic() + LIMIT
    while len(records) < count and time.monotonic() < end:
        records += consumer.records(timeout=0.2)
    assert len(records) == count
    return records


def test_what_was_read_is_committed_by_itself(broker: Broker) -> None:
    with member(broker) as consumer:
        consumer.subscribe("t")
        assert len(read(consumer, 20)) == 20
        assert consumer.group_metadata().generation > 0
    with member(broker) as consumer:
        found = consumer.committed([("t", 0), ("t", 1)], timeout=LIMIT)
        assert [offset.offset for offset in found.values() if offset] == [10, 10]


def test_an_exception_leaves_the_present_record_unread(broker: Broker) -> None:
    seen: list[tuple[int, int]] = []

    def work(consumer: ottla.Consumer) -> None:
        consumer.subscribe("t")
        for record in consumer:
            seen.append((record.partition, record.offset))
            if len(seen) == 4:
                raise RuntimeError("at work")

    with pytest.raises(RuntimeError, match="at work"), member(broker) as consumer:
        work(consumer)
    partition, offset = seen[-1]
    with member(broker) as consumer:
        committed = consumer.committed([("t", partition)], timeout=LIMIT)[ottla.TopicPartition("t", partition)]
        assert committed is not None
        assert committed.offset == offset


def test_callbacks_and_the_last_moment_to_commit(broker: Broker) -> None:
    log: list[tuple[str, list[int]]] = []
    first, second = (member(broker, enable_auto_commit=False) for _ in range(2))

    def noted(what: str) -> ottla.consumer.Rebalanced:
        return lambda partitions: log.append((what, [p.partition for p in partitions]))

    def revoked(partitions: list[ottla.TopicPartition]) -> None:
        first.commit(timeout=LIMIT)
        log.append(("revoked", [p.partition for p in partitions]))

    with first, second:
        first.subscribe(["t"], on_assign=noted("assigned"), on_revoke=revoked)
        got = 0
        end = time.monotonic() + LIMIT
        while got < 20 and time.monotonic() < end:
            batch = first.poll(timeout=1)
            got += len(batch) if batch else 0
        assert log == [("assigned", [0, 1])]
        second.subscribe(["t"], on_assign=noted("second"))
        while len(log) < 4 and time.monotonic() < end:
            assert first.poll(timeout=0.01) is None
            assert second.poll(timeout=0.01) is None
        assert log[1] == ("revoked", [0, 1])
        assert sorted(log[2:]) == [("assigned", [0]), ("second", [1])] or sorted(log[2:]) == [
            ("assigned", [1]),
            ("second", [0]),
        ]
        assert batch is not None
        assert len(batch.values) > 0
        with pytest.raises(ottla.PartitionRevoked, match="no longer has that partition"):
            first.commit({("t", 0): 1, ("t", 1): 1}, timeout=LIMIT)


def test_committing_by_hand(broker: Broker) -> None:
    with member(broker, enable_auto_commit=False) as consumer:
        consumer.subscribe(pattern="[t]")
        batch = consumer.poll(timeout=LIMIT)
        assert batch is not None
        batch.commit(timeout=LIMIT)
        where = (batch.segments[0].topic, batch.segments[0].partition)
        committed = consumer.committed([where], timeout=LIMIT)[ottla.TopicPartition(*where)]
        assert committed is not None
        assert committed.offset == batch.segments[0].offsets[-1] + 1
        consumer.commit({where: ottla.OffsetAndMetadata(3, metadata="half way")}, timeout=LIMIT)
        noted = consumer.committed([where], timeout=LIMIT)[ottla.TopicPartition(*where)]
        assert noted == ottla.OffsetAndMetadata(3, -1, "half way")
        token = consumer.commit_async({where: 4})
        end = time.monotonic() + LIMIT
        while not any(e.token == token for e in consumer.events) and time.monotonic() < end:
            consumer.poll(timeout=0.1)
        event = next(e for e in consumer.events if e.token == token)
        assert (event.kind, event.error) == ("offsets_committed", None)
        consumer.unsubscribe(timeout=LIMIT)
        assert consumer.assignment() == []


def test_a_slow_loop_over_records_is_alive_and_committed(broker: Broker) -> None:
    """Each record takes long beside max.poll.interval.ms; the group still sees a member at work."""
    with member(broker, max_poll_interval_ms=1500, session_timeout_ms=6000, auto_commit_interval_ms=50) as consumer:
        consumer.subscribe("t")
        for count, _ in enumerate(consumer, 1):
            time.sleep(0.4)
            if count == 8:
                break
        kinds = [event.kind for event in consumer.events]
        assert kinds == ["partitions_assigned"]
        committed = consumer.committed([("t", 0), ("t", 1)], timeout=LIMIT)
        assert sum(offset.offset for offset in committed.values() if offset) >= 5


def test_misuse() -> None:
    with ottla.Consumer("localhost:1") as consumer:
        with pytest.raises(ottla.InvalidArgument, match=r"configure group\.id"):
            consumer.subscribe("t")
        with pytest.raises(TypeError, match="topics or a pattern"):
            consumer.subscribe()
    with ottla.Consumer("localhost:1", group_id="g") as consumer:
        consumer.subscribe("t")
        with pytest.raises(ottla.InvalidArgument, match="unsubscribe first"):
            consumer.assign([("t", 0)])
        with pytest.raises(ottla.InvalidArgument, match="pattern"):
            consumer.subscribe(pattern="(")


def test_two_members_share(broker: Broker) -> None:
    seen: list[tuple[int, int]] = []
    enough = threading.Event()

    def run() -> None:
        with member(broker) as consumer:
            consumer.subscribe("t")
            while not enough.is_set():
                seen.extend((r.partition, r.offset) for r in consumer.records(timeout=0.05))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + LIMIT
    while len(set(seen)) < 20 and time.monotonic() < end:
        time.sleep(0.05)
    enough.set()
    for thread in threads:
        thread.join(LIMIT)
    assert len(set(seen)) == 20
