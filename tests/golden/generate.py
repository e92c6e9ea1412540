#!/usr/bin/env python3
"""Write tests/golden/*.bin and manifest.jsonl again, by Kafka's own classes and tools.

The bytes of batches that went through a broker change each time, with its clock; the others only if Kafka's code does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kafka"))

from cluster import NEWEST, TARGET, Cluster, fetch  # noqa: E402

CLASSES = TARGET / "golden"
VENV_PYTHON = TARGET / "venv" / "bin" / "python"
NO_BATCHES = ("murmur2.bin", "partitions.bin", "librdkafka-partitions.bin")
CONSOLE = "org.apache.kafka.tools.ConsoleProducer"
PERF = "org.apache.kafka.tools.ProducerPerformance"
# Keeps a topic in the message format of Kafka 0.9 (0) or 0.10 (1) if it is told to, as brokers up to 3.x do.
OLD_BROKER = "1.1.1"
# The newest with producers of format 0 and of format 1, and one of format 2 that OLD_BROKER understands.
OLD_PRODUCERS = ("0.9.0.1", "0.10.2.2", "3.9.1")


def compile_java() -> str:
    """Compile tests/golden/java and return the class path to run it with."""
    jars = f"{fetch()}/*"
    CLASSES.mkdir(parents=True, exist_ok=True)
    sources = [str(p) for p in sorted((HERE / "java").glob("*.java"))]
    subprocess.run(["javac", "-Xlint:all,-path", "-Werror", "-d", str(CLASSES), "-cp", jars, *sources], check=True)
    return f"{CLASSES}:{jars}"


def java(classpath: str, *arguments: str) -> str:
    """Run one of the Java programs and return what it printed."""
    command = ["java", "-cp", classpath, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=90).stdout


def segments(classpath: str) -> None:
    """What a broker's log holds after Kafka's tools wrote to it."""
    with Cluster(NEWEST) as cluster:
        server = ("--bootstrap-server", cluster.bootstrap)
        text = "".join(f"n:{i},kind:console\tkey-{i}\tvalue {i}\n" for i in range(8)) + "n:8\tno value\tNULL\n"
        reads = ("parse.key=true", "parse.headers=true", "null.marker=NULL")
        parse = [word for setting in reads for word in ("--reader-property", setting)]
        cluster.create_topic("console")
        cluster.tool(CONSOLE, *server, "--topic", "console", *parse, "--compression-codec", "snappy", stdin=text)
        cluster.tool(CONSOLE, *server, "--topic", "console", "--sync", stdin="plain\n")
        cluster.create_topic("append-time", config={"message.timestamp.type": "LogAppendTime"})
        for codec in ("none", "gzip", "lz4"):
            settings = ("--producer-props", f"bootstrap.servers={cluster.bootstrap}", f"compression.type={codec}")
            size = ("--num-records", "20", "--record-size", "50", "--throughput", "-1")
            cluster.tool(PERF, "--topic", "append-time", *size, *settings)
        cluster.create_topic("transactions")
        for codec in ("none", "zstd"):
            java(classpath, "Transactions", cluster.bootstrap, "transactions", codec)
        for topic in ("console", "append-time", "transactions"):
            log = cluster.brokers[1].directory / "data" / f"{topic}-0" / "00000000000000000000.log"
            shutil.copy(log, HERE / f"broker-{topic}.bin")


def old_segments() -> None:
    """What a broker keeps in message formats 0 and 1, whoever wrote it, and where the format changed amid the log."""
    with Cluster(OLD_BROKER, properties={"log.cleaner.backoff.ms": "200"}) as cluster:

        def produce(version: str, topic: str, codec: str, number: int) -> None:
            settings = (cluster.bootstrap, topic, codec, str(number))
            java(f"{CLASSES}:{fetch(version)}/*", "OldProducer", *settings)

        def save(topic: str, segment: int = 0) -> None:
            log = cluster.brokers[1].directory / "data" / f"{topic}-0" / f"{segment:020}.log"
            shutil.copy(log, HERE / f"{topic}.bin")

        for number, version in enumerate(("0.9.0", "0.10.0")):
            for codec in ("none", "gzip", "snappy", "lz4"):
                topic = f"format-{number}-{codec}"
                cluster.create_topic(topic, config={"message.format.version": version})
                for producer in OLD_PRODUCERS:
                    produce(producer, topic, codec, 2)
                save(topic)
        appended = {"message.format.version": "0.10.0", "message.timestamp.type": "LogAppendTime"}
        cluster.create_topic("format-1-append-time", config=appended)
        for codec in ("none", "lz4"):
            for producer in OLD_PRODUCERS:
                produce(producer, "format-1-append-time", codec, 1)
        save("format-1-append-time")
        topic = "format-mixed"
        cluster.create_topic(topic, config={"message.format.version": "0.9.0"})
        for version in ("0.9.0", "0.10.0", "1.1", "0.10.0", "0.9.0"):
            alter = ("--alter", "--entity-type", "topics", "--entity-name", topic)
            where = ("--zookeeper", cluster.zookeeper)
            cluster.tool(
                "kafka.admin.ConfigCommand", *where, *alter, "--add-config", f"message.format.version={version}"
            )
            for codec in ("none", "gzip"):
                produce("3.9.1", topic, codec, 1)
        save(topic)
        for number, version in enumerate(("0.9.0", "0.10.0")):
            topic = f"format-{number}-compacted"
            settings = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.01", "segment.bytes": "2000"}
            cluster.create_topic(topic, config={"message.format.version": version, **settings})
            log = cluster.brokers[1].directory / "data" / f"{topic}-0" / f"{0:020}.log"
            produce("3.9.1", topic, "gzip", 3)
            size = log.stat().st_size
            # The last segment is never cleaned: this one makes others.
            deadline = time.monotonic() + 60
            while log.stat().st_size >= size:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{topic}: Kafka did not compact its log within 60 s")
                produce("3.9.1", topic, "none", 1)
            save(topic)


def main() -> None:
    classpath = compile_java()
    for old in HERE.glob("*.bin"):
        old.unlink()
    subprocess.run([VENV_PYTHON, HERE / "librdkafka.py"], check=True)
    java(classpath, "Golden", str(HERE))
    segments(classpath)
    old_segments()
    batches = sorted(str(p) for p in HERE.glob("*.bin") if p.name not in NO_BATCHES)
    (HERE / "manifest.jsonl").write_text(java(classpath, "Describe", *batches))


if __name__ == "__main__":
    main()
