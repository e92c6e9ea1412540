"""Events of consumers and producers: what happens other than records arriving."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from . import _bindings, errors
from ._library import lib

_KINDS = {
    _bindings.OTTLA_EVENT_POSITION_RESET: "position_reset",
    _bindings.OTTLA_EVENT_PARTITION_STOPPED: "partition_stopped",
    _bindings.OTTLA_EVENT_PARTITION_FAILING: "partition_failing",
    _bindings.OTTLA_EVENT_TOPIC_FAILING: "topic_failing",
    _bindings.OTTLA_EVENT_TOPIC_RECREATED: "topic_recreated",
    _bindings.OTTLA_EVENT_PARTITIONS_ADDED: "partitions_added",
    _bindings.OTTLA_EVENT_BROKER_UNREACHABLE: "broker_unreachable",
    _bindings.OTTLA_EVENT_OFFSETS_COMMITTED: "offsets_committed",
    _bindings.OTTLA_EVENT_PARTITIONS_ASSIGNED: "partitions_assigned",
    _bindings.OTTLA_EVENT_PARTITIONS_REVOKED: "partitions_revoked",
    _bindings.OTTLA_EVENT_PARTITIONS_LOST: "partitions_lost",
    _bindings.OTTLA_EVENT_GROUP_FAILING: "group_failing",
    _bindings.OTTLA_EVENT_GROUP_LEFT: "group_left",
    _bindings.OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED: "acknowledgement_failed",
    _bindings.OTTLA_EVENT_ASSIGNMENT_WANTED: "assignment_wanted",
}


class Event(NamedTuple):
    """An event.

    >>> for event in consumer.events:
    ...     print(event.kind, event.topic, event.partition, event.message)
    """

    kind: str
    """- `position_reset`: the log no longer holds what was at the position; reading went on elsewhere
    - `partition_stopped`: nothing more comes of a partition until it is sought or assigned anew
    - `partition_failing`: a partition can't be read at present; the attempts go on. Where it isn't known which
      of several it is, `partitions` are those that it may be
    - `topic_failing`: a topic can't be found, or may not be read; the attempts go on
    - `topic_recreated`: a topic was deleted and made anew; its offsets begin again. A start that was asked for by place
      or time holds for the new topic too; all else goes where `auto.offset.reset` says, members of groups too
    - `partitions_added`: a topic that is read whole has more partitions now, which are read too
    - `broker_unreachable`: connections to a broker have failed for some seconds, or it has left a fetch unanswered for
      `request.timeout.ms`; the attempts go on
    - `offsets_committed`: a commit in the background has ended, well or with an error; `token` is that of the call
    - `partitions_assigned`: `partitions` are this member's of its group from now on
    - `partitions_revoked`: `partitions` will be another member's; what was read of them can be committed now
    - `partitions_lost`: `partitions` are no longer this member's, since some time ago
    - `group_failing`: the group can't be joined, or positions not be committed; the attempts go on
    - `group_left`: the membership has ended for good
    - `acknowledgement_failed`: what was acknowledged of a share group's records from `before` to `after`, exclusive,
      was not carried out; they are delivered again"""
    topic: str | None
    """The topic it is about, if it is about one."""
    partition: int | None
    """The partition it is about, if it is about one."""
    before: int | None
    """The position before, or where the trouble is."""
    after: int | None
    """The position after."""
    message: str
    """All of it in words."""
    error: errors.OttlaError | None
    """Why, and what to do about it."""
    partitions: tuple[tuple[str, int], ...] = ()
    """The partitions that were assigned, revoked or lost."""
    token: int = 0
    """The number of the call it is about, or 0."""

    @property
    def stops(self) -> bool:
        """Whether a partition, topic or group has stopped until the program does something about it."""
        if self.kind == "group_failing":
            return self.error is not None and not self.error.retriable
        return self.kind in ("partition_stopped", "topic_failing", "group_left")

    @staticmethod
    def _of(address: int) -> Event:
        """The event of a native one, which is freed."""
        try:
            kind: int = lib.event_kind(address)
            error: int | None = lib.event_error(address)
            numbers = (lib.event_partition(address), lib.event_from(address), lib.event_to(address))
            partition, before, after = (n if n >= 0 else None for n in numbers)
            return Event(
                _KINDS.get(kind, f"event_{kind}"),
                lib.event_topic(address).decode() or None,
                partition,
                before,
                after,
                lib.event_message(address).decode("utf-8", "replace"),
                errors.borrowed(error) if error else None,
                _partitions(address),
                lib.event_token(address),
            )
        finally:
            lib.event_free(address)


def _partitions(address: int) -> tuple[tuple[str, int], ...]:
    count: int = lib.event_partition_count(address)
    if not count:
        return ()
    one, found = _bindings.ottla_topic_partition(), []
    for i in range(count):
        lib.event_partition_get(address, i, ctypes.byref(one), None)
        found.append(((one.topic or b"").decode(), one.partition))
    return tuple(found)
