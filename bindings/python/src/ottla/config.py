"""Configuration: Kafka's own keys, as keyword arguments (`linger_ms=5`) or in a mapping (`{"linger.ms": 5}`)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Union

from . import _bindings, errors
from ._library import lib

ConfigValue = Union[str, int, float, bool, timedelta, "list[str]", "tuple[str, ...]", None]
"""What a key may be set to.

Text is taken as it is (`"5ms"`, `"64MiB"`); numbers are in Kafka's unit, which is milliseconds for durations and
bytes for sizes; `timedelta` is for durations, lists are for what Kafka separates with commas; None leaves the default.
"""


def text(key: str, value: Any) -> str | None:
    """A value as the native library reads it; None where it is to stay at its default."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, timedelta):
        micros = value // timedelta(microseconds=1)
        return str(micros // 1000) if micros % 1000 == 0 else f"{micros}us"
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    raise errors.make(
        _bindings.OTTLA_ERR_CONFIG,
        f"{key} is set to {value!r}, a {type(value).__name__}; give a str, a number, a bool, a timedelta, or a list",
    )


def merge(
    bootstrap_servers: Any, config: Mapping[str, ConfigValue] | None, keywords: Mapping[str, ConfigValue]
) -> dict[str, str]:
    """One mapping with Kafka's spelling. The same key given twice is an error, even with the same value."""
    if config is not None and not isinstance(config, Mapping):
        raise errors.make(
            _bindings.OTTLA_ERR_CONFIG, f"config is a {type(config).__name__}; give a dict such as {{'linger.ms': 5}}"
        )
    merged: dict[str, str] = {}
    given: list[tuple[str, str, Any]] = [("bootstrap.servers", "bootstrap_servers", bootstrap_servers)]
    given += [(name.replace("_", "."), name, value) for name, value in keywords.items()]
    given += [(str(key), f"config[{key!r}]", value) for key, value in (config or {}).items()]
    places: dict[str, str] = {}
    for key, place, value in given:
        written = text(key, value)
        if written is None:
            continue
        if key in merged:
            raise errors.make(
                _bindings.OTTLA_ERR_CONFIG, f"{key} is given twice, as {places[key]} and as {place}; give it once"
            )
        merged[key], places[key] = written, place
    return merged


@contextmanager
def native(pairs: Mapping[str, str]) -> Iterator[int]:
    """The native library's form of it, for as long as a client is being made."""
    handle: int = lib.config_new()
    error = ctypes.c_void_p()
    try:
        for key, value in pairs.items():
            status = lib.config_set(handle, _c_text(key, key), _c_text(key, value), ctypes.byref(error))
            if status:
                raise errors.owned(status, error)
        yield handle
    finally:
        lib.config_free(handle)


def _c_text(key: str, value: str) -> bytes:
    if "\0" in value:
        raise errors.make(_bindings.OTTLA_ERR_CONFIG, f"{key!r} is set to {value!r}, which has a NUL character")
    return value.encode()


_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(written: str) -> float | None:
    """A duration that the native library has accepted, in seconds; None for no limit."""
    written = written.strip()
    if written in ("inf", "-1"):
        return None
    number = written.rstrip("abcdefghijklmnopqrstuvwxyz ")
    return float(number) * _SECONDS[written[len(number) :].strip() or "ms"]
