#!/usr/bin/env python3
"""Every example against a wrong address: it ends with status 1 and says what is wrong with which address.

    tests/examples.py LIBRARIES

LIBRARIES holds libottla.so. A malformed address is refused at once, so every example is given one; those of the README
are also given an address where nothing listens.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
LIMIT_S = 60
MALFORMED = "127.0.0.1:99999", ["`127.0.0.1:99999`", "ports are 1 to 65535"]
NOBODY = "127.0.0.1:1", ["127.0.0.1:1", "Connection refused", "is a Kafka broker running there"]


def compiled(libraries: Path, out: Path) -> Iterator[list[str]]:
    """The C and C++ examples that take an address."""
    headers = ["-Iinclude", "-Ibindings/cpp/include"]
    link = [f"-L{libraries}", f"-Wl,-rpath,{libraries}", "-lottla"]
    sources = [*ROOT.glob("examples/c/*.c"), *ROOT.glob("examples/cpp/*.cpp")]
    for source in sorted(s for s in sources if s.name != "broker.cpp"):
        compiler = ["cc", "-std=c99"] if source.suffix == ".c" else ["c++", "-std=c++17"]
        # Optimised: what order arguments are evaluated in may differ then.
        flags = ["-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
        program = out / (source.suffix[1:] + "-" + source.stem)
        subprocess.run([*compiler, *flags, *headers, str(source), "-o", str(program), *link], check=True, cwd=ROOT)
        yield [str(program)]


def programs(libraries: Path, out: Path) -> Iterator[list[str]]:
    yield from compiled(libraries, out)
    for script in sorted(ROOT.glob("examples/python/*.py")):
        yield [sys.executable, str(script)]
    subprocess.run(["cargo", "build", "--quiet", "--examples"], check=True, cwd=ROOT)
    for source in sorted(ROOT.glob("examples/rust/*.rs")):
        if source.name != "broker.rs":
            yield [str(TARGET / "debug" / "examples" / source.stem)]


def mistake(program: list[str], address: str, wanted: list[str], environment: dict[str, str]) -> str | None:
    """What is wrong with how a program told of a wrong address."""
    name = " ".join([*(Path(part).name for part in program), address])
    try:
        ran = subprocess.run(
            [*program, address], capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return f"{name}: still running after {LIMIT_S} s"
    missing = [text for text in wanted if text not in ran.stderr]
    if ran.returncode == 1 and not missing:
        return None
    return f"{name}: status {ran.returncode}, not 1; missing on stderr: {missing}; it said:\n{ran.stdout}{ran.stderr}"


def main() -> int:
    libraries = Path(sys.argv[1]).resolve()
    environment = {
        **os.environ,
        "OTTLA_LIBRARY": str(libraries / "libottla.so"),
        "PYTHONPATH": str(ROOT / "bindings" / "python" / "src"),
    }
    environment.pop("BOOTSTRAP", None)
    with tempfile.TemporaryDirectory() as out, ThreadPoolExecutor(8) as pool:
        runs = []
        for program in programs(libraries, Path(out)):
            hello = "hello" in Path(program[-1]).name
            for address, wanted in [MALFORMED, NOBODY] if hello else [MALFORMED]:
                runs.append(pool.submit(mistake, program, address, wanted, environment))
        mistakes = [told for run in runs if (told := run.result())]
    print("\n".join(mistakes) or f"{len(runs)} programs told of a wrong address")
    return 1 if mistakes or len(runs) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
