#!/usr/bin/env python3
"""Write tests/golden/*.bin and manifest.jsonl again, by Kafka's own classes and tools.

The bytes of batches that went through a broker change each time, with its clock; the others only if Kafka's code does.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "kafka"))

from cluster import TARGET, Cluster, fetch  # noqa: E402

CLASSES = TARGET / "golden"
VENV_PYTHON = TARGET / "venv" / "bin" / "python"
NO_BATCHES = ("murmur2.bin", "partitions.bin", "librdkafka-partitions.bin")
CONSOLE = "org.apache.kafka.tools.ConsoleProducer"
PERF = "org.apache.kafka.tools.ProducerPerformance"


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
    with Cluster() as cluster:
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


def main() -> None:
    classpath = compile_java()
    for old in HERE.glob("*.bin"):
        old.unlink()
    subprocess.run([VENV_PYTHON, HERE / "librdkafka.py"], check=True)
    java(classpath, "Golden", str(HERE))
    segments(classpath)
    batches = sorted(str(p) for p in HERE.glob("*.bin") if p.name not in NO_BATCHES)
    (HERE / "manifest.jsonl").write_text(java(classpath, "Describe", *batches))


if __name__ == "__main__":
    main()
