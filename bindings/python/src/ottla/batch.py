"""Batches of records, as views into the native library's memory, and records made from them."""

from __future__ import annotations

import ctypes
import operator
import sys
import weakref
from array import array
from bisect import bisect_right
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timezone
from itertools import chain, repeat
from typing import Any, Literal, Optional, overload

from . import _bindings, errors
from ._client import Timeout
from ._library import lib

# A ctypes array type is made for each length and costs far more than a view; one type for all lengths is sliced.
_Anything: Any = ctypes.c_ubyte * min(sys.maxsize, 1 << 40)

# What the item access of a named tuple is made of is the fastest attribute there is.
_fields = namedtuple("_fields", "topic partition offset timestamp key value")

_NULL_BYTES = b"\xff\xff\xff\xff"


class _Memory(_Anything):  # type: ignore[misc]
    """Memory of a batch, which it keeps alive."""

    owner: _Owner


class _Owner:
    """Owns a native batch. It is freed when neither the batch nor any view of it is left."""

    __slots__ = ("__weakref__", "address")

    def __init__(self, address: int) -> None:
        self.address = address
        weakref.finalize(self, lib.batch_free, address).atexit = False

    def view(
        self, address: int | None, count: int, form: Literal["B", "h", "i", "I", "q"], size: int
    ) -> memoryview[int]:
        """Memory of this batch as a read-only view that keeps it alive."""
        if not count or not address:
            return memoryview(b"").cast(form)
        memory = _Memory.from_address(address)
        memory.owner = self
        return memoryview(memory).cast("B").toreadonly()[: count * size].cast(form)


class Record(tuple):  # type: ignore[type-arg]
    """A record. Its key and value are copied bytes, or None for Kafka's null.

    >>> for record in consumer:
    ...     print(record.topic, record.partition, record.offset, record.timestamp, record.key, record.value)
    """

    __slots__ = ()

    topic: str = _fields.topic
    """The topic."""
    partition: int = _fields.partition
    """The partition."""
    offset: int = _fields.offset
    """The offset in the partition."""
    timestamp: int = _fields.timestamp
    """Milliseconds since 1970."""
    key: bytes | None = _fields.key
    """The key, or None."""
    value: bytes | None = _fields.value
    """The value, or None."""

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        """The headers in order, read on access. A record with headers keeps its batch's memory.

        >>> dict(record.headers).get("source")
        b'docs'
        """
        if len(self) == 6:
            return []
        owner, row = self[6], self[7]
        return _headers(owner, row)

    @property
    def time(self) -> datetime:
        """The timestamp as a datetime in UTC."""
        return datetime.fromtimestamp(self.timestamp / 1000, timezone.utc)

    def __repr__(self) -> str:
        return (
            f"Record(topic={self.topic!r}, partition={self.partition}, offset={self.offset}, "
            f"timestamp={self.timestamp}, key={self.key!r}, value={self.value!r})"
        )


def _headers(owner: _Owner, row: int) -> list[tuple[str, bytes | None]]:
    count, error = ctypes.c_size_t(), ctypes.c_void_p()
    capacity = 16
    while True:
        found = (_bindings.ottla_header * capacity)()
        status = lib.batch_headers(owner.address, row, found, capacity, ctypes.byref(count), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        if count.value <= capacity:
            break
        capacity = count.value
    return [
        ((_copy(header.name) or b"").decode("utf-8", "surrogateescape"), _copy(header.value))
        for header in found[: count.value]
    ]


def _copy(view: Any) -> bytes | None:
    data = view.data
    return None if data is None else ctypes.string_at(data, view.len)


class Segment:
    """Records of one partition in a batch that share a buffer, as columns that are not copied.

    Value `i` is `base[value_start[i] : value_start[i] + value_len[i]]`, or null if the length is -1; the same holds for
    keys. The views may be kept, and passed to numpy; they keep their buffer alive.

    >>> offsets = numpy.asarray(batch.segments[0].offsets)
    """

    __slots__ = ("_native", "_owner", "first_row", "leader_epoch", "partition", "rows", "timestamp_type", "topic")

    def __init__(self, owner: _Owner, native: Any, topic: str) -> None:
        self._owner = owner
        self._native = native
        self.topic = topic
        """The topic."""
        self.partition: int = native.partition
        """The partition."""
        self.rows: int = native.rows
        """How many records."""
        self.first_row: int = native.first_row
        """The row in the batch of the first of them."""
        self.leader_epoch: int = native.leader_epoch
        """The leader epoch of the last of them, or -1."""
        self.timestamp_type: int = native.timestamp_type
        """0: timestamps are the producers'. 1: they are the broker's, of when it appended the record."""

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        return f"<Segment {self.topic}-{self.partition}, {self.rows} records>"

    @property
    def offsets(self) -> memoryview:
        """The offsets, 64-bit."""
        return self._owner.view(self._native.offsets, self.rows, "q", 8)

    @property
    def timestamps(self) -> memoryview:
        """The timestamps in milliseconds since 1970, 64-bit."""
        return self._owner.view(self._native.timestamps, self.rows, "q", 8)

    @property
    def key_start(self) -> memoryview:
        """Where each key starts in `base`, unsigned 32-bit."""
        return self._owner.view(self._native.key_start, self.rows, "I", 4)

    @property
    def key_len(self) -> memoryview:
        """The length of each key, 32-bit; -1 is null."""
        return self._owner.view(self._native.key_len, self.rows, "i", 4)

    @property
    def value_start(self) -> memoryview:
        """Where each value starts in `base`, unsigned 32-bit."""
        return self._owner.view(self._native.value_start, self.rows, "I", 4)

    @property
    def value_len(self) -> memoryview:
        """The length of each value, 32-bit; -1 is null."""
        return self._owner.view(self._native.value_len, self.rows, "i", 4)

    @property
    def header_count(self) -> memoryview:
        """The number of headers of each record, 32-bit."""
        return self._owner.view(self._native.header_count, self.rows, "i", 4)

    @property
    def base(self) -> memoryview:
        """The buffer with the keys and values, up to the last of them."""
        native = self._native
        ends = (
            _end(native.key_start, native.key_len, self.rows),
            _end(native.value_start, native.value_len, self.rows),
        )
        return self._owner.view(native.base, max(ends), "B", 1)

    def keys(self) -> list[bytes | None]:
        """The keys, copied."""
        native = self._native
        return _strings(native.base, native.key_start, native.key_len, self.rows)

    def values(self) -> list[bytes | None]:
        """The values, copied."""
        native = self._native
        return _strings(native.base, native.value_start, native.value_len, self.rows)

    def _records(self, values: Sequence[bytes | None]) -> Iterator[Record]:
        native, rows = self._native, self.rows
        keys: Any = repeat(None) if _all_null(native.key_len, rows) else self.keys()
        columns: list[Any] = [
            repeat(self.topic, rows),
            repeat(self.partition),
            self.offsets.tolist(),
            self.timestamps.tolist(),
            keys,
            values,
        ]
        if any(ctypes.string_at(native.header_count, 4 * rows)):
            columns += [repeat(self._owner), range(self.first_row, self.first_row + rows)]
        return map(Record, zip(*columns))


def _all_null(lengths: int, rows: int) -> bool:
    return ctypes.string_at(lengths, 4 * rows) == _NULL_BYTES * rows


def _end(starts: int, lengths: int, rows: int) -> int:
    """Where the last string of a column ends. Strings lie in the order of their rows; nulls lie nowhere."""
    row = rows - 1
    length = ctypes.c_int32.from_address(lengths + 4 * row).value
    if length < 0:
        # A null is four bytes of ones, and nothing else is.
        row = (len(ctypes.string_at(lengths, 4 * rows).rstrip(b"\xff")) + 3) // 4 - 1
        if row < 0:
            return 0
        length = ctypes.c_int32.from_address(lengths + 4 * row).value
    return ctypes.c_uint32.from_address(starts + 4 * row).value + length


def _strings(base: int, starts: int, lengths: int, rows: int) -> list[bytes | None]:
    """A column's strings: one copy of the region they lie in, cut into pieces. That is several times cheaper than a
    call, or a view, for each."""
    raw = ctypes.string_at(lengths, 4 * rows)
    end = _end(starts, lengths, rows)
    begins: Sequence[int] = memoryview(ctypes.string_at(starts, 4 * rows)).cast("I").tolist()
    sizes = memoryview(raw).cast("i").tolist()
    low = next((begin for begin, size in zip(begins, sizes) if size >= 0), 0)
    if low > end - low:
        # A piece of a large buffer: only that piece is copied.
        begins = [begin - low for begin in begins]
        base, end = base + low, end - low
    data = ctypes.string_at(base, end)
    if _NULL_BYTES in raw:
        return [None if n < 0 else data[a : a + n] for a, n in zip(begins, sizes)]
    return [data[a:b] for a, b in zip(begins, map(operator.add, begins, sizes))]


class Column(Sequence[Optional[bytes]]):
    """The keys or values of a batch: a sequence that creates bytes objects on access.

    >>> batch.values[0], batch.values[-2:], sum(map(len, batch.values))
    (b'one', [b'two', b'three'], 11)
    """

    __slots__ = ("_batch", "_start_length")

    def __init__(self, batch: Batch, start: str, length: str) -> None:
        self._batch = batch
        self._start_length = (start, length)

    def __len__(self) -> int:
        return len(self._batch)

    @overload
    def __getitem__(self, index: int) -> bytes | None: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes | None]: ...

    def __getitem__(self, index: int | slice) -> bytes | list[bytes | None] | None:
        if isinstance(index, slice):
            rows = range(*index.indices(len(self)))
            return self.tolist()[index] if len(rows) * 8 > len(self) else [self[i] for i in rows]
        segment, row = self._batch._find(index)
        native = segment._native
        start, length = (getattr(native, name) for name in self._start_length)
        size = ctypes.c_int32.from_address(length + 4 * row).value
        if size < 0:
            return None
        return ctypes.string_at(native.base + ctypes.c_uint32.from_address(start + 4 * row).value, size)

    def __iter__(self) -> Iterator[bytes | None]:
        return iter(self.tolist())

    def tolist(self) -> list[bytes | None]:
        """Returns all of them as a list, which is the fastest way to read them.

        >>> batch.values.tolist()
        [b'one', b'two', b'three']
        """
        start, length = self._start_length
        parts = [
            _strings(s._native.base, getattr(s._native, start), getattr(s._native, length), s.rows)
            for s in self._batch.segments
        ]
        return parts[0] if len(parts) == 1 else list(chain.from_iterable(parts))

    def __repr__(self) -> str:
        return f"<Column of {len(self)}>"


class Batch:
    """The records of one poll. May be used from any thread, and stays valid after its consumer is closed.

    >>> batch = consumer.poll(timeout=1)
    >>> len(batch), batch.values.tolist(), batch.offsets.tolist()
    (3, [b'one', b'two', b'three'], [0, 1, 2])

    Its memory is released when neither the batch nor any view of it is left.
    """

    __slots__ = ("_committer", "_owner", "_rows", "_segments", "_starts", "_topics")

    def __init__(
        self,
        address: int,
        topics: dict[bytes, str] | None = None,
        committer: Callable[[Batch, Any], None] | None = None,
    ) -> None:
        self._committer = committer
        self._owner = _Owner(address)
        self._rows: int = lib.batch_rows(address)
        self._topics = {} if topics is None else topics
        self._segments: list[Segment] | None = None
        self._starts: list[int] = []

    def __len__(self) -> int:
        return self._rows

    def __repr__(self) -> str:
        return f"<Batch of {self._rows} records in {len(self.segments)} segments>"

    def commit(self, timeout: Timeout = 60) -> None:
        """Commits the end of the batch for the consumer's group: for each of its partitions, the offset after its last
        record.

        >>> batch = consumer.poll(timeout=1)
        >>> store(batch.values)
        >>> batch.commit()

        Raises `PartitionRevoked` if a partition has moved to another member in the meantime.
        """
        if self._committer is None:
            raise ValueError("this batch is not from a consumer")
        self._committer(self, timeout)

    @property
    def segments(self) -> list[Segment]:
        """The segments of the batch, in order: records of one partition that share a buffer."""
        if self._segments is None:
            address, topics = self._owner.address, self._topics
            self._segments = []
            error = ctypes.c_void_p()
            for i in range(lib.batch_segment_count(address)):
                native = _bindings.ottla_segment()
                status = lib.batch_segment(address, i, ctypes.byref(native), ctypes.byref(error))
                if status:
                    raise errors.owned(status, error)
                name = native.topic or b""
                topic = topics.get(name)
                if topic is None:
                    topic = topics[name] = name.decode()
                self._segments.append(Segment(self._owner, native, topic))
            self._starts = [segment.first_row for segment in self._segments]
        return self._segments

    def _find(self, row: int) -> tuple[Segment, int]:
        """The segment of a row, and the row in it."""
        if row < 0:
            row += self._rows
        if not 0 <= row < self._rows:
            raise IndexError(f"the batch has {self._rows} records")
        segments = self.segments
        segment = segments[bisect_right(self._starts, row) - 1]
        return segment, row - segment.first_row

    @property
    def values(self) -> Column:
        """The values."""
        return Column(self, "value_start", "value_len")

    @property
    def keys(self) -> Column:
        """The keys."""
        return Column(self, "key_start", "key_len")

    @property
    def offsets(self) -> memoryview:
        """The offsets, 64-bit. Not copied if the batch has one segment, otherwise concatenated."""
        return self._joined([segment.offsets for segment in self.segments])

    @property
    def timestamps(self) -> memoryview:
        """The timestamps in milliseconds since 1970, 64-bit, like `offsets`."""
        return self._joined([segment.timestamps for segment in self.segments])

    @property
    def delivery_counts(self) -> memoryview:
        """The number of deliveries of each record, including this one, 16-bit, for batches of a share group; otherwise
        empty.

        >>> batch.delivery_counts.tolist()
        [1, 1, 2]
        """
        counts: int | None = lib.batch_delivery_counts(self._owner.address)
        return self._owner.view(counts, self._rows if counts else 0, "h", 2)

    @staticmethod
    def _joined(parts: list[memoryview]) -> memoryview:
        if len(parts) == 1:
            return parts[0]
        whole: array[int] = array("q")
        for part in parts:
            whole.frombytes(part.cast("B"))
        return memoryview(whole).toreadonly()

    def headers(self, row: int) -> list[tuple[str, bytes | None]]:
        """Returns the headers of a record, in order.

        >>> batch.headers(0)
        [('source', b'docs')]
        """
        segment, within = self._find(row)
        return _headers(self._owner, segment.first_row + within)

    def records(self) -> Iterator[Record]:
        """Iterates over the records, in order.

        >>> [record.offset for record in batch.records()]
        [0, 1, 2]
        """
        return chain.from_iterable(segment._records(segment.values()) for segment in self.segments)

    def __iter__(self) -> Iterator[Record]:
        return self.records()

    def __getitem__(self, row: int) -> Record:
        """Returns one record. For many, `records()` and the columns are far cheaper."""
        segment, within = self._find(row)
        row = segment.first_row + within
        six = (
            segment.topic,
            segment.partition,
            ctypes.c_int64.from_address(segment._native.offsets + 8 * within).value,
            ctypes.c_int64.from_address(segment._native.timestamps + 8 * within).value,
            self.keys[row],
            self.values[row],
        )
        count = ctypes.c_int32.from_address(segment._native.header_count + 4 * within).value
        return Record((*six, self._owner, row) if count else six)

    @property
    def held_bytes(self) -> int:
        """The bytes of buffers that the batch keeps in use. Batches may share a buffer."""
        return int(lib.batch_held_bytes(self._owner.address))

    def compact(self) -> Batch:
        """Returns a copy with its own buffer, so that keeping a few records does not keep a large buffer.

        >>> kept = batch.compact()
        """
        compacted, error = ctypes.c_void_p(), ctypes.c_void_p()
        status = lib.batch_compact(self._owner.address, ctypes.byref(compacted), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        return Batch(compacted.value or 0, self._topics)
