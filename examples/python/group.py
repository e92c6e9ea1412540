"""Two members of a consumer group share a topic's partitions: on the Kafka named on the command line, or on one inside
this program."""

import contextlib
import sys
import threading

import ottla

RECORDS = 400


def member(name: str, servers: str, done: threading.Semaphore, enough: threading.Event) -> None:
    with ottla.Consumer(servers, group_id="readers", auto_offset_reset="earliest") as consumer:
        consumer.subscribe(
            "shared",
            on_assign=lambda partitions: print(f"{name}: has {[p.partition for p in partitions]}"),
            on_revoke=lambda partitions: print(f"{name}: gives up {[p.partition for p in partitions]}"),
        )
        while not enough.is_set():
            # What a loop over records was given counts as read when it asks for the next, and is committed by itself.
            for _record in consumer.records(timeout=0.1):
                done.release()


with contextlib.ExitStack() as stack:
    own = None if len(sys.argv) > 1 else stack.enter_context(ottla.testing.Broker())
    servers = own.bootstrap_servers if own else sys.argv[1]
    with ottla.Admin(servers) as admin:
        admin.create_topic("shared", partitions=4)
    with ottla.Producer(servers) as producer:
        for partition in range(4):
            producer.send_many("shared", [b"work"] * (RECORDS // 4), partition=partition)

    done, enough = threading.Semaphore(0), threading.Event()
    names = ("first", "second")
    members = [threading.Thread(target=member, args=(name, servers, done, enough)) for name in names]
    for thread in members:
        thread.start()
    for _ in range(RECORDS):
        if not done.acquire(timeout=30):
            sys.exit("the records did not come within 30 s")
    enough.set()
    for thread in members:
        thread.join(30)
    print(f"{RECORDS} records were read")
    with ottla.Admin(servers) as admin:
        admin.delete_topics(["shared"])
