#!/usr/bin/env python3
"""The figures in README.md, between its markers, and the plots that it shows (docs/speed-*.svg).

benches/readme_table.py             from the last `make bench` (target/bench/results.jsonl); also writes figures.json
benches/readme_table.py --redraw    from figures.json as it is
benches/readme_table.py --check     fails if README.md or a plot differs from figures.json
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plots
from cases import CASES, TARGETS, Case

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
README = ROOT / "README.md"
FIGURES = ROOT / "benches" / "figures.json"

Result = dict[str, Any]
Cases = dict[str, dict[str, Result]]
FIELDS = ("cpu_ns_msg", "mb_s", "p50_us", "p99_us", "peak_mb")

RDKAFKA, OTTLA, OTTLA_CPP = "librdkafka C", "ottla C", "ottla C++"
SOCKET, REQUESTS = "raw socket C", "raw requests C"
CONFLUENT, PYTHON = "confluent-kafka Python", "ottla Python"


@dataclass(frozen=True)
class Row:
    """A case, and the label of the client in each column; an empty label leaves the cell empty."""

    title: str
    case: str
    labels: tuple[str, ...]
    fields: tuple[str, ...] = ("cpu_ns_msg",)


@dataclass(frozen=True)
class Table:
    """With `ratio`, a last column has the second client's figure divided by the first one's."""

    about: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    ratio: bool = False


def _three(title: str, case: str) -> Row:
    return Row(title, case, (RDKAFKA, OTTLA, OTTLA_CPP))


def _two(title: str, case: str, *fields: str) -> Row:
    return Row(title, case, (RDKAFKA, OTTLA), fields or ("cpu_ns_msg",))


TABLES = (
    Table(
        "CPU time per message in ns, and Ottla C relative to librdkafka:",
        ("librdkafka", "Ottla C", "Ottla C++"),
        (
            _three("produce 100 B", "produce-100"),
            Row("produce 100 B, Ottla record by record", "produce-100", (RDKAFKA, f"{OTTLA} single")),
            Row("produce 100 B, 8 threads", "produce-100", (f"{RDKAFKA} 8 threads", f"{OTTLA} 8 threads")),
            Row("produce 100 B, both idempotent", "produce-100", (f"{RDKAFKA} idempotent", OTTLA, OTTLA_CPP)),
            _three("consume 100 B", "consume-100"),
            Row("consume 100 B, Ottla record by record", "consume-100", (RDKAFKA, f"{OTTLA} single")),
            _three("produce 1 kB", "produce-1k"),
            _three("consume 1 kB", "consume-1k"),
            _three("produce 100 B, key and 2 headers", "produce-keyed"),
            _three("consume 100 B, key and 2 headers", "consume-keyed"),
            _two("produce 1 kB, LZ4", "produce-lz4"),
            _two("consume 1 kB, LZ4", "consume-lz4"),
            _two("produce 1 kB, zstd", "produce-zstd"),
            _two("consume 1 kB, zstd", "consume-zstd"),
            _two("produce 100 B in transactions", "transactions"),
            Row("consume 100 B in a group, 8 partitions", "group-8", (f"{RDKAFKA} group", f"{OTTLA} group")),
            Row("consume 100 B, 8 assigned partitions", "group-8", ("", OTTLA)),
            _two("1,000 records a second, `linger.ms=0`", "latency"),
            _two("20,000 records a second, `linger.ms=0`", "latency-20k"),
        ),
        ratio=True,
    ),
    Table(
        "Latency from the call to the completion with `linger.ms=0`, memory, and transactions of 1,000 records:",
        ("librdkafka", "Ottla C"),
        (
            _two("1,000 records a second: p50, µs", "latency", "p50_us"),
            _two("1,000 records a second: p99, µs", "latency", "p99_us"),
            _two("1,000 records a second: peak memory, MB", "latency", "peak_mb"),
            _two("20,000 records a second: p50, µs", "latency-20k", "p50_us"),
            _two("20,000 records a second: p99, µs", "latency-20k", "p99_us"),
            _two("transactions per second", "transactions", "transactions_s"),
        ),
    ),
    Table(
        "Large records: CPU time per message in ns · MB/s. The first two columns are not clients: a bare socket without"
        " a broker, and prepared requests sent to the same broker.",
        ("raw socket", "raw requests", "librdkafka", "Ottla C"),
        tuple(
            Row(f"{verb} {size[:-1]} kB", f"{verb}-{size}", (SOCKET, REQUESTS, RDKAFKA, OTTLA), ("cpu_ns_msg", "mb_s"))
            for size in ("10k", "100k")
            for verb in ("produce", "consume")
        ),
    ),
    Table(
        "Python, CPU time per message of 100 B in ns:",
        ("confluent-kafka", "Ottla", "kafka-python", "aiokafka"),
        (
            Row("produce, many per call", "python-produce", (f"{CONFLUENT} batch", f"{PYTHON} send_many")),
            Row(
                "produce, one call per record",
                "python-produce",
                (f"{CONFLUENT} single", f"{PYTHON} send", "kafka-python Python", "aiokafka Python"),
            ),
            Row("consume, columns", "python-consume", ("", f"{PYTHON} columns")),
            Row("consume, lists of bytes", "python-consume", ("", f"{PYTHON} lists of bytes")),
            Row(
                "consume, an object per record",
                "python-consume",
                (f"{CONFLUENT} default queues", f"{PYTHON} iterate", "kafka-python Python", "aiokafka Python"),
            ),
            Row("consume, an object per record, large queues", "python-consume", (f"{CONFLUENT} large queues",)),
        ),
    ),
)


def results() -> Cases:
    """Medians by case and client, in the order of the cases. The file's lines are in that order too."""
    lines = [json.loads(line) for line in (TARGET / "bench" / "results.jsonl").read_text().splitlines()]
    found: Cases = {}
    for case in CASES:
        for client in case.clients:
            if lines and belongs(lines[0], case, client.name, case.what(client)):
                found.setdefault(case.name, {})[client.label] = lines.pop(0)
    if lines:
        raise SystemExit(f"results.jsonl does not fit cases.py: {lines[0]}")
    return found


def belongs(line: Result, case: Case, client: str, what: str) -> bool:
    found = (line["client"], line["what"], line["size"], line["codec"], line["partitions"])
    return found == (client, what, case.size, case.codec, case.partitions)


def measured() -> Result:
    """The content of figures.json after a run."""
    found = results()
    cases: Cases = {}
    for name, clients in found.items():
        for label, result in clients.items():
            kept = {field: round(float(result[field]), 1) for field in FIELDS if field in result}
            if result["what"].startswith("transact"):
                kept["transactions_s"] = round(result["msg_s"] / 1000, 1)
            cases.setdefault(name, {})[label] = kept
    judged = [(target, *target.judge(ours, theirs)) for target, ours, theirs in compared(found)]
    missed = [
        f"{target.text}: {value:,.1f}, target {limit:,.1f}" for target, value, limit, holds in judged if not holds
    ]
    return {"cases": cases, "targets": len(judged), "missed": missed}


def compared(found: Cases) -> list[tuple[Any, Result, list[Result]]]:
    sides = [(target, *target.find(found)) for target in TARGETS]
    return [(target, ours, theirs) for target, ours, theirs in sides if ours is not None and theirs]


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def lines_of(table: Table, cases: Cases) -> list[str]:
    out = []
    for row in table.rows:
        clients = cases.get(row.case, {})
        found = [clients.get(label) for label in row.labels] + [None] * (len(table.columns) - len(row.labels))
        if not any(found):
            continue
        units = ("", " MB/s")
        texts = [
            " · ".join(number(r[f]) + unit for f, unit in zip(row.fields, units) if f in r) if r else "" for r in found
        ]
        if table.ratio:
            first, second = found[0], found[1]
            texts.append(f"{second['cpu_ns_msg'] / first['cpu_ns_msg']:.2f}" if first and second else "")
        out.append(f"| {row.title} | {' | '.join(texts)} |".replace("|  |", "| |").replace("|  |", "| |"))
    if not out:
        return []
    columns = [*table.columns, *(["ratio"] if table.ratio else [])]
    head = ["| case | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    return [table.about, "", *head, *out, ""]


def body(figures: Result) -> str:
    lines = []
    for table in TABLES:
        lines += lines_of(table, figures["cases"])
    held = figures["targets"] - len(figures["missed"])
    lines.append(f"{held} of {figures['targets']} targets are met" + ("; missed:" if figures["missed"] else "."))
    return "\n".join([*lines, "", *(f"- {text}" for text in figures["missed"])]).rstrip() + "\n"


def readme(figures: Result) -> str:
    text = README.read_text()
    block = re.compile(r"(<!-- figures: begin[^>]*-->\n).*?(?=<!-- figures: end -->)", re.S)
    if not block.search(text):
        raise SystemExit("README.md has no markers for figures")
    return block.sub(lambda m: m[1] + body(figures), text)


def main() -> int:
    options = sys.argv[1:]
    if options not in ([], ["--redraw"], ["--check"]):
        raise SystemExit(__doc__)
    if not options:
        FIGURES.write_text(json.dumps(measured(), indent=1, ensure_ascii=False) + "\n")
    figures = json.loads(FIGURES.read_text())
    wanted = {README: readme(figures)} | {
        ROOT / "docs" / name: svg for name, svg in plots.draw(figures["cases"]).items()
    }
    if options == ["--check"]:
        stale = [path.name for path, text in wanted.items() if not path.exists() or path.read_text() != text]
        print(f"not as in figures.json: {', '.join(stale)}; run benches/readme_table.py --redraw" if stale else "fresh")
        return 1 if stale else 0
    for path, text in wanted.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
