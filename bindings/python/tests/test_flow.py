"""Partitioners, topics' own settings, bounds, purges and statistics."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import ottla
import pytest
from ottla.testing import Broker


def test_a_partitioner_of_ones_own_for_all_topics_and_for_one(bootstrap: str, new_topic: Callable[..., str]) -> None:
    first, second = new_topic(3), new_topic(3)
    asked = []

    def by_length(topic: str, key: bytes | None, count: int) -> int | None:
        asked.append((topic, key, count))
        return None if key is None else len(key) % count

    with ottla.Producer(
        bootstrap, partitioner=by_length, topics={second: {"partitioner": lambda topic, key, count: 2}}
    ) as producer:
        assert [producer.send(first, b"v", key=b"k" * n).result(30).partition for n in range(4)] == [0, 1, 2, 0]
        assert asked[0] == (first, b"", 3)
        producer.send_many(first, [b"v"] * 6, keys=[b"k" * n for n in range(6)]).result(30)
        assert asked[4:] == [(first, b"k" * n, 3) for n in range(6)]
        assert producer.stats().partitions[first, 1]["records_written"] == 1 + 2
        assert producer.send(second, b"v", key=b"any").result(30).partition == 2
        assert producer.send(first, b"v", partition=1).result(30).partition == 1
        producer.send(first, b"v").result(30)
        assert asked[-1] == (first, None, 3)


def test_what_a_partitioner_raises_is_raised_by_send(bootstrap: str, topic: str) -> None:
    answers: list[object] = []

    def failing(_topic: str, _key: bytes | None, _count: int) -> int:
        answer = answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]

    with ottla.Producer(bootstrap, partitioner=failing) as producer:
        for answer, raised, told in (
            (KeyError("mine"), KeyError, "mine"),
            (7, ValueError, "chose partition 7"),
            ("1", TypeError, "returned '1'"),
        ):
            answers[:] = [answer]
            with pytest.raises(raised, match=told):
                producer.send(topic, b"v", key=b"k")
            with pytest.raises(raised, match=told):
                producer.send_many(topic, [b"v"], keys=[b"k"])
        answers[:] = [0]
        assert producer.send(topic, b"v").result(30).offset == 0


def test_topics_have_settings_of_their_own(bootstrap: str, new_topic: Callable[..., str]) -> None:
    plain, quick = new_topic(), new_topic()
    with ottla.Producer(bootstrap, topics={quick: {"acks": 0, "compression_type": "zstd"}}) as producer:
        assert producer.send(plain, b"v").result(30).offset == 0
        assert producer.send(quick, b"v").result(30).offset is None
    for settings, told in (
        ({"acks": "2"}, "`acks` is set to `2`"),
        ({"batch_size": 1}, "whole producer"),
        ({"linger_ms": "x"}, f"the settings of topic '{quick}'"),
        ({"acks": lambda: 1}, "acks can't be a function"),
    ):
        with pytest.raises(ottla.ConfigError, match=told):
            ottla.Producer(bootstrap, topics={quick: settings})  # type: ignore[dict-item]
    with pytest.raises(ottla.ConfigError, match="give a dict"):
        ottla.Producer(bootstrap, topics={quick: "acks"})  # type: ignore[dict-item]


def test_purge_tells_what_may_have_been_written(broker: Broker) -> None:
    with ottla.Producer(broker.bootstrap_servers, linger_ms=0, max_in_flight_requests_per_connection=1) as producer:
        assert producer.send("t", b"v").result(30).offset == 0
        broker.pause_node(1)
        sent = producer.send("t", b"sent")
        deadline = time.monotonic() + 30
        while producer.counts().requests < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        queued = producer.send("t", b"queued")
        producer.purge(in_flight=False)
        with pytest.raises(ottla.PurgedError) as raised:
            queued.result(0)
        assert not raised.value.possibly_written
        assert not sent.done()
        producer.purge()
        with pytest.raises(ottla.PurgedError) as raised:
            sent.result(0)
        assert raised.value.possibly_written
        broker.resume_node(1)


def test_records_are_bounded_and_asyncio_hears_of_room(broker: Broker) -> None:
    async def run() -> int:
        loop = asyncio.get_running_loop()
        room = asyncio.Event()
        with ottla.Producer(broker.bootstrap_servers, buffer_records=10, linger_ms=1) as producer:

            def readable() -> None:
                producer.poll(0)
                room.set()

            loop.add_reader(producer.fileno(), readable)
            waits = 0
            # Until the first refusal nobody takes the records, so that there is one.
            broker.pause_node(1)
            for _ in range(100):
                while True:
                    room.clear()
                    try:
                        producer.send("t", b"v", timeout=0)
                        break
                    except ottla.WouldBlock:
                        if waits == 0:
                            broker.resume_node(1)
                        waits += 1
                        await asyncio.wait_for(room.wait(), 30)
            loop.remove_reader(producer.fileno())
            producer.flush(30)
            assert producer.counts().written == 100
        return waits

    assert asyncio.run(run()) > 0


def test_statistics_on_request_and_by_the_timer(bootstrap: str, new_topic: Callable[..., str]) -> None:
    topic = new_topic(2)
    with ottla.Producer(bootstrap, client_id="counted", statistics_interval_ms=50) as producer:
        producer.send_many(topic, [b"v"] * 10, partition=1)
        producer.flush(30)
        stats = producer.stats()
        assert (stats.client, stats.client_id) == ("producer", "counted")
        assert stats["records_written"] == 10
        assert stats.histograms["batch_records"].max == 10
        assert stats.histograms["batch_records"].mean == 10
        assert stats.partitions[topic, 1]["records_written"] == 10
        leader = stats.partitions[topic, 1].leader
        broker = next(each for each in stats.brokers if each.id == leader)
        assert broker.state == "up" and broker.histograms["produce_latency_us"].p99 > 0
        assert json.loads(stats.json)["records_written"] == 10
        deadline = time.monotonic() + 30
        while (made := producer.next_stats()) is None:
            assert time.monotonic() < deadline
            producer.poll(1)
        assert made.age_ms >= 50
    with ottla.Consumer(bootstrap, statistics_interval_ms=50) as consumer:
        consumer.assign_topic(topic, start="earliest")
        assert sum(1 for _ in zip(range(10), consumer.records(timeout=30))) == 10
        stats = consumer.stats()
        assert stats["records_delivered"] == 10 and stats.client == "consumer"
        assert stats.partitions[topic, 1]["end_offset"] == 10
        deadline = time.monotonic() + 30
        while consumer.next_stats() is None:
            assert time.monotonic() < deadline
            consumer.poll(0.05)
