"""Topics for the benchmark, by confluent-kafka: prepare TOPIC PARTITIONS | ends TOPIC PARTITIONS | delete TOPIC.

Usage: admin.py BOOTSTRAP COMMAND ARGUMENTS...; `ends` prints the partitions' end offsets, added up.
"""

from __future__ import annotations

import sys
import time

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic, OffsetSpec

LIMIT_S = 50
# A controller takes no more than 10,000 changes in one request.
AT_ONCE = 5000


def main(bootstrap: str, command: str, topic: str, partitions: str = "1") -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    if command == "ends":
        latest = {TopicPartition(topic, p): OffsetSpec.latest() for p in range(int(partitions))}
        futures = admin.list_offsets(latest, request_timeout=LIMIT_S)
        print(sum(future.result(LIMIT_S).offset for future in futures.values()))
        return
    if command == "prepare":
        count = int(partitions)
        futures = admin.create_topics([NewTopic(topic, min(count, AT_ONCE), 1)])
        for total in range(2 * AT_ONCE, count + AT_ONCE, AT_ONCE):
            futures[topic].result(LIMIT_S)
            futures = admin.create_partitions([NewPartitions(topic, min(total, count))])
    elif command == "delete":
        futures = admin.delete_topics([topic])
    else:
        raise SystemExit(f"unknown command {command!r}")
    for future in futures.values():
        future.result(LIMIT_S)
    deadline = time.monotonic() + LIMIT_S
    while command == "prepare" and len(admin.list_topics(topic, LIMIT_S).topics[topic].partitions) < int(partitions):
        # Brokers learn of many partitions bit by bit.
        if time.monotonic() > deadline:
            raise SystemExit(f"{topic} has not got its {partitions} partitions in {LIMIT_S} s")
        time.sleep(0.1)


main(*sys.argv[1:])
