"""Reads a topic, works on each message, and writes the results to another one, each exactly once.

    python transactions.py [BOOTSTRAP [FROM TO]]

On the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on one inside this program, which
fills it first. What is written and how far was read are one transaction: kill it at any moment and start it again, and
each message has one result, for readers with isolation_level="read_committed". It ends when nothing came for three
seconds.
"""

import contextlib
import os
import sys

import ottla

MESSAGES = 10_000
# Partitions are assigned here, not subscribed; the name keeps the offsets.
GROUP = "ottla-example-worker"


def fill(servers: str, topic: str) -> None:
    with ottla.Producer(servers) as producer:
        producer.send_many(topic, [b"message %d" % i for i in range(MESSAGES)])


def work(value: bytes) -> bytes:
    return value.upper()


def run(servers: str, source: str, target: str) -> int:
    reading = {"group_id": GROUP, "isolation_level": "read_committed", "auto_offset_reset": "earliest"}
    with ottla.Producer(servers, transactional_id=GROUP) as producer, ottla.Consumer(servers, **reading) as consumer:
        # First of all: it ends what an earlier run of this program left open, so that its offsets are final.
        producer.init_transactions()
        consumer.assign([(source, p) for p in range(consumer.partition_count(source))])
        count = 0
        for batch in consumer.batches(timeout=3, max_records=1000):
            # Commits at the end of the block; aborts if anything in it fails, and lets the error through.
            with producer.transaction():
                for segment in batch.segments:
                    results = [work(value or b"") for value in segment.values()]
                    producer.send_many(target, results, partition=segment.partition)
                    following = {(source, segment.partition): segment.offsets[-1] + 1}
                    producer.send_offsets(following, GROUP)
            count += len(batch)
        return count


def main() -> None:
    source, target = sys.argv[2:4] if len(sys.argv) > 3 else ("ottla-example-in", "ottla-example-out")
    with contextlib.ExitStack() as stack:
        servers = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BOOTSTRAP")
        if not servers:
            broker = stack.enter_context(ottla.testing.Broker())
            servers = broker.bootstrap_servers
            for topic in (source, target):
                broker.create_topic(topic, 3)
            fill(servers, source)
        count = run(servers, source, target)
        print(f"Python: worked on {count} messages of {source}, each exactly once, into {target}")


main()
