#!/usr/bin/env python3
"""How many instructions the hot paths take a record, beside the numbers in instructions.json.

    tests/instructions.py [CASE ...]           compares; more or fewer than stated is a failure
    OTTLA_UPDATE=1 tests/instructions.py       writes the numbers as they are now

Seconds on a busy machine tell little; instructions hardly change from run to run. Each case runs the benchmark's own
program under callgrind, against an embedded broker in this process, with two numbers of records: what the larger one
takes more, divided by the records it has more, is the cost of a record, with everything the library's threads do for
it, and without the start. Fewer instructions than stated fail too, so that an improvement is written down and kept.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bindings" / "python" / "src"))

import ottla

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
RELEASE = TARGET / "release"
OUT = TARGET / "test" / "instructions"
NUMBERS = Path(__file__).with_suffix(".json")

FEW, MANY = 20_000, 80_000
ROWS = 4_000
TOLERANCE = 0.08
RUN_LIMIT_S = 120


@dataclass(frozen=True)
class Case:
    """A run of one of the benchmark's programs."""

    program: str
    verb: str
    size: int = 100
    options: tuple[str, ...] = ()


KEYED = ("--keyed", "--headers", "2")
SINGLE = ("--single",)
CASES = {
    "produce, columns": Case("c", "produce"),
    "produce, columns, C++": Case("cpp", "produce"),
    "produce, columns, key and 2 headers": Case("c", "produce", options=KEYED),
    "produce, columns, 1 kB": Case("c", "produce", 1024),
    "produce, single": Case("c", "produce", options=SINGLE),
    "produce, single, C++": Case("cpp", "produce", options=SINGLE),
    "produce, single, key and 2 headers": Case("c", "produce", options=(*SINGLE, *KEYED)),
    "consume, columns": Case("c", "consume"),
    "consume, columns, C++": Case("cpp", "consume"),
    "consume, columns, key and 2 headers": Case("c", "consume", options=KEYED),
    "consume, columns, 1 kB": Case("c", "consume", 1024),
    "consume, single": Case("c", "consume", options=SINGLE),
}


def compile_programs() -> None:
    link = [f"-I{ROOT / 'include'}", f"-I{ROOT / 'bindings/cpp/include'}", f"-L{RELEASE}", f"-Wl,-rpath,{RELEASE}"]
    for name, compiler in (("c", "cc"), ("cpp", "c++")):
        source = ROOT / "benches" / f"ottla_bench.{name}"
        command = [compiler, "-O2", "-g", str(source), "-o", str(OUT / name), *link, "-lottla", "-lpthread"]
        subprocess.run(command, check=True)


def payload(size: int) -> Path:
    """Rows as the programs expect them, the same each time."""
    path = OUT / f"payload-{size}.bin"
    path.write_bytes(bytes((i * 31 + i // size) % 251 for i in range(ROWS * size)))
    return path


def fill(bootstrap: str, topic: str, case: Case) -> None:
    """What a case consumes."""
    blob = payload(case.size).read_bytes()
    values = [blob[i : i + case.size] for i in range(0, len(blob), case.size)]
    keyed = "--keyed" in case.options
    keys = [b"%016d" % row for row in range(ROWS)] if keyed else None
    headers = {"trace": b"0123456789abcdef", "source": b"bench"} if keyed else None
    with ottla.Producer(bootstrap, linger_ms=1000) as producer:
        for _ in range(MANY // ROWS):
            producer.send_many(topic, values, keys, headers)


def count(bootstrap: str, topic: str, case: Case, n: int) -> int:
    """The instructions of one run."""
    program = [str(OUT / case.program), case.verb, "--bootstrap", bootstrap, "--topic", topic]
    options = ["--n", str(n), "--size", str(case.size), "--payload", str(payload(case.size)), *case.options]
    # Under valgrind a batch takes long to fill; with the usual linger each run would send others. And records whose
    # topic isn't known yet cost more, in a number that depends on how soon it is.
    # Nor may the buffer fill, which ends batches early.
    steady = ["--warm", "--set", "linger.ms=1000", "--set", "buffer.memory=512MB"] if case.verb == "produce" else []
    with tempfile.TemporaryDirectory() as scratch:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={scratch}/out", "--fair-sched=yes"]
        run = subprocess.run(
            [*valgrind, *program, *options, *steady], capture_output=True, text=True, timeout=RUN_LIMIT_S
        )
    told = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or told is None or json.loads(run.stdout)["n"] != n:
        raise SystemExit(f"{' '.join(program)} ended with {run.returncode}:\n{run.stdout}{run.stderr}")
    return int(told[1])


def measure(bootstrap: str, broker: ottla.testing.Broker, name: str, case: Case) -> float:
    topic = re.sub(r"\W+", "-", name)
    broker.create_topic(topic)
    if case.verb == "consume":
        fill(bootstrap, topic, case)
    few, many = (count(bootstrap, topic, case, n) for n in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def main() -> int:
    wanted = sys.argv[1:] or list(CASES)
    unknown = [name for name in wanted if name not in CASES]
    if unknown:
        raise SystemExit(f"unknown cases {unknown}; there are {list(CASES)}")
    OUT.mkdir(parents=True, exist_ok=True)
    compile_programs()
    stated: dict[str, float] = json.loads(NUMBERS.read_text()) if NUMBERS.exists() else {}
    wrong = []
    with ottla.testing.Broker() as broker:
        for name in wanted:
            now = round(measure(broker.bootstrap_servers, broker, name, CASES[name]), 1)
            before = stated.get(name)
            share = now / before - 1 if before else float("inf")
            print(f"{name:38} {now:8.1f} instructions a record, stated {before} ({share:+.1%})", flush=True)
            if abs(share) > TOLERANCE:
                wrong.append(name)
            stated[name] = now
    if os.environ.get("OTTLA_UPDATE") == "1":
        NUMBERS.write_text(json.dumps({name: stated[name] for name in CASES if name in stated}, indent=2) + "\n")
        print(f"written: {NUMBERS}")
        return 0
    if wrong:
        print(
            f"more than {TOLERANCE:.0%} away from {NUMBERS.name}: {'; '.join(wrong)}. If it is dearer, find out why "
            "(callgrind_annotate); if that is meant, or it became cheaper, run OTTLA_UPDATE=1 tests/instructions.py"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
