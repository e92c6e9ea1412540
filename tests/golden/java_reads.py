#!/usr/bin/env python3
"""Kafka's own classes read the batches that tests/golden.rs encoded, every codec, as Ottla says they are."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "kafka"))

from generate import compile_java, java

from cluster import TARGET


def main() -> int:
    directory = TARGET / "tmp" / "golden"
    files = sorted(directory.glob("*.bin"))
    if not files:
        print(f"{directory} holds no batches; run: cargo test --test golden", file=sys.stderr)
        return 1
    ottla = (directory / "expected.jsonl").read_text().splitlines()
    kafka = java(compile_java(), "Describe", *map(str, files)).splitlines()
    for ours, theirs in zip(ottla, kafka):
        if ours != theirs:
            print(f"Ottla: {ours}\nKafka: {theirs}", file=sys.stderr)
            return 1
    if len(ottla) != len(kafka):
        print(f"Ottla wrote {len(ottla)} batches and records, Kafka read {len(kafka)}", file=sys.stderr)
        return 1
    print(f"Kafka read {len(files)} files, {len(kafka)} batches and records, as Ottla wrote them")
    print(f"ok: {len(files)} checks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
