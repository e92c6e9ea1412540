#!/usr/bin/env python3
"""Puts the figures of the last `make bench` (target/bench/results.jsonl) into README.md, between its markers."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from cases import CASES, TARGETS, Case

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
README = ROOT / "README.md"

Result = dict[str, Any]


def results() -> dict[str, dict[str, Result]]:
    """Medians by case and client, in the order of the cases. The file's lines are in that order too."""
    lines = [json.loads(line) for line in (TARGET / "bench" / "results.jsonl").read_text().splitlines()]
    found: dict[str, dict[str, Result]] = {}
    for case in CASES:
        for client in case.clients:
            if lines and belongs(lines[0], case, client.name, case.what(client)):
                found.setdefault(case.name, {})[client.label] = lines.pop(0)
    if lines:
        raise SystemExit(f"results.jsonl does not fit cases.py: {lines[0]}")
    return found


def belongs(line: Result, case: Case, client: str, what: str) -> bool:
    told = (line["client"], line["what"], line["size"], line["codec"], line["partitions"])
    return told == (client, what, case.size, case.codec, case.partitions)


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def cell(label: str, result: Result, base: Result) -> str:
    text = f"{label} {number(result['cpu_ns_msg'])}"
    if result is not base:
        text += f" ({result['cpu_ns_msg'] / base['cpu_ns_msg']:.2f})"
    if result["size"] >= 10_000:
        text += f", {number(result['mb_s'])} MB/s"
    if "p50_us" in result:
        text += (
            f", p50 {number(result['p50_us'])} µs, p99 {number(result['p99_us'])} µs, {number(result['peak_mb'])} MB"
        )
    if "first_ms" in result and result["n"] < 1000:
        text += f", first record after {number(result['first_ms'])} ms"
    if result["what"].startswith("transact"):
        text += f", {number(result['msg_s'] / 1000)} transactions/s"
    return text


def table(found: dict[str, dict[str, Result]]) -> list[str]:
    lines = ["| case | clients |", "|---|---|"]
    for name, clients in found.items():
        base = next(iter(clients.values()))
        lines.append(f"| {name} | {'; '.join(cell(label, r, base) for label, r in clients.items())} |")
    return lines


def targets(found: dict[str, dict[str, Result]]) -> list[str]:
    held: list[str] = []
    missed: list[str] = []
    for target in TARGETS:
        ours, theirs = target.find(found)
        if ours is None or not theirs:
            continue
        value, limit, holds = target.judge(ours, theirs)
        (held if holds else missed).append(f"- {target.text}: {value:,.1f} where {limit:,.1f} was aimed at")
    return [f"Of {len(held) + len(missed)} targets {len(held)} hold" + ("; missed:" if missed else "."), "", *missed]


def main() -> None:
    found = results()
    inside = [
        "CPU time (user and system) of the client process per message, in ns, and in brackets its share of the first",
        "client's; medians of the rounds. `latency` is 1,000 records a second with `linger.ms=0`, from the call to the",
        "completion; `trickle` is 5,000 records a second to 10,000 partitions in turn; `mostly-idle` reads 1,000",
        "partitions, of which eight get 1,000 records a second, and tells how long these took from the sender.",
        "",
        *table(found),
        "",
        *targets(found),
    ]
    text = README.read_text()
    block = re.compile(r"(<!-- figures: begin[^>]*-->\n).*?(?=<!-- figures: end -->)", re.S)
    if not block.search(text):
        raise SystemExit("README.md has no markers for figures")
    body = "\n".join(inside).rstrip()
    README.write_text(block.sub(lambda m: m[1] + body + "\n", text))


if __name__ == "__main__":
    main()
