"""Statistics of clients."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._library import lib


@dataclass(frozen=True)
class Histogram:
    """Sizes or times. Percentiles are at most a sixteenth too high."""

    count: int
    sum: int
    min: int
    max: int
    p50: int
    p90: int
    p99: int
    p999: int

    @property
    def mean(self) -> float:
        """The average; 0 if there are no values."""
        return self.sum / self.count if self.count else 0.0


@dataclass(frozen=True)
class Figures:
    """A set of figures, by name. Names end with their unit: `_bytes`, `_ms`, `_us`; the others are counts."""

    values: Mapping[str, int]
    """Numbers: totals since the client was created, or current values."""
    histograms: Mapping[str, Histogram]
    """Histograms of sizes and times."""
    errors: Mapping[str, int]
    """The number of occurrences of each error, by name."""

    def __getitem__(self, name: str) -> int:
        return self.values[name]


@dataclass(frozen=True)
class BrokerStats(Figures):
    """The figures of a broker."""

    id: int = -1
    """-1 for an entry of `bootstrap.servers`."""
    address: str = ""
    state: str = "idle"
    """`up`, `connecting`, `failing` (waiting to retry) or `idle` (not connected, because it is not needed)."""


@dataclass(frozen=True)
class PartitionStats(Figures):
    """The figures of a partition."""

    leader: int = -1
    """The leader's id; -1 if there is none."""


@dataclass(frozen=True)
class Stats(Figures):
    """The figures of a client at one moment. docs/statistics.md describes each figure.

    >>> stats = producer.stats()
    >>> stats["records_written"], stats.histograms["batch_size_bytes"].p99
    (1000000, 999424)
    >>> stats.partitions["orders", 0]["batches_in_flight"]
    1
    """

    client: str = ""
    """`producer` or `consumer`."""
    client_id: str = ""
    time_ms: int = 0
    """Wall time, in milliseconds since 1970."""
    age_ms: int = 0
    """The time since the client was created."""
    brokers: tuple[BrokerStats, ...] = ()
    partitions: Mapping[tuple[str, int], PartitionStats] = field(default_factory=dict)
    """By topic and number."""
    json: str = ""
    """All figures as one JSON object."""


def _figures(found: dict[str, Any]) -> dict[str, Any]:
    values = {name: value for name, value in found.items() if isinstance(value, int)}
    histograms = {
        name: Histogram(**value) for name, value in found.items() if isinstance(value, dict) and "p999" in value
    }
    return {"values": values, "histograms": histograms, "errors": found["errors"]}


def _parse(text: str) -> Stats:
    found = json.loads(text)
    brokers, topics = found.pop("brokers"), found.pop("topics")
    head = {name: found.pop(name) for name in ("client", "client_id", "time_ms", "age_ms")}
    partitions = {}
    for topic, of_topic in topics.items():
        for number, each in of_topic["partitions"].items():
            leader = each.pop("leader")
            partitions[topic, int(number)] = PartitionStats(**_figures(each), leader=leader)
    known = []
    for each in brokers:
        place = {name: each.pop(name) for name in ("id", "address", "state")}
        known.append(BrokerStats(**_figures(each), **place))
    return Stats(**_figures(found), **head, brokers=tuple(known), partitions=partitions, json=text)


def take(call: Callable[..., None], function: Callable[..., Any], *arguments: Any) -> Stats | None:
    """What a native call that writes statistics gave; None for none."""
    handle = ctypes.c_void_p()
    call(function, *arguments, ctypes.byref(handle))
    if not handle.value:
        return None
    try:
        text: bytes = lib.stats_json(handle)
        return _parse(text.decode())
    finally:
        lib.stats_free(handle)
