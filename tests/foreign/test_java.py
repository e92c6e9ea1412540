"""Java's own consumer in groups on the embedded broker, both protocols, in one group too: Kafka's console
consumer, several of them."""

from __future__ import annotations

import importlib.util
import subprocess
import threading
import time
from pathlib import Path
from types import ModuleType

import confluent_kafka
import confluent_kafka.admin
import pytest
from test_foreign_groups import COUNT, LIMIT_S, PARTITIONS, create, produce, until

pytestmark = pytest.mark.java

ROOT = Path(__file__).resolve().parents[2]


def cluster_module() -> ModuleType:
    """tests/kafka/cluster.py, which knows where Kafka's jars are."""
    spec = importlib.util.spec_from_file_location("cluster", ROOT / "tests" / "kafka" / "cluster.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def classpath() -> str:
    return f"{cluster_module().fetch()}/*"


def java_command(classpath: str) -> list[str]:
    """Runs one of Kafka's programs, with little memory and a quick start; its class and arguments follow."""
    return ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", classpath]


class JavaMember:
    """A console consumer; what it prints is what it has consumed."""

    def __init__(self, classpath: str, bootstrap: str, group: str, topic: str, protocol: str) -> None:
        self.seen: list[bytes] = []
        self.process = subprocess.Popen(
            [*java_command(classpath), *self.command(bootstrap, group, topic, protocol)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def command(self, bootstrap: str, group: str, topic: str, protocol: str) -> list[str]:
        properties = {
            "group.protocol": protocol,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": "200",
            "metadata.max.age.ms": "1000",
        }
        if protocol == "classic":
            properties |= {"heartbeat.interval.ms": "300", "session.timeout.ms": "10000"}
        return [
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            *("--bootstrap-server", bootstrap, "--topic", topic, "--group", group),
            *(word for key, value in properties.items() for word in ("--command-property", f"{key}={value}")),
        ]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen.append(line.rstrip(b"\n"))

    def leave(self) -> None:
        """SIGTERM has it leave its group; it commits first."""
        self.process.terminate()
        try:
            self.process.wait(LIMIT_S)
        finally:
            self.process.kill()
            self._thread.join(LIMIT_S)
            assert self.process.stderr is not None
            print(self.process.stderr.read().decode(errors="replace")[-2000:])


def owners(bootstrap: str, group: str) -> list[int]:
    """How many partitions each member of a group has."""
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": bootstrap})
    try:
        described = admin.describe_consumer_groups([group])[group].result(LIMIT_S)
    except confluent_kafka.KafkaException:
        return []
    if described.state != confluent_kafka.ConsumerGroupState.STABLE:
        return []
    return sorted(len(m.assignment.topic_partitions) for m in described.members)


@pytest.mark.parametrize(
    "protocols",
    [["classic"] * 2, ["consumer"] * 2, ["classic", "consumer"], ["consumer", "classic"]],
    ids=" with ".join,
)
def test_java_members_share_a_topic_and_take_over(
    bootstrap: str, name: str, protocols: list[str], classpath: str
) -> None:
    create(bootstrap, name)
    group = f"java-{name}"
    members: list[JavaMember] = []
    try:
        for protocol in protocols:
            members.append(JavaMember(classpath, bootstrap, group, name, protocol))
        until("shared by both", lambda: owners(bootstrap, group) == [PARTITIONS // 2] * 2)
        sent = produce(bootstrap, name, 0)
        until("consumed", lambda: sum(len(m.seen) for m in members) >= COUNT)
        assert sorted(v for m in members for v in m.seen) == sorted(sent)
        assert all(m.seen for m in members)
        # Automatic commits come by time; what is committed is not read twice.
        time.sleep(1)
        members[1].leave()
        until("taken over", lambda: owners(bootstrap, group) == [PARTITIONS])
        sent += produce(bootstrap, name, COUNT)
        until("consumed by the one left", lambda: sum(len(m.seen) for m in members) >= 2 * COUNT)
        assert sorted(v for m in members for v in m.seen) == sorted(sent)
    finally:
        for member in members:
            if member.process.poll() is None:
                member.leave()
