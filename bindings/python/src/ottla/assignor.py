"""Custom assignors: how the leader of a classic group assigns partitions to its members."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from . import _arguments, _bindings, errors
from ._library import lib


class GroupMember(NamedTuple):
    """A member of a group, as its leader sees it."""

    id: str
    """The member id, for use in the assignment."""
    instance_id: str | None
    """`group_instance_id` of a static member."""
    topics: list[str]
    """The topics it subscribes to."""
    owned: list[tuple[str, int]]
    """The partitions it owns at present."""
    user_data: bytes | None
    """Data passed by its assignor."""
    rack: str | None
    """The member's rack (`client_rack`)."""


class Assignor:
    """A custom assignor for classic groups, for `Consumer(..., assignor=...)`. The group uses it if all members have
    one with this name; the leader's `assign` is called inside its poll or iteration.

    >>> class FirstTakesAll(ottla.Assignor):
    ...     name = "first-takes-all"
    ...
    ...     def assign(self, members, topics):
    ...         return {members[0].id: [(topic, p) for topic in members[0].topics for p in range(topics[topic])]}
    >>> consumer = ottla.Consumer("localhost:9092", group_id="billing", assignor=FirstTakesAll())
    """

    name: str = ""
    """The name by which the members of a group agree on it."""
    cooperative: bool = False
    """Members keep reading the partitions that they keep during a rebalance (KIP-429): an assignment must leave out a
    partition that is moving until its current owner no longer lists it in `owned`."""

    def user_data(self) -> bytes | None:
        """Data for the leader, in addition to topics and partitions; requested once."""
        return None

    def assign(self, members: list[GroupMember], topics: dict[str, int]) -> Mapping[str, Iterable[tuple[str, int]]]:
        """Returns the partitions (topic and number) of each member, by member id; members that are not listed get none.
        `topics` has the number of partitions of each topic. An exception leaves the leader's poll or iteration; the
        group asks again after a moment."""
        raise NotImplementedError


def share_out(assignor: Assignor, event: int) -> Any:
    """The native answer of an assignor to a native event."""
    given = assignor.assign(_members(event), _topics(event))
    rows = [
        (_arguments.text("a member's id", member), _arguments.text("topic", topic), partition)
        for member, partitions in given.items()
        for topic, partition in partitions
    ]
    native = (_bindings.ottla_group_share * len(rows))()
    for row, (member, topic, partition) in zip(native, rows):
        row.member_id, row.topic, row.partition = member, topic, partition
    return native


def _members(event: int) -> list[GroupMember]:
    one, error = _bindings.ottla_group_member(), ctypes.c_void_p()
    members = []
    for i in range(lib.event_group_member_count(event)):
        status = lib.event_group_member(event, i, ctypes.byref(one), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        data = one.user_data
        topics = ctypes.cast(one.topics or 0, ctypes.POINTER(ctypes.c_char_p))
        owned = ctypes.cast(one.owned or 0, ctypes.POINTER(_bindings.ottla_topic_partition))
        members.append(
            GroupMember(
                (one.member_id or b"").decode(),
                None if one.instance_id is None else one.instance_id.decode(),
                [(topics[k] or b"").decode() for k in range(one.topic_count)],
                [((owned[k].topic or b"").decode(), owned[k].partition) for k in range(one.owned_count)],
                None if data.data is None else ctypes.string_at(data.data, data.len),
                None if one.rack is None else one.rack.decode(),
            )
        )
    return members


def _topics(event: int) -> dict[str, int]:
    name, partitions, error = ctypes.c_char_p(), ctypes.c_int32(), ctypes.c_void_p()
    topics = {}
    for i in range(lib.event_group_topic_count(event)):
        status = lib.event_group_topic(event, i, ctypes.byref(name), ctypes.byref(partitions), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        topics[(name.value or b"").decode()] = partitions.value
    return topics
