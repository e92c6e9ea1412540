"""The outcome of records: objects that send calls return, filled in when completions are polled."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from . import errors
from ._client import Timeout
from .errors import OttlaError

if TYPE_CHECKING:
    from .producer import Producer


class Delivery:
    """The outcome of one record.

    >>> delivery = producer.send("greetings", b"hello")
    >>> delivery.result(timeout=10).offset
    0
    """

    __slots__ = ("_outcome", "_producer", "_seen")

    # Set by Producer.send, which can't afford the call of an initialiser.
    _outcome: tuple[int, int, int] | OttlaError | None
    _producer: Producer
    _seen: bool

    def done(self) -> bool:
        """Whether the outcome of the record is known."""
        if self._outcome is None:
            self._producer.poll(0)
        return self._outcome is not None

    def result(self, timeout: Timeout = None) -> Delivery:
        """Waits until the record is written, and returns this object; raises the error if it was not written.

        >>> producer.send("greetings", b"hello").result().partition
        0
        """
        if self._outcome.__class__ is tuple:
            return self
        if self._outcome is None:
            self._producer._await(lambda: self._outcome is not None, timeout, "one record")
        error = self.error
        if error is not None:
            raise errors.again(error)
        return self

    @property
    def error(self) -> OttlaError | None:
        """Why the record was not written; None if it was written, or is in flight."""
        self._seen = True
        outcome = self._outcome
        return outcome if isinstance(outcome, OttlaError) else None

    @property
    def offset(self) -> int | None:
        """The offset; None before the record is written, and with `acks=0`."""
        return self._part(0)

    @property
    def partition(self) -> int | None:
        """The partition; None before the record is written."""
        return self._part(1)

    @property
    def timestamp(self) -> int | None:
        """Milliseconds since 1970: the broker's time if the topic uses log append time, otherwise the timestamp of the
        first record of the batch."""
        return self._part(2)

    def _part(self, i: int) -> int | None:
        outcome = self._outcome
        if outcome is None or isinstance(outcome, OttlaError) or outcome[i] < 0:
            return None
        return outcome[i]

    def __repr__(self) -> str:
        outcome = self._outcome
        if outcome is None:
            return "<Delivery under way>"
        if isinstance(outcome, OttlaError):
            return f"<Delivery failed: {outcome.name}>"
        return f"<Delivery partition={outcome[1]} offset={outcome[0]}>"


class Run:
    """Records of a call that ended together in one partition."""

    __slots__ = ("base_offset", "count", "error", "first", "indices", "partition", "timestamp")

    def __init__(
        self,
        first: int,
        count: int,
        partition: int,
        base_offset: int,
        timestamp: int,
        indices: array[int] | None,
        error: OttlaError | None,
    ) -> None:
        self.first = first
        self.count = count
        self.partition = partition
        self.base_offset = base_offset
        self.timestamp = timestamp
        self.indices = indices
        self.error = error

    def rows(self) -> range | array[int]:
        """The indices of its records in their call."""
        return range(self.first, self.first + self.count) if self.indices is None else self.indices


class Deliveries:
    """The outcome of the records of one `send_many`.

    >>> deliveries = producer.send_many("numbers", [b"one", b"two"])
    >>> deliveries.result(timeout=10).offsets.tolist()
    [0, 1]
    """

    __slots__ = ("_error", "_failed", "_producer", "_runs", "_seen", "_total", "_written")

    def __init__(self, producer: Producer, total: int) -> None:
        self._producer = producer
        self._total = total
        self._written = 0
        self._failed = 0
        self._error: OttlaError | None = None
        self._runs: list[Run] = []
        self._seen = False

    def __len__(self) -> int:
        return self._total

    @property
    def written(self) -> int:
        """The number of records written so far."""
        return self._written

    @property
    def failed(self) -> int:
        """The number of records that have failed so far."""
        return self._failed

    @property
    def error(self) -> OttlaError | None:
        """The error of the first record that failed; None if none has."""
        self._seen = True
        return self._error

    def done(self) -> bool:
        """Whether the outcome of all records is known."""
        if not self._ended():
            self._producer.poll(0)
        return self._ended()

    def result(self, timeout: Timeout = None) -> Deliveries:
        """Waits until all records are written, and returns this object; raises the error of the first that failed.

        >>> producer.send_many("numbers", [b"one", b"two"]).result().written
        2
        """
        if not self._ended():
            self._producer._await(self._ended, timeout, f"{self._total} records")
        error = self.error
        if error is not None:
            raise errors.again(error)
        return self

    @property
    def offsets(self) -> array[int]:
        """The offset of each record, in the order of the call; -1 if it is not written."""
        result = array("q", [-1]) * self._total
        for run in list(self._runs):
            if run.error is None and run.base_offset >= 0:
                if run.indices is None:
                    result[run.first : run.first + run.count] = array(
                        "q", range(run.base_offset, run.base_offset + run.count)
                    )
                else:
                    for offset, row in enumerate(run.indices, run.base_offset):
                        result[row] = offset
        return result

    @property
    def partitions(self) -> array[int]:
        """The partition of each record, in the order of the call; -1 if it is not written."""
        result = array("i", [-1]) * self._total
        for run in list(self._runs):
            if run.error is None:
                for row in run.rows():
                    result[row] = run.partition
        return result

    @property
    def failures(self) -> dict[int, OttlaError]:
        """The errors of the records that failed, by index in the call.

        >>> again = [values[i] for i, error in deliveries.failures.items() if not error.possibly_written]
        """
        self._seen = True
        return {row: run.error for run in list(self._runs) if run.error is not None for row in run.rows()}

    def _ended(self) -> bool:
        return self._written + self._failed >= self._total

    def _add(self, run: Run) -> None:
        self._runs.append(run)
        if run.error is None:
            self._written += run.count
        else:
            self._error = self._error or run.error
            self._failed += run.count

    def __repr__(self) -> str:
        return f"<Deliveries {self._written} written, {self._failed} failed, of {self._total}>"
