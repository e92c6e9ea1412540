"""Producing."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import struct
import threading
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from . import _arguments, _bindings, errors
from . import config as _config
from ._arguments import Headers, Timestamp
from ._client import EXIT_S, SLICE_S, Deadline, Timeout, as_ms, as_seconds
from ._client import stats as _stats
from ._library import lib, quick, releasing
from ._partitioner import Failures, Partitioner, native
from .config import ConfigValue
from .delivery import Deliveries, Delivery, Run
from .events import Event
from .transactions import Transactional

if TYPE_CHECKING:
    from .stats import Stats

_COMPLETION = struct.Struct("@QPqqPPiIIi")
if _COMPLETION.size != ctypes.sizeof(_bindings.ottla_completion):
    raise ImportError("ottla: ottla_completion is not laid out as this package expects")

# Draining at every send would cost more than sending; undrained completions only take room in the buffer.
_DRAIN_EVERY = 512
_FAILURES_KEPT = 1000
# A wait is made of short ones, for Ctrl-C; this is what a short one ends with, and the whole one goes on after it:
# no room, and a partitioner of the program's own whose topic's partitions are not known yet.
_WAITED_FOR = (_bindings.OTTLA_ERR_AGAIN, _bindings.OTTLA_ERR_BUFFER_FULL, _bindings.OTTLA_ERR_TIMED_OUT)


class _HeaderColumn(ctypes.Structure):
    """As `ottla_header_column`, but its blob can be set from a bytes object, the fastest way to that address."""

    _fields_: ClassVar[Any] = (
        ("counts", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("lengths_count", ctypes.c_size_t),
        ("blob", ctypes.c_char_p),
        ("blob_len", ctypes.c_size_t),
    )


class _Frame:
    """The arguments of a call with columns of one row, for single records; each is used by one thread at a time.

    ctypes is slow at two things, making structures and converting arguments it is given types for. So these are made
    once, and passed as they are: what is constant as bytes, what changes as objects with the right C type.
    """

    __slots__ = ("accepted", "headers", "key", "key_size", "keys", "time", "token", "value", "value_size", "values")

    def __init__(self) -> None:
        self.value, self.value_size, self.values = self._column()
        self.key, self.key_size, self.keys = self._column()
        self.time, self.accepted, self.token = (ctypes.c_int64 * 1)(), (ctypes.c_size_t * 1)(), ctypes.c_uint64()
        self.headers: tuple[_HeaderColumn, Any, Any] | None = None

    @staticmethod
    def _column() -> tuple[Any, Any, bytes]:
        pointers, lengths, column = (ctypes.c_char_p * 1)(), (ctypes.c_int32 * 1)(), _bindings.ottla_column()
        column.pointers, column.lengths = ctypes.addressof(pointers), ctypes.addressof(lengths)
        return pointers, lengths, bytes(column)

    def set_headers(self, headers: Headers) -> Any:
        """Takes a record's headers; returns a pointer to their column."""
        pairs = _arguments.pairs(headers)
        count = len(pairs)
        if self.headers is None or 2 * count > len(self.headers[2]):
            column, counts, lengths = _HeaderColumn(), (ctypes.c_int32 * 1)(), (ctypes.c_int32 * max(16, 2 * count))()
            column.counts, column.lengths = ctypes.addressof(counts), ctypes.addressof(lengths)
            self.headers = (column, counts, lengths)
        column, counts, lengths = self.headers
        parts = [part for pair in pairs for part in pair]
        counts[0] = count
        lengths[: 2 * count] = [-1 if part is None else len(part) for part in parts]
        blob = b"".join([part for part in parts if part])
        column.blob, column.blob_len, column.lengths_count = blob, len(blob), 2 * count
        return ctypes.byref(column)


# With the GIL kept, for single records that find room at once; and with the GIL released, for waiting. Both take a
# frame's arguments.
_send_quickly, _send_releasing = quick["ottla_producer_send_batch"], releasing["ottla_producer_send_batch"]
_send_quickly.restype = _send_releasing.restype = ctypes.c_int32
_ONE_ROW, _NO_WAIT = ctypes.c_size_t(1), ctypes.c_int64(0)
_new_delivery = Delivery.__new__


class ProducerCounts(NamedTuple):
    """Totals since a producer was created, and what it holds now."""

    written: int
    """Records acknowledged."""
    failed: int
    """Records that were not written, or may not have been written."""
    batches: int
    """Batches closed and queued to be sent."""
    requests: int
    """Produce requests sent."""
    retries: int
    """Batches sent again."""
    bytes: int
    """Bytes of batches sent, as on the wire."""
    buffered_bytes: int
    """Bytes of `buffer.memory` in use now."""
    live_batches: int
    """Batches that are neither acknowledged nor failed yet."""


class _Part:
    """The records of a `send_many` that went in one native call, under one token."""

    __slots__ = ("base", "deliveries", "left")

    def __init__(self, deliveries: Deliveries, base: int, left: int) -> None:
        self.deliveries = deliveries
        self.base = base
        self.left = left


class Producer(Transactional):
    """Writes records to Kafka. One producer is enough for a whole program; its methods may be called from many threads.

    Creating one does not connect yet. Keyword arguments are Kafka's configuration keys with underscores; `config` takes
    them in Kafka's spelling. Records are collected in batches that are sent when they are full or after `linger.ms`.

    >>> with ottla.Producer("localhost:9092", acks="all", linger_ms=5) as producer:
    ...     producer.send("greetings", b"hello", key=b"en")
    ...     producer.send_many("numbers", [b"one", b"two", b"three"])

    Leaving the `with` block waits until everything is written, and raises an error if something was not.

    `topics` has the configuration of single topics. `partitioner`, in both places, is one of Kafka's names or a
    function of topic, key and number of partitions, which is called inside the send calls:

    >>> ottla.Producer(
    ...     "localhost:9092",
    ...     partitioner=lambda topic, key, count: None if key is None else key[0] % count,
    ...     topics={"orders": {"acks": "1", "compression_type": "zstd"}},
    ... )
    """

    def __init__(
        self,
        bootstrap_servers: str | list[str] | tuple[str, ...] | None = None,
        *,
        config: Mapping[str, ConfigValue] | None = None,
        topics: Mapping[str, Mapping[str, ConfigValue | Partitioner]] | None = None,
        partitioner: ConfigValue | Partitioner = None,
        **keys: ConfigValue,
    ) -> None:
        own = partitioner if callable(partitioner) else None
        if partitioner is not None and own is None:
            keys["partitioner"] = partitioner  # type: ignore[assignment]
        pairs = _config.merge(bootstrap_servers, config, keys)
        handle, error = ctypes.c_void_p(), ctypes.c_void_p()
        with _config.native(pairs) as native:
            status = lib.producer_new(native, ctypes.byref(handle), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        super().__init__(handle.value or 0, lib.producer_free, lib.producer_logs)
        self._handle = ctypes.c_void_p(self._address)
        self._max_block = _config.seconds(pairs.get("max.block.ms", "60000"))
        self._tokens = itertools.count(1)
        self._pending: dict[int, Delivery | _Part] = {}
        self._frames: list[_Frame] = []
        self._topics: dict[str, bytes] = {}
        self._until_drain = _DRAIN_EVERY
        self._drained = threading.Condition(threading.Lock())
        self._draining = False
        self._failures: deque[Delivery | Deliveries] = deque(maxlen=_FAILURES_KEPT)
        self._closed = False
        self._partitioner_failures = Failures()
        # Called by the native library for as long as the producer lives.
        self._partitioners: list[Any] = []
        if own is not None:
            self._set_partitioner(None, own)
        for topic, settings in (topics or {}).items():
            self._set_topic(topic, settings)

    def connect(self, timeout: Timeout = 30) -> Producer:
        """Waits until a broker has responded, and returns the producer. Not needed; it lets a program find out early.

        >>> producer = ottla.Producer("localhost:9092").connect(timeout=5)

        Raises `ConnectError`, `DnsError`, `TlsError`, `AuthenticationError`, `ProtocolError` or `OttlaTimeout`, which
        names each broker tried, the stage that failed, and the reason.
        """
        self._wait(lib.producer_connect, as_ms(timeout))
        return self

    def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        headers: Headers | None = None,
        partition: int | None = None,
        timestamp: Timestamp = None,
        timeout: Timeout = None,
    ) -> Delivery:
        """Sends one record, copying it. For many, `send_many` is far cheaper.

        >>> delivery = producer.send("greetings", b"hello", key=b"en", headers={"source": b"docs"})
        >>> delivery.result().offset
        0

        `value` and `key` accept anything with the buffer protocol; None is Kafka's null. Without `partition`, the
        partitioner chooses by the key, or at random without one. If the buffer is full, the call waits for
        `max.block.ms`, or for `timeout` if given; with `timeout=0` it raises `WouldBlock`.
        """
        encoded = self._topics.get(topic) or self._encode(topic)
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame()
        if value is None:
            values = None
        else:
            if value.__class__ is not bytes:
                value = _arguments.as_bytes("value", value)
            frame.value[0] = value
            frame.value_size[0] = len(value)  # type: ignore[arg-type]
            values = frame.values
        if key is None:
            keys = None
        else:
            if key.__class__ is not bytes:
                key = _arguments.as_bytes("key", key)
            frame.key[0] = key
            frame.key_size[0] = len(key)  # type: ignore[arg-type]
            keys = frame.keys
        column = frame.set_headers(headers) if headers else None
        if partition is None:
            partition = -1
        elif partition.__class__ is not int or not 0 <= partition < 2**31:
            raise ValueError(f"partition is {partition!r}; give 0 or more, or None to have one chosen")
        time = None
        if timestamp is not None:
            time = frame.time
            time[0] = _arguments.timestamp_ms(timestamp)
        number = next(self._tokens)
        token = frame.token
        token.value = number
        delivery = _new_delivery(Delivery)
        delivery._producer = self
        delivery._outcome = None
        delivery._seen = False
        self._pending[number] = delivery
        handle, accepted = self._handle, frame.accepted
        if _send_quickly(
            handle, encoded, partition, _ONE_ROW, keys, values, column, time, token, _NO_WAIT, accepted, None
        ):
            try:
                self._send_waiting((encoded, partition, _ONE_ROW, keys, values, column, time, token), accepted, timeout)
            except BaseException:
                del self._pending[number]
                raise
        self._frames.append(frame)
        self._until_drain -= 1
        if self._until_drain <= 0:
            self.poll(0)
        return delivery

    def send_many(
        self,
        topic: str,
        values: Any,
        keys: Any = None,
        headers: Any = None,
        partition: int | None = None,
        timestamps: Any = None,
        timeout: Timeout = None,
    ) -> Deliveries:
        """Sends many records of one topic in one call, copying them.

        >>> producer.send_many("numbers", [b"one", b"two", None], keys=[b"1", b"2", b"3"]).result().written
        3

        `values` and `keys` are columns, one entry for each record:

        - a list of bytes (or anything with the buffer protocol, or None),
        - one buffer and the offset of each record in it, plus the end: `(buffer, offsets)`, as in Arrow,
        - a two-dimensional buffer with one row per record, such as a numpy array; or numpy's fixed-width byte strings.

        `headers` is a dict for all records, or headers for each. `timestamps` are milliseconds since 1970, one per
        record. If the buffer is full, the call waits for `max.block.ms`, or for `timeout` if given, and raises
        `BufferFull`; with `timeout=0` it raises `WouldBlock`. The `accepted` attribute of both is the number of records
        that were accepted.
        """
        encoded = self._topics.get(topic) or self._encode(topic)
        column = _arguments.column("values", values)
        rows = column.rows
        key_column = None if keys is None else _arguments.column("keys", keys)
        if key_column is not None and key_column.rows != rows:
            raise ValueError(f"keys has {key_column.rows} rows, values has {rows}; give one for each record")
        header_column = _arguments.HeaderColumn(headers, rows) if headers else None
        times = None if timestamps is None else _arguments.timestamp_column(timestamps, rows)
        if partition is not None and (not isinstance(partition, int) or partition < 0):
            raise ValueError(f"partition is {partition!r}; give 0 or more, or None to have one chosen for each")
        deliveries = Deliveries(self, rows)
        waiting: Deadline | None = None
        done = 0
        while done < rows:
            part = _Part(deliveries, done, rows - done)
            token = next(self._tokens)
            self._pending[token] = part
            accepted, error = ctypes.c_size_t(), ctypes.c_void_p()
            status = lib.producer_send_batch(
                self._address,
                encoded,
                -1 if partition is None else partition,
                rows - done,
                None if key_column is None else key_column.pointer,
                column.pointer,
                None if header_column is None else header_column.pointer,
                None if times is None else times.buffer_info()[0] + 8 * done,
                token,
                0 if waiting is None else waiting.slice_ms(),
                ctypes.byref(accepted),
                ctypes.byref(error),
            )
            taken = accepted.value
            self._settle(token, part, taken)
            done += taken
            if not status:
                break
            failure = errors.owned(status, error)
            if waiting is None:
                waiting = self._deadline(timeout)
            self.poll(0)
            if status not in _WAITED_FOR or waiting.over():
                deliveries._total = done
                self._raise_of_partitioner()
                raise _with_accepted(self._final(failure, timeout), deliveries)
            for each in (column, key_column, header_column):
                if each is not None and taken:
                    each.skip(taken)
        if self._pending:
            self.poll(0)
        return deliveries

    def flush(self, timeout: Timeout = None) -> None:
        """Sends everything without waiting for `linger.ms`, and waits until all of it is written or has failed.

        >>> producer.flush(timeout=10)

        Raises `OttlaTimeout` if the timeout ends, otherwise the first error among records that failed since the last
        flush and whose delivery was not inspected.
        """
        deadline = Deadline(timeout)
        while True:
            error = ctypes.c_void_p()
            status = lib.producer_flush(self._address, deadline.slice_ms(), ctypes.byref(error))
            self.poll(0)
            if status == 0:
                break
            failure = errors.owned(status, error)
            if status != _bindings.OTTLA_ERR_TIMED_OUT:
                raise failure
            if deadline.over():
                counts = self.counts()
                raise errors.make(
                    _bindings.OTTLA_ERR_TIMED_OUT,
                    f"flush: {counts.live_batches} batches ({counts.buffered_bytes} bytes) have not ended within "
                    f"{as_seconds(timeout):g} s; they go on. Is the cluster reachable? connect() tells",
                    retriable=True,
                )
        self._drain_all()
        self._raise_unseen()

    def counts(self) -> ProducerCounts:
        """Returns totals, and what the producer holds now.

        >>> producer.counts().written
        1000000
        """
        counts = _bindings.ottla_producer_counts()
        self._call(lib.producer_get_counts, ctypes.byref(counts))
        return ProducerCounts(*(getattr(counts, name) for name in ProducerCounts._fields))

    def stats(self, timeout: Timeout = 10) -> Stats:
        """Returns the figures of the client, of each broker, and of each partition written to.

        >>> producer.stats()["records_written"]
        1000000
        """
        found = _stats(self._call, lib.producer_stats, as_ms(timeout))
        assert found is not None
        return found

    def next_stats(self) -> Stats | None:
        """Returns the oldest figures recorded by the timer (`statistics_interval_ms`) that have not been taken, of the
        last eight; None if there are none. Their histograms cover the time since the previous ones.

        >>> while stats := producer.next_stats():
        ...     print(stats.json)
        """
        return _stats(self._call, lib.producer_next_stats)

    def next_event(self) -> Event | None:
        """Returns the oldest event that has not been taken, of the last 64; None if there is none.

        Events report what records are waiting for: `broker_unreachable` and `topic_failing`. They need no action, as
        the client keeps trying.

        >>> while event := producer.next_event():
        ...     print(event.message)
        """
        address = ctypes.c_void_p()
        self._call(lib.producer_next_event, ctypes.byref(address))
        return Event._of(address.value) if address.value else None

    def purge(self, queued: bool = True, in_flight: bool = True) -> None:
        """Gives up unacknowledged records: those waiting to be sent, and those sent and not acknowledged yet.

        >>> producer.purge(in_flight=False)

        Their deliveries raise `PurgedError`, whose `possibly_written` is true for records that were sent. The producer
        stays usable.
        """
        what = (_bindings.OTTLA_PURGE_QUEUED if queued else 0) | (_bindings.OTTLA_PURGE_IN_FLIGHT if in_flight else 0)
        if what:
            self._call(lib.producer_purge, what)
            self._drain_all()

    def fileno(self) -> int:
        """Returns a descriptor that is readable while `poll` has completions to process; for event loops.

        >>> loop.add_reader(producer.fileno(), producer.poll)

        It belongs to the producer: only wait on it.
        """
        descriptor = ctypes.c_ssize_t()
        self._call(lib.producer_descriptor, ctypes.byref(descriptor))
        return descriptor.value

    def poll(self, timeout: Timeout = 0) -> int:
        """Updates deliveries from completions, waiting up to `timeout` for the first; returns the number of
        completions. Calling it is optional: waiting for a delivery does the same, and sending does it from time to
        time.

        >>> producer.poll()
        0
        """
        deadline = Deadline(timeout)
        while True:
            came = self._drain(deadline.slice_ms())
            if came or deadline.over():
                return max(came, 0)

    def close(self, timeout: Timeout = None) -> None:
        """Waits up to `timeout` until everything is written, gives up the rest, and closes the connections.

        >>> producer.close(timeout=10)

        Raises the same errors as `flush`; the producer is closed in any case, and an open transaction is aborted.
        Closing twice does nothing.
        """
        if self._closed:
            return
        deadline = Deadline(timeout)
        left: float | None = 0.0
        try:
            self.flush(timeout)
            left = deadline.left()
        except errors.ClosedError:
            pass
        except errors.OttlaError:
            left = deadline.left()
            raise
        finally:
            self._closed = True
            # All has ended; only the abort of an open transaction may take a moment.
            lib.producer_close(self._address, as_ms(EXIT_S if left is None else min(left, EXIT_S)), None)
            self._drain_all()
            self._drain_logs()

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        # What was sent before still goes out, but the error on its way matters more than what becomes of that.
        with contextlib.suppress(errors.OttlaError):
            self.close(EXIT_S)

    def __repr__(self) -> str:
        return f"<Producer{' closed' if self._closed else ''}, {len(self._pending)} deliveries under way>"

    def _encode(self, topic: str) -> bytes:
        encoded = _arguments.text("topic", topic)
        if len(self._topics) < 10_000:
            self._topics[topic] = encoded
        return encoded

    def _deadline(self, timeout: Timeout) -> Deadline:
        return Deadline(self._max_block if timeout is None else timeout)

    def _final(self, failure: errors.OttlaError, timeout: Timeout) -> errors.OttlaError:
        """What a wait for room ends with."""
        if failure.code not in (_bindings.OTTLA_ERR_AGAIN, _bindings.OTTLA_ERR_BUFFER_FULL):
            return failure
        seconds = self._max_block if timeout is None else as_seconds(timeout)
        if seconds == 0:
            return failure
        which = "max.block.ms" if timeout is None else "timeout"
        return errors.make(
            _bindings.OTTLA_ERR_BUFFER_FULL, f"{failure}; waited {seconds:g} s ({which})", retriable=True
        )

    def _send_waiting(self, arguments: tuple[Any, ...], accepted: Any, timeout: Timeout) -> None:
        """Sends a record that found no room, or has something wrong about it."""
        deadline = self._deadline(timeout)
        while True:
            error = ctypes.c_void_p()
            self.poll(0)
            wait = ctypes.c_int64(deadline.slice_ms())
            status = _send_releasing(self._handle, *arguments, wait, accepted, ctypes.byref(error))
            if not status:
                return
            failure = errors.owned(status, error)
            if status not in _WAITED_FOR or deadline.over():
                self._raise_of_partitioner()
                raise self._final(failure, timeout)

    def _raise_of_partitioner(self) -> None:
        """Raises what the program's partitioner raised, where that is why sending failed."""
        error = self._partitioner_failures.take()
        if error is not None:
            raise error

    def _set_topic(self, topic: str, settings: Mapping[str, ConfigValue | Partitioner]) -> None:
        if not isinstance(settings, Mapping):
            raise errors.make(
                _bindings.OTTLA_ERR_CONFIG,
                f"topics[{topic!r}] is a {type(settings).__name__}; give a dict such as {{'acks': '1'}}",
            )
        functions = {key: value for key, value in settings.items() if callable(value)}
        words = {key: value for key, value in settings.items() if not callable(value)}
        function = functions.pop("partitioner", None)
        if functions:
            raise errors.make(_bindings.OTTLA_ERR_CONFIG, f"topics[{topic!r}]: {min(functions)} can't be a function")
        pairs = _config.merge(None, None, words)
        if pairs:
            with _config.native(pairs) as native_config:
                self._call(lib.producer_set_topic_config, _arguments.text("topic", topic), native_config)
        if function is not None:
            self._set_partitioner(topic, function)

    def _set_partitioner(self, topic: str | None, function: Partitioner) -> None:
        called = native(function, self._partitioner_failures)
        self._partitioners.append(called)
        name = None if topic is None else _arguments.text("topic", topic)
        self._call(lib.producer_set_partitioner, name, called, None)

    def _settle(self, token: int, part: _Part, taken: int) -> None:
        """Notes how many records of a part were taken, of which some may have ended meanwhile."""
        with self._drained:
            part.left -= len(part.deliveries) - part.base - taken
            if part.left == 0:
                self._pending.pop(token, None)

    def _await(self, ended: Callable[[], bool], timeout: Timeout, what: str) -> None:
        """Waits for deliveries. One of the waiting threads drains, the others wait for it to bring theirs."""
        deadline = Deadline(timeout)
        while not ended():
            if not self._own_process():
                self._call(lib.producer_flush, 0)
            came = self._drain(deadline.slice_ms())
            if came < 0:
                with self._drained:
                    if self._draining and not ended():
                        self._drained.wait(deadline.slice_ms() / 1000)
            if came <= 0 and self._closed and not ended():
                raise errors.make(_bindings.OTTLA_ERR_CLOSED, f"{what} not acknowledged: the producer is closed")
            if came <= 0 and deadline.over() and not ended():
                seconds = as_seconds(timeout) or 0.0
                raise errors.make(
                    _bindings.OTTLA_ERR_TIMED_OUT,
                    f"{what} not acknowledged within {seconds:g} s; still under way. connect() tells whether the "
                    "cluster is reachable",
                    retriable=True,
                )

    def _drain_all(self) -> None:
        """Hands over all completions there are; when it returns, no other thread holds some back."""
        while True:
            came = self._drain(0)
            if came == 0 or not self._own_process():
                return
            if came < 0:
                with self._drained:
                    if self._draining:
                        self._drained.wait(SLICE_S)

    def _drain(self, timeout_ms: int) -> int:
        """Hands over completions; returns how many came, or -1 if another thread is at it."""
        if self._draining:
            return -1
        with self._drained:
            if self._draining:
                return -1
            self._draining = True
        try:
            self._until_drain = _DRAIN_EVERY
            completions, error = ctypes.c_void_p(), ctypes.c_void_p()
            status = lib.producer_poll(self._address, 0, timeout_ms, ctypes.byref(completions), ctypes.byref(error))
            if status in (_bindings.OTTLA_ERR_WOKEN, _bindings.OTTLA_ERR_CLOSED):
                lib.error_free(error)
                return 0
            if status or timeout_ms:
                self._check(status, error)
            if not completions.value:
                return 0
            try:
                return self._hand_over(completions.value)
            finally:
                lib.completions_free(completions)
        finally:
            with self._drained:
                self._draining = False
                self._drained.notify_all()

    def _hand_over(self, completions: int) -> int:
        count: int = lib.completions_count(completions)
        data = ctypes.string_at(lib.completions_data(completions), count * _COMPLETION.size)
        known: dict[int, errors.OttlaError] = {}
        pending = self._pending
        for entry in _COMPLETION.iter_unpack(data):
            token, _topic, base_offset, timestamp, indices, failure, partition, first, number, outcome = entry
            target = pending.get(token)
            if not failure and target.__class__ is Delivery:
                del pending[token]
                target._outcome = (base_offset, partition, timestamp)
                continue
            error = None
            if failure:
                error = known.get(failure)
                if error is None:
                    error = known[failure] = errors.borrowed(failure)
                    error.possibly_written = outcome == _bindings.OTTLA_POSSIBLY_WRITTEN
            if isinstance(target, Delivery):
                del pending[token]
                target._outcome = error
                self._failures.append(target)
            elif isinstance(target, _Part):
                rows = None
                if indices:
                    rows = array("I", ctypes.string_at(indices, 4 * number))
                    if target.base:
                        rows = array("I", (row + target.base for row in rows))
                run = Run(target.base + first, number, partition, base_offset, timestamp, rows, error)
                self._end(token, target, run)
        return count

    def _end(self, token: int, part: _Part, run: Run) -> None:
        with self._drained:
            part.left -= run.count
            if part.left == 0:
                del self._pending[token]
        deliveries = part.deliveries
        if run.error is not None and deliveries._error is None:
            self._failures.append(deliveries)
        deliveries._add(run)

    def _raise_unseen(self) -> None:
        failures = list(self._failures)
        self._failures.clear()
        unseen = [each for each in failures if not each._seen]
        if unseen and unseen[0].error is not None:
            for each in unseen:
                each._seen = True
            raise errors.again(unseen[0].error)

    def _forget_failures(self) -> None:
        self._drain_all()
        self._failures.clear()

    def _close_at_exit(self) -> None:
        if not self._closed:
            self._closed = True
            lib.producer_close(self._address, as_ms(EXIT_S), None)
            self._drain_logs()


def _with_accepted(error: errors.OttlaError, deliveries: Deliveries) -> errors.OttlaError:
    if isinstance(error, (errors.BufferFull, errors.WouldBlock)):
        error.accepted, error.deliveries = len(deliveries), deliveries
    return error
