#!/usr/bin/env python3
"""Prints every record of a topic as librdkafka reads it: `partition offset timestamp value`, a line each.

    read_back.py BOOTSTRAP TOPIC PARTITIONS

What Ottla wrote is judged by a reader that shares nothing with it. Ends when every partition's end was reached.
"""

import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

LIMIT_S = 60


def main() -> None:
    bootstrap, topic, partitions = sys.argv[1], sys.argv[2], int(sys.argv[3])
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "read-back",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "check.crcs": True,
            "enable.partition.eof": True,
        }
    )
    left = set(range(partitions))
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in left])
    deadline = time.monotonic() + LIMIT_S
    lines = []
    while left:
        if time.monotonic() > deadline:
            sys.exit(f"not read to the end within {LIMIT_S} s: {left}")
        for message in consumer.consume(10_000, timeout=0.1):
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                left.discard(message.partition())
                continue
            if error is not None:
                sys.exit(str(error))
            partition, value = message.partition(), message.value()
            assert value is not None
            lines.append(f"{partition} {message.offset()} {message.timestamp()[1]} {value[:16].decode()}")
    consumer.close()
    print("\n".join(lines))


if __name__ == "__main__":
    main()
