"""Topics and the cluster."""

from __future__ import annotations

import time

import ottla
import pytest


def test_the_life_of_a_topic(admin: ottla.Admin) -> None:
    name = f"life-{time.time_ns()}"
    results = admin.create_topics([ottla.NewTopic(name, 3, 1, {"retention.ms": 3600000})])
    assert results[name].error is None and results[name].partitions == 3
    with pytest.raises(ottla.TopicExistsError, match=name):
        admin.create_topic(name, partitions=1)
    assert next(t for t in admin.list_topics() if t.name == name).partitions == 3
    described = admin.describe_topics([name])[name]
    assert [p.partition for p in described.partitions] == [0, 1, 2]
    assert described.partitions[0].leader in described.partitions[0].isr
    assert described.id is not None and not described.internal
    admin.create_partitions(name, 5)
    deadline = time.monotonic() + 10
    while len(admin.describe_topics([name])[name].partitions) != 5:
        assert time.monotonic() < deadline
    admin.delete_topics([name])
    while any(t.name == name for t in admin.list_topics()):
        assert time.monotonic() < deadline
    with pytest.raises(ottla.UnknownTopicError, match=name):
        admin.describe_topics([name])


def test_what_failed_and_what_did_not(admin: ottla.Admin) -> None:
    name = f"some-{time.time_ns()}"
    with pytest.raises(ottla.InvalidTopicError) as caught:
        admin.create_topics([name, "not/allowed"])
    assert caught.value.results[name].error is None
    assert caught.value.results["not/allowed"].error is not None
    with pytest.raises(ottla.KafkaError):
        admin.create_topics([f"validated-{time.time_ns()}"], validate_only=True)
        admin.delete_topics([f"absent-{time.time_ns()}"])
    with pytest.raises(TypeError, match="names must be a list of topics"):
        admin.delete_topics("name")
    admin.delete_topics([name])


def test_the_cluster(admin: ottla.Admin, bootstrap: str) -> None:
    cluster = admin.describe_cluster()
    assert cluster.id
    assert any(f"{b.host}:{b.port}" in bootstrap for b in cluster.brokers) or cluster.brokers


def test_closed(bootstrap: str) -> None:
    with ottla.Admin(bootstrap) as admin:
        admin.list_topics()
    admin.close()
    with pytest.raises(ottla.ClosedError):
        admin.list_topics()
