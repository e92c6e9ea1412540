"""Assignors of a program's own, on the embedded broker or on the Kafka that OTTLA_TEST_BOOTSTRAP names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import ottla
import pytest

LIMIT = 60


class ByWish(ottla.Assignor):
    """Gives each member the partitions that its user data names."""

    name = "by-wish"

    def __init__(self, wish: list[int]) -> None:
        self.wish = wish
        self.calls = 0
        self.failures = 0

    def user_data(self) -> bytes | None:
        return bytes(self.wish)

    def assign(
        self, members: list[ottla.GroupMember], topics: dict[str, int]
    ) -> Mapping[str, Iterable[tuple[str, int]]]:
        self.calls += 1
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError("no answer")
        (topic, partitions), *_ = topics.items()
        assert partitions == 4
        assert all(member.topics == [topic] for member in members)
        return {member.id: [(topic, partition) for partition in member.user_data or b""] for member in members}


def member(bootstrap: str, topic: str, assignor: ottla.Assignor) -> ottla.Consumer:
    consumer = ottla.Consumer(bootstrap, group_id=topic, heartbeat_interval_ms=200, assignor=assignor)
    consumer.subscribe(topic)
    return consumer


def owned(consumer: ottla.Consumer) -> list[int]:
    return [place.partition for place in consumer.assignment()]


def test_members_get_what_the_leader_says(bootstrap: str, new_topic: Callable[..., str]) -> None:
    topic = new_topic(4)
    wishes = [ByWish([0, 3]), ByWish([1, 2])]
    with member(bootstrap, topic, wishes[0]) as first, member(bootstrap, topic, wishes[1]) as second:
        end = time.monotonic() + LIMIT
        while owned(first) != [0, 3] or owned(second) != [1, 2]:
            assert time.monotonic() < end, (owned(first), owned(second))
            first.poll(0.05)
            second.poll(0.05)
    assert sum(wish.calls for wish in wishes) > 0


def test_an_exception_ends_the_reading_call_and_it_is_asked_again(
    bootstrap: str, new_topic: Callable[..., str]
) -> None:
    topic, wish = new_topic(4), ByWish([0, 1, 2, 3])
    wish.failures = 1
    with member(bootstrap, topic, wish) as consumer:
        with pytest.raises(ZeroDivisionError, match="no answer"):
            consumer.poll(LIMIT)
        end = time.monotonic() + LIMIT
        while owned(consumer) != [0, 1, 2, 3]:
            assert time.monotonic() < end
            consumer.poll(0.05)
        assert wish.calls >= 2


def test_what_cannot_be_is_refused(bootstrap: str) -> None:
    with pytest.raises(ottla.InvalidArgument, match="name is empty"):
        ottla.Consumer(bootstrap, group_id="g", assignor=ottla.Assignor())
    with pytest.raises(ottla.InvalidArgument, match=r"group\.id"):
        ottla.Consumer(bootstrap, assignor=ByWish([0]))
