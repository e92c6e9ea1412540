"""Topics for the benchmark, by confluent-kafka: prepare TOPIC PARTITIONS | ends TOPIC PARTITIONS | delete TOPIC.

Usage: admin.py BOOTSTRAP COMMAND ARGUMENTS...; `ends` prints the partitions' end offsets, added up.
"""

from __future__ import annotations

import sys

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

LIMIT_S = 30


def main(bootstrap: str, command: str, topic: str, partitions: str = "1") -> None:
    if command == "ends":
        consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-admin"})
        ends = (
            consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=LIMIT_S) for p in range(int(partitions))
        )
        print(sum(high for _, high in ends))
        consumer.close()
        return
    admin = AdminClient({"bootstrap.servers": bootstrap})
    if command == "prepare":
        futures = admin.create_topics([NewTopic(topic, int(partitions), 1)])
    elif command == "delete":
        futures = admin.delete_topics([topic])
    else:
        raise SystemExit(f"unknown command {command!r}")
    for future in futures.values():
        future.result(LIMIT_S)


main(*sys.argv[1:])
