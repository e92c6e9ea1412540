"""The embedded broker and its faults, seen from clients."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ottla
import pytest
from ottla.testing import Broker


def test_a_cluster_of_several() -> None:
    with Broker(nodes=3) as broker:
        broker.create_topic("t", partitions=3)
        with ottla.Admin(broker.bootstrap_servers) as admin:
            assert sorted(b.id for b in admin.describe_cluster().brokers) == [1, 2, 3]
            assert [p.leader for p in admin.describe_topics(["t"])["t"].partitions] == [1, 2, 3]
            broker.move_leader("t", 0, node=3)
            assert admin.describe_topics(["t"])["t"].partitions[0].leader == 3
        with ottla.Producer(broker.bootstrap_servers) as producer:
            for partition in range(3):
                producer.send("t", b"x", partition=partition).result(timeout=30)
            broker.stop_node(2)
            producer.send("t", b"y", partition=1).result(timeout=30)
            broker.start_node(2)
        assert broker.offsets("t", 1) == (0, 2)


def test_groups_that_are_not_there_can_not_be_disturbed() -> None:
    options = {"group_consumer_heartbeat_interval_ms": 100, "group_consumer_session_timeout_ms": 5000}
    with Broker(group_version=0, group_initial_rebalance_delay_ms=0, **options) as broker:
        with pytest.raises(ottla.OttlaError, match="nobody is in it"):
            broker.force_rebalance("g")
        with pytest.raises(ottla.OttlaError, match="nobody is in it"):
            broker.expire_member("g")
        with pytest.raises(ottla.OttlaError, match="no such member"):
            broker.expire_member("g", "m")
    with pytest.raises(ottla.OttlaError, match=r"group\.version"):
        Broker(group_version=2)


def test_faults_are_survived(broker: Broker) -> None:
    with ottla.Producer(broker.bootstrap_servers, retry_backoff_ms=10, reconnect_backoff_ms=10) as producer:
        faults: list[Callable[[], None]] = [
            lambda: broker.fail("NOT_LEADER_OR_FOLLOWER", api="Produce", topic="t"),
            lambda: broker.drop(api="produce"),
            lambda: broker.swallow_reply(api=0),
            lambda: broker.cut_reply(6, api="Produce"),
            lambda: broker.delay(0.1, api="Produce"),
        ]
        for expected, fault in enumerate(faults):
            fault()
            assert producer.send("t", b"x").result(timeout=60).offset == expected
        assert producer.counts().retries == len(faults) - 1
    assert broker.requests_seen("Produce") == 2 * len(faults) - 1
    assert broker.offsets("t") == (0, len(faults))


def test_possibly_written(broker: Broker) -> None:
    broker.swallow_reply(api="Produce", times=None, close=False)
    limits: dict[str, Any] = {"request_timeout_ms": 300, "delivery_timeout_ms": 500, "linger_ms": 0}
    with ottla.Producer(broker.bootstrap_servers, **limits) as producer:
        delivery = producer.send("t", b"x")
        with pytest.raises(ottla.OttlaError) as caught:
            delivery.result(timeout=30)
        assert caught.value.possibly_written
    broker.clear_faults()


def test_throttling_slows_down(broker: Broker) -> None:
    broker.throttle(0.3, api="Produce", times=1)
    with ottla.Producer(broker.bootstrap_servers, linger_ms=0) as producer:
        producer.send("t", b"x").result(timeout=30)
        begun = time.monotonic()
        producer.send("t", b"x").result(timeout=30)
        assert time.monotonic() - begun > 0.2


def test_a_directory_keeps_topics(tmp_path: Path) -> None:
    with Broker(directory=tmp_path) as broker:
        broker.create_topic("kept")
        with ottla.Producer(broker.bootstrap_servers) as producer:
            producer.send("kept", b"x")
    with Broker(directory=tmp_path) as broker, ottla.Consumer(broker.bootstrap_servers) as consumer:
        assert [r.value for r in consumer.read_range("kept", 0)] == [b"x"]


def test_topics_by_themselves() -> None:
    with Broker(auto_create_topics=True, default_partitions=4, memory_bytes="64MiB") as broker:
        with ottla.Producer(broker.bootstrap_servers) as producer:
            producer.send("new", b"x").result(timeout=30)
        with ottla.Consumer(broker.bootstrap_servers) as consumer:
            assert consumer.partition_count("new") == 4


def test_coordinators_move() -> None:
    with Broker(
        nodes=2, transaction_version=1, share_record_lock_duration_ms=500, share_auto_offset_reset="earliest"
    ) as broker:
        broker.move_coordinator("payments", node=2, loading=0.1)
        broker.move_coordinator("readers", node=1, kind="group")
        with pytest.raises(ValueError, match="node 7: the node does not run"):
            broker.move_coordinator("payments", node=7)
        with pytest.raises(ValueError, match="kind is 'topic'; give one of group, transaction"):
            broker.move_coordinator("payments", node=1, kind="topic")  # type: ignore[arg-type]
        assert broker.requests_seen("EndTxn") == broker.requests_seen("WriteTxnMarkers") == 0


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="nodes"):
        Broker(nodes=0)
    with pytest.raises(ValueError, match="transaction_version = 3 must be 1 or 2"):
        Broker(transaction_version=3)
    with pytest.raises(ValueError, match="share_deliveries = 0 must be at least 1"):
        Broker(share_delivery_count_limit=0)
    with pytest.raises(ValueError, match=r"share\.auto\.offset\.reset"):
        Broker(share_auto_offset_reset="none")  # type: ignore[arg-type]
    with Broker() as broker:
        with pytest.raises(ValueError, match="api is 'Prodce'; give a number or one of Produce, Fetch"):
            broker.drop(api="Prodce")
        with pytest.raises(ValueError, match="error is 'NOPE'"):
            broker.fail("NOPE")
        with pytest.raises(ottla.UnknownTopicError):
            broker.offsets("absent")
        broker.create_topic("t")
        with pytest.raises(ottla.TopicExistsError):
            broker.create_topic("t")
    broker.close()
    broker.close()
    with pytest.raises(ottla.ClosedError, match="the embedded broker is closed"):
        broker.create_topic("u")
