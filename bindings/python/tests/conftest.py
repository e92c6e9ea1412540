"""A broker and topics for the tests: the embedded broker, or the Kafka that OTTLA_TEST_BOOTSTRAP names."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator

import ottla
import pytest
from ottla.testing import Broker

_numbers = itertools.count(1)

# A Kafka before 4.1 has no share groups; tests/share.rs holds what is said then.
collect_ignore = ["test_share.py"] if os.environ.get("OTTLA_TEST_KAFKA_VERSION", "").startswith("3") else []


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    given = os.environ.get("OTTLA_TEST_BOOTSTRAP")
    if given:
        yield given
        return
    with Broker() as broker:
        yield broker.bootstrap_servers


@pytest.fixture(scope="session")
def admin(bootstrap: str) -> Iterator[ottla.Admin]:
    with ottla.Admin(bootstrap) as admin:
        yield admin


@pytest.fixture
def new_topic(admin: ottla.Admin) -> Callable[..., str]:
    """Makes a topic with a name of its own."""

    def make(partitions: int = 1, **config: str) -> str:
        name = f"python-{os.getpid()}-{time.time_ns()}-{next(_numbers)}"
        admin.create_topic(name, partitions=partitions, config=config)
        deadline = time.monotonic() + 10
        while True:
            # A real cluster tells its brokers of a new topic a moment later.
            try:
                described = admin.describe_topics([name])[name]
            except ottla.UnknownTopicError:
                assert time.monotonic() < deadline
                continue
            if all(p.leader is not None for p in described.partitions):
                return name
            assert time.monotonic() < deadline

    return make


@pytest.fixture
def topic(new_topic: Callable[..., str]) -> str:
    return new_topic()


@pytest.fixture
def producer(bootstrap: str) -> Iterator[ottla.Producer]:
    with ottla.Producer(bootstrap, linger_ms=1) as producer:
        yield producer


@pytest.fixture
def consumer(bootstrap: str) -> Iterator[ottla.Consumer]:
    with ottla.Consumer(bootstrap) as consumer:
        yield consumer


@pytest.fixture
def broker() -> Iterator[Broker]:
    """An embedded broker of the test's own, for faults."""
    with Broker() as broker:
        broker.create_topic("t")
        yield broker
