"""Log lines: the native library queues them, and calls on a client pass them to `logging`, under the name `ottla`.

    logging.basicConfig(level=logging.INFO)  # shows them
    logging.getLogger("ottla").setLevel(logging.WARNING)  # shows fewer

The configuration key `log.level` sets which lines are queued. Lines are only passed on during calls on the client;
until then they wait in a bounded queue that drops the oldest.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable
from typing import Any

from . import _bindings
from ._library import lib

logger = logging.getLogger("ottla")
logger.addHandler(logging.NullHandler())

_LEVELS = {
    _bindings.OTTLA_LOG_ERROR: logging.ERROR,
    _bindings.OTTLA_LOG_WARN: logging.WARNING,
    _bindings.OTTLA_LOG_INFO: logging.INFO,
    _bindings.OTTLA_LOG_DEBUG: logging.DEBUG,
    _bindings.OTTLA_LOG_TRACE: 5,
}


def drain(take: Callable[..., Any], client: int) -> None:
    """Passes a client's queued lines to `logging`."""
    lines = ctypes.c_void_p()
    if take(client, 0, ctypes.byref(lines), None) or not lines.value:
        return
    line = _bindings.ottla_log_line()
    try:
        for i in range(lib.log_lines_count(lines)):
            if lib.log_lines_get(lines, i, ctypes.byref(line), None) == 0:
                _hand_over(line)
    finally:
        lib.log_lines_free(lines)


def _hand_over(line: _bindings.ottla_log_line) -> None:
    level = _LEVELS.get(line.level, logging.INFO)
    if not logger.isEnabledFor(level):
        return
    facility, client_id, message = (
        (part or b"").decode("utf-8", "replace") for part in (line.facility, line.client_id, line.message)
    )
    repeated = f" (and {line.repeated} more like it before)" if line.repeated else ""
    record = logger.makeRecord(
        logger.name,
        level,
        __file__,
        0,
        "[%s] %s: %s%s",
        (client_id, facility, message, repeated),
        None,
        extra={"facility": facility, "client_id": client_id, "repeated": line.repeated},
    )
    record.created, record.msecs = line.time / 1000, line.time % 1000
    logger.handle(record)
