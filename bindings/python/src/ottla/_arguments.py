"""What callers give, in the form the native library takes, with messages that name the argument."""

from __future__ import annotations

import ctypes
import struct
from array import array
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Optional, Union

from . import _bindings

Headers = Union[Mapping[str, Optional[bytes]], Iterable[tuple[str, Optional[bytes]]]]
"""A record's headers: pairs of name and value, in order, or a mapping."""

Timestamp = Union[int, datetime, None]
"""Milliseconds since 1970, or a datetime; None for now."""

TEXT_REFUSED = "must be bytes, not str: encode it first, for example with .encode()"


def text(name: str, value: Any) -> bytes:
    """A name, such as a topic's."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if "\0" in value:
        raise ValueError(f"{name} {value!r} has a NUL character")
    return value.encode()


def as_bytes(name: str, value: Any) -> bytes | None:
    """Bytes of anything with the buffer protocol; None is Kafka's null."""
    if value is None or type(value) is bytes:
        return value
    if isinstance(value, str):
        raise TypeError(f"{name} {TEXT_REFUSED}")
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise TypeError(
            f"{name} must be bytes or another object with the buffer protocol, or None; not {type(value).__name__}"
        ) from None


def timestamp_ms(value: Any, name: str = "timestamp") -> int:
    """Milliseconds since 1970; -1 for now. A datetime without a time zone is local time, as everywhere in Python."""
    if value is None:
        return -1
    if isinstance(value, datetime):
        return round(value.timestamp() * 1000)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an int (milliseconds since 1970) or a datetime, not {type(value).__name__}")
    if value < 0:
        raise ValueError(f"{name} is {value}; give milliseconds since 1970")
    return value


def pairs(headers: Any) -> list[tuple[bytes, bytes | None]]:
    """Headers with their names encoded."""
    if isinstance(headers, Mapping):
        headers = headers.items()
    result = []
    for item in headers:
        try:
            name, value = item
        except (TypeError, ValueError):
            raise TypeError(f"headers must be pairs of a name and bytes, or a dict; one of them is {item!r}") from None
        if name.__class__ is str:
            name = name.encode()
        elif not isinstance(name, bytes):
            raise TypeError(f"a header's name must be a str, not {type(name).__name__}")
        if value.__class__ is not bytes and value is not None:
            value = as_bytes(f"the value of header {name.decode('utf-8', 'replace')!r}", value)
        result.append((name, value))
    return result


def address_of(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


def _int32s(numbers: list[int]) -> array[int]:
    """An array of 32-bit numbers, made several times faster than `array` makes one of anything but bytes."""
    result = array("i")
    try:
        result.frombytes(struct.pack(f"{len(numbers)}i", *numbers))
    except struct.error:
        raise OverflowError("a record's part takes 2 GiB or more") from None
    return result


class Column:
    """A column of byte strings, one for each record, in one of the native layouts."""

    def __init__(self, name: str, rows: int) -> None:
        self.name = name
        self.rows = rows
        self.native = _bindings.ottla_column()
        self._lengths: array[int] | None = None
        self._keep: list[Any] = []

    @property
    def pointer(self) -> Any:
        return ctypes.byref(self.native)

    def set_blob(self, blob: Any) -> None:
        if isinstance(blob, bytes):
            self._keep.append(blob)
            self.native.blob, self.native.blob_len = address_of(blob), len(blob)
            return
        flat = memoryview(blob)
        if not flat.c_contiguous or flat.readonly:
            # There is no portable way to the address of memory that is only lent for reading.
            return self.set_blob(flat.tobytes())
        flat = flat.cast("B") if flat.nbytes else memoryview(bytearray(1))
        borrowed = (ctypes.c_char * flat.nbytes).from_buffer(flat)
        self._keep.append(borrowed)
        self.native.blob, self.native.blob_len = ctypes.addressof(borrowed), memoryview(blob).nbytes
        return None

    def set_lengths(self, lengths: array[int]) -> None:
        self._lengths = lengths
        self.native.lengths = lengths.buffer_info()[0]

    def set_offsets(self, offsets: Any) -> None:
        """32-bit offsets of a contiguous buffer, or an array of them."""
        if not isinstance(offsets, array):
            flat = memoryview(offsets)
            if flat.readonly or not flat.c_contiguous:
                offsets = array("i", flat.tobytes())
            else:
                borrowed = (ctypes.c_char * flat.nbytes).from_buffer(flat.cast("B"))
                self._keep.append(borrowed)
                self.native.offsets = ctypes.addressof(borrowed)
                return
        self._keep.append(offsets)
        self.native.offsets = offsets.buffer_info()[0]

    def skip(self, rows: int) -> None:
        """Leaves out so many rows at the front, because they were taken."""
        self.rows -= rows
        if self._lengths is None:
            self.native.offsets = (self.native.offsets or 0) + 4 * rows
            return
        taken = sum(n for n in self._lengths[:rows] if n > 0)
        self.set_lengths(self._lengths[rows:])
        self.native.blob = (self.native.blob or 0) + taken
        self.native.blob_len -= taken


def column(name: str, data: Any) -> Column:
    """A column of a list of bytes, of one buffer and offsets, or of a buffer with rows of one width."""
    if isinstance(data, str):
        raise TypeError(f"{name} {TEXT_REFUSED}; and for one record call send()")
    if isinstance(data, (bytes, bytearray)):
        raise TypeError(f"{name} is a single {type(data).__name__}; give one for each record, or call send() for one")
    if isinstance(data, tuple) and len(data) == 2 and _are_offsets(data[1]):
        return _from_offsets(name, *data)
    if not isinstance(data, (list, tuple)):
        try:
            buffer = memoryview(data)
        except (TypeError, ValueError):
            data = list(data)
        else:
            if buffer.format != "O":
                return _from_buffer(name, buffer)
            data = list(data)
    return _from_list(name, data)


def _from_list(name: str, data: Sequence[Any]) -> Column:
    result = Column(name, len(data))
    try:
        blob = b"".join(data)
        sizes = list(map(len, data))
        lengths = _int32s(sizes)
        plain = sum(sizes) == len(blob)
    except (TypeError, OverflowError):
        plain = False
    if not plain:
        # Nulls, wrong types, or buffers whose length is not counted in bytes.
        items = [as_bytes(f"{name}[{i}]", item) for i, item in enumerate(data)]
        blob = b"".join(item for item in items if item)
        lengths = array("i", (-1 if item is None else len(item) for item in items))
    result.set_blob(blob)
    result.set_lengths(lengths)
    return result


def _are_offsets(candidate: Any) -> bool:
    if isinstance(candidate, (bytes, bytearray, str)) or candidate is None:
        return False
    if isinstance(candidate, (list, tuple, range)):
        return True
    try:
        return memoryview(candidate).format in ("i", "I", "l", "L", "q", "Q")
    except TypeError:
        return False


def _from_offsets(name: str, blob: Any, offsets: Any) -> Column:
    if isinstance(blob, str):
        raise TypeError(f"{name}[0], the buffer, {TEXT_REFUSED}")
    if not len(offsets):
        raise ValueError(f"{name} has no offsets; give one more than there are records")
    try:
        size = memoryview(blob).nbytes
    except TypeError:
        raise TypeError(f"{name}[0] must have the buffer protocol; it is a {type(blob).__name__}") from None
    result = Column(name, len(offsets) - 1)
    if not isinstance(offsets, (list, tuple, range)):
        buffer = memoryview(offsets)
        if buffer.ndim != 1:
            raise ValueError(f"{name}'s offsets have {buffer.ndim} dimensions; give one")
        if buffer.format == "i":
            result.set_blob(blob)
            result.set_offsets(offsets)
            return result
        offsets = buffer.tolist()
    try:
        numbers = array("q", offsets)
    except TypeError:
        raise TypeError(f"{name}'s offsets must be whole numbers") from None
    if numbers and (numbers[0] < 0 or numbers[-1] > size):
        raise ValueError(f"{name}'s offsets go from {numbers[0]} to {numbers[-1]}; the buffer has {size} bytes")
    if numbers[-1] < 2**31:
        result.set_blob(blob)
        result.set_offsets(array("i", numbers))
        return result
    # Above 2 GiB: positions don't fit, lengths do.
    falling = [i for i in range(result.rows) if numbers[i + 1] < numbers[i]]
    if falling:
        raise ValueError(f"{name} has falling offsets: row {falling[0]}")
    result.set_blob(memoryview(blob).cast("B")[numbers[0] : numbers[-1]])
    result.set_lengths(array("i", (b - a for a, b in zip(numbers, numbers[1:]))))
    return result


def _from_buffer(name: str, buffer: memoryview) -> Column:
    """Rows of one width: two dimensions, or one of items that are byte strings or structures."""
    shape, form = buffer.shape or (), buffer.format
    if form.endswith("w"):
        raise TypeError(f"{name} {TEXT_REFUSED} (numpy.char.encode for an array)")
    wide = form[-1] in "sx" or form.startswith("T{")
    if buffer.ndim not in (1, 2) or (buffer.ndim == 1 and not wide):
        raise TypeError(
            f"{name} is a buffer with {buffer.ndim} dimension(s) of format {form!r}; give two dimensions, one row a "
            "record, or fixed-width byte strings, or a list, or (buffer, offsets)"
        )
    rows = shape[0]
    width = buffer.nbytes // rows if rows else 0
    if form[-1] == "s" and buffer.ndim == 1:
        blob = buffer.tobytes()
        if b"\0" in blob[width - 1 :: width]:
            # Fixed-width byte strings are padded with NUL, which doesn't count.
            return _from_list(name, [blob[i : i + width].rstrip(b"\0") for i in range(0, len(blob), width)])
        result = Column(name, rows)
        result.set_blob(blob)
    else:
        result = Column(name, rows)
        result.set_blob(buffer)
    result.set_lengths(array("i", [width]) * rows)
    return result


def _flat(headers: list[tuple[bytes, bytes | None]]) -> tuple[array[int], bytes]:
    """The lengths of names and values in their order, -1 for null, and the bytes of all of them."""
    parts = [part for pair in headers for part in pair]
    return _int32s([-1 if part is None else len(part) for part in parts]), b"".join([part for part in parts if part])


class HeaderColumn:
    """The headers of many records: one mapping for all, or headers for each."""

    def __init__(self, headers: Any, rows: int) -> None:
        self._rows = rows
        self._same = pairs(headers) if isinstance(headers, Mapping) else None
        self._each = [] if self._same is not None else [pairs(h or ()) for h in headers]
        if self._same is None and len(self._each) != rows:
            raise ValueError(f"headers has {len(self._each)} rows, values has {rows}; give headers for each record")
        self.native = _bindings.ottla_header_column()
        self.skip(0)

    def skip(self, rows: int) -> None:
        """Leaves out so many rows at the front, because they were taken."""
        self._rows -= rows
        if self._same is None:
            self._each = self._each[rows:]
            self._counts = _int32s(list(map(len, self._each)))
            self._lengths, self._blob = _flat([pair for row in self._each for pair in row])
        else:
            lengths, blob = _flat(self._same)
            self._counts = array("i", [len(self._same)]) * self._rows
            self._lengths, self._blob = lengths * self._rows, blob * self._rows
        native = self.native
        native.counts, native.lengths = self._counts.buffer_info()[0], self._lengths.buffer_info()[0]
        native.lengths_count = len(self._lengths)
        native.blob, native.blob_len = address_of(self._blob), len(self._blob)

    @property
    def pointer(self) -> Any:
        return ctypes.byref(self.native)


def timestamp_column(timestamps: Any, rows: int) -> array[int]:
    """64-bit timestamps of anything with as many of them."""
    if isinstance(timestamps, (list, tuple)):
        result = array("q", (timestamp_ms(t, f"timestamps[{i}]") for i, t in enumerate(timestamps)))
    else:
        try:
            buffer = memoryview(timestamps)
        except (TypeError, ValueError):
            result = array("q", (timestamp_ms(t, "timestamps") for t in timestamps))
        else:
            if buffer.ndim != 1 or buffer.format not in ("q", "l", "i", "Q", "L", "I"):
                raise TypeError("timestamps must be whole numbers, one for each record: milliseconds since 1970")
            result = array("q", buffer.tobytes()) if buffer.itemsize == 8 else array("q", buffer.tolist())
    if len(result) != rows:
        raise ValueError(f"timestamps has {len(result)} rows, values has {rows}")
    return result
