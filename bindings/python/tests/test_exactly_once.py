"""Exactly once, end to end: three processors in a row, killed at random, on whatever broker the tests run on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ottla

WORKER = Path(__file__).with_name("exactly_once_worker.py")
LONG = bool(os.environ.get("OTTLA_TEST_LONG"))
REAL = bool(os.environ.get("OTTLA_TEST_BOOTSTRAP"))
RECORDS = 20_000 if LONG else 2_000 if REAL else 600
KILLS = 80 if LONG else 8 if REAL else 4
LIMIT_S = 900 if LONG else 120
# So much goes in at a time, and then a pause, so that kills fall on work under way.
CHUNK, PAUSE_S = 50, 0.25
PARTITIONS = 2


class Processor:
    """A processor that is killed and started again under the same transactional.id."""

    def __init__(self, *arguments: str) -> None:
        self._command = [sys.executable, str(WORKER), *arguments]
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def check(self) -> None:
        """A processor never ends by itself: whatever another run left behind, it goes on."""
        assert self._process.poll() is None, f"{self._command} ended with {self._process.returncode}"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)

    def restart(self) -> None:
        self.kill()
        self._process = self._start()


def test_a_chain_of_processors_killed_at_random(bootstrap: str, new_topic: Callable[..., str]) -> None:
    seed = int(os.environ.get("OTTLA_TEST_SEED") or random.randrange(1_000_000))
    print(f"OTTLA_TEST_SEED={seed} repeats the choice of what is killed, and when")
    chance = random.Random(seed)
    topics = [new_topic(PARTITIONS) for _ in range(4)]
    steps = zip(topics, topics[1:])
    chain = [Processor(bootstrap, f"{b}-worker", a, b) for a, b in steps]
    seen: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
    try:
        deadline = time.monotonic() + LIMIT_S
        with (
            ottla.Producer(bootstrap, linger_ms=1) as producer,
            ottla.Consumer(bootstrap, isolation_level="read_committed") as consumer,
        ):
            consumer.assign([(topics[-1], p, "earliest") for p in range(PARTITIONS)])
            fed, kills = 0, 0
            next_feed = next_kill = time.monotonic()
            while sum(map(len, seen)) < PARTITIONS * RECORDS or kills < KILLS:
                now = time.monotonic()
                assert now < deadline, f"{[len(s) for s in seen]} of {RECORDS} came, {kills} kills"
                if fed < RECORDS and now >= next_feed:
                    for p in range(PARTITIONS):
                        producer.send_many(topics[0], [b"%d" % i for i in range(fed, fed + CHUNK)], partition=p)
                    fed, next_feed = fed + CHUNK, now + PAUSE_S
                if kills < KILLS and now >= next_kill:
                    chance.choice(chain).restart()
                    kills, next_kill = kills + 1, now + chance.uniform(0.3, 2.0)
                for processor in chain:
                    processor.check()
                read(consumer, seen, 0.1)
            # Nothing comes after all has come.
            read(consumer, seen, 2)
    finally:
        for processor in chain:
            processor.kill()
    for values in seen:
        assert values == [b"%d>>>" % i for i in range(RECORDS)]


def read(consumer: ottla.Consumer, seen: list[list[bytes]], timeout: float) -> None:
    batch = consumer.poll(timeout)
    for segment in batch.segments if batch else ():
        seen[segment.partition] += [value for value in segment.values() if value is not None]
