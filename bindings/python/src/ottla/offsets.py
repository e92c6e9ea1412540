"""Offsets of a group, and a consumer's membership of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Union

if TYPE_CHECKING:
    from .consumer import TopicPartition


class OffsetAndMetadata(NamedTuple):
    """An offset for a group to commit, or one that is committed: that of the next record to read.

    >>> ottla.OffsetAndMetadata(42, metadata="worker 7")
    OffsetAndMetadata(offset=42, leader_epoch=-1, metadata='worker 7')
    """

    offset: int
    leader_epoch: int = -1
    """Leader epoch of the last record that was read; -1 if it isn't known."""
    metadata: str = ""
    """Anything to keep with it."""


class GroupMetadata(NamedTuple):
    """A consumer's identity in its group, which lets the coordinator refuse a member that has lost its partitions.

    >>> ottla.GroupMetadata("my-group")
    GroupMetadata(group_id='my-group', generation=-1, member_id='', instance_id=None)
    """

    group_id: str
    generation: int = -1
    """The generation, or the member's epoch; -1 outside of a membership."""
    member_id: str = ""
    instance_id: str | None = None
    """`group.instance.id` of a static member."""


Offsets = Mapping["TopicPartition | tuple[str, int]", Union[int, OffsetAndMetadata]]
