"""Sends a few messages and reads them back: on the Kafka named on the command line, or on one inside this program."""

import contextlib
import sys

import ottla

with contextlib.ExitStack() as stack:
    own = None if len(sys.argv) > 1 else stack.enter_context(ottla.testing.Broker())
    servers = own.bootstrap_servers if own else sys.argv[1]

    with ottla.Admin(servers) as admin:
        admin.create_topic("hello-python")

        with ottla.Producer(servers, linger_ms=5) as producer:
            producer.send("hello-python", b"a value", key=b"its key")
            producer.send_many("hello-python", [b"many", b"in", b"one", b"call"])

        with ottla.Consumer(servers) as consumer:
            consumer.assign_topic("hello-python", start="earliest")
            for record in consumer.records(timeout=1):
                print(f"{record.offset}: {record.key!r} {record.value!r}")

        admin.delete_topics(["hello-python"])
