"""What consumers and share consumers have in common: polling, and what happens besides."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any

from . import _bindings, errors
from ._client import Client, Deadline, Timeout
from ._library import lib
from .events import Event


class Reading(Client):
    """A client that is polled for batches and events."""

    def __init__(
        self,
        address: int,
        free: Callable[..., Any],
        logs: Callable[..., Any],
        on_event: Callable[[Event], object] | None,
    ) -> None:
        super().__init__(address, free, logs)
        self.on_event = on_event
        self.events: deque[Event] = deque(maxlen=1000)
        """What happened, oldest first."""
        self._topics: dict[bytes, str] = {}
        self._closed = False

    def _poll_native(self, deadline: Deadline, poll: Callable[..., Any], *arguments: Any) -> int | None:
        """Polls in slices until there is a batch, whose address it returns, the time is over, or somebody wakes it."""
        batch, event, error = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        results = (ctypes.byref(batch), ctypes.byref(event), ctypes.byref(error))
        while True:
            status = poll(self._address, *arguments, deadline.slice_ms(), *results)
            self._drain_logs()
            if status:
                if status == _bindings.OTTLA_ERR_WOKEN:
                    lib.error_free(error)
                    return None
                raise errors.owned(status, error)
            if batch.value:
                return batch.value
            if event.value:
                address, event.value = event.value, None
                self._happened(address)
            elif deadline.over():
                return None

    def _happened(self, address: int) -> None:
        """Takes a native event."""
        self._tell(Event._of(address))

    def _stops(self, event: Event) -> bool:
        """Whether an event is raised where there is no `on_event`."""
        return event.stops

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        self._call_back(event)
        if self.on_event is not None:
            self.on_event(event)
        elif event.error is not None and self._stops(event):
            raise event.error

    def _call_back(self, event: Event) -> None:
        """Runs the callback that there is for this kind of event."""

    def _descriptor(self, function: Callable[..., Any]) -> int:
        descriptor = ctypes.c_ssize_t()
        self._call(function, ctypes.byref(descriptor))
        return descriptor.value

    def close(self, timeout: Timeout = 10) -> None:
        """Ends all waiting calls and the connections."""
        raise NotImplementedError

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}{' closed' if self._closed else ''}>"
