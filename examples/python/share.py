"""Two members of a share group work on one partition together, a record at a time: on the Kafka (4.1 or newer) named on
the command line, or on one inside this program."""

import contextlib
import sys
import threading

import ottla

JOBS = 40


def worker(
    name: str, servers: str, ready: threading.Barrier, done: threading.Semaphore, enough: threading.Event
) -> None:
    with ottla.ShareConsumer(servers, group_id="workers", fetch_max_wait_ms=100) as consumer:
        consumer.subscribe("jobs")
        while consumer.lock_duration is None:  # the group begins at what is written after its first fetch
            consumer.poll(timeout=0.1)
        ready.wait(30)
        while not enough.is_set():
            for record in consumer.records(timeout=0.1):
                if record.value == b"poison":
                    print(f"{name}: {record.value!r} can't be worked on by anybody")
                    consumer.acknowledge(record, "reject")
                # Accepted once the next one is asked for; an exception would have it delivered again.
                done.release()


with contextlib.ExitStack() as stack:
    own = None if len(sys.argv) > 1 else stack.enter_context(ottla.testing.Broker())
    servers = own.bootstrap_servers if own else sys.argv[1]
    with ottla.Admin(servers) as admin:
        admin.create_topic("jobs", partitions=1)

    ready, done, enough = threading.Barrier(3), threading.Semaphore(0), threading.Event()
    names = ("first", "second")
    workers = [threading.Thread(target=worker, args=(name, servers, ready, done, enough)) for name in names]
    for thread in workers:
        thread.start()
    ready.wait(30)
    with ottla.Producer(servers) as producer:
        for i in range(JOBS):
            producer.send("jobs", b"poison" if i == 7 else b"job")
    for _ in range(JOBS):
        if not done.acquire(timeout=30):
            sys.exit("the jobs did not come within 30 s")
    enough.set()
    for thread in workers:
        thread.join(30)
    print(f"{JOBS} jobs are done")
    with ottla.Admin(servers) as admin:
        admin.delete_topics(["jobs"])
