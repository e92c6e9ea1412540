"""Transactions of a producer."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from typing import Any

from . import _arguments, _bindings, errors
from ._client import Client, Deadline, Timeout, as_ms, as_seconds
from ._library import lib
from .offsets import GroupMetadata, OffsetAndMetadata, Offsets

__all__ = ["GroupMetadata", "OffsetAndMetadata", "Transactional"]


class Transactional(Client):
    """The transactional methods of a producer with `transactional.id`. All of them belong to `Producer`."""

    def poll(self, timeout: Timeout = 0) -> int:
        raise NotImplementedError

    def _forget_failures(self) -> None:
        """What failed is undone with all the rest of its transaction: no later flush raises it."""
        raise NotImplementedError

    def init_transactions(self, timeout: Timeout = 60) -> None:
        """Prepares the producer for transactions; call it once, before any other transactional method. A transaction
        that an earlier run left open under the same `transactional.id` is aborted, and a producer that still uses the
        id is fenced.

        >>> producer = ottla.Producer("localhost:9092", transactional_id="worker-7")
        >>> producer.init_transactions()

        Raises `OttlaTimeout`, after which it can be called again, and errors from the coordinator.
        """
        self._until_done("init_transactions", lib.producer_init_transactions, timeout)

    def begin_transaction(self) -> None:
        """Begins a transaction: everything sent from now on belongs to it until it is committed or aborted.
        `transaction()` also commits or aborts it.

        >>> producer.begin_transaction()
        """
        self._call(lib.producer_begin_transaction)

    def send_offsets(self, offsets: Offsets, group: GroupMetadata | str, timeout: Timeout = 60) -> None:
        """Adds a group's offsets to the open transaction: they are committed together with it, or not at all.

        >>> producer.send_offsets({("in", 0): record.offset + 1}, "my-group")

        An offset is that of the next record to read. `group` is the consumer's membership, or the name of the group for
        partitions that are assigned rather than subscribed.
        """
        if isinstance(group, str):
            group = GroupMetadata(group)
        rows = (_bindings.ottla_offset_to_commit * len(offsets))()
        for row, (place, offset) in zip(rows, offsets.items()):
            if not isinstance(offset, OffsetAndMetadata):
                offset = OffsetAndMetadata(offset)
            row.topic, row.partition = _arguments.text("topic", place[0]), place[1]
            row.offset, row.leader_epoch = offset.offset, offset.leader_epoch
            row.metadata = _arguments.text("metadata", offset.metadata)
        native = _bindings.ottla_group_metadata()
        native.group_id = _arguments.text("group", group.group_id)
        native.generation = group.generation
        native.member_id = _arguments.text("member_id", group.member_id)
        if group.instance_id is not None:
            native.instance_id = _arguments.text("instance_id", group.instance_id)
        self._wait(lib.producer_send_offsets, ctypes.byref(rows), len(rows), ctypes.byref(native), as_ms(timeout))

    def commit_transaction(self, timeout: Timeout = 60) -> None:
        """Commits the open transaction: waits until all its records are written, then commits.

        >>> producer.commit_transaction()

        Raises `OttlaTimeout` if the timeout ends: the commit continues and may succeed; call again. Raises an error
        with `needs_abort` if any part of the transaction failed, and one with `fatal` if the producer was fenced.
        """
        self._until_done("commit_transaction", lib.producer_commit_transaction, timeout)

    def abort_transaction(self, timeout: Timeout = 60) -> None:
        """Aborts the open transaction: unsent records are given up, and readers of committed records see none of it. To
        be called after an error with `needs_abort`.

        >>> producer.abort_transaction()
        """
        self._until_done("abort_transaction", lib.producer_abort_transaction, timeout)
        self._forget_failures()

    @contextlib.contextmanager
    def transaction(self, timeout: Timeout = 60) -> Iterator[None]:
        """Returns a context manager for one transaction: committed at the end of the block, aborted if an exception
        leaves it.

        >>> with producer.transaction():
        ...     producer.send("out", work(record.value))
        ...     producer.send_offsets({("in", 0): record.offset + 1}, "my-group")

        The exception propagates, and so does the error of a commit that failed: the transaction is then aborted, and
        the producer can begin another. If the producer can't continue, the exception has `fatal`.
        """
        self.begin_transaction()
        try:
            yield
        except BaseException as error:
            self._abort_after(error, timeout)
            raise
        try:
            self.commit_transaction(timeout)
        except errors.OttlaError as error:
            if error.needs_abort:
                self._abort_after(error, timeout)
            raise

    def _abort_after(self, error: BaseException, timeout: Timeout) -> None:
        """Aborts; what ends the producer matters more than the error that led here."""
        if isinstance(error, errors.OttlaError) and error.fatal:
            return
        try:
            self.abort_transaction(timeout)
        except errors.OttlaError as failure:
            if failure.fatal:
                raise failure from error

    def _until_done(self, call: str, function: Callable[..., Any], timeout: Timeout) -> None:
        """Makes a call that can be made again, in slices, so that Ctrl-C is heard and completions find room."""
        deadline = Deadline(timeout)
        while True:
            error = ctypes.c_void_p()
            status = function(self._address, deadline.slice_ms(), ctypes.byref(error))
            self.poll(0)
            if status != _bindings.OTTLA_ERR_TIMED_OUT:
                return self._check(status, error)
            failure = errors.owned(status, error)
            if deadline.over():
                seconds = as_seconds(timeout) or 0.0
                raise errors.make(status, f"{failure} ({call} waited {seconds:g} s in all)", retriable=True)
