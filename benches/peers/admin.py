"""Topics for the benchmark, by confluent-kafka: prepare TOPIC PARTITIONS | ends TOPIC PARTITIONS | delete TOPIC.

Usage: admin.py BOOTSTRAP COMMAND ARGUMENTS...; `ends` prints the partitions' end offsets, added up.
"""

from __future__ import annotations

import sys

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

LIMIT_S = 30


def main(bootstrap: str, command: str, topic: str, partitions: str = "1") -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    if command == "ends":
        latest = {TopicPartition(topic, p): OffsetSpec.latest() for p in range(int(partitions))}
        futures = admin.list_offsets(latest, request_timeout=LIMIT_S)
        print(sum(future.result(LIMIT_S).offset for future in futures.values()))
        return
    if command == "prepare":
        futures = admin.create_topics([NewTopic(topic, int(partitions), 1)])
    elif command == "delete":
        futures = admin.delete_topics([topic])
    else:
        raise SystemExit(f"unknown command {command!r}")
    for future in futures.values():
        future.result(LIMIT_S)


main(*sys.argv[1:])
