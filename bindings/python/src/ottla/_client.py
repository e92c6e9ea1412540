"""What producers, consumers, admin clients and embedded brokers share: their native object, its life, its calls."""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
import weakref
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar, Union

from . import errors, log

if TYPE_CHECKING:
    from .stats import Stats

Timeout = Union[float, int, timedelta, None]
"""Seconds, or a `timedelta`; None for no limit, 0 for not waiting."""

SLICE_S = 0.1
"""A waiting call comes back this often, so that Ctrl-C and other signals' handlers run."""

EXIT_S = 5.0
"""How long a client that was never closed may take at the interpreter's exit to send what it still has."""

T = TypeVar("T")
_open: weakref.WeakSet[Client] = weakref.WeakSet()


class Client:
    """Owns a native object. It is freed when nothing refers to this any more, so never during a call."""

    def __init__(self, address: int, free: Callable[..., Any], logs: Callable[..., Any] | None) -> None:
        self._address = address
        self._process = os.getpid()
        self._logs = logs
        self._free = weakref.finalize(self, free, address)
        # At exit daemon threads may still be inside calls; then the process ends with the object as it is.
        self._free.atexit = False
        _open.add(self)

    def _check(self, status: int, error: ctypes.c_void_p) -> None:
        """Raises what a call answered, log lines first: they may tell more."""
        self._drain_logs()
        if status:
            raise errors.owned(status, error)

    def _drain_logs(self) -> None:
        if self._logs is not None:
            log.drain(self._logs, self._address)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """A call that returns at once or soon."""
        error = ctypes.c_void_p()
        self._check(function(self._address, *arguments, ctypes.byref(error)), error)

    def _wait(self, function: Callable[..., Any], *arguments: Any) -> None:
        """A call that may wait long and can't be cut into slices. Ctrl-C leaves it to end in the background."""
        error = ctypes.c_void_p()
        status = interruptible(lambda: int(function(self._address, *arguments, ctypes.byref(error))))
        self._check(status, error)

    def _own_process(self) -> bool:
        """Whether this process made it; after a fork its Python locks may be held by threads that don't exist here."""
        return self._process == os.getpid()

    def _close_at_exit(self) -> None:
        """Ends what must not end with the process."""


def stats(call: Callable[..., None], function: Callable[..., Any], *arguments: Any) -> Stats | None:
    """What a native call that writes statistics gave; their module is imported when they are first asked for."""
    from .stats import take

    return take(call, function, *arguments)


def interruptible(call: Callable[[], T]) -> T:
    """Makes a waiting call so that the main thread still runs its signal handlers, which it can't inside of one."""
    if threading.current_thread() is not threading.main_thread():
        return call()
    results: list[T] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            results.append(call())
        except BaseException as error:
            failures.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="ottla-call", daemon=True).start()
    while not ended.wait(SLICE_S):
        pass
    if failures:
        raise failures[0]
    return results[0]


class Deadline:
    """A point in time up to which a call may wait, in slices."""

    __slots__ = ("_at",)

    def __init__(self, timeout: Timeout) -> None:
        seconds = as_seconds(timeout)
        self._at = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Seconds left, not below 0; None for no limit."""
        return None if self._at is None else max(0.0, self._at - time.monotonic())

    def over(self) -> bool:
        return self._at is not None and time.monotonic() >= self._at

    def slice_ms(self) -> int:
        """How long to wait now, in milliseconds."""
        left = self.left()
        return int(SLICE_S * 1000) if left is None or left > SLICE_S else round_up(left)


def round_up(seconds: float) -> int:
    return -int(-seconds * 1000 // 1)


def as_seconds(timeout: Timeout) -> float | None:
    """A timeout in seconds, checked."""
    if timeout is None:
        return None
    if isinstance(timeout, timedelta):
        timeout = timeout.total_seconds()
    if isinstance(timeout, bool) or not isinstance(timeout, (int, float)):
        raise TypeError(f"timeout is a {type(timeout).__name__}; give seconds, a timedelta, or None for no limit")
    if not timeout >= 0:
        raise ValueError(f"timeout is {timeout}; give 0 or more seconds, or None for no limit")
    return None if timeout == float("inf") else float(timeout)


def as_ms(timeout: Timeout) -> int:
    """A timeout as the native library takes it."""
    seconds = as_seconds(timeout)
    return -1 if seconds is None else round_up(seconds)


@atexit.register
def _close_all() -> None:
    for client in list(_open):
        if client._own_process():
            client._close_at_exit()
