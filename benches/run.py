#!/usr/bin/env python3
"""Ottla beside other Kafka clients, on a real Kafka this program starts itself.

    benches/run.py [--rounds 3] [--cases NAMES|default|all]

Every case runs each of its clients once a round, in an order that alternates; the figures are medians over the
rounds. CPU is user + system time of the whole client process. Every produce run is checked against the broker's
end offsets, every consume run against the checksum of what was put in. Writes one JSON line per client and case to
target/bench/results.jsonl, each round to rounds.jsonl, and prints a table and the targets.

Standard library only; the peers live in a venv under target/bench.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from cases import CASES, TARGETS, Case, Client
from prepare import BENCH, ROOT, Setup

sys.path.insert(0, str(ROOT / "tests" / "kafka"))

from cluster import NEWEST, Cluster

RUN_LIMIT_S = 180
FIELDS = (
    "client",
    "language",
    "what",
    "size",
    "codec",
    "partitions",
    "n",
    "wall_s",
    "cpu_s",
    "cpu_ns_msg",
    "msg_s",
    "mb_s",
    "peak_mb",
)

# Enough of them to see that all works.
FEW_PARTITIONS = 50
# What only some programs tell: the time from the call to the completion, and to a group's first record.
MORE_FIELDS = ("p50_us", "p99_us", "first_ms")

Result = dict[str, Any]


class BenchError(RuntimeError):
    """A client failed, or did not do what it reported."""


class Driver:
    """Runs clients against one cluster."""

    def __init__(self, setup: Setup, cluster: Cluster, divide: int) -> None:
        self.setup = setup
        self.divide = divide
        self.cluster = cluster
        self.filled: dict[str, str] = {}
        self.number = itertools.count(1)

    def admin(self, *arguments: str) -> str:
        return self.setup.admin(self.cluster.bootstrap, *arguments)

    def run(self, case: Case, client: Client) -> Result:
        """One run of one client, checked."""
        if self.divide > 1:
            case = replace(case, partitions=min(case.partitions, FEW_PARTITIONS))
        n = max(case.count(client) // self.divide, 1)
        if client.command == "socket":
            return self.measure(case, client, "none", n)
        if case.verb == "consume":
            result = self.measure(case, client, self.fill(case), n)
            if client.command != "raw_kafka":
                self.check_checksum(case, result)
            return result
        if case.verb == "listen":
            with self.feeding(case):
                return self.measure(case, client, case.name, n)
        topic = case.name if case.keep_topic else f"{case.name}-{next(self.number)}"
        if not case.keep_topic or topic not in self.filled:
            self.admin("prepare", topic, str(case.partitions))
        before = int(self.filled.get(topic, 0))
        result = self.measure(case, client, topic, n)
        written = int(self.admin("ends", topic, str(case.partitions))) - before
        if written != case.written(n):
            raise BenchError(f"{client.label} reported {n} records written, the broker has {written}")
        if case.keep_topic:
            self.filled[topic] = str(before + written)
        else:
            self.admin("delete", topic)
        return result

    @contextlib.contextmanager
    def feeding(self, case: Case) -> Iterator[None]:
        """Has librdkafka send to the first partitions of the case's topic meanwhile."""
        if case.name not in self.filled:
            self.admin("prepare", case.name, str(case.partitions))
            self.filled[case.name] = case.name
        to = replace(case, verb="paced", partitions=min(case.fed, case.partitions))
        sender = Client("librdkafka", "C", "rdkafka_steady", ("--stamp", "--set", "linger.ms=0"))
        rate = int(case.options[case.options.index("--rate") + 1])
        command = self.command(to, sender, case.name, rate * RUN_LIMIT_S)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            yield
            if process.poll() is not None:
                raise BenchError(f"what feeds {case.name} ended with {process.returncode}: {' '.join(command)}")
        finally:
            process.kill()
            process.wait()

    def command(self, case: Case, client: Client, topic: str, n: int) -> list[str]:
        return [
            *self.setup.command(client.command),
            case.verb,
            "--bootstrap",
            self.cluster.bootstrap,
            "--topic",
            topic,
            "--n",
            str(n),
            "--size",
            str(case.size),
            "--payload",
            str(self.setup.payload(case.size)),
            "--codec",
            case.codec,
            "--partitions",
            str(case.partitions),
            *case.options,
            *client.options,
        ]

    def measure(self, case: Case, client: Client, topic: str, n: int) -> Result:
        command = self.command(case, client, topic, n)
        # wait4 gives this child's own usage; a file, not a pipe, so that waiting cannot block on output.
        with open(BENCH / "out.json", "w+") as out, open(BENCH / "err.log", "w+") as err:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            status, usage = wait(process)
            out.seek(0)
            err.seek(0)
            output, errors = out.read(), err.read()
        if status != 0 or not output.strip():
            raise BenchError(
                f"{client.label} in {case.name} ended with {status}: {' '.join(command)}\n{errors[-2000:]}"
            )
        told = json.loads(output.strip().splitlines()[-1])
        if told["n"] != n:
            raise BenchError(f"{client.label} in {case.name} did {told['n']} of {n}")
        cpu_s, wall_s = usage.ru_utime + usage.ru_stime, float(told["wall_s"])
        return {
            "client": client.name,
            "language": client.language,
            "what": case.what(client),
            "size": case.size,
            "codec": case.codec,
            "partitions": case.partitions,
            "n": n,
            "wall_s": round(wall_s, 4),
            "cpu_s": round(cpu_s, 4),
            "cpu_ns_msg": round(cpu_s / n * 1e9, 1),
            "msg_s": round(n / wall_s),
            "mb_s": round(n * case.size / wall_s / 1e6, 1),
            "peak_mb": round(told["peak_mb"], 1),
            "checksum": told["checksum"],
            **{name: told[name] for name in MORE_FIELDS if name in told},
        }

    def fill(self, case: Case) -> str:
        """The topic this case consumes, written once by librdkafka for all clients and cases like it."""
        options = "".join(f"-{option.strip('-')}" for option in case.options)
        key = f"fill-{case.size}-{case.codec}-{case.partitions}-{case.n}{options}"
        if key not in self.filled:
            self.admin("prepare", key, str(case.partitions))
            source = Client("librdkafka", "C", "rdkafka")
            self.measure(case.as_produce(), source, key, max(case.n // self.divide, 1))
            self.filled[key] = key
        return self.filled[key]

    def check_checksum(self, case: Case, result: Result) -> None:
        if case.partitions > 1:
            # Where a record lands is the partitioner's business; then only that all clients agree is checked.
            wanted = self.filled.setdefault(f"sum-{case.name}-{result['n']}", str(result["checksum"]))
        else:
            wanted = str(self.setup.checksum(case.size, result["n"], "--keyed" in case.options))
        if str(result["checksum"]) != wanted:
            raise BenchError(
                f"{result['client']} read something else in {case.name}: checksum {result['checksum']}, not {wanted}"
            )


def wait(process: subprocess.Popen[bytes]) -> tuple[int, Any]:
    """The exit status and resource usage of a child, which is killed at its limit."""
    deadline = time.monotonic() + RUN_LIMIT_S
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return process.returncode, usage
        if time.monotonic() > deadline:
            process.kill()
        time.sleep(0.01)


def median(results: list[Result]) -> Result:
    """One line for a client and case: the medians of its rounds."""
    merged = {field: results[0][field] for field in FIELDS}
    measured = ("wall_s", "cpu_s", "cpu_ns_msg", "msg_s", "mb_s", "peak_mb", *MORE_FIELDS)
    for field in (name for name in measured if name in results[0]):
        merged[field] = statistics.median(r[field] for r in results)
    return merged


def table(medians: dict[str, dict[str, Result]]) -> None:
    """The medians; `ratio` is CPU against the case's first client."""
    heads = ("CPU ns/msg", "ratio", "M msg/s", "MB/s", "peak MB", "n", "p50 us", "p99 us", "first ms")
    print(f"\n{'case':18} {'client':34}" + "".join(f"{head:>11}" for head in heads))
    for name, clients in medians.items():
        base = next(iter(clients.values()))["cpu_ns_msg"]
        for label, r in clients.items():
            cells = (
                f"{r['cpu_ns_msg']:.1f}",
                f"{r['cpu_ns_msg'] / base:.3f}",
                f"{r['msg_s'] / 1e6:.3f}",
                f"{r['mb_s']:.1f}",
                f"{r['peak_mb']:.1f}",
                str(r["n"]),
                *(f"{r[name]:.0f}" if name in r else "" for name in MORE_FIELDS),
            )
            print(f"{name:18} {label:34}" + "".join(f"{cell:>11}" for cell in cells))
            name = ""


def targets(medians: dict[str, dict[str, Result]]) -> bool:
    """Print whether each target holds whose clients were run; whether all of them do."""
    print()
    good = True
    for target in TARGETS:
        ours, theirs = target.find(medians)
        if ours is None or not theirs:
            continue
        value, limit, holds = target.judge(ours, theirs)
        good = good and holds
        print(f"{'holds ' if holds else 'MISSED'}  {target.text}: {value:.1f}, limit {limit:.1f}")
    return good


def choose(wanted: str) -> list[Case]:
    if wanted in ("default", "all"):
        return [c for c in CASES if wanted == "all" or c.default]
    named = {c.name: c for c in CASES}
    unknown = [name for name in wanted.split(",") if name not in named]
    if unknown:
        raise SystemExit(f"unknown cases {', '.join(unknown)}; there are: {', '.join(named)}")
    return [named[name] for name in wanted.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cases", default="default", help="default, all, or of: " + ",".join(c.name for c in CASES))
    parser.add_argument("--divide", type=int, default=1, help="run a fraction of each n: only to see that all works")
    parser.add_argument("--strict", action="store_true", help="end with 1 if a target is missed")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cases = choose(options.cases)
    setup = Setup({client.command for case in cases for client in case.clients})
    clients = {case.name: [c for c in case.clients if setup.has(c)] for case in cases}
    for label in sorted({c.label for case in cases for c in case.clients if not setup.has(c)}):
        print(f"not run, as its program is not there: {label}")
    rounds: dict[str, dict[str, list[Result]]] = {c.name: {} for c in cases}
    begun = time.monotonic()
    # A topic is written and deleted per run: with the default minute before files go, the disk would fill.
    properties = {"log.segment.delete.delay.ms": "100", "log.initial.task.delay.ms": "100"}
    with contextlib.ExitStack() as stack:
        cluster = stack.enter_context(Cluster(NEWEST, properties=properties, heap_mb=1024))
        log = stack.enter_context(open(BENCH / "rounds.jsonl", "w"))
        drivers = {1: Driver(setup, cluster, options.divide)}
        for brokers in sorted({case.brokers for case in cases} - {1}):
            larger = stack.enter_context(Cluster(NEWEST, brokers, properties=properties, heap_mb=512))
            drivers[brokers] = Driver(setup, larger, options.divide)
        for number in range(options.rounds):
            for case in cases:
                driver = drivers[case.brokers]
                order = clients[case.name]
                for client in order if number % 2 == 0 else reversed(order):
                    try:
                        result = driver.run(case, client)
                    except BenchError as error:
                        print(f"benches/run.py: {error}", file=sys.stderr)
                        return 1
                    rounds[case.name].setdefault(client.label, []).append(result)
                    log.write(json.dumps(result) + "\n")
                    log.flush()
                    more = "".join(f", {name} {result[name]:.0f}" for name in MORE_FIELDS if name in result)
                    print(
                        f"  round {number + 1} {case.name:18} {client.label:34} {result['cpu_ns_msg']:10.1f} ns/msg "
                        f"{result['msg_s'] / 1e6:8.3f} M msg/s{more}",
                        flush=True,
                    )
    medians = {case.name: {c.label: median(rounds[case.name][c.label]) for c in clients[case.name]} for case in cases}
    results = BENCH / ("results.jsonl" if options.divide == 1 else "smoke.jsonl")
    with open(results, "w") as out:
        for by_client in medians.values():
            for result in by_client.values():
                out.write(json.dumps(result) + "\n")
    table(medians)
    good = targets(medians)
    print(
        f"\nKafka {NEWEST}, {options.rounds} rounds, {os.cpu_count()} cores, {time.monotonic() - begun:.0f} s; "
        f"{results}"
    )
    return 0 if good or not options.strict else 1


if __name__ == "__main__":
    sys.exit(main())
