#!/usr/bin/env python3
"""Write tests/golden/librdkafka-partitions.bin again: where librdkafka's own partitioner functions, found in the wheel
of confluent-kafka, send the 10,000 keys of `Golden.murmur2`. Run by an interpreter that has the wheel.

For each key in order one byte of each of PARTITIONERS; the number of partitions goes round as in partitions.bin. The
last three bytes are the partitions of a null key among 127. `--check` compares instead of writing.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

FILE = Path(__file__).resolve().with_name("librdkafka-partitions.bin")
PARTITIONERS = ("consistent", "murmur2", "fnv1a")
COUNTS = (1, 2, 3, 7, 12, 100, 127)


def keys() -> Iterator[bytes]:
    """The keys of Golden.java: bytes of a linear congruential generator, lengths 0 to 40 going round."""
    state = 1
    for i in range(10_000):
        key = bytearray()
        for _ in range(i % 41):
            state = (state * 1_103_515_245 + 12_345) % 2**32
            key.append(state >> 16 & 0xFF)
        yield bytes(key)


def library() -> ctypes.CDLL:
    """librdkafka as the wheel brings it."""
    spec = importlib.util.find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        raise SystemExit("confluent-kafka is not installed here")
    found = Path(spec.origin).parents[1].glob("confluent_kafka.libs/librdkafka*")
    return ctypes.CDLL(str(next(iter(found))))


def partitions() -> bytes:
    """What librdkafka chooses; the `_random` variants are asked too, and must agree where a key decides."""
    lib = library()

    def choose(name: str, key: bytes | None, count: int) -> int:
        function = getattr(lib, f"rd_kafka_msg_partitioner_{name}")
        function.restype = ctypes.c_int32
        pointer = ctypes.c_void_p
        function.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int32, pointer, pointer]
        chosen: int = function(None, key, len(key or b""), count, None, None)
        return chosen

    out = bytearray()
    for i, key in enumerate(keys()):
        count = COUNTS[i % len(COUNTS)]
        for name in PARTITIONERS:
            chosen = choose(name, key, count)
            # An empty key decides nothing for `consistent_random`.
            if key or name != "consistent":
                assert choose(f"{name}_random", key, count) == chosen, (name, key)
            out.append(chosen)
    out.extend(choose(name, None, 127) for name in PARTITIONERS)
    return bytes(out)


def main() -> int:
    chosen = partitions()
    if "--check" not in sys.argv[1:]:
        FILE.write_bytes(chosen)
    elif FILE.read_bytes() != chosen:
        print(f"{FILE.name} is not what this librdkafka chooses", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
