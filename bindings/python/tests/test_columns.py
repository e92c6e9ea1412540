"""What send_many takes, and what it says of what it does not take."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import numpy
import ottla
import pytest

THREE = [b"one", b"two", b"three"]
PADDED = [b"one\0\0", b"two\0\0", b"three"]


def sent(bootstrap: str, topic: str) -> list[ottla.Record]:
    with ottla.Consumer(bootstrap) as consumer:
        return list(consumer.read_range(topic, 0))


def generator() -> Iterator[bytes]:
    yield from THREE


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (THREE, THREE),
        (tuple(THREE), THREE),
        (generator, THREE),
        ([b"", None, b"x"], [b"", None, b"x"]),
        ([bytearray(b"a"), memoryview(b"bc"), array("H", [1, 2])], [b"a", b"bc", b"\1\0\2\0"]),
        ((b"a", b"b"), [b"a", b"b"]),
        ((b"onetwothree", [0, 3, 6, 11]), THREE),
        ((bytearray(b"-onetwothree-"), array("i", [1, 4, 7, 12])), THREE),
        ((memoryview(b"onetwothree"), array("q", [0, 3, 6, 11])), THREE),
        ((numpy.frombuffer(b"onetwothree", numpy.uint8), numpy.array([0, 3, 6, 11])), THREE),
        ((numpy.frombuffer(b"onetwothree", numpy.uint8), numpy.array([0, 3, 6, 11], numpy.int32)), THREE),
        (numpy.array([[97, 98], [99, 100]], numpy.uint8), [b"ab", b"cd"]),
        (numpy.array([[97, 98], [99, 100]], numpy.uint8).T, [b"ac", b"bd"]),
        (numpy.arange(4, dtype="<u2").reshape(2, 2), [b"\0\0\1\0", b"\2\0\3\0"]),
        (numpy.array(THREE), THREE),
        (numpy.array([b"ab", b"cd"]), [b"ab", b"cd"]),
        (numpy.array(THREE, dtype=object), THREE),
        (numpy.array(PADDED, dtype="V5"), PADDED),
        (memoryview(b"abcdef").cast("B", (3, 2)), [b"ab", b"cd", b"ef"]),
        (numpy.zeros((2, 0), numpy.uint8), [b"", b""]),
    ],
)
def test_forms(bootstrap: str, topic: str, producer: ottla.Producer, values: Any, expected: Any) -> None:
    deliveries = producer.send_many(topic, values() if callable(values) else values)
    assert len(deliveries) == len(expected)
    assert deliveries.result(timeout=30).offsets.tolist() == list(range(len(expected)))
    assert [r.value for r in sent(bootstrap, topic)] == expected


def test_all_columns_together(bootstrap: str, topic: str, producer: ottla.Producer) -> None:
    producer.send_many(
        topic,
        THREE,
        keys=[b"k", None, b""],
        headers=[{"a": b"1"}, None, [("b", None), ("b", b"2")]],
        partition=0,
        timestamps=[1000, 2000, 3000],
    ).result(timeout=30)
    assert [(r.key, r.value, r.headers, r.timestamp) for r in sent(bootstrap, topic)] == [
        (b"k", b"one", [("a", b"1")], 1000),
        (None, b"two", [], 2000),
        (b"", b"three", [("b", None), ("b", b"2")], 3000),
    ]


def test_one_mapping_of_headers_is_for_all(bootstrap: str, topic: str, producer: ottla.Producer) -> None:
    producer.send_many(topic, THREE, headers={"s": b"x"}, timestamps=numpy.array([1, 2, 3])).result(timeout=30)
    assert [(r.headers, r.timestamp) for r in sent(bootstrap, topic)] == [([("s", b"x")], t) for t in (1, 2, 3)]


def test_keys_decide_the_partition_as_in_send(new_topic: Callable[..., str], producer: ottla.Producer) -> None:
    topic = new_topic(5)
    keys = [b"key-%d" % i for i in range(100)]
    many = producer.send_many(topic, keys, keys=keys).result(timeout=30)
    single = [producer.send(topic, key, key=key) for key in keys]
    assert many.partitions.tolist() == [delivery.result(timeout=30).partition for delivery in single]
    assert len(set(many.partitions)) == 5
    by_partition: dict[int, list[int]] = {}
    for partition, offset in zip(many.partitions, many.offsets):
        by_partition.setdefault(partition, []).append(offset)
    assert all(offsets == list(range(len(offsets))) for offsets in by_partition.values())


def test_nothing_to_send(producer: ottla.Producer) -> None:
    assert producer.send_many("t", []).result(timeout=1).written == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"values": "text"}, TypeError, r"values must be bytes, not str: encode it first"),
        ({"values": ["a", b"b"]}, TypeError, r"values\[0\] must be bytes, not str: encode it first"),
        ({"values": [b"a", 5]}, TypeError, r"values\[1\] must be bytes or another .* not int"),
        ({"values": b"one"}, TypeError, r"values is a single bytes; give one for each record, or call send"),
        ({"values": ("text", [0, 4])}, TypeError, r"values\[0\], the buffer, must be bytes, not str"),
        ({"values": (b"text", [])}, ValueError, r"values has no offsets"),
        ({"values": (b"text", [0, 5])}, ValueError, r"values's offsets go from 0 to 5; the buffer has 4 bytes"),
        ({"values": (b"text", [0, 3, 2])}, ottla.InvalidArgument, r"values has falling offsets: row 1"),
        ({"values": (b"text", [0, 1.5])}, TypeError, r"values's offsets must be whole numbers"),
        ({"values": numpy.array(["a"])}, TypeError, r"values must be bytes, not str.*numpy\.char\.encode"),
        ({"values": numpy.arange(3)}, TypeError, r"values is a buffer with 1 dimension\(s\) of format 'l'"),
        ({"values": THREE, "keys": [b"k"]}, ValueError, r"keys has 1 rows, values has 3"),
        ({"values": THREE, "keys": ["k"] * 3}, TypeError, r"keys\[0\] must be bytes, not str"),
        ({"values": THREE, "headers": [None]}, ValueError, r"headers has 1 rows, values has 3"),
        ({"values": THREE, "timestamps": [1]}, ValueError, r"timestamps has 1 rows, values has 3"),
        ({"values": THREE, "timestamps": [1, 2, "3"]}, TypeError, r"timestamps\[2\] must be an int"),
        ({"values": THREE, "timestamps": numpy.array([1.0] * 3)}, TypeError, r"timestamps must be whole numbers"),
        ({"values": THREE, "partition": -2}, ValueError, r"partition is -2"),
    ],
)
def test_refusals(producer: ottla.Producer, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        producer.send_many("t", **arguments)
    assert "0 deliveries" in repr(producer)


def test_more_than_the_buffer_takes(bootstrap: str, topic: str) -> None:
    values = [b"%0100d" % i for i in range(50_000)]
    blob, offsets = b"".join(values), list(range(0, 5_000_001, 100))
    with ottla.Producer(bootstrap, buffer_memory="1MiB") as producer:
        for columns in (values, (blob, offsets), numpy.frombuffer(blob, numpy.uint8).reshape(-1, 100)):
            deliveries = producer.send_many(
                topic, columns, keys=values, headers={"h": b"x"}, timestamps=range(50_000), timeout=60
            )
            assert deliveries.result(timeout=60).written == 50_000
            base = deliveries.offsets[0]
            assert deliveries.offsets.tolist() == list(range(base, base + 50_000))
    records = sent(bootstrap, topic)
    assert [r.value for r in records] == values * 3
    assert [r.key for r in records] == values * 3
    assert [r.timestamp for r in records] == list(range(50_000)) * 3
    assert records[-1].headers == [("h", b"x")]


def test_failures_tell_their_rows(new_topic: Callable[..., str]) -> None:
    with ottla.testing.Broker() as broker, ottla.Producer(broker.bootstrap_servers, linger_ms=50) as producer:
        broker.create_topic("t", 2)
        broker.fail("MESSAGE_TOO_LARGE", api="Produce", topic="t", partition=1, times=None)
        keys = [b"%d" % i for i in range(50)]
        deliveries = producer.send_many("t", keys, keys=keys)
        with pytest.raises(ottla.MessageTooLarge):
            deliveries.result(timeout=30)
        assert deliveries.written + deliveries.failed == 50
        failures = deliveries.failures
        assert 0 < len(failures) == deliveries.failed < 50
        assert [i for i, offset in enumerate(deliveries.offsets) if offset < 0] == sorted(failures)
        assert all(p in (0, -1) for p in deliveries.partitions)


def test_memory_of_the_caller_may_change_after_the_call(bootstrap: str, topic: str, producer: ottla.Producer) -> None:
    memory = bytearray(b"onetwothree")
    producer.send_many(topic, (memory, [0, 3, 6, 11]))
    ctypes.memset((ctypes.c_char * len(memory)).from_buffer(memory), 0, len(memory))
    producer.flush(timeout=30)
    assert [r.value for r in sent(bootstrap, topic)] == THREE
