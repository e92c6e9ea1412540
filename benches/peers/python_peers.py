"""The Python peers, each with the settings best for it: python_peers.py confluent|kafka-python|aiokafka VERB ..."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench_common import HEADERS, Watch, keys, parse, report, rows, settings

SLICE = 10_000


def codec(options: argparse.Namespace) -> Any:
    return None if options.codec == "none" else options.codec


def messages(options: argparse.Namespace) -> Any:
    values = rows(options)
    pairs = itertools.cycle(zip(values, keys(options, len(values))))
    return itertools.islice(pairs, options.n)


def confluent_produce(options: argparse.Namespace) -> None:
    """Its cheapest way: produce_batch without callbacks, where a flush that leaves nothing is the count (the driver
    also asks the broker). --single is the usual way: produce with a callback for each message."""
    from confluent_kafka import Producer

    producer = Producer(
        {
            "bootstrap.servers": options.bootstrap,
            "acks": "all",
            "linger.ms": 5,
            "batch.size": 1_000_000,
            "batch.num.messages": 1_000_000,
            "queue.buffering.max.messages": 2_000_000,
            "queue.buffering.max.kbytes": 1_048_576,
            "compression.type": options.codec,
            **settings(options),
        }
    )
    watch = Watch()
    delivered = (confluent_produce_single if options.single else confluent_produce_batch)(producer, options)
    wall_s = watch.wall_s()
    if delivered != options.n:
        raise SystemExit(f"{delivered} of {options.n} delivered")
    report(delivered, wall_s)


def confluent_produce_single(producer: Any, options: argparse.Namespace) -> int:
    delivered = 0

    def on_delivery(error: Any, _message: Any) -> None:
        nonlocal delivered
        if error is not None:
            raise SystemExit(f"delivery: {error}")
        delivered += 1

    topic, produce, poll = options.topic, producer.produce, producer.poll
    extra: dict[str, Any] = {"headers": HEADERS} if options.headers else {}
    until_poll = SLICE
    for value, key in messages(options):
        while True:
            try:
                produce(topic, value, key, on_delivery=on_delivery, **extra)
                break
            except BufferError:
                poll(0.1)
        until_poll -= 1
        if not until_poll:
            poll(0)
            until_poll = SLICE
    producer.flush(60)
    return delivered


def confluent_produce_batch(producer: Any, options: argparse.Namespace) -> int:
    values = rows(options)
    batch = [
        {"value": v, "key": k} if options.keyed else {"value": v} for v, k in zip(values, keys(options, len(values)))
    ]
    done = 0
    while done < options.n:
        part = batch[: min(len(batch), options.n - done)]
        while part:
            taken = producer.produce_batch(options.topic, part)
            done += taken
            part = part[taken:]
            producer.poll(0.1 if part else 0)
    return done - producer.flush(60)


def confluent_consume(options: argparse.Namespace) -> None:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer(
        {
            "bootstrap.servers": options.bootstrap,
            "group.id": "bench",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            **settings(options),
        }
    )
    watch = Watch()
    consumer.assign([TopicPartition(options.topic, p, 0) for p in range(options.partitions)])
    got = checksum = 0
    while got < options.n:
        # The time-out is what a call waits for a full slice.
        batch = consumer.consume(min(SLICE, options.n - got), 0.1)
        for message in batch:
            if message.error():
                raise SystemExit(str(message.error()))
            value, key = message.value(), message.key()
            checksum += message.offset() + len(value) + value[0] + value[-1]
            if key is not None:
                checksum += len(key) + key[-1]
        got += len(batch)
        watch.progress(len(batch))
    wall_s = watch.wall_s()
    consumer.close()
    report(got, wall_s, checksum)


def kafka_python_produce(options: argparse.Namespace) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(
        bootstrap_servers=options.bootstrap,
        acks="all",
        linger_ms=5,
        batch_size=1_000_000,
        compression_type=codec(options),
    )
    topic, watch = options.topic, Watch()
    headers = HEADERS if options.headers else None
    futures = [producer.send(topic, value, key=key, headers=headers) for value, key in messages(options)]
    producer.flush(60)
    delivered = sum(f.succeeded() for f in futures)
    wall_s = watch.wall_s()
    producer.close(5)
    if delivered != options.n:
        raise SystemExit(f"{delivered} of {options.n} delivered")
    report(delivered, wall_s)


def add_up(batches: Any) -> tuple[int, int]:
    """How many records, and their checksum, for the two clients whose records have attributes."""
    got = checksum = 0
    for records in batches:
        for record in records:
            value, key = record.value, record.key
            checksum += record.offset + len(value) + value[0] + value[-1]
            if key is not None:
                checksum += len(key) + key[-1]
        got += len(records)
    return got, checksum


def kafka_python_consume(options: argparse.Namespace) -> None:
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(
        bootstrap_servers=options.bootstrap,
        enable_auto_commit=False,
        check_crcs=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
        max_poll_records=SLICE,
    )
    watch = Watch()
    consumer.assign([TopicPartition(options.topic, p) for p in range(options.partitions)])
    got = checksum = 0
    while got < options.n:
        count, sums = add_up(consumer.poll(1000, max_records=min(SLICE, options.n - got)).values())
        got, checksum = got + count, checksum + sums
        watch.progress(count)
    wall_s = watch.wall_s()
    consumer.close()
    report(got, wall_s, checksum)


async def aiokafka_produce(options: argparse.Namespace) -> None:
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(
        bootstrap_servers=options.bootstrap,
        acks="all",
        linger_ms=5,
        max_batch_size=1_000_000,
        compression_type=codec(options),
    )
    await producer.start()
    topic, watch, send = options.topic, Watch(), producer.send
    headers = HEADERS if options.headers else None
    futures = [await send(topic, value, key, headers=headers) for value, key in messages(options)]
    await producer.flush()
    delivered = sum(f.exception() is None for f in futures)
    wall_s = watch.wall_s()
    await producer.stop()
    if delivered != options.n:
        raise SystemExit(f"{delivered} of {options.n} delivered")
    report(delivered, wall_s)


async def aiokafka_consume(options: argparse.Namespace) -> None:
    from aiokafka import AIOKafkaConsumer, TopicPartition

    consumer = AIOKafkaConsumer(
        bootstrap_servers=options.bootstrap,
        enable_auto_commit=False,
        check_crcs=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=8 << 20,
    )
    watch = Watch()
    consumer.assign([TopicPartition(options.topic, p) for p in range(options.partitions)])
    await consumer.start()
    got = checksum = 0
    while got < options.n:
        batches = await consumer.getmany(timeout_ms=1000, max_records=min(SLICE, options.n - got))
        count, sums = add_up(batches.values())
        got, checksum = got + count, checksum + sums
        watch.progress(count)
    wall_s = watch.wall_s()
    await consumer.stop()
    report(got, wall_s, checksum)


def main() -> None:
    options = parse("client")
    run = globals()[f"{options.client.replace('-', '_')}_{options.verb}"]
    if asyncio.iscoroutinefunction(run):
        asyncio.run(run(options))
    else:
        run(options)


main()
