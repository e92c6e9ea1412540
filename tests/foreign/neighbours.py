#!/usr/bin/env python3
"""The programme of tests/neighbours.rs on other implementations of Kafka's protocol: librdkafka's mock cluster, in this
process by confluent-kafka, and franz-go's kfake, a Go program.

    tests/foreign/neighbours.py [NAME ...]
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from confluent_kafka import Producer, libversion

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
GO_FOLDER = ROOT / "tests" / "foreign" / "kfake"

# The steps that an implementation doesn't offer; each of them has to fail.
WITHOUT: dict[str, list[str]] = {
    "librdkafka": [
        "create topics",
        "add partitions",
        "delete topics",
        "offsets by time",
        # It answers SyncGroup of one of two members that join at once with INVALID_REQUEST.
        "two members",
        # Its control records have no checksum, and what a transaction commits of a group it forgets.
        "transactions",
        "offsets in a transaction",
    ],
    "kfake": [],
}


@contextlib.contextmanager
def librdkafka() -> Iterator[tuple[str, str] | None]:
    # While the producer lives, so do its brokers; topics come about by being asked for, with four partitions.
    producer = Producer({"bootstrap.servers": "none:1", "test.mock.num.brokers": 3, "log_level": 0})
    brokers = producer.list_topics(timeout=10).brokers.values()
    yield f"librdkafka {libversion()[0]}", ",".join(f"{b.host}:{b.port}" for b in brokers)
    del producer


@contextlib.contextmanager
def kfake() -> Iterator[tuple[str, str] | None]:
    wanted = next(line.split()[1] for line in (GO_FOLDER / "go.mod").read_text().splitlines() if line.startswith("go "))
    found = shutil.which("go") and subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True).stdout
    # From 1.21 on, Go fetches the one that go.mod asks for; Debian's may be older.
    version = re.match(r"go(\d+)\.(\d+)", found or "")
    if version is None or tuple(map(int, version.groups())) < (1, 21):
        print(f"NOT TESTED: kfake, which needs Go {wanted} or later (https://go.dev/dl); there is {found or 'none'}")
        yield None
        return
    program = TARGET / "kfake"
    subprocess.run(["go", "build", "-o", program, "."], cwd=GO_FOLDER, check=True)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield "kfake", process.stdout.readline().strip()
        finally:
            # It ends with its input.
            process.stdin.close()
            process.wait(10)


NEIGHBOURS = {"librdkafka": librdkafka, "kfake": kfake}


def main() -> int:
    names = sys.argv[1:] or list(NEIGHBOURS)
    failed = []
    for name in names:
        with NEIGHBOURS[name]() as neighbour:
            if neighbour is None:
                continue
            title, bootstrap = neighbour
            print(f"== {title} at {bootstrap}", flush=True)
            environment = {
                **os.environ,
                "OTTLA_TEST_BOOTSTRAP": bootstrap,
                "OTTLA_TEST_WITHOUT": ",".join(WITHOUT[name]),
            }
            command = ["cargo", "test", "--quiet", "--test", "neighbours", "--", "--nocapture"]
            if subprocess.run(command, cwd=ROOT, env=environment).returncode != 0:
                failed.append(name)
    if failed:
        print(f"FAILED on {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
