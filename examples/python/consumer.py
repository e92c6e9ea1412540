"""Reads all messages of a topic, one by one, then the same again in batches.

    python consumer.py [BOOTSTRAP [TOPIC]]

On the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on one inside this program, which
fills it with a million messages first.
"""

import contextlib
import os
import sys
import time

import ottla

MESSAGES = 1_000_000


def fill(servers: str, topic: str) -> None:
    with ottla.Producer(servers) as producer:
        for first in range(0, MESSAGES, 10_000):
            values = [b"message %d" % i for i in range(first, first + 10_000)]
            producer.send_many(topic, values, keys=[b"user-%d" % (i % 1000) for i in range(10_000)])


def report(what: str, count: int, size: int, begun: float) -> None:
    seconds = time.monotonic() - begun
    rate = count / seconds / 1e6
    print(
        f"Python: {what} {count} messages ({size / 1e6:.1f} MB of values) "
        f"in {seconds:.2f} s, {rate:.2f} million a second"
    )


def by_message(consumer: ottla.Consumer, wanted: int) -> None:
    begun, count, size, users = time.monotonic(), 0, 0, set()
    for record in consumer:
        users.add(record.key)
        size += len(record.value or b"")
        count += 1
        if count == wanted:
            break
    report(f"consumed one by one, of {len(users)} users,", count, size, begun)


def by_batch(consumer: ottla.Consumer, wanted: int) -> None:
    begun, count, size = time.monotonic(), 0, 0
    for batch in consumer.batches():
        # Columns are views without a copy: numpy.asarray(segment.value_len) is an array of them.
        size += sum(sum(segment.value_len) for segment in batch.segments)
        count += len(batch)
        if count >= wanted:
            break
    report("consumed in batches", count, size, begun)


def main() -> None:
    topic = sys.argv[2] if len(sys.argv) > 2 else "ottla-example"
    with contextlib.ExitStack() as stack:
        servers = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BOOTSTRAP")
        if not servers:
            broker = stack.enter_context(ottla.testing.Broker())
            servers = broker.bootstrap_servers
            broker.create_topic(topic)
            fill(servers, topic)

        consumer = stack.enter_context(ottla.Consumer(servers))
        partitions = [(topic, p) for p in range(consumer.partition_count(topic))]
        first = consumer.beginning_offsets(partitions)
        wanted = sum(end - first[partition] for partition, end in consumer.end_offsets(partitions).items())
        if not wanted:
            raise SystemExit(f"{topic} has no messages")

        consumer.assign([(*partition, "earliest") for partition in partitions])
        by_message(consumer, wanted)
        for partition in partitions:
            consumer.seek(*partition, "earliest")
        by_batch(consumer, wanted)


main()
