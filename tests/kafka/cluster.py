#!/usr/bin/env python3
"""A real Apache Kafka on 127.0.0.1 for the tests, without containers.

Maven fetches Kafka's jars once into `target/kafka/<version>`; each cluster runs on free ports in a
directory of its own under `target/kafka/run`, so any number of runs may go side by side.

As a program (see `--help` of each command):

    cluster.py fetch --version 4.4.0
    cluster.py run   --version 4.4.0 --brokers 1 -- COMMAND ARGS...
    cluster.py serve --version 4.4.0 --brokers 3

`run` starts a cluster, runs COMMAND with OTTLA_TEST_BOOTSTRAP and OTTLA_TEST_KAFKA_VERSION set and
ends with its exit code. `serve` prints one JSON line and then obeys lines on stdin (`kill 1`,
`terminate 1`, `pause 1`, `resume 1`, `restart 1`, `advertise 1 LISTENER PORT`, `create TOPIC PARTITIONS
REPLICAS`, `stop`; the first five take several brokers, too), answering each with `ok` or `error: ...`; it
stops when stdin closes. As a module:

    with Cluster("4.4.0", brokers=3) as cluster:
        cluster.kill(2); cluster.restart(2)

Versions before 3 run with a ZooKeeper, whose jar comes with Kafka's.

Standard library only, Python 3.9 and later.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import fcntl
import json
import os
import random
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
KAFKA = TARGET / "kafka"
HOST = "127.0.0.1"
NEWEST = "4.4.0"

# Java and Maven are slow to come up on a busy 2-core machine; a healthy start takes about 3 s.
FETCH_LIMIT_S = 600
START_LIMIT_S = 90
TOOL_LIMIT_S = 90

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ottla.test</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_{1}</artifactId><version>{0}</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{0}</version></dependency>
    {2}
  </dependencies>
</project>
"""

# Kafka's jar is named after the Scala it is compiled for.
SCALA = (("2.13", (2, 4)), ("2.12", (0, 10, 1)), ("2.11", (0,)))
# Kafka before 1.0 needs what Java had of its own until 11.
JAXB = """<dependency>
      <groupId>javax.xml.bind</groupId><artifactId>jaxb-api</artifactId><version>2.3.1</version>
    </dependency>"""

LOG4J2 = """status = error
appender.console.type = Console
appender.console.name = STDOUT
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = STDOUT
"""

LOG4J1 = """log4j.rootLogger=WARN, stdout
log4j.appender.stdout=org.apache.log4j.ConsoleAppender
log4j.appender.stdout.layout=org.apache.log4j.PatternLayout
log4j.appender.stdout.layout.ConversionPattern=[%d] %p %m (%c)%n
"""

# Ends every registered broker and removes the cluster's directory when its stdin closes, which also
# happens if the process that started them is killed with -9. Lines are "+PID" and "-PID"; looking for
# the directory in the command line guards against a reused pid.
GUARD = """
import os, shutil, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
pids = set()
for line in sys.stdin:
    (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
for pid in pids:
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as f:
            mine = sys.argv[1].encode() in f.read()
    except FileNotFoundError:
        mine = not os.path.isdir("/proc/self")
    if mine:
        os.kill(pid, signal.SIGKILL)
shutil.rmtree(sys.argv[1], ignore_errors=True)
"""


class KafkaError(RuntimeError):
    """Kafka could not be fetched, started or asked; the message says what to do about it."""


def numbers(version: str) -> tuple[int, ...]:
    """A version, to be compared."""
    return tuple(int(n) for n in version.split("."))


def require_java() -> None:
    """Raise unless `java` and `mvn` are there."""
    missing = [
        package
        for program, package in (("java", "openjdk-17-jdk-headless"), ("mvn", "maven"))
        if shutil.which(program) is None
    ]
    if missing:
        raise KafkaError(
            "the tests against a real Apache Kafka need Java 17 and Maven; install them with: "
            f"apt-get install {' '.join(missing)}"
        )


def fetch(version: str = NEWEST) -> Path:
    """Fetch Kafka's jars once and return the directory they are in."""
    require_java()
    jars = KAFKA / version
    if jars.is_dir():
        return jars
    KAFKA.mkdir(parents=True, exist_ok=True)
    with open(KAFKA / f".{version}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if jars.is_dir():
            return jars
        with tempfile.TemporaryDirectory(dir=KAFKA) as work:
            pom, out = Path(work, "pom.xml"), Path(work, "jars")
            scala = next(s for s, since in SCALA if numbers(version) >= since)
            pom.write_text(POM.format(version, scala, JAXB if numbers(version) < (1,) else ""))
            command = [
                "mvn",
                "-q",
                "-B",
                "-f",
                str(pom),
                "dependency:copy-dependencies",
                f"-DoutputDirectory={out}",
                "-DincludeScope=runtime",
            ]
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=FETCH_LIMIT_S,
            )
            if done.returncode != 0:
                raise KafkaError(f"Maven could not fetch Apache Kafka {version}:\n{done.stdout[-3000:]}")
            out.rename(jars)
    return jars


def free_ports(count: int) -> list[int]:
    """Free ports below the ephemeral range.

    A port the kernel hands out for bind(0) may be taken by any outgoing connection while its broker is
    down; one below the range stays free until the broker comes back.
    """
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        for port in random.sample(range(15000, 32000), 2000):
            candidate = held.enter_context(socket.socket())
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise KafkaError("no free ports between 15000 and 32000")


def live_brokers(port: int, timeout: float) -> list[int]:
    """The node ids a broker's Metadata answer names (no topics; version 1, which every Kafka has)."""
    request = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)
    with socket.create_connection((HOST, port), timeout) as connection:
        connection.settimeout(timeout)
        connection.sendall(struct.pack(">i", len(request)) + request)
        stream = connection.makefile("rb")
        (size,) = struct.unpack(">i", _exactly(stream.read(4), 4))
        body = _exactly(stream.read(size), size)
    (count,) = struct.unpack_from(">i", body, 4)
    at, ids = 8, []
    for _ in range(count):
        node, host_length = struct.unpack_from(">ih", body, at)
        at += 6 + host_length + 4
        (rack_length,) = struct.unpack_from(">h", body, at)
        at += 2 + max(rack_length, 0)
        ids.append(node)
    return ids


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise ConnectionError("connection closed amid an answer")
    return data


class Broker:
    """One broker process; its ports and directory stay the same over restarts."""

    def __init__(self, node: int, directory: Path, ports: Mapping[str, int]) -> None:
        self.node = node
        self.directory = directory
        self.ports = dict(ports)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What the broker printed."""
        return self.directory / "broker.log"

    @property
    def pid(self) -> int:
        if self.process is None:
            raise KafkaError(f"broker {self.node} is not running")
        return self.process.pid


class Cluster:
    """A KRaft cluster of `brokers` combined brokers and controllers, ids from 1; before version 3 brokers and a
    ZooKeeper.

    `properties` go into every broker's server.properties, `broker_properties[n]` into broker n's.
    `listeners` adds listeners beside PLAINTEXT, name to security protocol, e.g. {"TLS": "SSL"}.
    `advertised` gives the ports that clients of a listener are told, broker by broker, where they are not those
    listened on: a proxy's.
    """

    def __init__(
        self,
        version: str = NEWEST,
        brokers: int = 1,
        properties: Mapping[str, str] | None = None,
        broker_properties: Mapping[int, Mapping[str, str]] | None = None,
        listeners: Mapping[str, str] | None = None,
        heap_mb: int = 512,
        advertised: Mapping[str, Sequence[int]] | None = None,
        java_options: Sequence[str] = (),
    ) -> None:
        self.version = version
        self.size = brokers
        self.properties = dict(properties or {})
        self.broker_properties = {n: dict(p) for n, p in (broker_properties or {}).items()}
        self.listeners = {"PLAINTEXT": "PLAINTEXT", **(listeners or {})}
        self.heap_mb = heap_mb
        self.java_options = list(java_options)
        self.advertised = {
            (node, name): port for name, ports in (advertised or {}).items() for node, port in enumerate(ports, start=1)
        }
        self.brokers: dict[int, Broker] = {}
        self.directory = Path()
        self.has_zookeeper = numbers(version) < (3,)
        self._zookeeper: subprocess.Popen[bytes] | None = None
        self._zookeeper_port = 0
        self._guard: subprocess.Popen[str] | None = None

    def __enter__(self) -> Cluster:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """host:port of every broker's PLAINTEXT listener, by commas."""
        return self.bootstrap_for("PLAINTEXT")

    def bootstrap_for(self, listener: str) -> str:
        """host:port of every broker's listener of that name, by commas."""
        return ",".join(f"{HOST}:{b.ports[listener]}" for b in self.brokers.values())

    @property
    def zookeeper(self) -> str:
        """host:port of the ZooKeeper of brokers before 3."""
        return f"{HOST}:{self._zookeeper_port}"

    def start(self) -> Cluster:
        """Start every broker and return when each sees all the others."""
        jars = fetch(self.version)
        self.classpath = f"{jars}/*"
        runs = KAFKA / "run"
        runs.mkdir(parents=True, exist_ok=True)
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.version}-", dir=runs))
        atexit.register(self.stop)
        self._guard = subprocess.Popen(
            [sys.executable, "-c", GUARD, str(self.directory)], stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            self._configure()
            if self.has_zookeeper:
                self._launch_zookeeper()
            for broker in self.brokers.values():
                self._launch(broker)
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End every broker and remove the cluster's directory. May be called twice."""
        atexit.unregister(self.stop)
        for broker in self.brokers.values():
            if broker.process is not None:
                self._kill(broker)
        if self._zookeeper is not None:
            self._zookeeper.kill()
            self._zookeeper.wait()
            self._zookeeper = None
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None

    def kill(self, node: int) -> None:
        """kill -9."""
        self._kill(self.brokers[node])

    def terminate(self, node: int) -> None:
        """SIGTERM: the broker hands its leaderships over before it ends."""
        broker = self.brokers[node]
        os.kill(broker.pid, signal.SIGTERM)
        assert broker.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            broker.process.wait(TOOL_LIMIT_S)
        self._kill(broker)

    def advertise(self, node: int, listener: str, port: int) -> None:
        """From its next start a broker tells clients of a listener this port."""
        self.advertised[node, listener] = port
        self._write_properties(self.brokers[node])

    def pause(self, node: int) -> None:
        """SIGSTOP: the broker's sockets stay open and answer nothing."""
        os.kill(self.brokers[node].pid, signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """SIGCONT."""
        os.kill(self.brokers[node].pid, signal.SIGCONT)

    def restart(self, *nodes: int) -> None:
        """Start brokers again (after kill -9 if they still run), on their old ports and data, and wait for them."""
        for broker in [self.brokers[node] for node in nodes]:
            if broker.process is not None:
                self._kill(broker)
            self._launch(broker)
        self.wait_ready()

    def create_topic(
        self, topic: str, partitions: int = 1, replicas: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic by Kafka's own tool."""
        options = [o for k, v in (config or {}).items() for o in ("--config", f"{k}={v}")]
        by_zookeeper = numbers(self.version) < (2, 2)
        self.tool(
            "kafka.admin.TopicCommand" if self.has_zookeeper else "org.apache.kafka.tools.TopicCommand",
            "--zookeeper" if by_zookeeper else "--bootstrap-server",
            self.zookeeper if by_zookeeper else self.bootstrap,
            "--create",
            "--topic",
            topic,
            "--partitions",
            str(partitions),
            "--replication-factor",
            str(replicas),
            *options,
        )

    def tool(self, main: str, *arguments: str, stdin: str | None = None, limit: float = TOOL_LIMIT_S) -> str:
        """Run one of Kafka's Java tools by its class and return what it printed."""
        command = [*self.java(256), main, *arguments]
        done = subprocess.run(command, input=stdin or "", capture_output=True, text=True, timeout=limit)
        if done.returncode != 0:
            raise KafkaError(f"{main} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def java(self, heap_mb: int) -> list[str]:
        """The Java command line, up to the class to run."""
        return [
            "java",
            f"-Xmx{heap_mb}m",
            "-XX:+UseSerialGC",
            f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}",
            f"-Dlog4j.configuration=file:{self.directory / 'log4j.properties'}",
            "-cp",
            self.classpath,
        ]

    def wait_ready(self) -> None:
        """Wait until every running broker names every running broker in its metadata."""
        running = {n: b for n, b in self.brokers.items() if b.process is not None}
        deadline = time.monotonic() + START_LIMIT_S
        waiting = dict(running)
        while waiting:
            for node, broker in list(waiting.items()):
                assert broker.process is not None
                if broker.process.poll() is not None:
                    raise KafkaError(f"broker {node} ended with {broker.process.returncode}:\n{_tail(broker.log)}")
                with contextlib.suppress(OSError):
                    if set(live_brokers(broker.ports["PLAINTEXT"], 2)) >= set(running):
                        del waiting[node]
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- broker {n}\n{_tail(b.log)}" for n, b in waiting.items())
                raise KafkaError(f"brokers {sorted(waiting)} not ready after {START_LIMIT_S} s:\n{logs}")
            if waiting:
                time.sleep(0.1)

    def _configure(self) -> None:
        (self.directory / "log4j2.properties").write_text(LOG4J2)
        (self.directory / "log4j.properties").write_text(LOG4J1)
        names = [*self.listeners, "CONTROLLER"]
        self._zookeeper_port, *ports = free_ports(self.size * len(names) + 1)
        for node in range(1, self.size + 1):
            mine = dict(zip(names, ports[(node - 1) * len(names) :]))
            self.brokers[node] = Broker(node, self.directory / f"broker-{node}", mine)
        servers = []
        for broker in self.brokers.values():
            broker.directory.mkdir()
            servers.append(self._write_properties(broker))
        if not self.has_zookeeper:
            self._format(servers)

    def _format(self, servers: Sequence[Path]) -> None:
        cluster_id = secrets.token_hex(8)
        formats = []
        for server in servers:
            formats.append(
                subprocess.Popen(
                    [*self.java(256), "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(server)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        for process in formats:
            output, _ = process.communicate(timeout=TOOL_LIMIT_S)
            if process.returncode != 0:
                raise KafkaError(f"Kafka's StorageTool ended with {process.returncode}:\n{output}")

    def _write_properties(self, broker: Broker) -> Path:
        lines = [f"{k}={v}\n" for k, v in self._properties(broker).items()]
        server = broker.directory / "server.properties"
        server.write_text("".join(lines))
        return server

    def _properties(self, broker: Broker) -> dict[str, str]:
        replicas = str(min(self.size, 3))
        protocols = {**self.listeners, "CONTROLLER": "PLAINTEXT"}
        addresses = {name: f"{name}://{HOST}:{port}" for name, port in broker.ports.items()}
        told = [
            f"{name}://{HOST}:{self.advertised.get((broker.node, name), port)}"
            for name, port in broker.ports.items()
            if name != "CONTROLLER"
        ]
        listening = [name for name in addresses if name != "CONTROLLER" or not self.has_zookeeper]
        voters = ",".join(f"{n}@{HOST}:{b.ports['CONTROLLER']}" for n, b in self.brokers.items())
        properties = {
            "broker.rack": f"rack-{broker.node}",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(addresses[name] for name in listening),
            "advertised.listeners": ",".join(told),
            "listener.security.protocol.map": ",".join(f"{n}:{p}" for n, p in protocols.items()),
            "log.dirs": str(broker.directory / "data"),
            "auto.create.topics.enable": "false",
            "num.partitions": "1",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": replicas,
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.consumer.assignment.interval.ms": "0",
            # A killed broker is fenced after this; the default of 9 s makes every failover test slow.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "log.cleaner.dedupe.buffer.size": "2097152",
            # Many tests stamp records with small numbers, decades ago: after its first 30 s a broker would delete them,
            # as retention.ms asks. The setting itself stays Kafka's default, which the conformance suite records.
            "log.initial.task.delay.ms": "900000",
        }
        if self.has_zookeeper:
            properties |= {
                "broker.id": str(broker.node),
                "zookeeper.connect": self.zookeeper,
                "zookeeper.session.timeout.ms": "3000",
            }
        else:
            properties |= {
                "process.roles": "broker,controller",
                "node.id": str(broker.node),
                "controller.quorum.voters": voters,
                "controller.listener.names": "CONTROLLER",
            }
        return {**properties, **self.properties, **self.broker_properties.get(broker.node, {})}

    def _launch_zookeeper(self) -> None:
        assert self._guard is not None and self._guard.stdin is not None
        data = self.directory / "zookeeper"
        data.mkdir()
        java, *options = self.java(128)
        main = "org.apache.zookeeper.server.ZooKeeperServerMain"
        # Its second server, for administrators, would take port 8080.
        command = [java, "-Dzookeeper.admin.enableServer=false", *options, main, str(self._zookeeper_port), str(data)]
        with open(data / "zookeeper.log", "wb") as log:
            self._zookeeper = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=data, start_new_session=True
            )
        self._guard.stdin.write(f"+{self._zookeeper.pid}\n")
        self._guard.stdin.flush()

    def _launch(self, broker: Broker) -> None:
        assert self._guard is not None and self._guard.stdin is not None
        java, *options = self.java(self.heap_mb)
        command = [java, *self.java_options, *options, "kafka.Kafka", str(broker.directory / "server.properties")]
        with open(broker.log, "ab") as log:
            broker.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=broker.directory, start_new_session=True
            )
        self._guard.stdin.write(f"+{broker.process.pid}\n")
        self._guard.stdin.flush()

    def _kill(self, broker: Broker) -> None:
        assert self._guard is not None and self._guard.stdin is not None
        process, broker.process = broker.process, None
        if process is None:
            raise KafkaError(f"broker {broker.node} is not running")
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            self._guard.stdin.write(f"-{process.pid}\n")
            self._guard.stdin.flush()


def _tail(path: Path, size: int = 3000) -> str:
    return path.read_text(errors="replace")[-size:] if path.exists() else "(no log)"


def _obey(cluster: Cluster, line: str) -> str:
    verb, *words = line.split()
    try:
        if verb in ("kill", "terminate", "pause", "resume"):
            for word in words:
                getattr(cluster, verb)(int(word))
        elif verb == "restart":
            cluster.restart(*map(int, words))
        elif verb == "advertise":
            cluster.advertise(int(words[0]), words[1], int(words[2]))
        elif verb == "create":
            cluster.create_topic(words[0], int(words[1]), int(words[2]))
        else:
            return f"error: unknown command {verb!r}"
    except (KafkaError, KeyError, ValueError, IndexError, OSError, subprocess.TimeoutExpired) as error:
        return f"error: {error}".replace("\n", " | ")
    return "ok"


def _serve(cluster: Cluster) -> int:
    with cluster:
        brokers = [{"id": n, "ports": b.ports, "pid": b.pid} for n, b in cluster.brokers.items()]
        print(json.dumps({"bootstrap": cluster.bootstrap, "version": cluster.version, "brokers": brokers}), flush=True)
        for line in iter(sys.stdin.readline, ""):
            if line.strip() == "stop":
                break
            if line.strip():
                print(_obey(cluster, line), flush=True)
    return 0


def _run(cluster: Cluster, command: Sequence[str]) -> int:
    with cluster:
        environment = {
            **os.environ,
            "OTTLA_TEST_BOOTSTRAP": cluster.bootstrap,
            "OTTLA_TEST_KAFKA_VERSION": cluster.version,
        }
        child = subprocess.Popen(list(command), env=environment)
        try:
            return child.wait()
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()
                    child.wait()


def _pairs(values: Sequence[str], separator: str) -> Iterator[tuple[str, str]]:
    for value in values:
        key, found, rest = value.partition(separator)
        if not found:
            raise KafkaError(f"{value!r} is not of the form KEY{separator}VALUE")
        yield key, rest


def _interrupted(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    parser = argparse.ArgumentParser(description="A real Apache Kafka on 127.0.0.1 for the tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in (
        ("fetch", "fetch Kafka's jars"),
        ("run", "run a command beside a cluster"),
        ("serve", "run a cluster until stdin closes"),
    ):
        sub = commands.add_parser(name, help=summary)
        sub.add_argument("--version", default=NEWEST, help="Kafka's version (default %(default)s)")
        if name != "fetch":
            sub.add_argument("--brokers", type=int, default=1, help="how many brokers (default 1)")
            sub.add_argument("--heap-mb", type=int, default=512, help="heap of each broker (default 512)")
            sub.add_argument("--java-option", action="append", default=[], metavar="-XX:...", help="for every broker")
            sub.add_argument("--property", action="append", default=[], metavar="K=V", help="for every broker")
            sub.add_argument("--broker-property", action="append", default=[], metavar="N:K=V", help="for broker N")
            sub.add_argument(
                "--listener",
                action="append",
                default=[],
                metavar="NAME=PROTOCOL",
                help="one more listener beside PLAINTEXT",
            )
            sub.add_argument(
                "--advertised",
                action="append",
                default=[],
                metavar="NAME=PORT,...",
                help="the ports a listener's clients are told, broker by broker",
            )
        if name == "run":
            sub.add_argument("argv", nargs="+", metavar="COMMAND", help="after --")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)
    try:
        if options.command == "fetch":
            print(fetch(options.version))
            return 0
        per_broker: dict[int, dict[str, str]] = {}
        for node, pair in _pairs(options.broker_property, ":"):
            per_broker.setdefault(int(node), {}).update(_pairs([pair], "="))
        cluster = Cluster(
            options.version,
            options.brokers,
            dict(_pairs(options.property, "=")),
            per_broker,
            dict(_pairs(options.listener, "=")),
            options.heap_mb,
            {name: [int(p) for p in ports.split(",")] for name, ports in _pairs(options.advertised, "=")},
            options.java_option,
        )
        return _serve(cluster) if options.command == "serve" else _run(cluster, options.argv)
    except (KafkaError, ValueError, subprocess.TimeoutExpired) as error:
        print(f"cluster.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
