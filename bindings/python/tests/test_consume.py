"""Reading: batches, columns, messages, positions."""

from __future__ import annotations

import gc
import itertools
import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import numpy
import ottla
import pytest
from ottla import TopicPartition
from ottla.testing import Broker


def fill(producer: ottla.Producer, topic: str, count: int, partition: int = 0) -> None:
    values = [b"%d" % i for i in range(count)]
    producer.send_many(topic, values, partition=partition, timestamps=range(1000, 1000 + count)).result(timeout=30)


def everything(consumer: ottla.Consumer, count: int, max_records: int | None = None) -> list[ottla.Batch]:
    """Batches until so many records have come."""
    batches: list[ottla.Batch] = []
    while sum(map(len, batches)) < count:
        batch = consumer.poll(timeout=30, max_records=max_records)
        assert batch is not None
        batches.append(batch)
    assert sum(map(len, batches)) == count
    return batches


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_columns_and_records_agree(bootstrap: str, topic: str, codec: str) -> None:
    values = [None if i % 7 == 3 else b"v%d" % i * (i % 50) for i in range(5000)]
    keys = [None if i % 5 == 2 else b"k%d" % i for i in range(5000)]
    headers = [{"h": b"%d" % i} if i % 11 == 5 else None for i in range(5000)]
    with ottla.Producer(bootstrap, compression_type=codec, batch_size=20_000) as producer:
        producer.send_many(topic, values, keys, headers, timestamps=range(5000)).result(timeout=30)
    with ottla.Consumer(bootstrap) as consumer:
        consumer.assign([(topic, 0, "earliest")])
        for max_records in (10_000, 700, 1):
            count = 5000 if max_records > 1 else 50
            consumer.seek(topic, 0, 0)
            batches: list[ottla.Batch] = []
            while sum(map(len, batches)) < count:
                batch = consumer.poll(timeout=30, max_records=max_records)
                assert batch is not None
                batches.append(batch)
            for column, expected in (("values", values), ("keys", keys)):
                got = list(itertools.chain.from_iterable(getattr(b, column).tolist() for b in batches))
                assert got == expected[:count]
            records = list(itertools.chain.from_iterable(batches))
            assert [r.offset for r in records] == list(range(count))
            assert [r.timestamp for r in records] == list(range(count))
            assert [r.value for r in records] == values[:count]
            assert [r.key for r in records] == keys[:count]
            assert [r.headers for r in records] == [list((h or {}).items()) for h in headers[:count]]
            for batch in batches[:3]:
                row = len(batch) // 2
                record = batch[row]
                assert record[:6] == list(batch)[row][:6]
                assert record.headers == batch.headers(row)
                assert batch.values[row] == record.value and batch.keys[row] == record.key
                assert batch.values[-1] == batch.values.tolist()[-1]
                assert batch.values[1:3] == batch.values.tolist()[1:3]
                assert batch.values[::-1] == batch.values.tolist()[::-1]
                with pytest.raises(IndexError):
                    batch.values[len(batch)]
                compact = batch.compact()
                assert compact.values.tolist() == batch.values.tolist()
                assert compact.keys.tolist() == batch.keys.tolist()
                assert [r.headers for r in compact] == [r.headers for r in batch]


def test_segments_are_views(producer: ottla.Producer, consumer: ottla.Consumer, topic: str) -> None:
    fill(producer, topic, 1000)
    consumer.assign([(topic, 0, "earliest")])
    for batch in everything(consumer, 1000):
        for segment in batch.segments:
            offsets = numpy.asarray(segment.offsets)
            assert offsets.dtype == numpy.int64 and not offsets.flags.owndata and not offsets.flags.writeable
            assert segment.offsets.readonly and segment.base.readonly
            assert (segment.topic, segment.partition, segment.timestamp_type) == (topic, 0, 0)
            assert numpy.array_equal(numpy.asarray(segment.timestamps), offsets + 1000)
            starts, lengths = numpy.asarray(segment.value_start), numpy.asarray(segment.value_len)
            base = segment.base
            found = [bytes(base[a : a + n]) for a, n in zip(starts, lengths)]
            assert found == segment.values() == [b"%d" % offset for offset in offsets]
            assert set(segment.key_len) == {-1} and not any(segment.header_count)
            assert set(segment.keys()) == {None}


def test_views_outlive_batch_and_consumer(bootstrap: str, producer: ottla.Producer, topic: str) -> None:
    fill(producer, topic, 2000)
    with ottla.Consumer(bootstrap) as consumer:
        consumer.assign([(topic, 0, "earliest")])
        batches = everything(consumer, 2000)
        held = consumer.held_bytes
        assert held > 0
        offsets = [numpy.asarray(b.offsets) for b in batches]
        bases = [(b.segments[0].base, b.segments[0].value_start[0]) for b in batches]
        first = batches[0]
        del batches
    del consumer
    gc.collect()
    assert numpy.concatenate(offsets).tolist() == list(range(2000))
    assert bytes(bases[0][0][bases[0][1] :][:1]) == b"0"
    assert first.values[0] == b"0" and len(list(first)) == len(first)


def test_memory_is_given_back(producer: ottla.Producer, consumer: ottla.Consumer, topic: str) -> None:
    fill(producer, topic, 2000)
    consumer.assign([(topic, 0, "earliest")])
    batches = everything(consumer, 2000)
    assert consumer.held_bytes > 0
    view = batches[0].offsets
    del batches
    gc.collect()
    assert consumer.held_bytes > 0
    del view
    gc.collect()
    assert consumer.held_bytes == 0


def test_messages(producer: ottla.Producer, consumer: ottla.Consumer, topic: str) -> None:
    fill(producer, topic, 3000)
    consumer.assign_topic(topic, start="earliest")
    seen = []
    for record in consumer:
        seen.append(int(record.value or b""))
        if len(seen) == 1234:
            break
    assert consumer.position(topic, 0) == 1233
    for record in consumer:
        seen.append(int(record.value or b""))
        if len(seen) == 3000:
            break
    assert seen == list(range(3000))
    assert "offset=2999" in repr(record) and record.headers == []
    assert list(consumer.records(timeout=0.2)) == []
    assert consumer.position(topic, 0) == 3000


def test_polling_goes_on_where_messages_stopped(
    new_topic: Callable[..., str], producer: ottla.Producer, consumer: ottla.Consumer
) -> None:
    topic = new_topic(2)
    fill(producer, topic, 500, 0)
    fill(producer, topic, 500, 1)
    consumer.assign_topic(topic, start="earliest")
    seen = [(r.partition, r.offset) for r in itertools.islice(consumer, 130)]
    for batch in everything(consumer, 870):
        seen += [(r.partition, r.offset) for r in batch]
    assert sorted(seen) == [(p, o) for p in (0, 1) for o in range(500)]


def test_seek_while_iterating(producer: ottla.Producer, consumer: ottla.Consumer, topic: str) -> None:
    fill(producer, topic, 1000)
    consumer.assign([(topic, 0, 500)])
    seen = []
    for record in consumer:
        seen.append(record.offset)
        if len(seen) == 3:
            consumer.seek(topic, 0, 10)
        elif len(seen) == 5:
            consumer.seek(topic, 0, datetime.fromtimestamp(1.9, timezone.utc))
        elif len(seen) == 7:
            consumer.seek(topic, 0, "earliest")
        elif len(seen) == 8:
            consumer.unassign()
            break
    assert seen == [500, 501, 502, 10, 11, 900, 901, 0]
    assert list(consumer.records(timeout=0.1)) == []
    assert consumer.assignment() == []


def test_assigning_again_drops_what_is_at_hand_of_others(
    new_topic: Callable[..., str], producer: ottla.Producer, consumer: ottla.Consumer
) -> None:
    topic = new_topic(2)
    fill(producer, topic, 100, 0)
    fill(producer, topic, 100, 1)
    consumer.assign([(topic, 0, "earliest"), TopicPartition(topic, 1, "earliest")])
    assert consumer.assignment() == [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    first = next(iter(consumer))
    consumer.assign([(topic, 1 - first.partition, 90)])
    rest = list(consumer.records(timeout=0.5))
    assert {r.partition for r in rest} == {1 - first.partition}
    assert [r.offset for r in rest][-10:] == list(range(90, 100))


def test_pause_and_resume(new_topic: Callable[..., str], producer: ottla.Producer, consumer: ottla.Consumer) -> None:
    topic = new_topic(2)
    consumer.assign([(topic, 0, "earliest"), (topic, 1, "earliest")])
    consumer.pause([(topic, 0)])
    fill(producer, topic, 100, 0)
    fill(producer, topic, 100, 1)
    assert {s.partition for b in everything(consumer, 100) for s in b.segments} == {1}
    assert consumer.poll(timeout=0.2) is None
    consumer.resume([(topic, 0)])
    assert {s.partition for b in everything(consumer, 100) for s in b.segments} == {0}
    with pytest.raises(ottla.InvalidArgument, match="not assigned"):
        consumer.pause([("other", 0)])


def test_offsets_and_lag(new_topic: Callable[..., str], producer: ottla.Producer, consumer: ottla.Consumer) -> None:
    topic = new_topic(2)
    fill(producer, topic, 100, 0)
    zero, one = TopicPartition(topic, 0), TopicPartition(topic, 1)
    assert consumer.partition_count(topic) == 2
    assert consumer.beginning_offsets([zero, (topic, 1)]) == {zero: 0, one: 0}
    assert consumer.end_offsets([zero, one]) == {zero: 100, one: 0}
    late = datetime(2030, 1, 1, tzinfo=timezone.utc)
    assert consumer.offsets_for_times({zero: 1050}) == {zero: 50}
    assert consumer.offsets_for_times({zero: late, (topic, 1): 0}) == {zero: None, one: None}
    consumer.assign([(topic, 0, 10)])
    records = iter(consumer)
    for _ in range(5):
        record = next(records)
    assert record.offset == 14
    assert consumer.position(topic, 0) == 14
    assert consumer.lag(topic, 0) == 86
    assert list(itertools.islice(records, 85))[-1].offset == 99
    assert next(consumer.records(timeout=0.1), None) is None
    assert consumer.position(topic, 0) == 100
    assert consumer.lag(topic, 0) == 0


def test_read_range(producer: ottla.Producer, consumer: ottla.Consumer, topic: str) -> None:
    fill(producer, topic, 3000)

    def offsets(*arguments: object) -> list[int]:
        return [r.offset for r in consumer.read_range(topic, 0, *arguments)]  # type: ignore[arg-type]

    assert offsets() == list(range(3000))
    assert offsets(10, 20) == list(range(10, 20))
    assert offsets("earliest", 5) == list(range(5))
    assert offsets(2990) == list(range(2990, 3000))
    assert offsets(3000) == []
    assert offsets("latest") == []
    times = (datetime.fromtimestamp(seconds, timezone.utc) for seconds in (1.5, 1.6))
    assert offsets(*times) == list(range(500, 600))
    assert consumer.assignment() == []
    consumer.assign([(topic, 0)])
    with pytest.raises(ValueError, match="a consumer of its own"):
        consumer.read_range(topic, 0)


def test_wake_ends_waiting(consumer: ottla.Consumer, topic: str) -> None:
    consumer.assign([(topic, 0)])
    waits: list[Callable[[], Any]] = [consumer.poll, lambda: list(consumer), lambda: list(consumer.batches())]
    for wait in waits:
        timer = threading.Timer(0.2, consumer.wake)
        timer.start()
        begun = time.monotonic()
        assert not wait()
        assert 0.1 < time.monotonic() - begun < 10
        timer.join()


def test_close_ends_iterations(bootstrap: str, topic: str) -> None:
    consumer = ottla.Consumer(bootstrap)
    consumer.assign([(topic, 0)])
    timer = threading.Timer(0.2, consumer.close)
    timer.start()
    assert list(consumer) == []
    timer.join()
    with pytest.raises(ottla.ClosedError):
        consumer.poll(timeout=0)
    consumer.close()


def test_the_descriptor_tells_of_records(producer: ottla.Producer, consumer: ottla.Consumer, topic: str) -> None:
    import select

    consumer.assign([(topic, 0, "earliest")])
    descriptor = consumer.fileno()
    fill(producer, topic, 10)
    count, deadline = 0, time.monotonic() + 30
    while count < 10:
        assert time.monotonic() < deadline
        if select.select([descriptor], [], [], 1)[0]:
            batch = consumer.poll(timeout=0)
            count += len(batch or ())


def test_only_one_thread_polls(consumer: ottla.Consumer, topic: str) -> None:
    consumer.assign([(topic, 0)])
    started = threading.Event()

    def work() -> None:
        started.set()
        consumer.poll(timeout=3)

    thread = threading.Thread(target=work)
    thread.start()
    started.wait()
    deadline = time.monotonic() + 2.5
    with pytest.raises(ottla.InUseError):
        while time.monotonic() < deadline:
            consumer.poll(timeout=0)
    consumer.wake()
    thread.join()


def test_wrong_arguments(consumer: ottla.Consumer) -> None:
    for wrong in ("first", True, 1.5):
        with pytest.raises(ValueError, match='give "earliest", "latest", an offset, a datetime, or None'):
            consumer.assign([("t", 0, wrong)])  # type: ignore[list-item]
    with pytest.raises(ottla.InvalidArgument, match="negative"):
        consumer.assign([("t", 0, -5)])
    with pytest.raises(TypeError, match=r"a partition is \(topic, number\)"):
        consumer.assign(["t"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="partition must be an int, not str"):
        consumer.position("t", "0")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_records is 0"):
        consumer.poll(max_records=0)
    with pytest.raises(ottla.InvalidArgument, match="not assigned"):
        consumer.position("t", 0)


def test_events_are_kept_given_or_raised() -> None:
    with Broker() as broker:
        broker.create_topic("t")
        with ottla.Producer(broker.bootstrap_servers) as producer:
            producer.send("t", b"x").result(timeout=30)
        with ottla.Consumer(broker.bootstrap_servers, auto_offset_reset="earliest") as consumer:
            consumer.assign([("t", 0, 1000)])
            assert [r.value for r in itertools.islice(consumer, 1)] == [b"x"]
            (event,) = consumer.events
            assert (event.kind, event.topic, event.partition) == ("position_reset", "t", 0)
            assert (event.before, event.after) == (1000, 0)
            assert "1000" in event.message
        with ottla.Consumer(broker.bootstrap_servers, auto_offset_reset="none") as consumer:
            consumer.assign([("t", 0, 1000)])
            with pytest.raises(ottla.OffsetOutOfRange, match="t-0"):
                consumer.poll(timeout=30)
        given: list[ottla.Event] = []
        with ottla.Consumer(broker.bootstrap_servers, auto_offset_reset="none", on_event=given.append) as consumer:
            consumer.assign([("t", 0, 1000)])
            deadline = time.monotonic() + 30
            while not given and time.monotonic() < deadline:
                assert consumer.poll(timeout=0.1) is None
            assert given[0].kind == "partition_stopped" and given[0].stops
            assert list(consumer.events) == given


def test_an_absent_topic_is_raised() -> None:
    with Broker() as broker, ottla.Consumer(broker.bootstrap_servers) as consumer:
        consumer.assign_topic("absent")
        with pytest.raises(ottla.UnknownTopicError, match="absent"):
            for _ in consumer:
                pass


def test_a_corrupt_batch_is_not_delivered(broker: Broker) -> None:
    with ottla.Producer(broker.bootstrap_servers) as producer:
        producer.send("t", b"x").result(timeout=30)
    broker.corrupt_batch(topic="t", times=None)
    with ottla.Consumer(broker.bootstrap_servers) as consumer:
        consumer.assign([("t", 0, "earliest")])
        with pytest.raises(ottla.CorruptBatch):
            for _ in range(20):
                assert consumer.poll(timeout=1) is None
