"""What happens to what is read, besides records."""

from __future__ import annotations

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
}


class Event(NamedTuple):
    """Something that happened.

    >>> for event in consumer.events:
    ...     print(event.kind, event.topic, event.partition, event.message)
    """

    kind: str
    """- `position_reset`: the log no longer holds what was at the position; reading went on elsewhere
    - `partition_stopped`: nothing more comes of a partition until it is sought or assigned anew
    - `partition_failing`: a partition can't be read at present; the attempts go on
    - `topic_failing`: a topic can't be found, or may not be read; the attempts go on
    - `topic_recreated`: a topic was deleted and made anew; its offsets begin again
    - `partitions_added`: a topic that is read whole has more partitions now, which are read too
    - `broker_unreachable`: a broker can't be reached; the attempts go on"""
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

    @property
    def stops(self) -> bool:
        """Whether nothing comes of a partition or topic until something is done about it."""
        return self.kind in ("partition_stopped", "topic_failing")

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
            )
        finally:
            lib.event_free(address)
