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
    """- `position_reset`: the log no longer holds the records at the position; reading continues elsewhere
    - `partition_stopped`: no more records of a partition are returned until the program seeks or assigns it again
    - `partition_failing`: a partition can't be read at present; the client keeps trying. If the failure can't be
      attributed to one partition, `partitions` lists all that may be affected
    - `topic_failing`: a topic can't be found, or may not be read; the client keeps trying
    - `topic_recreated`: a topic was deleted and created again; its offsets start over. A start given as earliest,
      latest or a time also applies to the new topic; all others continue where `auto.offset.reset` says, also in groups
    - `partitions_added`: a topic assigned as a whole has more partitions now, which are read too
    - `broker_unreachable`: connections to a broker have failed for some seconds, or it has not answered a fetch for
      `request.timeout.ms`; the client keeps trying
    - `offsets_committed`: a background commit has ended, with or without an error; `token` is the one that the call
      returned
    - `partitions_assigned`: `partitions` were assigned to this member of the group
    - `partitions_revoked`: `partitions` move to another member; what was read from them can be committed now
    - `partitions_lost`: `partitions` no longer belong to this member
    - `group_failing`: the group can't be joined, its coordinator can't be reached, or positions can't be committed; the
      client keeps trying
    - `group_left`: the membership has ended for good
    - `acknowledgement_failed`: acknowledgements of a share group's records from `before` to `after`, exclusive, were
      not carried out; the records are delivered again"""
    topic: str | None
    """The topic that it is about, if there is one."""
    partition: int | None
    """The partition that it is about, if there is one."""
    before: int | None
    """The position before the event, or the offset where the problem is."""
    after: int | None
    """The position after the event."""
    message: str
    """What happened and what to do about it."""
    error: errors.OttlaError | None
    """The error that caused it."""
    partitions: tuple[tuple[str, int], ...] = ()
    """The partitions that were assigned, revoked or lost."""
    token: int = 0
    """The token of the call that it is about, or 0."""

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
