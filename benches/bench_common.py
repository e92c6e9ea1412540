"""What every benchmark program in Python shares: the command line, the payload, the checksum, the report (bench.h)."""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

KEY_SIZE = 16
HEADERS = [("trace", b"0123456789abcdef"), ("source", b"bench")]
IDLE_LIMIT_S = 60


def parse(*leading: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    for name in leading:
        parser.add_argument(name)
    parser.add_argument("verb", choices=["produce", "consume"])
    for name in ("--bootstrap", "--topic"):
        parser.add_argument(name, required=True)
    for name in ("--n", "--size"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--payload", type=Path, required=True)
    parser.add_argument("--codec", default="none")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--headers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keyed", action="store_true")
    parser.add_argument("--single", action="store_true")
    parser.add_argument("--values", action="store_true")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    return parser.parse_args()


def settings(options: argparse.Namespace) -> dict[str, str]:
    return dict(s.split("=", 1) for s in options.set)


def rows(options: argparse.Namespace) -> list[bytes]:
    blob, size = options.payload.read_bytes(), options.size
    return [blob[i : i + size] for i in range(0, len(blob) - size + 1, size)]


def keys(options: argparse.Namespace, count: int) -> list[bytes | None]:
    return [b"%0*d" % (KEY_SIZE, i) if options.keyed else None for i in range(count)]


def peak_mb() -> float:
    """The most memory this program had in use; ru_maxrss survives exec, so it knows the parent's too."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024e-6
    raise RuntimeError("/proc/self/status has no VmHWM")


def report(n: int, wall_s: float, checksum: int = 0) -> None:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    told = {"n": n, "wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_mb": peak_mb()}
    print(json.dumps({**told, "checksum": checksum % 2**64}))


class Idle(Exception):
    """Nothing came for IDLE_LIMIT_S."""


class Watch:
    """Wall time since the start, and a limit on how long nothing may come."""

    def __init__(self) -> None:
        self.begun = self.last = time.monotonic()

    def progress(self, count: int) -> None:
        now = time.monotonic()
        if count:
            self.last = now
        elif now - self.last > IDLE_LIMIT_S:
            raise Idle(f"nothing came for {IDLE_LIMIT_S} s")

    def wall_s(self) -> float:
        return time.monotonic() - self.begun
