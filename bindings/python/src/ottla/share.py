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
    """What a program says about a record of a share group."""

    ACCEPT = _bindings.OTTLA_ACKNOWLEDGE_ACCEPT
    """Done: nobody is given it any more."""
    RELEASE = _bindings.OTTLA_ACKNOWLEDGE_RELEASE
    """Given back: it is delivered again, perhaps to another member, until its deliveries are used up."""
    REJECT = _bindings.OTTLA_ACKNOWLEDGE_REJECT
    """It can't be processed: nobody is given it any more."""
    RENEW = _bindings.OTTLA_ACKNOWLEDGE_RENEW
    """Not done yet: its lock begins anew, and another acknowledgement follows. Kafka 4.2 and newer."""


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
    """Reads topics as a member of a share group (KIP-932, Kafka 4.1 and newer): each record is given to one member at a
    time, which has it to itself for a time and says how it ended. There may be more members than partitions.

    >>> with ottla.ShareConsumer("localhost:9092", group_id="workers") as consumer:
    ...     consumer.subscribe("jobs")
    ...     for record in consumer:
    ...         work(record.value)

    A record, or batch, counts as accepted once the next one is asked for, or at `commit`, unless `acknowledge` said
    something else. With `share_acknowledgement_mode="explicit"` each must be acknowledged before the next poll. An
    exception in the loop leaves the present record, and those behind it, to be delivered again.

    >>> consumer = ottla.ShareConsumer("localhost:9092", group_id="workers", share_acknowledgement_mode="explicit")
    >>> for record in consumer:
    ...     consumer.acknowledge(record, "accept" if work(record.value) else "release")

    Keyword arguments are Kafka's configuration keys with underscores. One thread reads; everything else may be called
    from any thread. What happens besides is appended to `events`, the last 1,000 of them, and given to `on_event`, if
    there is one, from inside the reading call. Without `on_event`, what keeps the group or a topic from being read is
    raised; and so is, by the next reading call, an acknowledgement that was refused.
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
        """Waits until a broker has answered, and returns the consumer; not needed, it is for finding out early.

        >>> consumer = ottla.ShareConsumer("localhost:9092", group_id="workers").connect(timeout=5)

        Raises what `Consumer.connect` raises.
        """
        self._wait(lib.share_consumer_connect, as_ms(timeout))
        return self

    def subscribe(self, topics: str | Iterable[str]) -> None:
        """Becomes a member of the share group `group_id` that reads these topics, also those made later. Replaces an
        earlier subscription. Where the group has not read before, its `share.auto.offset.reset` (latest, unless the
        cluster's administrator says otherwise) says where it begins.

        >>> consumer.subscribe(["jobs", "chores"])
        """
        names = [topics] if isinstance(topics, str) else list(topics)
        native = (ctypes.c_char_p * len(names))(*(_arguments.text("topic", name) for name in names))
        self._call(lib.share_consumer_subscribe, native, len(names))
        self._names = sorted(set(names))

    def subscription(self) -> list[str]:
        """The topics subscribed to.

        >>> consumer.subscription()
        ['chores', 'jobs']
        """
        return list(self._names)

    def unsubscribe(self, timeout: Timeout = 10) -> None:
        """Leaves the share group: sends what was acknowledged, and gives the rest back at once.

        >>> consumer.unsubscribe()
        """
        self._settle(done=True)
        self._run, self._names = None, []
        self._wait(lib.share_consumer_unsubscribe, as_ms(timeout))

    def poll(self, timeout: Timeout = None) -> Batch | None:
        """Waits for records and returns those of one partition that have arrived: at most `max_poll_records` (500), or
        whole record batches where `share_acquire_mode` is `batch_optimized`. None when the time is over, or after
        `wake`. `Batch.delivery_counts` tells how often each was delivered.

        >>> batch = consumer.poll(timeout=1)
        >>> if batch:
        ...     print(len(batch), batch.values[0], batch.delivery_counts[0])

        Sends what was acknowledged. With explicit acknowledgement it raises `InvalidArgument` while a record of the
        polls before is not; those that were renewed may stay.
        """
        self._give_back()
        batch = self._poll(Deadline(timeout))
        if batch is not None:
            self._run = _Run(batch, len(batch))
        return batch

    def batches(self, timeout: Timeout = None) -> Iterator[Batch]:
        """Batches as they arrive, until none comes for `timeout`, or `wake` or `close` is called.

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
        """Records as they arrive, until none comes for `timeout`, or `wake` or `close` is called. Leaving the loop
        early loses nothing: the next one goes on behind the last record that was handed out.

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
        """Says how a record, a batch, or some rows of it, ended. It is sent with the next poll or commit, and may be
        changed until then.

        >>> consumer.acknowledge(record, "release")
        >>> consumer.acknowledge(batch, ottla.AcknowledgeType.ACCEPT, rows=slice(0, 10))

        Raises `InvalidArgument` for a record that is not, or no longer, this consumer's.
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
        """The same of one record, by its offset.

        >>> consumer.acknowledge_offset("jobs", 0, 17, "reject")
        """
        name = _arguments.text("topic", topic)
        self._call(lib.share_consumer_acknowledge_offset, name, partition, offset, _word(how))
        if self._implicit and self._run is not None:
            self._run.said.add((topic, partition, offset))

    def commit(self, timeout: Timeout = 60) -> None:
        """Sends what was acknowledged (with implicit acknowledgement: everything that was handed out) and waits until
        the brokers have carried it out.

        >>> consumer.commit()

        Raises the first refusal, such as `INVALID_RECORD_STATE` where a lock had run out.
        """
        self._settle()
        self._wait(lib.share_consumer_commit, as_ms(timeout))

    def commit_async(self) -> None:
        """The same in the background; an event `acknowledgement_failed` tells of each refusal.

        >>> consumer.commit_async()
        """
        self._settle()
        self._call(lib.share_consumer_commit_async)

    @property
    def lock_duration(self) -> float | None:
        """For how many seconds a record is locked for the member that got it; None before the first fetch."""
        ms = ctypes.c_int64()
        self._call(lib.share_consumer_lock_duration, ctypes.byref(ms))
        return None if ms.value < 0 else ms.value / 1000

    def wake(self) -> None:
        """Ends the wait of the reading thread, or its next one: `poll` returns None there, iterations end.

        >>> threading.Timer(10, consumer.wake).start()
        """
        self._call(lib.share_consumer_wake)

    def fileno(self) -> int:
        """A descriptor that is readable while a poll would return something at once; for event loops. Records are only
        fetched once a poll has found nothing: poll with timeout 0 before waiting on it.

        >>> loop.add_reader(consumer.fileno(), lambda: handle(consumer.poll(timeout=0)))
        """
        return self._descriptor(lib.share_consumer_descriptor)

    def close(self, timeout: Timeout = 10) -> None:
        """Sends what was acknowledged, gives the rest back, leaves the group, ends all waiting calls and the
        connections. Batches stay valid. Closing twice does nothing.

        >>> consumer.close()

        The record, or batch, that was handed out last does not count as accepted: what an exception ended is delivered
        again.
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
