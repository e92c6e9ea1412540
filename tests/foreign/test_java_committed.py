"""read_committed: Ottla and Java's console consumer read the same of a log with transactions of every fate, on the
embedded broker, or on the Kafka that OTTLA_TEST_BOOTSTRAP names."""

from __future__ import annotations

import contextlib
import random
import subprocess
from collections.abc import Iterator

import ottla
import pytest
from test_java import classpath, java_command  # noqa: F401 (a fixture)

pytestmark = pytest.mark.java

PARTITIONS = 3
LIMIT_S = 60.0

Read = list[tuple[int, int, bytes]]


@contextlib.contextmanager
def written(bootstrap: str, topic: str, seed: int) -> Iterator[set[bytes]]:
    """Interleaves transactions that commit and abort with records of no transaction, in batches of every codec; one
    transaction stays open meanwhile, and records lie behind it. Gives what is to be read."""
    chance = random.Random(seed)
    wanted: set[bytes] = set()
    numbers = iter(range(1_000_000))

    def send(producer: ottla.Producer) -> set[bytes]:
        values = {b"%d" % next(numbers) for _ in range(chance.randint(1, 5))}
        for value in values:
            producer.send(topic, value, partition=chance.randrange(PARTITIONS))
        producer.flush()
        return values

    with contextlib.ExitStack() as stack:
        plain = stack.enter_context(ottla.Producer(bootstrap))
        producers = []
        for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
            keys = {"transactional_id": f"{topic}-{codec}", "compression_type": codec}
            producer = stack.enter_context(ottla.Producer(bootstrap, **keys))
            producer.init_transactions()
            producers.append(producer)
        for _ in range(10):
            begun = chance.sample(producers, 3)
            for producer in begun:
                producer.begin_transaction()
            sent: dict[int, set[bytes]] = {id(producer): set() for producer in begun}
            for _ in range(3):
                for producer in begun:
                    sent[id(producer)] |= send(producer)
                wanted |= send(plain)
            for producer in begun:
                if chance.random() < 0.5:
                    producer.commit_transaction()
                    wanted |= sent[id(producer)]
                else:
                    producer.abort_transaction()
        producers[0].begin_transaction()
        for partition in range(PARTITIONS):
            producers[0].send(topic, b"open", partition=partition)
        producers[0].flush()
        for partition in range(PARTITIONS):
            plain.send(topic, b"behind what is open", partition=partition)
        plain.flush()
        yield wanted
        producers[0].abort_transaction()


def read_by_java(classpath: str, bootstrap: str, topic: str) -> Read:  # noqa: F811
    command = java_command(classpath)
    command += ["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", bootstrap, "--topic", topic]
    command += ["--from-beginning", "--timeout-ms", "4000", "--isolation-level", "read_committed"]
    for property in ("print.partition=true", "print.offset=true"):
        command += ["--formatter-property", property]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT_S, check=False)
    rows = [line.split(b"\t") for line in done.stdout.splitlines() if line.startswith(b"Partition:")]
    assert rows, (done.stdout + done.stderr).decode(errors="replace")
    numbered = [(int(p.removeprefix(b"Partition:")), int(o.removeprefix(b"Offset:")), v) for p, o, v in rows]
    return sorted(numbered)


def read_by_ottla(bootstrap: str, topic: str, count: int) -> Read:
    read: Read = []
    with ottla.Consumer(bootstrap, isolation_level="read_committed", max_poll_records=7) as consumer:
        consumer.assign_topic(topic, start="earliest")
        for record in consumer.records(timeout=2):
            read.append((record.partition, record.offset, record.value or b""))
            # All of it may be there; whether more comes is waited for.
            assert len(read) <= count, record
    return sorted(read)


@pytest.mark.parametrize("seed", [1])
def test_both_read_what_was_committed(bootstrap: str, name: str, seed: int, classpath: str) -> None:  # noqa: F811
    topic = f"{name}-{seed}"
    with ottla.Admin(bootstrap) as admin:
        admin.create_topic(topic, partitions=PARTITIONS)
    with written(bootstrap, topic, seed) as wanted:
        ours = read_by_ottla(bootstrap, topic, len(wanted))
        assert {value for _, _, value in ours} == wanted
        assert len(ours) == len(wanted)
        assert read_by_java(classpath, bootstrap, topic) == ours
    with ottla.Consumer(bootstrap, isolation_level="read_committed") as consumer:
        consumer.assign_topic(topic, start="earliest")
        after = sum(1 for _ in consumer.records(timeout=2))
    assert after == len(wanted) + PARTITIONS, "what lay behind the open transaction follows, its own records don't"
