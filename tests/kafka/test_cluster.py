"""The cluster module itself: it starts, survives what faults do to it, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cluster import HOST, Cluster, live_brokers

PROGRAM = str(Path(__file__).with_name("cluster.py"))
VERSION = os.environ.get("OTTLA_TEST_KAFKA_VERSION", "4.4.0")
LIMIT_S = 60


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_gone(pid: int) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return gone(pid)


class ClusterTest(unittest.TestCase):
    def test_three_brokers_through_kill_pause_and_restart(self) -> None:
        with Cluster(VERSION, brokers=3) as cluster:
            directory = cluster.directory
            cluster.create_topic("t", partitions=3, replicas=3)
            cluster.kill(3)
            with self.assertRaises(OSError):
                live_brokers(cluster.brokers[3].ports["PLAINTEXT"], 1)
            cluster.restart(3)
            cluster.pause(2)
            with self.assertRaises(OSError):
                live_brokers(cluster.brokers[2].ports["PLAINTEXT"], 0.5)
            cluster.resume(2)
            self.assertEqual([1, 2, 3], sorted(live_brokers(cluster.brokers[2].ports["PLAINTEXT"], LIMIT_S)))
            pids = [broker.pid for broker in cluster.brokers.values()]
        self.assertFalse(directory.exists())
        self.assertTrue(all(wait_gone(pid) for pid in pids))

    def serve(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, PROGRAM, "serve", "--version", VERSION],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def test_serve_obeys_and_ends_with_stdin(self) -> None:
        with self.serve() as process:
            assert process.stdin and process.stdout
            started = json.loads(process.stdout.readline())
            self.assertTrue(started["bootstrap"].startswith(HOST))
            dialogue = (("create t 2 1", "ok"), ("kill 9", "error"), ("restart 1", "ok"), ("dance", "error"))
            for command, answer in dialogue:
                process.stdin.write(command + "\n")
                process.stdin.flush()
                self.assertEqual(answer, process.stdout.readline().split(":")[0].strip())
            process.stdin.close()
            self.assertEqual(0, process.wait(LIMIT_S))
        self.assertTrue(wait_gone(started["brokers"][0]["pid"]))

    def test_brokers_end_even_if_the_program_is_killed(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with self.serve() as process:
                assert process.stdout
                pid = json.loads(process.stdout.readline())["brokers"][0]["pid"]
                process.send_signal(number)
                process.wait(LIMIT_S)
                self.assertTrue(wait_gone(pid))


if __name__ == "__main__":
    unittest.main()
