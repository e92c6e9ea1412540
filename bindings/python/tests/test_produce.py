"""Sending: deliveries, headers, errors, backpressure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import ottla
import pytest
from ottla.testing import Broker


def read(bootstrap: str, topic: str, partition: int = 0) -> list[ottla.Record]:
    with ottla.Consumer(bootstrap) as consumer:
        return list(consumer.read_range(topic, partition))


def test_a_record_arrives_whole(bootstrap: str, topic: str, producer: ottla.Producer) -> None:
    headers = [("a", b"1"), ("b", None), ("a", b""), ("ü", b"\xff")]
    delivery = producer.send(topic, b"value", b"key", headers, partition=0, timestamp=1_700_000_000_000)
    assert delivery.result(timeout=30) is delivery
    assert delivery.done()
    assert (delivery.partition, delivery.offset, delivery.error) == (0, 0, None)
    (record,) = read(bootstrap, topic)
    assert (record.topic, record.partition, record.offset) == (topic, 0, 0)
    assert (record.key, record.value) == (b"key", b"value")
    assert record.headers == headers
    assert record.timestamp == 1_700_000_000_000
    assert record.time == datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)


def test_null_and_empty_differ(bootstrap: str, topic: str, producer: ottla.Producer) -> None:
    producer.send(topic, None, b"")
    producer.send(topic, b"", None)
    producer.flush(timeout=30)
    assert [(r.key, r.value) for r in read(bootstrap, topic)] == [(b"", None), (None, b"")]


@pytest.mark.parametrize("value", [bytearray(b"abc"), memoryview(b"abc"), memoryview(b"a-b-c")[::2]])
def test_anything_with_the_buffer_protocol(bootstrap: str, topic: str, producer: ottla.Producer, value: Any) -> None:
    producer.send(topic, value, key=value, headers={"h": value}).result(timeout=30)
    (record,) = read(bootstrap, topic)
    assert (record.key, record.value, record.headers) == (b"abc", b"abc", [("h", b"abc")])


def test_text_is_refused_by_name(producer: ottla.Producer) -> None:
    advice = r"encode it first, for example with \.encode\(\)"
    with pytest.raises(TypeError, match=rf"^value must be bytes, not str: {advice}"):
        producer.send("t", "text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^key must be bytes, not str"):
        producer.send("t", b"", key="text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^the value of header 'h' must be bytes, not str"):
        producer.send("t", b"", headers={"h": "text"})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^value must be bytes or another object with the buffer protocol.*not dict"):
        producer.send("t", {"a": 1})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="topic must be a str, not bytes"):
        producer.send(b"t", b"")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="partition is -1"):
        producer.send("t", b"", partition=-1)
    with pytest.raises(TypeError, match="timestamp must be an int"):
        producer.send("t", b"", timestamp=1.5)  # type: ignore[arg-type]


def test_nothing_is_left_pending_after_a_refusal(producer: ottla.Producer, topic: str) -> None:
    with pytest.raises(ottla.OttlaError, match="partition"):
        producer.send(topic, b"", partition=0).result(timeout=30)
        producer.send(topic, b"", partition=99).result(timeout=30)
    assert "0 deliveries" in repr(producer)


def test_an_unknown_topic_is_named() -> None:
    with Broker() as broker, ottla.Producer(broker.bootstrap_servers, max_block_ms=500) as producer:
        with pytest.raises(ottla.UnknownTopicError, match="absent") as caught:
            producer.send("absent", b"x").result(timeout=30)
        assert caught.value.code == 3


def test_a_large_record_is_refused(topic: str, bootstrap: str) -> None:
    with ottla.Producer(bootstrap, max_request_size=100_000) as producer:
        with pytest.raises(ottla.RecordTooLarge, match=r"100000|100_000"):
            producer.send(topic, bytes(200_000))
        with pytest.raises(ottla.RecordTooLarge):
            producer.send_many(topic, [b"x", bytes(200_000)])


def test_a_failure_nobody_looked_at_is_raised_by_flush_once(broker: Broker) -> None:
    with ottla.Producer(broker.bootstrap_servers) as producer:
        broker.fail("MESSAGE_TOO_LARGE", api="Produce", times=1)
        producer.send("t", b"x")
        with pytest.raises(ottla.RecordTooLarge):
            producer.flush(timeout=30)
        producer.flush(timeout=30)
        broker.fail("MESSAGE_TOO_LARGE", api="Produce", times=1)
        delivery = producer.send("t", b"x")
        with pytest.raises(ottla.KafkaError):
            delivery.result(timeout=30)
        assert delivery.error is not None
        assert not delivery.error.possibly_written
        producer.flush(timeout=30)


def test_leaving_the_block_raises_what_failed(broker: Broker) -> None:
    broker.fail("MESSAGE_TOO_LARGE", api="Produce")
    with pytest.raises(ottla.MessageTooLarge), ottla.Producer(broker.bootstrap_servers) as producer:
        producer.send("t", b"x")
    # An error on its way is not hidden by it.
    broker.fail("MESSAGE_TOO_LARGE", api="Produce")
    with pytest.raises(KeyError), ottla.Producer(broker.bootstrap_servers) as producer:
        producer.send("t", b"x")
        raise KeyError
    with ottla.Producer(broker.bootstrap_servers) as producer:
        producer.send("t", b"x").result(timeout=30)
    producer.close()
    with pytest.raises(ottla.ClosedError):
        producer.send("t", b"x")


def test_a_full_buffer_waits_or_says_so(broker: Broker) -> None:
    broker.pause_node(1)
    with ottla.Producer(broker.bootstrap_servers, buffer_memory=65536, batch_size=16384) as producer:
        with pytest.raises(ottla.WouldBlock):
            for _ in range(100):
                producer.send("t", bytes(10_000), timeout=0)
        begun = time.monotonic()
        with pytest.raises(ottla.BufferFull, match=r"waited 0\.3 s \(timeout\)"):
            producer.send("t", bytes(10_000), timeout=0.3)
        assert 0.25 < time.monotonic() - begun < 5
        with pytest.raises(ottla.WouldBlock) as caught:
            producer.send_many("t", [bytes(10_000)] * 100, timeout=0)
        assert caught.value.accepted < 100
        assert len(caught.value.deliveries) == caught.value.accepted  # type: ignore[arg-type]
        timer = threading.Timer(0.3, broker.resume_node, [1])
        timer.start()
        deliveries = producer.send_many("t", [bytes(10_000)] * 100, timeout=30)
        assert deliveries.result(timeout=30).written == 100
        timer.join()


def test_max_block_ms_bounds_the_wait(broker: Broker) -> None:
    producer = ottla.Producer(broker.bootstrap_servers, buffer_memory=65536, max_block_ms="300ms")
    producer.send("t", b"x").result(timeout=30)
    broker.pause_node(1)
    begun = time.monotonic()
    with pytest.raises(ottla.BufferFull, match=r"waited 0\.3 s \(max\.block\.ms\)"):
        for _ in range(100):
            producer.send("t", bytes(10_000))
    assert 0.25 < time.monotonic() - begun < 5
    with pytest.raises(ottla.OttlaTimeout, match=r"have not ended within 0\.2 s"):
        producer.close(timeout=0.2)


def test_waiting_has_a_limit(broker: Broker) -> None:
    broker.pause_node(1)
    with ottla.Producer(broker.bootstrap_servers) as producer:
        delivery = producer.send("t", b"x")
        assert not delivery.done()
        with pytest.raises(TimeoutError, match=r"one record not acknowledged within 0\.2 s"):
            delivery.result(timeout=0.2)
        with pytest.raises(ottla.OttlaTimeout, match="1 batches"):
            producer.flush(timeout=0.2)
        broker.resume_node(1)
        assert delivery.result(timeout=30).offset == 0


def test_without_acks_there_is_no_offset(bootstrap: str, topic: str) -> None:
    with ottla.Producer(bootstrap, acks=0) as producer:
        delivery = producer.send(topic, b"x").result(timeout=30)
        assert (delivery.offset, delivery.partition) == (None, 0)


def test_many_threads_share_a_producer(bootstrap: str, new_topic: Callable[..., str]) -> None:
    topic = new_topic(4)
    failures: list[BaseException] = []

    def work(producer: ottla.Producer, number: int) -> None:
        try:
            for i in range(200):
                assert producer.send(topic, b"%d" % i, key=b"%d" % number).result(timeout=60).offset is not None
                if i % 50 == 0:
                    assert producer.send_many(topic, [b"x"] * 100).result(timeout=60).written == 100
        except BaseException as error:
            failures.append(error)

    with ottla.Producer(bootstrap, linger_ms=0) as producer:
        threads = [threading.Thread(target=work, args=(producer, i)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert producer.counts().written == 8 * (200 + 400)
        assert "0 deliveries" in repr(producer)


def test_fire_and_forget_of_many(bootstrap: str, topic: str) -> None:
    with ottla.Producer(bootstrap, buffer_memory="1MiB") as producer:
        for i in range(20_000):
            producer.send(topic, b"%0100d" % i)
    records = read(bootstrap, topic)
    assert [int(r.value or b"") for r in records] == list(range(20_000))


def test_the_descriptor_tells_of_deliveries(topic: str, producer: ottla.Producer) -> None:
    import select

    descriptor = producer.fileno()
    delivery = producer.send(topic, b"x")
    deadline = time.monotonic() + 30
    while delivery._outcome is None:
        assert time.monotonic() < deadline
        if select.select([descriptor], [], [], 1)[0]:
            producer.poll()
    assert delivery.offset == 0
