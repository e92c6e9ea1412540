"""Share groups: members read the same partitions together, record by record."""

from __future__ import annotations

import ctypes
import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Union

from . import _arguments, _bindings, errors
from . import config as _config
from ._client import Deadline, Timeout, as_ms
from ._library import lib
from ._reading import Reading
from .batch import Batch, Record
from .config import ConfigValue
from .events import Event

_MODE = "share.acknowledgement.mode"


class AcknowledgeType(enum.IntEnum):
    """How a record of a share group is acknowledged."""

    ACCEPT = _bindings.OTTLA_ACKNOWLEDGE_ACCEPT
    """Processed: the record is not delivered again."""
    RELEASE = _bindings.OTTLA_ACKNOWLEDGE_RELEASE
    """Released: it is delivered again, perhaps to another member, until its delivery limit is reached."""
    REJECT = _bindings.OTTLA_ACKNOWLEDGE_REJECT
    """Rejected, as it can't be processed: it is not delivered again."""
    RENEW = _bindings.OTTLA_ACKNOWLEDGE_RENEW
    """Still being processed: its lock is renewed, and another acknowledgement must follow. Kafka 4.2 and newer."""


Acknowledge = Union[AcknowledgeType, str]
"""An `AcknowledgeType`, or its name: `"accept"`, `"release"`, `"reject"`, `"renew"`."""


class _Run:
    """A batch that was polled, and how far an iteration by record has come in it."""

    def __init__(self, batch: Batch, handed: int) -> None:
        self.batch = batch
        self.handed = handed
        """How many of its records the program was given."""
        self.done = 0
        """How many of those count as done, where acknowledgement is implicit."""
        self.settled = 0
        """How many of those were accepted already."""
        self.said: set[tuple[str, int, int]] = set()
        """Records of which the program has said something, where acknowledgement is implicit."""


class ShareConsumer(Reading):
    """Reads topics as a member of a share group (KIP-932, Kafka 4.1 and newer): each record is delivered to one member
    at a time, locked for a limited time, and acknowledged by that member. There may be more members than partitions.

    >>> with ottla.ShareConsumer("localhost:9092", group_id="workers") as consumer:
    ...     consumer.subscribe("jobs")
    ...     for record in consumer:
    ...         work(record.value)

    A record, or batch, is accepted when the next one is requested, or by `commit`, unless `acknowledge` was called for
    it. With `share_acknowledgement_mode="explicit"` each must be acknowledged before the next poll. After an exception
    in the loop, the current record and those after it are delivered again.

    >>> consumer = ottla.ShareConsumer("localhost:9092", group_id="workers", share_acknowledgement_mode="explicit")
    >>> for record in consumer:
    ...     consumer.acknowledge(record, "accept" if work(record.value) else "release")

    Keyword arguments are Kafka's configuration keys with underscores. One thread reads; everything else may be called
    from any thread. Events are appended to `events`, which keeps the last 1,000, and passed to `on_event`, if there is
    one, inside the poll or iteration. Without `on_event`, an event that the group or a topic can't be read is raised as
    an exception, and so is, by the next poll or iteration, an acknowledgement that was refused.
    """

    def __init__(
        self,
        bootstrap_servers: str | list[str] | tuple[str, ...] | None = None,
        *,
        config: Mapping[str, ConfigValue] | None = None,
        on_event: Callable[[Event], object] | None = None,
        **keys: ConfigValue,
    ) -> None:
        pairs = dict(_config.merge(bootstrap_servers, config, keys))
        self._implicit = pairs.get(_MODE, "implicit").strip() == "implicit"
        if self._implicit:
            # Which records the program was given is known here, not in the native library, when it goes by records.
            pairs[_MODE] = "explicit"
        handle, error = ctypes.c_void_p(), ctypes.c_void_p()
        with _config.native(pairs) as native:
            status = lib.share_consumer_new(native, ctypes.byref(handle), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        super().__init__(handle.value or 0, lib.share_consumer_free, lib.share_consumer_logs, on_event)
        self._names: list[str] = []
        self._run: _Run | None = None

    def connect(self, timeout: Timeout = 30) -> ShareConsumer:
        """Waits until a broker has responded, and returns the consumer. Not needed; it lets a program find out early.

        >>> consumer = ottla.ShareConsumer("localhost:9092", group_id="workers").connect(timeout=5)

        Raises the same errors as `Consumer.connect`.
        """
        self._wait(lib.share_consumer_connect, as_ms(timeout))
        return self

    def subscribe(self, topics: str | Iterable[str]) -> None:
        """Joins the share group `group_id` and reads these topics, including topics created later. Replaces an earlier
        subscription. If the group has not read a topic before, its `share.auto.offset.reset` (latest, unless configured
        otherwise in the cluster) says where it starts.

        >>> consumer.subscribe(["jobs", "chores"])
        """
        names = [topics] if isinstance(topics, str) else list(topics)
        native = (ctypes.c_char_p * len(names))(*(_arguments.text("topic", name) for name in names))
        self._call(lib.share_consumer_subscribe, native, len(names))
        self._names = sorted(set(names))

    def subscription(self) -> list[str]:
        """Returns the subscribed topics.

        >>> consumer.subscription()
        ['chores', 'jobs']
        """
        return list(self._names)

    def unsubscribe(self, timeout: Timeout = 10) -> None:
        """Leaves the share group: sends pending acknowledgements and releases all other records at once.

        >>> consumer.unsubscribe()
        """
        self._settle(done=True)
        self._run, self._names = None, []
        self._wait(lib.share_consumer_unsubscribe, as_ms(timeout))

    def poll(self, timeout: Timeout = None) -> Batch | None:
        """Waits for records and returns those of one partition that have arrived: at most `max_poll_records` (500), or
        whole record batches if `share_acquire_mode` is `batch_optimized`. None if the timeout ends, or after `wake`.
        `Batch.delivery_counts` has the number of deliveries of each record.

        >>> batch = consumer.poll(timeout=1)
        >>> if batch:
        ...     print(len(batch), batch.values[0], batch.delivery_counts[0])

        Sends pending acknowledgements. With explicit acknowledgement it raises `InvalidArgument` while a record of
        earlier polls is not acknowledged; renewed ones may remain.
        """
        self._give_back()
        batch = self._poll(Deadline(timeout))
        if batch is not None:
            self._run = _Run(batch, len(batch))
        return batch

    def batches(self, timeout: Timeout = None) -> Iterator[Batch]:
        """Iterates over batches as they arrive, until none comes for `timeout`, or `wake` or `close` is called.

        >>> for batch in consumer.batches(timeout=5):
        ...     work(batch.values)
        """
        while True:
            try:
                batch = self.poll(timeout)
            except errors.ClosedError:
                return
            if batch is None:
                return
            yield batch

    def records(self, timeout: Timeout = None) -> Iterator[Record]:
        """Iterates over records as they arrive, until none comes for `timeout`, or `wake` or `close` is called. Leaving
        the loop early loses nothing: the next one continues after the last record that was returned.

        >>> for record in consumer.records(timeout=5):
        ...     work(record.value)
        """
        while True:
            run = self._run
            if run is None or run.handed >= len(run.batch):
                self._settle(done=True)
                self._run = None
                try:
                    batch = self._poll(Deadline(timeout))
                except errors.ClosedError:
                    return
                if batch is None:
                    return
                run = self._run = _Run(batch, 0)
            for segment in run.batch.segments:
                within = run.handed - segment.first_row
                if within >= segment.rows:
                    continue
                for record in islice(segment._records(segment.values()), max(within, 0), None):
                    run.handed += 1
                    yield record
                    run.done = run.handed
                    if self._run is not run:
                        break
                if self._run is not run:
                    break

    def __iter__(self) -> Iterator[Record]:
        return self.records()

    def acknowledge(self, what: Batch | Record, how: Acknowledge, rows: slice | None = None) -> None:
        """Acknowledges a record, a batch, or some rows of it. Sent with the next poll or commit; may be changed until
        then.

        >>> consumer.acknowledge(record, "release")
        >>> consumer.acknowledge(batch, ottla.AcknowledgeType.ACCEPT, rows=slice(0, 10))

        Raises `InvalidArgument` for a record that is not, or no longer, locked for this consumer.
        """
        word = _word(how)
        if isinstance(what, Batch):
            start, stop, step = (rows or slice(None)).indices(len(what))
            if step != 1:
                raise ValueError(f"rows has the step {step}; give rows that follow each other")
            count = max(stop - start, 0)
            self._call(lib.share_consumer_acknowledge, what._owner.address, start, count, word)
            if self._implicit and self._run is not None and self._run.batch is what:
                self._run.said.update(_wheres(what, range(start, start + count)))
            return
        if not isinstance(what, Record):
            raise TypeError(f"what is acknowledged is a Batch or a Record, not a {type(what).__name__}")
        self.acknowledge_offset(what.topic, what.partition, what.offset, how)

    def acknowledge_offset(self, topic: str, partition: int, offset: int, how: Acknowledge) -> None:
        """Acknowledges one record by its offset.

        >>> consumer.acknowledge_offset("jobs", 0, 17, "reject")
        """
        name = _arguments.text("topic", topic)
        self._call(lib.share_consumer_acknowledge_offset, name, partition, offset, _word(how))
        if self._implicit and self._run is not None:
            self._run.said.add((topic, partition, offset))

    def commit(self, timeout: Timeout = 60) -> None:
        """Sends pending acknowledgements (with implicit acknowledgement: accepts everything that was returned) and
        waits until the brokers have carried them out.

        >>> consumer.commit()

        Raises the first refusal, for example `INVALID_RECORD_STATE` if a lock had expired.
        """
        self._settle()
        self._wait(lib.share_consumer_commit, as_ms(timeout))

    def commit_async(self) -> None:
        """Does the same as `commit` in the background; an event `acknowledgement_failed` reports each refusal.

        >>> consumer.commit_async()
        """
        self._settle()
        self._call(lib.share_consumer_commit_async)

    @property
    def lock_duration(self) -> float | None:
        """How many seconds a record is locked for the member that received it; None before the first fetch."""
        ms = ctypes.c_int64()
        self._call(lib.share_consumer_lock_duration, ctypes.byref(ms))
        return None if ms.value < 0 else ms.value / 1000

    def wake(self) -> None:
        """Ends the wait of the reading thread, or its next one: `poll` returns None, iterations end.

        >>> threading.Timer(10, consumer.wake).start()
        """
        self._call(lib.share_consumer_wake)

    def fileno(self) -> int:
        """Returns a descriptor that is readable while a poll would return something at once; for event loops. Records
        are only fetched after a poll has returned nothing: poll with timeout 0 before waiting on it.

        >>> loop.add_reader(consumer.fileno(), lambda: handle(consumer.poll(timeout=0)))
        """
        return self._descriptor(lib.share_consumer_descriptor)

    def close(self, timeout: Timeout = 10) -> None:
        """Sends pending acknowledgements, releases all other records, leaves the group, ends all waiting calls and
        closes the connections. Batches stay valid. Closing twice does nothing.

        >>> consumer.close()

        The last record, or batch, that was returned is not accepted: after an exception it is delivered again.
        """
        if self._closed:
            return
        self._settle(done=True)
        self._closed = True
        self._wait(lib.share_consumer_close, as_ms(timeout))

    def __enter__(self) -> ShareConsumer:
        return self

    def _poll(self, deadline: Deadline) -> Batch | None:
        address = self._poll_native(deadline, lib.share_consumer_poll)
        return None if address is None else Batch(address, self._topics)

    def _stops(self, event: Event) -> bool:
        return event.stops or event.kind == "acknowledgement_failed"

    def _settle(self, done: bool = False) -> None:
        """With implicit acknowledgement: accepts what was handed out and nothing else was said of; or only what counts
        as done, because the next was asked for."""
        run = self._run
        if run is None or not self._implicit:
            return
        rows = range(run.settled, run.done if done else run.handed)
        run.settled = max(rows.stop, run.settled)
        batch, accept = run.batch, int(AcknowledgeType.ACCEPT)
        if not run.said:
            if rows:
                self._call(lib.share_consumer_acknowledge, batch._owner.address, rows.start, len(rows), accept)
            return
        for row, where in zip(rows, _wheres(batch, rows)):
            if where not in run.said:
                self._call(lib.share_consumer_acknowledge, batch._owner.address, row, 1, accept)

    def _give_back(self) -> None:
        """Accepts what was handed out, where that is implicit, and gives back what an iteration by record has not."""
        run = self._run
        if run is None:
            return
        self._settle()
        self._run = None
        left = len(run.batch) - run.handed
        if left:
            with suppress(errors.InvalidArgument):
                release = int(AcknowledgeType.RELEASE)
                self._call(lib.share_consumer_acknowledge, run.batch._owner.address, run.handed, left, release)


def _wheres(batch: Batch, rows: range) -> Iterator[tuple[str, int, int]]:
    for segment in batch.segments:
        first = max(rows.start, segment.first_row) - segment.first_row
        end = min(rows.stop, segment.first_row + segment.rows) - segment.first_row
        for offset in segment.offsets[first : max(end, first)]:
            yield segment.topic, segment.partition, offset


def _word(how: Acknowledge) -> int:
    if isinstance(how, AcknowledgeType):
        return int(how)
    found = AcknowledgeType.__members__.get(how.upper()) if isinstance(how, str) else None
    if found is None:
        names = ", ".join(f'"{name.lower()}"' for name in AcknowledgeType.__members__)
        raise ValueError(f"a record is acknowledged by one of {names}, not by {how!r}")
    return int(found)
