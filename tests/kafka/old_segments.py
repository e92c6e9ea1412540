#!/usr/bin/env python3
"""Put a log of message formats 0, 1 and 2 (tests/golden) into a Kafka that no longer writes the old ones, and have the
Rust tests read it.

    old_segments.py --version 4.4.0
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys

from cluster import NEWEST, ROOT, Cluster, numbers

TOPIC = "format-mixed"
SHARE_GROUP = "old-segments"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", default=NEWEST, help="Kafka's version (default %(default)s)")
    version = parser.parse_args().version
    with Cluster(version) as cluster:
        cluster.create_topic(TOPIC, config={"retention.ms": "-1"})
        cluster.terminate(1)
        log = cluster.brokers[1].directory / "data" / f"{TOPIC}-0"
        for old in log.glob(f"{0:020}.*"):
            old.unlink()
        shutil.copy(ROOT / "tests" / "golden" / f"{TOPIC}.bin", log / f"{0:020}.log")
        cluster.restart(1)
        if numbers(version) >= (4, 2):
            group = ("--bootstrap-server", cluster.bootstrap, "--entity-type", "groups", "--entity-name", SHARE_GROUP)
            earliest = ("--alter", "--add-config", "share.auto.offset.reset=earliest")
            cluster.tool("org.apache.kafka.tools.ConfigCommand", *group, *earliest)
        settings = {"OTTLA_TEST_BOOTSTRAP": cluster.bootstrap, "OTTLA_TEST_KAFKA_VERSION": version}
        command = ["cargo", "test", "--quiet", "--test", "old_kafka", "--", "--ignored"]
        return subprocess.run(command, env={**os.environ, **settings}).returncode


if __name__ == "__main__":
    sys.exit(main())
