#!/usr/bin/env python3
"""The test phases, each with a log and a time limit.

    tests/run.py [--quick | --long] [--fail-fast] [PHASE ...]
    tests/run.py [--quick] PHASE --test NAME

`--quick` needs no Java, tests an unoptimised library and takes under two minutes after a change; `--long` sets
OTTLA_TEST_LONG=1, which makes the property, fault and soak tests run their long versions. Naming phases runs only
those, and `--test NAME` only the tests of them that have NAME in their name. After a phase that failed the others still
run, unless nothing can be tested (`--fail-fast`: unless one failed).

The phases compose what works without them, too: `cargo test` or `cargo nextest run`, `pytest`, `ctest`.

Phases come in stages, one after the other, and a stage has one or two lanes side by side: what compiles has the machine
to itself, and what mostly waits shares it.

Phases find their sources by place: tests/*.rs, tests/c/*.c, tests/cpp/CMakeLists.txt, bindings/python/tests,
examples/run.sh, tests/install/run.sh, benches/run.py. The Kafka phases run again, against a real Kafka, whatever in
there mentions OTTLA_TEST_BOOTSTRAP; without that variable the same tests use the embedded broker.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Union
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
LOGS = TARGET / "test"
VENV = TARGET / "venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = ROOT / "tests" / "requirements.txt"
# Tests mostly wait, for brokers and for time to pass: more of them at once than there are cores.
WAITING = {"RUST_TEST_THREADS": "4"}
PARALLEL = ("-n", "3")
# The wheel is tested, not the source tree.
INSTALLED = {"OTTLA_TEST_INSTALLED": "1"}
# Set when a phase has failed or the user has had enough: those beside it end.
STOP = threading.Event()
# Without these nothing else can run.
GROUND = ("tools", "compile", "build")
CLUSTER = ROOT / "tests" / "kafka" / "cluster.py"
BOOTSTRAP = "OTTLA_TEST_BOOTSTRAP"

PROGRAMS = {"cc": "gcc", "c++": "g++", "cmake": "cmake", "pkg-config": "pkg-config", "valgrind": "valgrind"}
# Debian's own Go may be too old to build kfake: 1.21 and later fetch the version that its go.mod names.
GO_PROGRAMS = {"go": "golang"}
JAVA_PROGRAMS = {"java": "openjdk-17-jdk-headless", "javac": "openjdk-17-jdk-headless", "mvn": "maven"}
RUST = (1, 95)
SIMULATE = "cargo build --quiet --profile simulation --features simulation --bin simulate"

# `cargo test` and our own programs have no report but their last line.
CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", re.M)
OWN = re.compile(r"^ok: (\d+) checks?$", re.M)


Command = Sequence[Union[str, Path]]
Environment = Mapping[str, str]


class Failed(Exception):
    """A phase failed; the message says why."""


@dataclass
class Phase:
    """One phase under way: where it logs, until when it may run, what it found."""

    name: str
    limit_s: int
    options: argparse.Namespace
    missing: list[str] = field(default_factory=list)
    reports: list[Path] = field(default_factory=list)

    @property
    def libraries(self) -> Path:
        """Where the libraries under test are."""
        return TARGET / ("debug" if self.options.quick else "release")

    @property
    def work(self) -> Path:
        """Where programs are compiled to."""
        return TARGET / "test" / ("quick" if self.options.quick else "full")

    def __post_init__(self) -> None:
        LOGS.mkdir(parents=True, exist_ok=True)
        self.log = LOGS / f"{self.name}.log"
        self.log.write_text("")
        self.deadline = time.monotonic() + self.limit_s

    def run(
        self, *command: str | Path, env: Environment | None = None, cwd: Path = ROOT, fine: Sequence[int] = (0,)
    ) -> None:
        """Run a command into the log; a failure or the phase's limit raises."""
        words = [str(c) for c in command]
        with open(self.log, "a") as log:
            log.write(f"$ {' '.join(words)}\n")
            log.flush()
            with subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process:
                try:
                    code = self.wait(process)
                except BaseException as error:
                    # SIGTERM first: cluster.py ends its brokers on it.
                    os.killpg(process.pid, signal.SIGTERM)
                    try:
                        process.wait(15)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)
                    if isinstance(error, subprocess.TimeoutExpired):
                        raise Failed(f"not done within {self.limit_s} s: {' '.join(words)}") from None
                    raise
        if code not in fine:
            raise Failed(f"ended with {code}: {' '.join(words)}")

    def wait(self, process: subprocess.Popen[bytes]) -> int:
        while True:
            try:
                return process.wait(0.2)
            except subprocess.TimeoutExpired:
                if time.monotonic() > self.deadline:
                    raise
                if STOP.is_set():
                    raise Failed("stopped, because of another") from None

    def sources(self, place: str, pattern: str) -> list[Path]:
        """The files of a phase. None in a place that exists is a failure; a place not there yet is reported."""
        directory = ROOT / place
        if not directory.is_dir():
            self.missing.append(place)
            return []
        found = sorted(directory.glob(pattern))
        if not found:
            raise Failed(f"{place}/ has no {pattern}")
        return found

    def report(self) -> Path:
        """Where the next runner of this phase writes its JUnit XML."""
        path = LOGS / f"{self.name}-{len(self.reports) + 1}.xml"
        path.unlink(missing_ok=True)
        self.reports.append(path)
        return path

    def pytest(self, *words: str | Path, before: Command = (), env: Environment | None = None) -> None:
        """Run pytest, after the words of another command; with --test, the tests of that name."""
        named = ["-k", self.options.test] if self.options.test else []
        command = [*before, PYTHON, "-m", "pytest", f"--junitxml={self.report()}", *words, *named]
        # 5: no test was chosen.
        self.run(*command, env={**INSTALLED, **(env or {})}, fine=(0, 5) if named else (0,))

    def ctest(self, label: str, *words: str, before: Command = (), env: Environment | None = None) -> None:
        """Run the C or the C++ tests; with --test, those of that name."""
        named = ["-R", self.options.test] if self.options.test else ["--no-tests=error"]
        chosen = ["ctest", "--test-dir", self.work / "cmake", "-L", label, *named, *words]
        self.run(*before, *chosen, "--output-on-failure", "--output-junit", self.report(), env=env)

    def cargo_test(self, *words: str, before: Command = (), env: Environment | None = None) -> None:
        """Run `cargo test`; with --test, the tests of that name."""
        named = [self.options.test] if self.options.test else []
        self.run(*before, "cargo", "test", "--quiet", *words, *named, env=env)

    def counts(self) -> dict[str, int]:
        text = self.log.read_text(errors="replace")
        totals = {"passed": 0, "failed": 0, "skipped": 0}
        for groups in CARGO.findall(text):
            for name, value in zip(totals, groups):
                totals[name] += int(value)
        totals["passed"] += sum(map(int, OWN.findall(text)))
        for path in filter(Path.exists, self.reports):
            for case in ElementTree.parse(path).iter("testcase"):
                outcomes = {child.tag for child in case}
                failed, skipped = outcomes & {"failure", "error"}, "skipped" in outcomes
                totals["failed" if failed else "skipped" if skipped else "passed"] += 1
        return totals


def tools(phase: Phase) -> None:
    """What has to be installed."""
    wanted = dict(PROGRAMS) if phase.options.quick else {**PROGRAMS, **JAVA_PROGRAMS, **GO_PROGRAMS}
    packages = sorted({package for program, package in wanted.items() if shutil.which(program) is None})
    try:
        subprocess.run([sys.executable, "-c", "import venv, ensurepip"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        packages.append("python3-venv")
    if packages:
        raise Failed(f"missing programs; install them with: apt-get install {' '.join(packages)}")
    if shutil.which("cargo") is None:
        raise Failed("cargo is missing; install Rust 1.95 or later from https://rustup.rs")
    version = subprocess.run(["cargo", "--version"], check=True, capture_output=True, text=True).stdout
    numbers = re.search(r"(\d+)\.(\d+)", version)
    if numbers is None or tuple(map(int, numbers.groups())) < RUST:
        raise Failed(
            f"Rust {RUST[0]}.{RUST[1]} or later is needed, this is {version.strip()}; run: rustup update stable"
        )
    requirements = REQUIREMENTS.read_text()
    stamp = VENV / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != requirements:
        phase.run(sys.executable, "-m", "venv", VENV)
        phase.run(PYTHON, "-m", "pip", "install", "-q", "-r", REQUIREMENTS)
        stamp.write_text(requirements)


def lint(phase: Phase) -> None:
    """rustfmt, clippy, ruff, mypy, and the words of what users read."""
    phase.run("cargo", "fmt", "--all", "--check")
    phase.run("cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings")
    phase.run("cargo", "clippy", "--workspace", "--lib", "--bins", "--features", "simulation", "--", "-D", "warnings")
    phase.run(PYTHON, "-m", "ruff", "check", "--output-format", "concise", ".")
    phase.run(PYTHON, "-m", "pytest", "tests/checks")
    phase.run(PYTHON, "tests/words.py")
    phase.run(PYTHON, "tests/layers.py")
    mypy: list[str | Path] = [PYTHON, "-m", "mypy", "--strict"]
    ours = {"MYPYPATH": f"{ROOT / 'tests'}:{ROOT / 'tests' / 'kafka'}:{ROOT / 'bindings' / 'python' / 'src'}"}
    for directory in ("tests", "tests/checks", "tests/faults", "tests/golden", "tests/kafka", "benches"):
        phase.run(*mypy, *(p.name for p in phase.sources(directory, "*.py")), cwd=ROOT / directory, env=ours)
    bindings = ROOT / "bindings" / "python"
    if (bindings / "pyproject.toml").exists():
        phase.run(*mypy, "src", cwd=bindings)


def compile_tests(phase: Phase) -> None:
    """The Rust tests and the simulation, so that nothing compiles beside what runs later."""
    phase.run("cargo", "test", "--quiet", "--workspace", "--no-run")
    if not phase.options.quick:
        phase.run(*SIMULATE.split())


def rust(phase: Phase) -> None:
    """Unit, property and integration tests, on the embedded broker."""
    quick = {"OTTLA_TEST_QUICK": "1"} if phase.options.quick else {}
    phase.cargo_test("--workspace", env={**WAITING, **quick})


def simulation(phase: Phase) -> None:
    """Thousands of seeds through faults, every planted bug found by one of them, every request refused for good."""
    if phase.sources("src/simulation", "*.rs"):
        phase.run(*SIMULATE.split())
        program = TARGET / "simulation" / "simulate"
        phase.run(program, "--seeds", "50000" if phase.options.long else "2000")
        phase.run(program, "--bugs")
        phase.run(program, "--refusals")


def build(phase: Phase) -> None:
    """The shipped libraries, and what they export; when quick, an unoptimised one."""
    if phase.options.quick:
        phase.run("make", "-s", "lib")
        return
    phase.run("make", "-s", "build")
    if phase.sources("include", "ottla.h"):
        phase.run("tests/symbols.sh", TARGET / "release")


def compile_native(phase: Phase, target: str) -> None:
    """One CMake project has the tests of both languages."""
    out = phase.work / "cmake"
    valgrind = "OFF" if phase.options.quick else "ON"
    chosen = ["-DCMAKE_BUILD_TYPE=Debug", f"-DOTTLA_LIBRARY_DIR={phase.libraries}", f"-DOTTLA_VALGRIND={valgrind}"]
    phase.run("cmake", "-S", "tests", "-B", out, *chosen)
    phase.run("cmake", "--build", out, "--target", target, "-j2")


def c(phase: Phase) -> None:
    """tests/c under valgrind (without it when quick)."""
    if phase.sources("tests/c", "*.c"):
        compile_native(phase, "c_tests")
        phase.ctest("^c$")


def note_check(phase: Phase) -> None:
    with open(phase.log, "a") as log:
        log.write("ok: 1 check\n")


def instructions(phase: Phase) -> None:
    """Instructions a record, counted by callgrind, beside tests/instructions.json."""
    library = {"OTTLA_LIBRARY": str(TARGET / "release" / "libottla.so")}
    phase.run(sys.executable, "tests/instructions.py", env=library)
    note_check(phase)


def cpp(phase: Phase) -> None:
    """tests/cpp: CMake and GoogleTest."""
    if phase.sources("tests/cpp", "CMakeLists.txt"):
        compile_native(phase, "cpp_tests")
        phase.ctest("^cpp$", "-j3")


def python(phase: Phase) -> None:
    """The wheel, installed into the venv, and pytest."""
    if phase.sources("bindings/python/tests", "test_*.py"):
        library = {"OTTLA_LIBRARY": str(phase.libraries / "libottla.so")}
        phase.run(
            PYTHON, "-m", "pip", "install", "-q", "--force-reinstall", "--no-deps", "./bindings/python", env=library
        )
        phase.pytest(*PARALLEL, "bindings/python/tests")


def foreign(phase: Phase) -> None:
    """confluent-kafka, kafka-python, aiokafka and, unless it is to be quick, Java on the embedded broker."""
    chosen = "not java and not slow" if phase.options.quick else ""
    if phase.sources("tests/foreign", "test_*.py"):
        # By file, as the Java tests share a build.
        phase.pytest(*PARALLEL, "--dist", "loadfile", "tests/foreign", "-m", chosen)


def neighbours(phase: Phase) -> None:
    """The programme of tests/neighbours.rs on librdkafka's mock cluster and on franz-go's kfake."""
    phase.run(PYTHON, "tests/foreign/neighbours.py")
    phase.missing += re.findall(r"^NOT TESTED: (.*)$", phase.log.read_text(), re.M)


def examples(phase: Phase) -> None:
    """Every example and the README's programs, on the embedded broker."""
    phase.run(sys.executable, "tests/readme.py")
    note_check(phase)
    for script in phase.sources("examples", "run.sh"):
        phase.run(script, "all", env={"OTTLA_PYTHON": str(PYTHON)})
        note_check(phase)
        phase.run(sys.executable, "tests/examples.py", TARGET / "release")
        note_check(phase)


def install(phase: Phase) -> None:
    """`make install`, then C and C++ programs built against the installed tree."""
    if phase.sources("include", "ottla.h"):
        phase.run("tests/install/run.sh")
        note_check(phase)


def golden(phase: Phase) -> None:
    """Kafka's own classes read what Ottla encoded."""
    phase.run(sys.executable, "tests/golden/java_reads.py")


def bench(phase: Phase) -> None:
    """Every program of the benchmark and every option, with few records: what they did is checked on the broker."""
    native = "produce-100,produce-lz4,consume-keyed,consume-10k,consume-mixed,group-8,transactions,mostly-idle"
    cases = f"{native},latency,latency-20k,python-produce,python-consume"
    phase.run(sys.executable, "benches/run.py", "--rounds", "1", "--divide", "200", "--cases", cases)
    note_check(phase)


def cluster(phase: Phase) -> None:
    """The test cluster's own tests: brokers killed, paused, restarted, left behind by nobody."""
    phase.pytest("tests/kafka", "-m", "")


def faults(phase: Phase) -> None:
    """Faults on three brokers of Apache Kafka, each behind a proxy: killed, stopped, restarted, cut off, slowed."""
    environment = {"OTTLA_TEST_PYTHON": str(PYTHON)}
    phase.run("cargo", "test", "--quiet", "--test", "faults", "--", "--kafka", env=environment)


def kafka_rust_tests() -> list[str]:
    """The arguments of `cargo test` that select what reads OTTLA_TEST_BOOTSTRAP."""
    found = [p for p in (ROOT / "tests").glob("*.rs") if BOOTSTRAP in p.read_text()]
    found += [
        p.parent
        for p in (ROOT / "tests").glob("*/main.rs")
        if any(BOOTSTRAP in f.read_text() for f in p.parent.glob("*.rs"))
    ]
    return [word for p in sorted(found) for word in ("--test", p.stem)]


def beside_kafka(version: str) -> list[str | Path]:
    """The command that runs another beside a cluster of that version."""
    return [sys.executable, CLUSTER, "run", "--version", version, "--"]


def rust_on_kafka(version: str) -> Callable[[Phase], None]:
    def run(phase: Phase) -> None:
        quick = {**WAITING, "OTTLA_TEST_QUICK": "1"}
        phase.cargo_test(*kafka_rust_tests(), before=beside_kafka(version), env=quick)

    run.__doc__ = f"The Rust tests that read {BOOTSTRAP}, short versions, against Apache Kafka {version}."
    return run


def old_kafka(version: str) -> Callable[[Phase], None]:
    def run(phase: Phase) -> None:
        phase.cargo_test("--test", "old_kafka", before=beside_kafka(version), env=WAITING)

    run.__doc__ = f"What every Kafka can do, against Apache Kafka {version}, and what one too old is told."
    return run


def old_segments(phase: Phase) -> None:
    """A log in message formats 0, 1 and 2 that Kafka 4.4 and 3.9 have found on their disks."""
    for version in ("4.4.0", "3.9.1"):
        phase.run(sys.executable, CLUSTER.with_name("old_segments.py"), "--version", version)


def on_kafka(version: str) -> Callable[[Phase], None]:
    def run(phase: Phase) -> None:
        before = beside_kafka(version)
        named = phase.options.test or ""
        if rust_tests := kafka_rust_tests():
            phase.cargo_test(*rust_tests, before=before, env=WAITING)
        # Without valgrind, which is for the embedded broker's run of them.
        for source in phase.sources("tests/c", "*.c"):
            if BOOTSTRAP in source.read_text() and named in source.stem:
                phase.run(*before, phase.work / "cmake" / "c" / source.stem, env=WAITING)
                note_check(phase)
        if phase.sources("tests/cpp", "CMakeLists.txt"):
            phase.ctest("^cpp$", "-j3", before=before, env=WAITING)
        if phase.sources("bindings/python/tests", "test_*.py"):
            phase.pytest(*PARALLEL, "bindings/python/tests", before=before, env=WAITING)
        if not version.startswith("3"):
            java = ["tests/foreign/test_java_share.py", "tests/foreign/test_java_committed.py"]
            phase.pytest(*PARALLEL, *java, "-m", "", before=before, env=WAITING)

    run.__doc__ = f"What reads {BOOTSTRAP}, against Apache Kafka {version}."
    return run


@dataclass(frozen=True)
class Kind:
    """A phase as it is planned."""

    name: str
    function: Callable[[Phase], None]
    limit_s: int
    quick: bool = False
    # Runs with --long only.
    long: bool = False


# Stages of lanes of phases.
STAGES: list[list[list[Kind]]] = [
    [
        [
            Kind("tools", tools, 600, quick=True),
            Kind("lint", lint, 600, quick=True),
            Kind("compile", compile_tests, 900, quick=True),
            Kind("build", build, 1500, quick=True),
        ]
    ],
    [
        [
            Kind("rust", rust, 900, quick=True),
            Kind("c", c, 600, quick=True),
            Kind("cpp", cpp, 600, quick=True),
            Kind("instructions", instructions, 600),
        ],
        [
            Kind("python", python, 600, quick=True),
            Kind("foreign", foreign, 600, quick=True),
            Kind("neighbours", neighbours, 300),
            Kind("examples", examples, 600),
            Kind("install", install, 300),
            Kind("golden", golden, 300),
            Kind("simulation", simulation, 900),
        ],
    ],
    [
        [Kind("kafka-4.4.0", on_kafka("4.4.0"), 1800)],
        [
            Kind("kafka-3.9.1", on_kafka("3.9.1"), 1800),
            Kind("kafka-4.3.1", rust_on_kafka("4.3.1"), 900),
            *(Kind(f"kafka-{v}", old_kafka(v), 300, long=True) for v in ("2.8.2", "1.1.1", "0.11.0.3", "0.10.2.2")),
            Kind("old-segments", old_segments, 300, long=True),
        ],
    ],
    [
        [Kind("faults", faults, 1500)],
        [Kind("cluster", cluster, 600), Kind("bench", bench, 900)],
    ],
]
PHASES = [kind for stage in STAGES for lane in stage for kind in lane]
# Those of which --test can choose tests.
NAMED = {"rust", "c", "cpp", "python", "foreign", *(k.name for k in PHASES if k.name.startswith("kafka-"))}


def quick_stages() -> list[list[list[Kind]]]:
    """What is quick of them. C and C++ have a lane of their own: mostly everybody waits, and nothing under valgrind."""
    first, second, *_ = [[[kind for kind in lane if kind.quick] for lane in stage] for stage in STAGES]
    rust, beside = second
    return [first, [rust[:1], rust[1:], beside]]


class Report:
    """What came out of the phases so far. Each is told by one print, as two may end at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.totals = {"passed": 0, "failed": 0, "skipped": 0}
        self.missing: list[str] = []
        self.failed: list[str] = []

    def ended(self, phase: Phase, seconds: float) -> None:
        counts = phase.counts()
        told = ", ".join(f"{value} {key}" for key, value in counts.items() if value)
        absent = f"  NOT THERE YET: {', '.join(phase.missing)}" if phase.missing else ""
        with self.lock:
            for key, value in counts.items():
                self.totals[key] += value
            self.missing += phase.missing
            print(f"{phase.name:12} ok     {seconds:7.1f} s  {told}{absent}", flush=True)

    def broke(self, phase: Phase, seconds: float, error: Failed) -> None:
        tail = phase.log.read_text(errors="replace").splitlines()[-60:]
        with self.lock:
            # Those that are stopped because of another have nothing to say.
            if not STOP.is_set():
                print(f"{phase.name:12} FAILED {seconds:7.1f} s: {error}", flush=True)
                print("\n".join(f"  | {line}" for line in tail), flush=True)
                print(f"the whole log: {phase.log}", flush=True)
            self.failed.append(phase.name)


def run_lane(lane: Sequence[Kind], options: argparse.Namespace, report: Report) -> None:
    for kind in lane:
        if STOP.is_set():
            return
        phase = Phase(kind.name, kind.limit_s * (4 if options.long else 1), options)
        started = time.monotonic()
        try:
            kind.function(phase)
            if options.test and kind.name in NAMED and not any(phase.counts().values()):
                raise Failed(f"no test has {options.test} in its name")
        except Failed as error:
            report.broke(phase, time.monotonic() - started, error)
            if options.fail_fast or kind.name in GROUND:
                STOP.set()
                return
            continue
        except BaseException:
            STOP.set()
            raise
        report.ended(phase, time.monotonic() - started)


def run_stage(lanes: Sequence[Sequence[Kind]], options: argparse.Namespace, report: Report) -> None:
    """Runs the lanes side by side. Ctrl-C and SIGTERM end them all."""
    threads = [threading.Thread(target=run_lane, args=(lane, options, report)) for lane in lanes if lane]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    except KeyboardInterrupt:
        STOP.set()
        for thread in threads:
            thread.join()
        raise


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="no Java, under two minutes")
    extent.add_argument("--long", action="store_true", help="the long versions of the tests, too")
    names = [kind.name for kind in PHASES]
    parser.add_argument("phases", nargs="*", metavar="PHASE", choices=[*names, []], help="of: " + " ".join(names))
    parser.add_argument(
        "--fail-fast", action="store_true", help="stop at the first phase that fails; otherwise the others run"
    )
    parser.add_argument(
        "--test", metavar="NAME", help="only tests with this in their name; of: " + " ".join(sorted(NAMED))
    )
    options = parser.parse_args()
    if options.test and (not options.phases or not NAMED.issuperset(options.phases)):
        parser.error(f"--test needs phases, of: {' '.join(sorted(NAMED))}")
    if options.long:
        os.environ["OTTLA_TEST_LONG"] = "1"
    # What pip fetches to build the package is held to the same versions; older pips know only the first of the two.
    os.environ["PIP_CONSTRAINT"] = os.environ["PIP_BUILD_CONSTRAINT"] = str(REQUIREMENTS)
    chosen = {k.name for k in PHASES if (k.quick or not options.quick) and (options.long or not k.long)}
    wanted = {"tools", *options.phases} if options.phases else chosen
    if options.test and options.phases != ["rust"]:
        wanted.add("build")
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    report = Report()
    begun = time.monotonic()
    for stage in quick_stages() if options.quick else STAGES:
        run_stage([[kind for kind in lane if kind.name in wanted] for lane in stage], options, report)
        if STOP.is_set():
            break
    if report.failed or STOP.is_set():
        failed = ", ".join(report.failed) or "?"
        ended = "; the rest was left out" if STOP.is_set() else ""
        print(f"test result: FAILED. failed: {failed}; after {time.monotonic() - begun:.1f} s{ended}")
        return 1
    if report.missing:
        print(f"not tested, because not there yet: {', '.join(sorted(set(report.missing)))}")
    totals = report.totals
    print(
        f"test result: ok. {totals['passed']} passed; {totals['failed']} failed; {totals['skipped']} ignored; "
        f"{len(wanted)} phases; finished in {time.monotonic() - begun:.1f}s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
