"""What is measured: the clients, the cases, the targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

Result = dict[str, Any]

# Records of a transaction, as in bench.h.
TRANSACTION = 1000


@dataclass(frozen=True)
class Client:
    """A client program. `scale` divides a case's n, so that slow clients end too."""

    name: str
    language: str
    command: str
    options: tuple[str, ...] = ()
    scale: int = 1
    mode: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} {self.language}" + (f" {self.mode}" if self.mode else "")


@dataclass(frozen=True)
class Case:
    """One thing to measure, by several clients; the first is what the others are compared with."""

    name: str
    verb: str
    size: int
    n: int
    clients: tuple[Client, ...]
    codec: str = "none"
    partitions: int = 1
    options: tuple[str, ...] = ()
    default: bool = True
    # One topic for all runs, where making one takes long.
    keep_topic: bool = False
    brokers: int = 1
    # To so many of the partitions another program sends --rate records a second meanwhile.
    fed: int = 0

    def count(self, client: Client) -> int:
        return self.n // client.scale

    def what(self, client: Client) -> str:
        flags = (o for o in self.options if o.startswith("--") and o not in ("--set", "--rate"))
        words = [self.verb, client.mode, *flags]
        return " ".join(w.strip("-") for w in words if w)

    def written(self, n: int) -> int:
        """How far the topic's end offsets move by n records: each transaction's end is a record too."""
        return n + -(-n // TRANSACTION) if self.verb == "transact" else n

    def as_produce(self) -> Case:
        return replace(self, verb="produce")


LARGE_QUEUES = (
    "--set",
    "queued.min.messages=1000000",
    "--set",
    "queued.max.messages.kbytes=262144",
    "--set",
    "fetch.message.max.bytes=8388608",
)
EIGHT = ("--threads", "8")

RDKAFKA = Client("librdkafka", "C", "rdkafka")
RDKAFKA_IDEMPOTENT = Client("librdkafka", "C", "rdkafka", ("--set", "enable.idempotence=true"), mode="idempotent")
RDKAFKA_8 = Client("librdkafka", "C", "rdkafka", EIGHT, mode="8 threads")
OTTLA_C = Client("ottla", "C", "ottla_c")
OTTLA_C_SINGLE = Client("ottla", "C", "ottla_c", ("--single",), mode="single")
OTTLA_C_8 = Client("ottla", "C", "ottla_c", EIGHT, mode="8 threads")
OTTLA_CPP = Client("ottla", "C++", "ottla_cpp")
OTTLA_STEADY = Client("ottla", "C", "ottla_steady")
RDKAFKA_STEADY = Client("librdkafka", "C", "rdkafka_steady")
OTTLA_LISTEN_GROUP = Client("ottla", "C", "ottla_steady", ("--group",), mode="group")
RDKAFKA_LISTEN_GROUP = Client(
    "librdkafka", "C", "rdkafka_steady", ("--group", "--set", "group.protocol=consumer"), mode="group"
)
SOCKET = Client("raw socket", "C", "socket")
RAW_KAFKA = Client("raw requests", "C", "raw_kafka")

CONFLUENT = Client("confluent-kafka", "Python", "confluent", mode="batch")
CONFLUENT_SINGLE = Client("confluent-kafka", "Python", "confluent", ("--single",), 2, mode="single")
CONFLUENT_DEFAULT = Client("confluent-kafka", "Python", "confluent", mode="default queues")
CONFLUENT_LARGE = Client("confluent-kafka", "Python", "confluent", LARGE_QUEUES, mode="large queues")
OTTLA_PY_MANY = Client("ottla", "Python", "ottla_py", mode="send_many")
OTTLA_PY_SEND = Client("ottla", "Python", "ottla_py", ("--single",), 4, mode="send")
OTTLA_PY_COLUMNS = Client("ottla", "Python", "ottla_py", mode="columns")
OTTLA_PY_VALUES = Client("ottla", "Python", "ottla_py", ("--values",), mode="lists of bytes")
OTTLA_PY_ITERATE = Client("ottla", "Python", "ottla_py", ("--single",), mode="iterate")
KAFKA_PYTHON = Client("kafka-python", "Python", "kafka-python", scale=30)
AIOKAFKA = Client("aiokafka", "Python", "aiokafka", scale=6)

FRANZ = Client("franz-go", "Go", "franz")
KRAFKA = Client("krafka", "Rust", "krafka")
CONFLUENT_RS = Client("confluent-kafka", "Rust", "confluent_rs")
JAVA = Client("kafka-clients", "Java", "java")

# Partitions from a consumer group of the run's own, by the new protocol (KIP-848) on both sides.
OTTLA_GROUP = Client("ottla", "C", "ottla_c", ("--group",), mode="group")
RDKAFKA_GROUP = Client("librdkafka", "C", "rdkafka", ("--group", "--set", "group.protocol=consumer"), mode="group")
JAVA_GROUP = Client("kafka-clients", "Java", "java", ("--group",), mode="group")

NATIVE = (RDKAFKA, OTTLA_C, OTTLA_CPP)
MORE = (RDKAFKA, OTTLA_C, CONFLUENT_RS, FRANZ, KRAFKA, JAVA)
KEYED = ("--keyed", "--headers", "2")

CASES = [
    Case("produce-100", "produce", 100, 2_000_000, (*NATIVE, OTTLA_C_SINGLE, OTTLA_C_8, RDKAFKA_8, RDKAFKA_IDEMPOTENT)),
    Case("consume-100", "consume", 100, 2_000_000, (*NATIVE, OTTLA_C_SINGLE)),
    Case("produce-1k", "produce", 1024, 400_000, NATIVE),
    Case("consume-1k", "consume", 1024, 400_000, NATIVE),
    Case("produce-keyed", "produce", 100, 1_000_000, NATIVE, options=KEYED),
    Case("consume-keyed", "consume", 100, 1_000_000, NATIVE, options=KEYED),
    Case("produce-10k", "produce", 10_240, 50_000, (SOCKET, RAW_KAFKA, OTTLA_C, RDKAFKA)),
    Case("consume-10k", "consume", 10_240, 50_000, (SOCKET, RAW_KAFKA, OTTLA_C, RDKAFKA)),
    Case("produce-100k", "produce", 102_400, 5_000, (SOCKET, RAW_KAFKA, OTTLA_C, RDKAFKA)),
    Case("consume-100k", "consume", 102_400, 5_000, (SOCKET, RAW_KAFKA, OTTLA_C, RDKAFKA)),
    Case("produce-lz4", "produce", 1024, 200_000, (RDKAFKA, OTTLA_C), codec="lz4"),
    Case("consume-lz4", "consume", 1024, 200_000, (RDKAFKA, OTTLA_C), codec="lz4"),
    Case("produce-zstd", "produce", 1024, 200_000, (RDKAFKA, OTTLA_C), codec="zstd"),
    Case("consume-zstd", "consume", 1024, 200_000, (RDKAFKA, OTTLA_C), codec="zstd"),
    Case(
        "latency",
        "paced",
        100,
        5_000,
        (RDKAFKA_STEADY, OTTLA_STEADY),
        options=("--rate", "1000", "--set", "linger.ms=0"),
    ),
    Case(
        "latency-20k",
        "paced",
        100,
        60_000,
        (RDKAFKA_STEADY, OTTLA_STEADY),
        options=("--rate", "20000", "--set", "linger.ms=0"),
    ),
    Case(
        "trickle",
        "paced",
        100,
        30_000,
        (RDKAFKA_STEADY, OTTLA_STEADY),
        partitions=10_000,
        options=("--rate", "5000", "--set", "linger.ms=100"),
        default=False,
        keep_topic=True,
    ),
    Case(
        "transactions",
        "transact",
        100,
        100_000,
        (RDKAFKA_STEADY, OTTLA_STEADY),
        options=("--set", "transactional.id=bench"),
    ),
    Case(
        "python-produce",
        "produce",
        100,
        2_000_000,
        (CONFLUENT, CONFLUENT_SINGLE, OTTLA_PY_MANY, OTTLA_PY_SEND, KAFKA_PYTHON, AIOKAFKA),
    ),
    Case(
        "python-consume",
        "consume",
        100,
        2_000_000,
        (
            CONFLUENT_DEFAULT,
            CONFLUENT_LARGE,
            OTTLA_PY_COLUMNS,
            OTTLA_PY_VALUES,
            OTTLA_PY_ITERATE,
            KAFKA_PYTHON,
            AIOKAFKA,
        ),
    ),
    Case("group-1", "consume", 100, 8_000_000, (RDKAFKA_GROUP, OTTLA_GROUP, OTTLA_C), default=False),
    Case("group-8", "consume", 100, 8_000_000, (RDKAFKA_GROUP, OTTLA_GROUP, OTTLA_C), partitions=8),
    Case("group-64", "consume", 100, 8_000_000, (RDKAFKA_GROUP, OTTLA_GROUP, OTTLA_C), partitions=64, default=False),
    *(
        Case(
            f"group-{codec}",
            "consume",
            1024,
            200_000,
            (RDKAFKA_GROUP, OTTLA_GROUP, OTTLA_C),
            codec=codec,
            default=False,
        )
        for codec in ("lz4", "zstd")
    ),
    Case(
        "first-message",
        "consume",
        100,
        100,
        (RDKAFKA_GROUP, OTTLA_GROUP, JAVA_GROUP),
        partitions=12,
        brokers=3,
        default=False,
    ),
    Case(
        "mostly-idle",
        "listen",
        100,
        6_000,
        (RDKAFKA_STEADY, OTTLA_STEADY, RDKAFKA_LISTEN_GROUP, OTTLA_LISTEN_GROUP),
        partitions=1_000,
        options=("--rate", "1000"),
        default=False,
        keep_topic=True,
        fed=8,
    ),
    Case(
        "consume-mixed",
        "consume",
        1024,
        400_000,
        (RDKAFKA, OTTLA_C),
        partitions=64,
        options=("--mixed",),
        default=False,
    ),
    Case("produce-8p", "produce", 100, 3_000_000, (RDKAFKA, OTTLA_C), partitions=8, default=False),
    Case("consume-8p", "consume", 100, 3_000_000, (RDKAFKA, OTTLA_C), partitions=8, default=False),
    Case("more-produce-100", "produce", 100, 1_500_000, MORE, default=False),
    Case("more-consume-100", "consume", 100, 1_500_000, MORE, default=False),
]

By = Callable[[Result], float]


def cpu(result: Result) -> float:
    return float(result["cpu_ns_msg"])


def rate(result: Result) -> float:
    return float(result["mb_s"])


def field(name: str) -> By:
    return lambda result: float(result[name])


@dataclass(frozen=True)
class Target:
    """`field(ours)` must stay under `factor` times the smallest of theirs, plus `add`; `floor` turns it round."""

    text: str
    case: str
    ours: Client
    theirs: tuple[Client, ...]
    factor: float
    add: float = 0
    field: By = cpu
    floor: bool = False

    def find(self, medians: dict[str, dict[str, Result]]) -> tuple[Result | None, list[Result]]:
        clients = medians.get(self.case, {})
        return clients.get(self.ours.label), [clients[t.label] for t in self.theirs if t.label in clients]

    def judge(self, ours: Result, theirs: list[Result]) -> tuple[float, float, bool]:
        value = self.field(ours)
        limit = self.factor * min(map(self.field, theirs)) + self.add
        return value, limit, value >= limit if self.floor else value <= limit


def _native(case: str, factor: float, text: str) -> Target:
    return Target(f"{case}, C: CPU at most {text} of librdkafka's", case, OTTLA_C, (RDKAFKA,), factor)


TARGETS = [
    _native("produce-100", 1 / 6, "1/6"),
    _native("consume-100", 1 / 5, "1/5"),
    _native("produce-1k", 0.45, "0.45"),
    _native("consume-1k", 0.45, "0.45"),
    _native("consume-mixed", 1 / 2, "1/2"),
    _native("produce-keyed", 1 / 3, "1/3"),
    _native("consume-keyed", 1 / 3, "1/3"),
    # Through a broker on the same cores nobody reaches a bare socket's rate; raw requests show what can be had.
    *(
        Target(f"{case}: MB/s at least 60% of {what}", case, OTTLA_C, (raw,), 0.6, field=rate, floor=True)
        for case in ("produce-10k", "consume-10k", "produce-100k", "consume-100k")
        for raw, what in ((SOCKET, "a raw socket's"), (RAW_KAFKA, "raw requests to the same broker"))
    ),
    *(
        Target(f"{case}: MB/s at least librdkafka's", case, OTTLA_C, (RDKAFKA,), 1, field=rate, floor=True)
        for case in ("produce-lz4", "consume-lz4", "produce-zstd", "consume-zstd")
    ),
    *(_native(case, 1, "all") for case in ("produce-lz4", "consume-lz4", "produce-zstd", "consume-zstd")),
    Target(
        "produce-100, C, record by record: CPU at most 1/4 of librdkafka's",
        "produce-100",
        OTTLA_C_SINGLE,
        (RDKAFKA,),
        1 / 4,
    ),
    *(
        Target(
            f"produce-100, {what}: CPU at most 1/4 of librdkafka's with idempotence",
            "produce-100",
            ours,
            (RDKAFKA_IDEMPOTENT,),
            1 / 4,
        )
        for ours, what in ((OTTLA_C, "C"), (OTTLA_C_SINGLE, "C, record by record"))
    ),
    *(
        Target(f"{case}: {name} not above librdkafka's", case, OTTLA_STEADY, (RDKAFKA_STEADY,), 1, field=field(name))
        for case in ("latency", "latency-20k")
        for name in ("p50_us", "p99_us")
    ),
    *(
        Target(
            f"10,000 partitions with a trickle each: {what} at most half of librdkafka's",
            "trickle",
            OTTLA_STEADY,
            (RDKAFKA_STEADY,),
            1 / 2,
            field=field(name),
        )
        for name, what in (("cpu_s", "CPU"), ("peak_mb", "memory"))
    ),
    Target(
        "transactions of 1,000 records: as many a second as librdkafka's",
        "transactions",
        OTTLA_STEADY,
        (RDKAFKA_STEADY,),
        1,
        field=field("msg_s"),
        floor=True,
    ),
    *(
        Target(
            f"{case}: a group's consumer at most {text} of librdkafka's", case, OTTLA_GROUP, (RDKAFKA_GROUP,), factor
        )
        for text, factor, cases in (
            ("1/4", 1 / 4, ("group-1", "group-8", "group-64")),
            ("all", 1, ("group-lz4", "group-zstd")),
        )
        for case in cases
    ),
    *(
        Target(
            f"{case}: a group's consumer at most 1.1 times one with assigned partitions",
            case,
            OTTLA_GROUP,
            (OTTLA_C,),
            1.1,
        )
        for case in ("group-1", "group-8", "group-64", "group-lz4", "group-zstd")
    ),
    *(
        Target(f"mostly-idle, {how}: {what} of librdkafka's", "mostly-idle", ours, (theirs,), factor, field=field(name))
        for how, ours, theirs in (
            ("assigned", OTTLA_STEADY, RDKAFKA_STEADY),
            ("in a group", OTTLA_LISTEN_GROUP, RDKAFKA_LISTEN_GROUP),
        )
        for name, what, factor in (
            ("cpu_ns_msg", "CPU at most 1/4", 1 / 4),
            ("peak_mb", "memory at most all", 1),
            ("p99_us", "p99_us at most all", 1),
        )
    ),
    Target(
        "first-message: at most 1.1 times the best peer's time from making the client",
        "first-message",
        OTTLA_GROUP,
        (RDKAFKA_GROUP, JAVA_GROUP),
        1.1,
        field=field("first_ms"),
    ),
    Target("produce-100: eight threads at most 1.5 times one's CPU", "produce-100", OTTLA_C_8, (OTTLA_C,), 1.5),
    *(
        Target(f"{case}: C++ at most 5 ns over C", case, OTTLA_CPP, (OTTLA_C,), 1, 5)
        for case in ("produce-100", "consume-100")
    ),
    Target(
        "python-produce: send_many at most 1/5 of confluent-kafka",
        "python-produce",
        OTTLA_PY_MANY,
        (CONFLUENT, CONFLUENT_SINGLE),
        1 / 5,
    ),
    Target(
        "python-consume: columns at most 1/8 of confluent-kafka",
        "python-consume",
        OTTLA_PY_COLUMNS,
        (CONFLUENT_DEFAULT, CONFLUENT_LARGE),
        1 / 8,
    ),
    Target(
        "python-consume: iterating not dearer than confluent-kafka",
        "python-consume",
        OTTLA_PY_ITERATE,
        (CONFLUENT_DEFAULT, CONFLUENT_LARGE),
        1,
    ),
]
