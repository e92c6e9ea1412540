"""A million messages out and back again, many in each call.

    python roundtrip.py [BOOTSTRAP]

On the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on one inside this program. The topic
is new, and deleted at the end.
"""

import contextlib
import os
import sys
import time

import ottla

MESSAGES, CALL, SIZE = 1_000_000, 10_000, 100


def report(what: str, begun: float) -> None:
    seconds = time.monotonic() - begun
    rate = MESSAGES / seconds / 1e6
    print(f"Python: {what} {MESSAGES} messages of {SIZE} bytes in {seconds:.2f} s, {rate:.1f} million a second")


def produce(servers: str, topic: str) -> None:
    """Each message is its number, in digits, filled up with dots."""
    with ottla.Producer(servers) as producer:
        for first in range(0, MESSAGES, CALL):
            values = [b"%08d" % number for number in range(first, first + CALL)]
            producer.send_many(topic, [value.ljust(SIZE, b".") for value in values])
    # Leaving the block has waited for the broker's acknowledgement of all, and would have raised if one had failed.


def consume(servers: str, topic: str) -> int:
    total = got = 0
    with ottla.Consumer(servers) as consumer:
        consumer.assign_topic(topic, start="earliest")
        for batch in consumer.batches(timeout=60):
            total += sum(int(value[:8]) for value in batch.values.tolist())
            got += len(batch)
            if got == MESSAGES:
                return total
    raise SystemExit(f"only {got} messages came")


def main() -> None:
    topic = f"ottla-python-{time.time_ns()}"
    with contextlib.ExitStack() as stack:
        servers = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BOOTSTRAP")
        if not servers:
            servers = stack.enter_context(ottla.testing.Broker()).bootstrap_servers
        admin = stack.enter_context(ottla.Admin(servers))
        admin.create_topic(topic, partitions=1)
        begun = time.monotonic()
        produce(servers, topic)
        report("produced", begun)
        begun = time.monotonic()
        total = consume(servers, topic)
        report("consumed", begun)
        admin.delete_topics([topic])
    if total != MESSAGES * (MESSAGES - 1) // 2:
        raise SystemExit(f"the numbers add up to {total}, so not every one came once")


main()
