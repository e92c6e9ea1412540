"""Every shape of record through every codec and back, read by Ottla and by foreign clients."""

from __future__ import annotations

import random
import uuid
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import confluent_kafka
import ottla
import pytest

with warnings.catch_warnings():
    # kafka-python reads its schemas in a way that is going out of use.
    warnings.simplefilter("ignore", DeprecationWarning)
    import kafka

LIMIT_S = 60

CODECS: list[dict[str, Any]] = [
    {"compression_type": "none"},
    *({"compression_type": "gzip", "compression_gzip_level": level} for level in (1, 9)),
    {"compression_type": "snappy"},
    *({"compression_type": "lz4", "compression_lz4_level": level} for level in (1, 9, 17)),
    *({"compression_type": "zstd", "compression_zstd_level": level} for level in (-5, 3, 19)),
]


class Shape(NamedTuple):
    """A record as it went in and has to come out."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    timestamp: int


def shapes() -> list[Shape]:
    """Nulls, empty ones, long ones; headers of the same name, without a value, with an empty one."""
    random.seed(4)
    noise = random.randbytes(700_000)
    values = [None, b"", b"v", b"text " * 20_000, noise]
    keys = [None, b"", b"key", bytes(range(256)) * 40]
    headers: list[list[tuple[str, bytes | None]]] = [
        [],
        [("one", b"1")],
        [("same", b"1"), ("same", b"2"), ("null", None), ("empty", b""), ("", b"no name")],
        [(f"h-{n}", b"x" * n) for n in range(300)],
    ]
    all_of_them = [
        Shape(keys[n % len(keys)], values[n % len(values)], headers[n % len(headers) - n // 20], 1_700_000_000_000 + n)
        for n in range(40)
    ]
    return [*all_of_them, Shape(None, None, [], 0)]


def send(bootstrap: str, topic: str, codec: dict[str, Any], records: list[Shape]) -> None:
    with ottla.Producer(bootstrap, linger_ms=50, **codec) as producer:
        sent = [producer.send(topic, r.value, r.key, r.headers, timestamp=r.timestamp) for r in records]
        assert [d.result(LIMIT_S).offset for d in sent] == list(range(len(records)))


def by_ottla(bootstrap: str, topic: str, count: int) -> list[Shape]:
    with ottla.Consumer(bootstrap) as consumer:
        consumer.assign([(topic, 0, "earliest")])
        found: list[Shape] = []
        for record in consumer.records(timeout=LIMIT_S):
            found.append(Shape(record.key, record.value, list(record.headers), record.timestamp))
            if len(found) == count:
                break
        return found


def by_librdkafka(bootstrap: str, topic: str, count: int) -> list[Shape]:
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "check.crcs": True}
    )
    try:
        consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
        found: list[Shape] = []
        while len(found) < count:
            messages = consumer.consume(count - len(found), LIMIT_S)
            assert messages, f"{len(found)} of {count} came"
            for message in messages:
                assert message.error() is None, message.error()
                headers = [(name, None if value is None else bytes(value)) for name, value in message.headers() or []]
                found.append(Shape(message.key(), message.value(), headers, message.timestamp()[1]))
        return found
    finally:
        consumer.close()


def by_kafka_python(bootstrap: str, topic: str, count: int) -> list[Shape]:
    consumer = kafka.KafkaConsumer(
        bootstrap_servers=bootstrap.split(","), group_id=None, consumer_timeout_ms=LIMIT_S * 1000, check_crcs=True
    )
    try:
        consumer.assign([kafka.TopicPartition(topic, 0)])
        consumer.seek_to_beginning()
        found: list[Shape] = []
        for message in consumer:
            found.append(Shape(message.key, message.value, list(message.headers), message.timestamp))
            if len(found) == count:
                break
        return found
    finally:
        consumer.close()


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: "-".join(map(str, codec.values())))
@pytest.mark.filterwarnings("ignore::DeprecationWarning:kafka")
def test_what_goes_in_comes_out_by_every_client(bootstrap: str, topic: str, codec: dict[str, Any]) -> None:
    records = shapes()
    send(bootstrap, topic, codec, records)
    for read in (by_ottla, by_librdkafka, by_kafka_python):
        found = read(bootstrap, topic, len(records))
        assert len(found) == len(records), read.__name__
        for n, (got, wanted) in enumerate(zip(found, records)):
            assert got == wanted, f"{read.__name__}, record {n}"


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_huge_record_needs_its_limits_raised_on_both_sides(
    bootstrap: str, new_topic: Callable[..., str], codec: str
) -> None:
    size = 20 << 20
    topic = new_topic(1, **{"max.message.bytes": str(size + 1000)})
    record = Shape(b"huge", random.Random(5).randbytes(size), [], 1_700_000_000_000)
    with pytest.raises(ottla.errors.RecordTooLarge, match=r"max\.request\.size"), ottla.Producer(bootstrap) as producer:
        producer.send(topic, record.value)
    limits = {"compression_type": codec, "max_request_size": size + 100_000}
    send(bootstrap, topic, limits, [record])
    # A fetch brings one batch whole, whatever the limits of the consumer say.
    assert by_ottla(bootstrap, topic, 1) == [record]
    assert by_librdkafka(bootstrap, topic, 1) == [record]
