"""Consuming: reading assigned partitions, or a group's share of topics."""

from __future__ import annotations

import ctypes
import operator
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Union

from . import _arguments, _bindings, errors
from . import config as _config
from ._client import Deadline, Timeout, as_ms
from ._client import stats as _stats
from ._library import lib
from ._reading import Reading
from .assignor import Assignor, share_out
from .batch import Batch, Record, Segment
from .config import ConfigValue
from .events import Event
from .offsets import GroupMetadata, OffsetAndMetadata, Offsets, Start, TopicPartition

if TYPE_CHECKING:
    from .stats import Stats

Rebalanced = Callable[["list[TopicPartition]"], object]

Partitions = Iterable[Union[TopicPartition, "tuple[str, int]", "tuple[str, int, Start]"]]


_FEW = 100
"""So many records at a time are fetched from the native library where each takes long."""


class _Run:
    """Records of a segment on their way to an iteration by message."""

    def __init__(self, segment: Segment) -> None:
        self.topic = segment.topic
        self.partition = segment.partition
        self._segment = segment
        self._values = segment.values()
        self._rest = iter(self._values)
        self.records = segment._records(self._rest)  # type: ignore[arg-type]

    def drop(self) -> None:
        """Ends the iteration over it."""
        self._values.clear()

    def left(self) -> int:
        return operator.length_hint(self._rest)

    def next_offset(self) -> int:
        """The offset of the first record that was not handed out."""
        rows = self._segment.rows
        return int(self._segment.offsets[min(rows - self.left(), rows - 1)])

    def position(self) -> int:
        """The offset of the record handed out last, which is being worked on; of the first if none was."""
        return int(self._segment.offsets[max(self._segment.rows - self.left() - 1, 0)])

    def end(self) -> int:
        return int(self._segment.offsets[-1]) + 1


class Consumer(Reading):
    """Reads partitions of topics: assigned ones, or its share as a member of a group. Records are fetched in the
    background.

    >>> with ottla.Consumer("localhost:9092", group_id="billing") as consumer:
    ...     consumer.subscribe("orders")
    ...     for record in consumer:
    ...         bill(record.value)

    >>> with ottla.Consumer("localhost:9092") as consumer:
    ...     consumer.assign_topic("numbers", start="earliest")
    ...     for record in consumer:
    ...         print(record.offset, record.value)

    Iterating over single records is for convenience; `batches()` with its columns is for speed. Keyword arguments are
    Kafka's configuration keys with underscores; `config` takes them in Kafka's spelling. One thread reads; everything
    else may be called from any thread.

    Events (a lost position, a topic that can't be found) are appended to `events`, which keeps the last 1,000, and
    passed to `on_event`, if there is one, inside the poll or iteration. Without `on_event`, an event is raised as an
    exception if a partition has stopped or a topic can't be found.
    """

    def __init__(
        self,
        bootstrap_servers: str | list[str] | tuple[str, ...] | None = None,
        *,
        config: Mapping[str, ConfigValue] | None = None,
        on_event: Callable[[Event], object] | None = None,
        assignor: Assignor | None = None,
        **keys: ConfigValue,
    ) -> None:
        pairs = _config.merge(bootstrap_servers, config, keys)
        handle, error = ctypes.c_void_p(), ctypes.c_void_p()
        with _config.native(pairs) as native:
            status = lib.consumer_new(native, ctypes.byref(handle), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        super().__init__(handle.value or 0, lib.consumer_free, lib.consumer_logs, on_event)
        self._runs: deque[_Run] = deque()
        self._read: dict[tuple[str, int], int] = {}
        self._callbacks: dict[str, Rebalanced | None] = {}
        self._grouped = any(key in ("group.id", "group_id") for key in (*(config or ()), *keys))
        # How many records an iteration by message hands out before it tells how far it is: few where each takes long.
        self._stride = 1
        self._assignor = assignor
        if assignor is not None:
            data = assignor.user_data()
            view = _bindings.ottla_bytes()
            if data is not None:
                view.data, view.len = _arguments.address_of(data), len(data)
            name = _arguments.text("the assignor's name", assignor.name)
            self._call(lib.consumer_set_assignor, name, view, bool(assignor.cooperative))

    def connect(self, timeout: Timeout = 30) -> Consumer:
        """Waits until a broker has responded, and returns the consumer. Not needed; it lets a program find out early.

        >>> consumer = ottla.Consumer("localhost:9092").connect(timeout=5)

        Raises `ConnectError`, `DnsError`, `TlsError`, `AuthenticationError`, `ProtocolError` or `OttlaTimeout`, which
        names each broker tried, the stage that failed, and the reason.
        """
        self._wait(lib.consumer_connect, as_ms(timeout))
        return self

    def assign(self, partitions: Partitions) -> None:
        """Replaces the assignment with these partitions. One that was already assigned continues where it is.

        >>> consumer.assign([("numbers", 0), ottla.TopicPartition("numbers", 1, "earliest"), ("numbers", 2, 1000)])
        """
        wanted = [_partition(p) for p in partitions]
        native = (_bindings.ottla_assignment * len(wanted))()
        for entry, (topic, partition, start) in zip(native, wanted):
            entry.topic, entry.partition = _arguments.text("topic", topic), partition
            entry.start, entry.value = _start(start)
        self._call(lib.consumer_assign, native, len(wanted))
        kept = {(topic, partition) for topic, partition, _ in wanted}
        for run in self._runs:
            if (run.topic, run.partition) not in kept:
                run.drop()

    def assign_topic(self, topic: str, start: Start = None) -> None:
        """Adds all partitions of a topic to the assignment, including those added later.

        >>> consumer.assign_topic("numbers", start="earliest")
        >>> consumer.assign_topic("numbers", start=datetime(2026, 1, 1))
        """
        kind, value = _start(start)
        self._call(lib.consumer_assign_topic, _arguments.text("topic", topic), kind, value)

    def unassign(self) -> None:
        """Clears the assignment.

        >>> consumer.unassign()
        """
        self._call(lib.consumer_unassign)
        for run in self._runs:
            run.drop()

    def subscribe(
        self,
        topics: str | Iterable[str] | None = None,
        *,
        pattern: str | None = None,
        on_assign: Rebalanced | None = None,
        on_revoke: Rebalanced | None = None,
        on_lost: Rebalanced | None = None,
    ) -> None:
        """Joins the group `group_id` and reads its share of these topics, or of every topic whose whole name matches a
        pattern (RE2 syntax), including topics created later. Replaces an earlier subscription.

        >>> consumer = ottla.Consumer("localhost:9092", group_id="billing")
        >>> consumer.subscribe(["orders", "refunds"], on_revoke=lambda partitions: consumer.commit())
        >>> consumer.subscribe(pattern="orders-.*")

        The callbacks are called with lists of partitions, inside the poll or iteration. When `on_revoke` returns, the
        partitions move to another member, so it is the last chance to commit what was read from them; those passed to
        `on_lost` have already moved. A seek in `on_assign` takes effect before any record is returned.
        """
        if (topics is None) == (pattern is None):
            raise TypeError("subscribe needs topics or a pattern, and not both")
        self._callbacks = {
            "partitions_assigned": on_assign,
            "partitions_revoked": on_revoke,
            "partitions_lost": on_lost,
        }
        if pattern is not None:
            self._call(lib.consumer_subscribe_pattern, _arguments.text("pattern", pattern))
            return
        names = [topics] if isinstance(topics, str) else list(topics or ())
        native = (ctypes.c_char_p * len(names))(*(_arguments.text("topic", name) for name in names))
        self._call(lib.consumer_subscribe, native, len(names))

    def unsubscribe(self, timeout: Timeout = 10) -> None:
        """Leaves the group at once: commits what counts as read, if `enable_auto_commit` is on, and stops reading.

        >>> consumer.unsubscribe()
        """
        self._mark_runs()
        self._wait(lib.consumer_unsubscribe, as_ms(timeout))
        self._callbacks = {}
        for run in self._runs:
            run.drop()

    def commit(self, offsets: Offsets | Batch | None = None, timeout: Timeout = 60) -> None:
        """Commits offsets for the group and waits until that is done: the given ones, the end of a batch, or by default
        everything that was returned, including the current record or batch. Needs a `group_id`, but no subscription.

        >>> consumer.commit()
        >>> consumer.commit(batch)
        >>> consumer.commit({("numbers", 0): 1000})

        An offset is that of the next record to read. Raises `PartitionRevoked` if the consumer is a member of the group
        and a partition is not assigned to it.
        """
        if isinstance(offsets, Batch):
            self._wait(lib.consumer_commit_batch, offsets._owner.address, as_ms(timeout))
            return
        if offsets is None and not self._runs:
            self._wait(lib.consumer_commit_polled, as_ms(timeout))
            return
        native = _native_offsets(self._handed_out() if offsets is None else offsets)
        self._wait(lib.consumer_commit, native, len(native), as_ms(timeout))

    def commit_async(self, offsets: Offsets | Batch) -> int:
        """Commits in the background, after earlier commits, and returns a token: an event `offsets_committed` with this
        token reports the outcome.

        >>> token = consumer.commit_async(batch)
        """
        token = ctypes.c_uint64()
        if isinstance(offsets, Batch):
            self._call(lib.consumer_commit_batch_async, offsets._owner.address, ctypes.byref(token))
        else:
            native = _native_offsets(offsets)
            self._call(lib.consumer_commit_async, native, len(native), ctypes.byref(token))
        return token.value

    def committed(
        self, partitions: Partitions, timeout: Timeout = 60
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """Returns the committed offset of each partition; None if nothing is committed.

        >>> consumer.committed([("numbers", 0)])
        {TopicPartition(topic='numbers', partition=0, start=None): OffsetAndMetadata(offset=1000, ...)}
        """
        wanted = list(partitions)
        native, handle = _native_partitions(wanted), ctypes.c_void_p()
        self._wait(lib.consumer_committed, native, len(native), as_ms(timeout), ctypes.byref(handle))
        one, error = _bindings.ottla_offset_to_commit(), ctypes.c_void_p()
        found: dict[TopicPartition, OffsetAndMetadata | None] = {}
        try:
            for i, partition in enumerate(wanted):
                self._check(lib.offsets_get(handle, i, ctypes.byref(one), ctypes.byref(error)), error)
                metadata = (one.metadata or b"").decode("utf-8", "replace")
                offset = None if one.offset < 0 else OffsetAndMetadata(one.offset, one.leader_epoch, metadata)
                found[_plain(partition)] = offset
        finally:
            lib.offsets_free(handle)
        return found

    def group_metadata(self) -> GroupMetadata:
        """Returns the consumer's membership of its group, for a producer's transaction.

        >>> consumer.group_metadata().generation
        1
        """
        handle, error = ctypes.c_void_p(), ctypes.c_void_p()
        self._call(lib.consumer_membership, ctypes.byref(handle))
        own = _bindings.ottla_group_metadata()
        try:
            self._check(lib.membership_get(handle, ctypes.byref(own), ctypes.byref(error)), error)
            group_id, member_id, instance_id = (
                (text or b"").decode() for text in (own.group_id, own.member_id, own.instance_id)
            )
            return GroupMetadata(group_id, own.generation, member_id, instance_id or None)
        finally:
            lib.membership_free(handle)

    def assignment(self) -> list[TopicPartition]:
        """Returns the assigned partitions.

        >>> consumer.assignment()
        [TopicPartition(topic='numbers', partition=0, start=None)]
        """
        partitions = ctypes.c_void_p()
        self._call(lib.consumer_assignment, ctypes.byref(partitions))
        one, error = _bindings.ottla_topic_partition(), ctypes.c_void_p()
        found = []
        try:
            for i in range(lib.partitions_count(partitions)):
                self._check(lib.partitions_get(partitions, i, ctypes.byref(one), ctypes.byref(error)), error)
                found.append(TopicPartition((one.topic or b"").decode(), one.partition))
        finally:
            lib.partitions_free(partitions)
        return found

    def poll(self, timeout: Timeout = None, max_records: int | None = None) -> Batch | None:
        """Waits for records and returns those that have arrived, at most `max_records` (`max.poll.records`); None if
        the timeout ends, or after `wake`.

        >>> batch = consumer.poll(timeout=1)
        >>> if batch:
        ...     print(len(batch), batch.values[0])
        """
        if self._runs:
            self._rewind()
        return self._poll(Deadline(timeout), _count(max_records))

    def batches(self, timeout: Timeout = None, max_records: int | None = None) -> Iterator[Batch]:
        """Iterates over batches as they arrive, until none comes for `timeout`, or `wake` or `close` is called.

        >>> for batch in consumer.batches(timeout=5):
        ...     print(len(batch), batch.offsets[-1])
        """
        while True:
            try:
                batch = self.poll(timeout, max_records)
            except errors.ClosedError:
                return
            if batch is None:
                return
            yield batch

    def records(self, timeout: Timeout = None) -> Iterator[Record]:
        """Iterates over records as they arrive, until none comes for `timeout`, or `wake` or `close` is called.

        >>> for record in consumer.records(timeout=5):
        ...     print(record.offset, record.value)

        Leaving the loop early loses nothing: the next one continues after the last record that was returned.
        """
        return chain.from_iterable(self._iterate(timeout))

    def __iter__(self) -> Iterator[Record]:
        return self.records()

    def read_range(
        self, topic: str, partition: int, start: Start = "earliest", end: int | datetime | None = None
    ) -> Iterator[Record]:
        """Iterates over the records of a partition from `start` to `end`, exclusive: an offset, a time, or None for the
        current end of the log. The consumer must not be reading anything else.

        >>> with ottla.Consumer("localhost:9092") as consumer:
        ...     total = sum(len(record.value) for record in consumer.read_range("numbers", 0))
        """
        if self.assignment():
            raise ValueError("read_range needs a consumer of its own; this one has partitions assigned")
        last = self._end_of_range((topic, partition), end)
        self.assign([(topic, partition, "earliest" if start is None else start)])
        return self._range((topic, partition), last)

    def seek(self, topic: str, partition: int, start: Start) -> None:
        """Moves the position of a partition.

        >>> consumer.seek("numbers", 0, 1000)
        >>> consumer.seek("numbers", 0, "latest")
        """
        kind, value = _start(start)
        self._call(lib.consumer_seek, _arguments.text("topic", topic), _index(partition), kind, value)
        self._read.pop((topic, partition), None)
        for run in list(self._runs):
            if (run.topic, run.partition) == (topic, partition):
                run.drop()

    def pause(self, partitions: Partitions) -> None:
        """Stops reading partitions until they are resumed; records that were already fetched are kept, and an iteration
        still returns the records of its current batch.

        >>> consumer.pause([("numbers", 0)])
        """
        native = _native_partitions(partitions)
        self._call(lib.consumer_pause, native, len(native))

    def resume(self, partitions: Partitions) -> None:
        """Resumes paused partitions.

        >>> consumer.resume([("numbers", 0)])
        """
        native = _native_partitions(partitions)
        self._call(lib.consumer_resume, native, len(native))

    def position(self, topic: str, partition: int) -> int | None:
        """Returns the offset after the last record that counts as read: a record, or batch, counts as read when the
        next one is requested. None while the start is being looked up.

        >>> consumer.position("numbers", 0)
        1000
        """
        for run in self._runs:
            if (run.topic, run.partition) == (topic, partition) and run.left() < run._segment.rows:
                return run.position()
        read = self._read.get((topic, partition))
        return self._native_position(topic, partition) if read is None else read

    def lag(self, topic: str, partition: int) -> int | None:
        """Returns the number of offsets between the position and the end of the log, as last reported by the broker;
        None if unknown.

        Every fetch updates it; for a paused partition the end is requested every 5 seconds.

        >>> consumer.lag("numbers", 0)
        0
        """
        lag = ctypes.c_int64()
        self._call(lib.consumer_lag, _arguments.text("topic", topic), _index(partition), ctypes.byref(lag))
        if lag.value < 0:
            return None
        ahead = (self.position(topic, partition) or 0) - (self._native_position(topic, partition) or 0)
        return max(lag.value - ahead, 0)

    def beginning_offsets(self, partitions: Partitions, timeout: Timeout = 60) -> dict[TopicPartition, int]:
        """Returns the oldest offset of each partition.

        >>> consumer.beginning_offsets([("numbers", 0)])
        {TopicPartition(topic='numbers', partition=0, start=None): 0}
        """
        return self._offsets(lib.consumer_beginning_offsets, partitions, timeout)

    def end_offsets(self, partitions: Partitions, timeout: Timeout = 60) -> dict[TopicPartition, int]:
        """Returns the offset after the last readable record of each partition.

        >>> consumer.end_offsets([("numbers", 0)])[("numbers", 0, None)]
        1000000
        """
        return self._offsets(lib.consumer_end_offsets, partitions, timeout)

    def offsets_for_times(
        self, times: Mapping[TopicPartition | tuple[str, int], int | datetime], timeout: Timeout = 60
    ) -> dict[TopicPartition, int | None]:
        """Returns the offset of the first record at or after a time, for each partition; None if there is none.

        >>> consumer.offsets_for_times({("numbers", 0): datetime(2026, 1, 1)})
        {TopicPartition(topic='numbers', partition=0, start=None): 1234}
        """
        native = _native_partitions(times)
        wanted = (ctypes.c_int64 * len(native))(*(_arguments.timestamp_ms(t, "a time") for t in times.values()))
        found = (ctypes.c_int64 * len(native))()
        self._wait(lib.consumer_offsets_for_times, native, wanted, len(native), as_ms(timeout), found)
        return {_plain(p): None if offset < 0 else offset for p, offset in zip(times, found)}

    def partition_count(self, topic: str, timeout: Timeout = 60) -> int:
        """Returns the number of partitions of a topic.

        >>> consumer.partition_count("numbers")
        3
        """
        count = ctypes.c_int32()
        self._wait(lib.consumer_partition_count, _arguments.text("topic", topic), as_ms(timeout), ctypes.byref(count))
        return count.value

    def wake(self) -> None:
        """Ends the wait of the reading thread, or its next one: `poll` returns None, iterations end.

        >>> threading.Timer(10, consumer.wake).start()
        """
        self._call(lib.consumer_wake)

    def fileno(self) -> int:
        """Returns a descriptor that is readable while a poll would return something at once; for event loops.

        >>> loop.add_reader(consumer.fileno(), lambda: handle(consumer.poll(timeout=0)))

        It belongs to the consumer: only wait on it.
        """
        return self._descriptor(lib.consumer_descriptor)

    @property
    def held_bytes(self) -> int:
        """The bytes of buffers that are held by batches in use."""
        held = ctypes.c_size_t()
        self._call(lib.consumer_held_bytes, ctypes.byref(held))
        return held.value

    @property
    def buffered_bytes(self) -> int:
        """The bytes fetched and not polled yet, which `fetch.memory.bytes` limits."""
        buffered = ctypes.c_size_t()
        self._call(lib.consumer_buffered_bytes, ctypes.byref(buffered))
        return buffered.value

    def stats(self, timeout: Timeout = 10) -> Stats:
        """Returns the figures of the client, of each broker, and of each assigned partition.

        >>> consumer.stats()["lag"]
        0
        """
        found = _stats(self._call, lib.consumer_stats, as_ms(timeout))
        assert found is not None
        return found

    def next_stats(self) -> Stats | None:
        """Returns the oldest figures recorded by the timer (`statistics_interval_ms`) that have not been taken, of the
        last eight; None if there are none. Their histograms cover the time since the previous ones.
        """
        return _stats(self._call, lib.consumer_next_stats)

    def close(self, timeout: Timeout = 10) -> None:
        """Commits what counts as read, if `enable_auto_commit` is on, leaves the group at once, ends all waiting calls
        and closes the connections. Batches stay valid. Closing twice does nothing.

        >>> consumer.close()

        The last record, or batch, that was returned does not count as read: after an exception it is read again.
        """
        if self._closed:
            return
        self._mark_runs()
        self._closed = True
        self._wait(lib.consumer_close, as_ms(timeout))

    def __enter__(self) -> Consumer:
        return self

    def _poll(self, deadline: Deadline, max_records: int) -> Batch | None:
        self._read.clear()
        address = self._poll_native(deadline, lib.consumer_poll, max_records)
        return None if address is None else Batch(address, self._topics, self._commit_batch)

    def _happened(self, address: int) -> None:
        if self._assignor is not None and lib.event_kind(address) == _bindings.OTTLA_EVENT_ASSIGNMENT_WANTED:
            self._share_out(self._assignor, address)
        else:
            super()._happened(address)

    def _share_out(self, assignor: Assignor, event: int) -> None:
        """Answers for the group that this member leads. That it has gone on meanwhile is no error of the reading
        call."""
        try:
            native = share_out(assignor, event)
            self._call(lib.consumer_assign_group, event, native, len(native))
        except BaseException as error:
            if getattr(error, "code", None) != _bindings.OTTLA_ERR_REBALANCE_IN_PROGRESS:
                with suppress(errors.OttlaError):
                    self._call(lib.consumer_refuse_assignment, event)
                raise
        finally:
            lib.event_free(event)

    def _call_back(self, event: Event) -> None:
        callback = self._callbacks.get(event.kind)
        if callback is not None:
            callback([TopicPartition(*where) for where in event.partitions])

    def _iterate(self, timeout: Timeout) -> Iterator[Iterator[Record]]:
        runs = self._runs
        while True:
            while runs:
                run = runs[0]
                if self._grouped:
                    yield from self._strides(run)
                else:
                    yield run.records
                if runs and runs[0] is run:
                    runs.popleft()
                    self._read[run.topic, run.partition] = run.end()
            try:
                # Where a record takes long, few at a time: so that partitions can be given up before long.
                few = self._grouped and self._stride < _FEW
                batch = self._poll(Deadline(timeout), _FEW if few else 0)
            except errors.ClosedError:
                return
            if batch is None:
                return
            runs.extend(map(_Run, batch.segments))

    def _strides(self, run: _Run) -> Iterator[Iterator[Record]]:
        """A run piece by piece. After each the records of it count as read, since the next one was asked for."""
        while run.left():
            start = time.monotonic()
            yield islice(run.records, self._stride)
            took = time.monotonic() - start
            if run.left():
                self._mark(run, run.next_offset())
            if took < 0.05:
                self._stride = min(self._stride * 2, 4096)
            elif took > 0.2:
                self._stride = max(self._stride // 2, 1)

    def _mark(self, run: _Run, offset: int) -> None:
        # It may not be this member's any more.
        with suppress(errors.InvalidArgument):
            self._call(lib.consumer_mark, _arguments.text("topic", run.topic), run.partition, offset)

    def _mark_runs(self) -> None:
        """Tells how far an iteration by message has come: up to the record that is being worked on."""
        marked = set()
        for run in self._runs:
            where = (run.topic, run.partition)
            if self._grouped and where not in marked and run.left() < run._segment.rows:
                marked.add(where)
                self._mark(run, run.position())

    def _handed_out(self) -> Offsets:
        """Behind the last record that an iteration by message has handed out of each partition."""
        offsets: dict[Any, Any] = dict(self._read)
        for run in self._runs:
            if run.left() < run._segment.rows:
                offsets[run.topic, run.partition] = run.next_offset() if run.left() else run.end()
        return offsets

    def _commit_batch(self, batch: Batch, timeout: Timeout) -> None:
        self.commit(batch, timeout)

    def _rewind(self) -> None:
        """Gives back what an iteration by message has not handed out, so that polling goes on there."""
        runs, behind = list(self._runs), set()
        self._runs.clear()
        for run in runs:
            where = (run.topic, run.partition)
            if run.left() and where not in behind:
                behind.add(where)
                offset = run.next_offset()
                # It may not be assigned any more.
                with suppress(errors.InvalidArgument):
                    self.seek(*where, offset)
            run.drop()

    def _end_of_range(self, where: tuple[str, int], end: int | datetime | None) -> int:
        if isinstance(end, int):
            return end
        if isinstance(end, datetime):
            offset = self.offsets_for_times({where: end})[TopicPartition(*where)]
            if offset is not None:
                return offset
        return self.end_offsets([where])[TopicPartition(*where)]

    def _range(self, where: tuple[str, int], end: int) -> Iterator[Record]:
        try:
            while True:
                batch = self._poll(Deadline(0.1), 0)
                if batch is None:
                    # The last offsets may be none that are read: transaction markers, or compacted away.
                    position = self._native_position(*where)
                    if position is not None and position >= end:
                        return
                    continue
                for segment in batch.segments:
                    within = bisect_left(segment.offsets, end)
                    yield from islice(segment._records(segment.values()), within)
                    if within < segment.rows or segment.offsets[-1] + 1 >= end:
                        return
        finally:
            if not self._closed:
                self.unassign()

    def _native_position(self, topic: str, partition: int) -> int | None:
        position = ctypes.c_int64()
        self._call(lib.consumer_position, _arguments.text("topic", topic), _index(partition), ctypes.byref(position))
        return None if position.value < 0 else position.value

    def _offsets(
        self, function: Callable[..., Any], partitions: Partitions, timeout: Timeout
    ) -> dict[TopicPartition, int]:
        wanted = list(partitions)
        native = _native_partitions(wanted)
        found = (ctypes.c_int64 * len(native))()
        self._wait(function, native, len(native), as_ms(timeout), found)
        return {_plain(p): offset for p, offset in zip(wanted, found)}


def _partition(given: Any) -> TopicPartition:
    try:
        return TopicPartition(*given) if not isinstance(given, str) else TopicPartition(given)  # type: ignore[call-arg]
    except TypeError:
        raise TypeError(f"a partition is (topic, number) or (topic, number, start), not {given!r}") from None


def _plain(given: Any) -> TopicPartition:
    topic, partition, _ = _partition(given)
    return TopicPartition(topic, partition)


def _native_offsets(offsets: Offsets) -> Any:
    native = (_bindings.ottla_offset_to_commit * len(offsets))()
    for entry, (where, given) in zip(native, offsets.items()):
        topic, partition, _ = _partition(where)
        offset = given if isinstance(given, OffsetAndMetadata) else OffsetAndMetadata(given)
        if isinstance(offset.offset, bool) or not isinstance(offset.offset, int):
            raise TypeError(f"an offset is an int or an OffsetAndMetadata, not {type(given).__name__}")
        entry.topic, entry.partition = _arguments.text("topic", topic), _index(partition)
        entry.offset, entry.leader_epoch = offset.offset, offset.leader_epoch
        entry.metadata = _arguments.text("metadata", offset.metadata)
    return native


def _index(partition: Any) -> int:
    if isinstance(partition, bool) or not isinstance(partition, int):
        raise TypeError(f"partition must be an int, not {type(partition).__name__}")
    return partition


def _native_partitions(partitions: Iterable[Any]) -> Any:
    wanted = [_partition(p) for p in partitions]
    native = (_bindings.ottla_topic_partition * len(wanted))()
    for entry, (topic, partition, _) in zip(native, wanted):
        entry.topic, entry.partition = _arguments.text("topic", topic), _index(partition)
    return native


def _start(start: Any) -> tuple[int, int]:
    if start is None:
        return _bindings.OTTLA_START_RESET, 0
    if start == "earliest":
        return _bindings.OTTLA_START_EARLIEST, 0
    if start == "latest":
        return _bindings.OTTLA_START_LATEST, 0
    if isinstance(start, datetime):
        return _bindings.OTTLA_START_TIMESTAMP, _arguments.timestamp_ms(start, "start")
    if isinstance(start, int) and not isinstance(start, bool):
        return _bindings.OTTLA_START_OFFSET, start
    raise ValueError(f'start is {start!r}; give "earliest", "latest", an offset, a datetime, or None')


def _count(max_records: int | None) -> int:
    if max_records is None:
        return 0
    if isinstance(max_records, bool) or not isinstance(max_records, int) or max_records < 1:
        raise ValueError(f"max_records is {max_records!r}; give 1 or more, or None for max.poll.records")
    return max_records
