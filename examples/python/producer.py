"""Writes a million messages with keys and headers, one call each, and learns what became of every one.

    python producer.py [BOOTSTRAP [TOPIC]]

On the Kafka at BOOTSTRAP (or in the environment variable of that name), otherwise on one inside this program. The topic
is created if it is not there. Many messages in each call cost far less: see roundtrip.py.
"""

import contextlib
import os
import sys
import time

import ottla

MESSAGES = 1_000_000


def main() -> None:
    topic = sys.argv[2] if len(sys.argv) > 2 else "ottla-example"
    with contextlib.ExitStack() as stack:
        servers = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BOOTSTRAP")
        if not servers:
            servers = stack.enter_context(ottla.testing.Broker()).bootstrap_servers
        with ottla.Admin(servers) as admin, contextlib.suppress(ottla.TopicExistsError):
            admin.create_topic(topic, partitions=1)

        producer = stack.enter_context(ottla.Producer(servers, linger_ms=5, acks="all"))
        begun = time.monotonic()
        headers = [("language", b"Python")]
        deliveries = [
            producer.send(topic, b"message %d" % i, key=b"user-%d" % (i % 1000), headers=headers)
            for i in range(MESSAGES)
        ]
        producer.flush(timeout=60)
        seconds = time.monotonic() - begun
        failed = sum(delivery.error is not None for delivery in deliveries)
        last = max(delivery.offset or 0 for delivery in deliveries)
        print(
            f"Python: produced {MESSAGES - failed} messages with keys and headers to {topic} in {seconds:.2f} s, "
            f"{MESSAGES / seconds / 1e6:.2f} million a second; last offset {last}"
        )
        if failed:
            raise SystemExit(f"{failed} failed; the first: {next(d.error for d in deliveries if d.error)}")


main()
