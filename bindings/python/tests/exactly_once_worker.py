"""One processor of the chain in test_exactly_once.py: copies a topic to another, by partition, in transactions.

    python exactly_once_worker.py BOOTSTRAP NAME FROM TO

It runs until it is killed.
"""

import sys

import ottla


def main() -> None:
    servers, name, source, target = sys.argv[1:]
    producer = ottla.Producer(servers, transactional_id=name, transaction_timeout_ms=60_000, linger_ms=2)
    producer.init_transactions()
    consumer = ottla.Consumer(
        servers, group_id=name, isolation_level="read_committed", auto_offset_reset="earliest", fetch_max_wait_ms=50
    )
    consumer.assign([(source, p) for p in range(consumer.partition_count(source))])
    print("ready", flush=True)
    for batch in consumer.batches(max_records=50):
        with producer.transaction():
            for segment in batch.segments:
                values = [value + b">" for value in segment.values() if value is not None]
                producer.send_many(target, values, partition=segment.partition)
                producer.send_offsets({(source, segment.partition): segment.offsets[-1] + 1}, name)


main()
