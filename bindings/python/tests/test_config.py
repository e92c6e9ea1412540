"""Mistakes in the configuration are refused when a client is made, with what was probably meant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import ottla
import pytest

NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"linger_mss": 5}, ["linger.mss", "linger.ms"]),
        ({"linger_ms": "soon"}, ["linger.ms", "soon"]),
        ({"linger_ms": "5parsecs"}, ["linger.ms", "5parsecs"]),
        ({"acks": "most"}, ["acks", "most", "all"]),
        ({"batch_size": 0}, ["batch.size", "0"]),
        ({"compression_type": "gzp"}, ["compression.type", "gzp", "gzip"]),
        ({"fetch_min_bytes": 1}, ["fetch.min.bytes", "consumer"]),
        ({"enable_idempotence": "maybe"}, ["enable.idempotence", "maybe"]),
        ({"linger_ms": 5, "queue_buffering_max_ms": 5}, ["linger.ms", "queue.buffering.max.ms"]),
        ({"linger_ms": b"5"}, ["linger.ms", "bytes"]),
        ({"client_id": "a\0b"}, ["client.id", "NUL"]),
    ],
)
def test_a_mistake_is_named(keys: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ottla.ConfigError) as caught:
        ottla.Producer(NOWHERE, **keys)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.name == "CONFIG"
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("bootstrap", "words"),
    [("localhost:99999", ["99999"]), ("", ["bootstrap.servers"]), (None, ["bootstrap.servers"])],
)
def test_a_wrong_address_is_named(bootstrap: Any, words: list[str]) -> None:
    for client in (ottla.Producer, ottla.Consumer, ottla.Admin):
        with pytest.raises(ottla.ConfigError) as caught:
            client(bootstrap)
        for word in words:
            assert word in str(caught.value)


def test_a_key_given_twice_is_refused() -> None:
    twice = r"linger\.ms is given twice, as linger_ms and as config\['linger\.ms'\]"
    with pytest.raises(ottla.ConfigError, match=twice):
        ottla.Producer(NOWHERE, linger_ms=5, config={"linger.ms": 5})
    with pytest.raises(ottla.ConfigError, match="given twice"):
        ottla.Producer(NOWHERE, config={"bootstrap.servers": NOWHERE})


def test_values_of_python_kinds() -> None:
    ottla.Producer(
        [NOWHERE, "127.0.0.1:2"],
        linger_ms=timedelta(milliseconds=1.5),
        delivery_timeout_ms="2min",
        enable_idempotence=False,
        batch_size=64e3,
        client_id=None,
        config={"buffer.memory": "64MiB"},
    ).close()
    with pytest.raises(ottla.ConfigError, match="config is a str"):
        ottla.Producer(NOWHERE, config="linger.ms=5")  # type: ignore[arg-type]


def test_timeouts_are_checked() -> None:
    with ottla.Producer(NOWHERE) as producer:
        with pytest.raises(ValueError, match="timeout is -1"):
            producer.flush(timeout=-1)
        with pytest.raises(TypeError, match="timeout is a str"):
            producer.flush(timeout="5s")  # type: ignore[arg-type]
        producer.flush(timeout=timedelta(seconds=1))
