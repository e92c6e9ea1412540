"""What must be there before measuring: the venv with the Python peers, the compiled programs, the payloads."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "kafka"))

from bench_common import KEY_SIZE
from cases import Client

import cluster

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
BENCH = TARGET / "bench"
VENV = BENCH / "venv"
PYTHON = str(VENV / "bin" / "python")
BENCHES = ROOT / "benches"
PEERS = BENCHES / "peers"
RELEASE = TARGET / "release"

REQUIREMENTS = ["confluent-kafka", "kafka-python", "aiokafka", "numpy"]
# Their versions: those that the tests are held to.
PINS = ROOT / "tests" / "requirements.txt"
PAYLOAD_BYTES = 1 << 20
WORDS = [
    "the",
    "of",
    "request",
    "status",
    "user",
    "session",
    "error",
    "timeout",
    "GET",
    "POST",
    "/api/v1/items",
    "latency_ms",
    "200",
    "404",
    "500",
    "true",
    "false",
    "null",
    "region",
    "eu-west",
    "us-east",
    "host",
    "service",
    "order",
    "payment",
    "cart",
]


def text(size: int) -> bytes:
    """Text that compresses as logs do, the same each time: four words in five from a small vocabulary."""
    source = random.Random(1)
    parts: list[str] = []
    length = 0
    while length < size:
        parts.append(source.choice(WORDS) if source.random() < 0.8 else f"{source.randrange(10**6):06}")
        length += len(parts[-1]) + 1
    return " ".join(parts)[:size].encode()


class Setup:
    """Builds what is missing, and knows each client's command line. A program that is not there yet is left out."""

    def __init__(self, wanted: set[str]) -> None:
        """Makes the programs that are `wanted`, and those that most cases want."""
        BENCH.mkdir(parents=True, exist_ok=True)
        (BENCH / "bin").mkdir(exist_ok=True)
        self._checksums: dict[tuple[int, bool], list[int]] = {}
        self.venv(REQUIREMENTS)
        self.commands: dict[str, list[str]] = {}
        peers = str(PEERS / "python_peers.py")
        for name in ("confluent", "kafka-python", "aiokafka"):
            self.commands[name] = [PYTHON, peers, name]
        self.rdkafka()
        for raw in ("socket", "raw_kafka"):
            self.compile(raw, "cc", PEERS / f"{raw}.c")
        self.ottla()
        if wanted & {"franz", "krafka", "confluent_rs"}:
            self.more_peers()
        if "java" in wanted:
            self.java()

    def venv(self, requirements: list[str]) -> None:
        stamp = VENV / "requirements.txt"
        wanted = "\n".join([*requirements, PINS.read_text()])
        if not stamp.exists() or stamp.read_text() != wanted:
            run(sys.executable, "-m", "venv", str(VENV))
            run(PYTHON, "-m", "pip", "install", "-q", "-c", str(PINS), *requirements)
            stamp.write_text(wanted)

    def compile(self, name: str, compiler: str, source: Path, *more: str) -> None:
        program = BENCH / "bin" / name
        standard = "-std=gnu11" if compiler == "cc" else "-std=c++17"
        run(
            compiler,
            "-O2",
            standard,
            "-Wall",
            "-Wextra",
            "-Werror",
            str(source),
            "-o",
            str(program),
            *more,
            "-lpthread",
            "-lm",
        )
        self.commands[name] = [str(program)]

    def rdkafka(self) -> None:
        """librdkafka as released: the one inside confluent-kafka's wheel."""
        (library,) = VENV.glob("lib/python3*/site-packages/confluent_kafka.libs/librdkafka*.so*")
        for name in ("rdkafka", "rdkafka_steady"):
            self.compile(name, "cc", PEERS / f"{name}.c", str(library), f"-Wl,-rpath,{library.parent}")

    def ottla(self) -> None:
        link = [f"-I{ROOT / 'include'}", f"-L{RELEASE}", f"-Wl,-rpath,{RELEASE}", "-lottla"]
        if (BENCHES / "ottla_bench.c").exists():
            self.compile("ottla_c", "cc", BENCHES / "ottla_bench.c", *link)
            self.compile("ottla_steady", "cc", BENCHES / "ottla_steady.c", *link)
        if (BENCHES / "ottla_bench.cpp").exists():
            self.compile("ottla_cpp", "c++", BENCHES / "ottla_bench.cpp", f"-I{ROOT / 'bindings/cpp/include'}", *link)
        if (BENCHES / "ottla_bench.py").exists():
            run(PYTHON, "-m", "pip", "install", "-q", "--force-reinstall", "--no-deps", str(ROOT / "bindings/python"))
            self.commands["ottla_py"] = [PYTHON, str(BENCHES / "ottla_bench.py")]

    def more_peers(self) -> None:
        """The peers that need Go, or a Rust project of their own.

        PyKafka 2.8 is not among them: it knows Produce version 0 and Fetch up to version 1, whatever its broker_version
        (which only chooses the message format), and Kafka 4 takes Produce from 3 and Fetch from 4 on (KIP-896). Against
        4.3.1 its producer reports success, the broker has nothing, and its consumer fails.
        """
        franz = BENCH / "bin" / "franz"
        if shutil.which("go"):
            subprocess.run(["go", "build", "-o", str(franz), "."], check=True, cwd=PEERS / "franz")
            self.commands["franz"] = [str(franz)]
        build = BENCH / "rust"
        manifest = str(PEERS / "rust" / "Cargo.toml")
        environment = {**os.environ, "CARGO_TARGET_DIR": str(build)}
        command = ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", manifest]
        subprocess.run(command, check=True, env=environment)
        for name, program in (("krafka", "krafka"), ("confluent_rs", "confluent")):
            self.commands[name] = [str(build / "release" / program)]

    def java(self) -> None:
        """Kafka's own client, for which its jars are there anyway."""
        jars = f"{cluster.fetch()}/*"
        run("javac", "-d", str(BENCH / "java"), "-cp", jars, str(PEERS / "Bench.java"))
        self.commands["java"] = ["java", "-Xmx1g", "-cp", f"{BENCH / 'java'}:{jars}", "Bench"]

    def has(self, client: Client) -> bool:
        return client.command in self.commands

    def command(self, name: str) -> list[str]:
        return self.commands[name]

    def admin(self, bootstrap: str, *arguments: str) -> str:
        command = [PYTHON, str(PEERS / "admin.py"), bootstrap, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def payload(self, size: int) -> Path:
        path = BENCH / f"payload-{size}.bin"
        if not path.exists():
            count = max(10, PAYLOAD_BYTES // size)
            path.write_bytes(text(count * size))
        return path

    def checksum(self, size: int, n: int, keyed: bool) -> int:
        """What consuming records 0 to n of one partition adds up to (bench_checksum in bench.h)."""
        blob = self.payload(size).read_bytes()
        count = len(blob) // size
        if (size, keyed) not in self._checksums:
            sums = [0]
            for row in range(count):
                own = size + blob[row * size] + blob[row * size + size - 1]
                if keyed:
                    own += KEY_SIZE + (b"%d" % row)[-1]
                sums.append(sums[-1] + own)
            self._checksums[size, keyed] = sums
        sums = self._checksums[size, keyed]
        whole, rest = divmod(n, count)
        return (n * (n - 1) // 2 + whole * sums[-1] + sums[rest]) % 2**64


def run(*command: str) -> None:
    subprocess.run(command, check=True)
