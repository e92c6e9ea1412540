"""Ottla in Python; see bench_common.py for the command line.

Produce: send_many over lists of bytes, or with --single a send each. Consume: whole columns as numpy arrays, with
--values the columns as lists of bytes, with --single message by message.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

import ottla
from bench_common import HEADERS, IDLE_LIMIT_S, Watch, keys, parse, report, rows, settings

SLICE = 10_000


def produce(options: argparse.Namespace) -> None:
    producer = ottla.Producer(
        options.bootstrap, acks="all", compression_type=options.codec, config=dict(settings(options))
    )
    watch = Watch()
    written = (produce_single if options.single else produce_columns)(producer, options)
    wall_s = watch.wall_s()
    producer.close()
    if written != options.n:
        raise SystemExit(f"{written} of {options.n} written")
    report(written, wall_s)


def produce_columns(producer: ottla.Producer, options: argparse.Namespace) -> int:
    values = rows(options)
    key_column: Any = keys(options, len(values)) if options.keyed else None
    headers = dict(HEADERS) if options.headers else None
    left, calls = options.n, []
    while left:
        if left < len(values):
            values, key_column = values[:left], key_column and key_column[:left]
        calls.append(producer.send_many(options.topic, values, key_column, headers))
        left -= len(values)
    producer.flush()
    return sum(call.written for call in calls)


def produce_single(producer: ottla.Producer, options: argparse.Namespace) -> int:
    values = rows(options)
    pairs = list(zip(values, keys(options, len(values))))
    topic, send, left, deliveries = options.topic, producer.send, options.n, []
    headers = HEADERS if options.headers else None
    while left:
        for value, key in pairs[:left]:
            deliveries.append(send(topic, value, key, headers))
        left -= min(left, len(pairs))
        # As a program does that wants to know of each: by and by, not all at the end.
        if len(deliveries) > 100_000:
            check(deliveries)
            deliveries.clear()
    check(deliveries)
    return producer.counts().written


def check(deliveries: list[ottla.Delivery]) -> None:
    for delivery in deliveries:
        delivery.result()


def consume(options: argparse.Namespace) -> None:
    config: dict[str, str | int] = {"fetch.message.max.bytes": 8 << 20}
    config.update({key: str(value) for key, value in settings(options).items()})
    consumer = ottla.Consumer(options.bootstrap, config=config)
    watch = Watch()
    consumer.assign([(options.topic, p, "earliest") for p in range(options.partitions)])
    loop = consume_messages if options.single else consume_values if options.values else consume_columns
    got, checksum = loop(consumer, options.n)
    wall_s = watch.wall_s()
    consumer.close()
    report(got, wall_s, checksum)


def batches(consumer: ottla.Consumer, n: int) -> Iterator[ottla.Batch]:
    """Batches of n records together; the topic may hold more."""
    while n and (batch := consumer.poll(IDLE_LIMIT_S, min(n, SLICE))):
        n -= len(batch)
        yield batch


def consume_columns(consumer: ottla.Consumer, n: int) -> tuple[int, int]:
    """Each record's offset, key and value are read, as everywhere; here by numpy."""
    # Its thread pool for linear algebra has nothing to do here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from numpy import asarray, flatnonzero, frombuffer, uint8

    got = checksum = 0
    for batch in batches(consumer, n):
        for segment in batch.segments:
            base = frombuffer(segment.base, uint8)
            start, length = asarray(segment.value_start), asarray(segment.value_len)
            checksum += int(asarray(segment.offsets).sum()) + int(length.sum())
            checksum += int(base[start].sum()) + int(base[start + length - 1].sum())
            key_length = asarray(segment.key_len)
            keyed = flatnonzero(key_length >= 0)
            if len(keyed):
                start, length = asarray(segment.key_start)[keyed], key_length[keyed]
                checksum += int(length.sum()) + int(base[start + length - 1].sum())
        got += len(batch)
    return got, checksum


def consume_values(consumer: ottla.Consumer, n: int) -> tuple[int, int]:
    got = checksum = 0
    for batch in batches(consumer, n):
        checksum += sum(batch.offsets.tolist())
        for value in batch.values.tolist():
            checksum += len(value) + value[0] + value[-1]  # type: ignore[arg-type, index]
        for key in batch.keys.tolist():
            if key is not None:
                checksum += len(key) + key[-1]
        got += len(batch)
    return got, checksum


def consume_messages(consumer: ottla.Consumer, n: int) -> tuple[int, int]:
    got = checksum = 0
    for record in consumer.records(timeout=IDLE_LIMIT_S):
        value, key = record.value, record.key
        checksum += record.offset + len(value) + value[0] + value[-1]  # type: ignore[arg-type, index]
        if key is not None:
            checksum += len(key) + key[-1]
        got += 1
        if got == n:
            break
    return got, checksum


def main() -> None:
    options = parse()
    (produce if options.verb == "produce" else consume)(options)


main()
