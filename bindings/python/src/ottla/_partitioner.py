"""Partitioners of the program's own, as the native library calls them."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any, Optional

from . import _bindings

Partitioner = Callable[[str, Optional[bytes], int], Optional[int]]
"""Called with topic, key and number of partitions, inside the sending calls; returns the partition, or None to leave
the choice to the configured partitioner. It may be called more than once for a record that finds no room at once."""

# No partition, and not "leave it to the configured partitioner" either.
_FAILED = -(2**31)


class Failures(threading.local):
    """What the partitioner raised, in the thread it was called on."""

    error: BaseException | None = None

    def take(self) -> BaseException | None:
        error, self.error = self.error, None
        return error


def native(function: Partitioner, failures: Failures) -> Any:
    """The function as C calls it. It must live as long as the producer."""

    def call(topic: bytes, key: Any, count: int, _opaque: Any) -> int:
        try:
            data = None if key.data is None else ctypes.string_at(key.data, key.len)
            chosen = function(topic.decode(), data, count)
            if chosen is None:
                return -1
            if isinstance(chosen, bool) or not isinstance(chosen, int):
                raise TypeError(f"a partitioner returned {chosen!r}; return a partition's number, or None")
            if not 0 <= chosen < count:
                name = topic.decode()
                raise ValueError(
                    f"the partitioner chose partition {chosen} of topic {name!r}, which has {count}, numbered from 0"
                )
            return chosen
        except BaseException as error:
            failures.error = error
            return _FAILED

    return _bindings.ottla_partitioner(call)
