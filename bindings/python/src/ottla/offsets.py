"""Partitions, a group's offsets in them, and a consumer's membership of the group."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Union

Start = Union[int, str, datetime, None]
"""Where to start: an offset, `"earliest"`, `"latest"`, a datetime (the first record at or after it), or None for what
`auto.offset.reset` says."""


class TopicPartition(NamedTuple):
    """A partition of a topic and, for an assignment, where to start reading it.

    >>> consumer.assign([ottla.TopicPartition("numbers", 0, "earliest")])
    """

    topic: str
    partition: int
    start: Start = None


class OffsetAndMetadata(NamedTuple):
    """An offset for a group to commit, or one that is committed: that of the next record to read.

    >>> ottla.OffsetAndMetadata(42, metadata="worker 7")
    OffsetAndMetadata(offset=42, leader_epoch=-1, metadata='worker 7')
    """

    offset: int
    leader_epoch: int = -1
    """Leader epoch of the last record that was read; -1 if unknown."""
    metadata: str = ""
    """Any text to store with it."""


class GroupMetadata(NamedTuple):
    """A consumer's identity in its group, which lets the coordinator refuse a member that has lost its partitions.

    >>> ottla.GroupMetadata("my-group")
    GroupMetadata(group_id='my-group', generation=-1, member_id='', instance_id=None)
    """

    group_id: str
    generation: int = -1
    """The generation, or the member epoch; -1 for a consumer that is not a member."""
    member_id: str = ""
    instance_id: str | None = None
    """`group.instance.id` of a static member."""


Offsets = Mapping["TopicPartition | tuple[str, int]", Union[int, OffsetAndMetadata]]
