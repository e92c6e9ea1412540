"""Java's share consumer and share tools beside Ottla's share consumer, on the embedded broker, or on the Kafka that
OTTLA_TEST_BOOTSTRAP names."""

from __future__ import annotations

import subprocess
import threading
import time

import ottla
import pytest
from test_foreign_groups import LIMIT_S, PARTITIONS, create, produce, until
from test_java import JavaMember, classpath, java_command  # noqa: F401 (a fixture)

pytestmark = pytest.mark.java


def tool(classpath: str, bootstrap: str, *words: str) -> str:  # noqa: F811
    """What kafka-share-groups.sh prints."""
    command = java_command(classpath)
    command += ["org.apache.kafka.tools.consumer.group.ShareGroupCommand", "--bootstrap-server", bootstrap, *words]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class JavaShareMember(JavaMember):
    """A console share consumer; it accepts what it prints."""

    def command(self, bootstrap: str, group: str, topic: str, protocol: str) -> list[str]:
        return [
            "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
            *("--bootstrap-server", bootstrap, "--topic", topic, "--group", group),
        ]


class OttlaMember:
    def __init__(self, bootstrap: str, group: str, topic: str) -> None:
        self.consumer = ottla.ShareConsumer(bootstrap, group_id=group, fetch_max_wait_ms=100)
        self.consumer.subscribe(topic)
        self.seen: list[bytes] = []
        self.deliveries: set[int] = set()
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._enough.is_set():
            batch = self.consumer.poll(0.2)
            if batch is not None:
                self.seen += [value or b"" for value in batch.values]
                self.deliveries |= set(batch.delivery_counts)

    def leave(self) -> None:
        if self._enough.is_set():
            return
        self._enough.set()
        self._thread.join(LIMIT_S)
        self.consumer.commit()
        self.consumer.close()


def rows(table: str) -> list[list[str]]:
    """The rows of a table that a tool has printed, without its heading; none where the group is not there yet."""
    lines = [line.split() for line in table.splitlines() if line.strip()]
    heading = next((i for i, line in enumerate(lines) if line[0] == "GROUP"), len(lines))
    return lines[heading + 1 :]


def test_java_and_ottla_share_each_record_between_them(bootstrap: str, name: str, classpath: str) -> None:  # noqa: F811
    create(bootstrap, name)
    group = f"share-{name}"
    ours = OttlaMember(bootstrap, group, name)
    java = JavaShareMember(classpath, bootstrap, group, name, "share")
    try:

        def joined() -> bool:
            members = rows(tool(classpath, bootstrap, "--describe", "--group", group, "--members"))
            return len(members) == 2 and all(f"{name}:" in member[-1] for member in members)

        until("two members", joined)
        until("the group has begun", lambda: ours.consumer.lock_duration is not None)
        # Java's member may still be on its way to its first fetch, which does not matter: its group has begun.
        time.sleep(1)
        sent: list[bytes] = []
        until("both read", lambda: sent.extend(produce(bootstrap, name, len(sent))) or bool(java.seen and ours.seen))
        until("all is read", lambda: len(java.seen) + len(ours.seen) >= len(sent))
        assert sorted(java.seen + ours.seen) == sorted(sent)
        java.leave()
        sent += produce(bootstrap, name, len(sent))
        until("the rest is read", lambda: len(java.seen) + len(ours.seen) >= len(sent))
        assert sorted(java.seen + ours.seen) == sorted(sent)
        assert ours.deliveries == {1}
        ours.leave()

        offsets = rows(tool(classpath, bootstrap, "--describe", "--group", group, "--offsets"))
        assert len(offsets) == PARTITIONS
        # A real Kafka tells the lag, and of the start what it has written down; the embedded broker tells the start.
        if any(row[4] != "-" for row in offsets):
            assert sum(int(row[4]) for row in offsets) == 0, offsets
        else:
            assert sum(int(row[3]) for row in offsets) == len(sent), offsets

        # The tools say where an empty group goes on; Ottla reads all of it again.
        reset = ("--reset-offsets", "--to-earliest", "--topic", name, "--execute")
        tool(classpath, bootstrap, "--group", group, *reset)
        ours = OttlaMember(bootstrap, group, name)
        until("all is read again", lambda: len(ours.seen) >= len(sent))
        assert sorted(ours.seen) == sorted(sent)
        ours.leave()
        tool(classpath, bootstrap, "--delete", "--group", group)
    finally:
        if java.process.poll() is None:
            java.leave()
        ours.leave()
