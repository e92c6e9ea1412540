"""An embedded broker for every test of this folder: the example program, started once, ended by its process."""

from __future__ import annotations

import os
import runpy
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")

GIVEN = os.environ.get("OTTLA_TEST_BOOTSTRAP")

# Where the other side is Ottla, it is the one that the tests of bindings/python would take.
runpy.run_path(str(ROOT / "bindings" / "python" / "conftest.py"))


@pytest.fixture(scope="session", params=[0] if GIVEN else [1, 3], ids=lambda nodes: f"{nodes or 'given'} nodes")
def bootstrap(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a broker of one node, then of a cluster of three; or the one that is given."""
    if GIVEN:
        yield GIVEN
        return
    subprocess.run(["cargo", "build", "--quiet", "--example", "broker"], cwd=ROOT, check=True)
    program = TARGET / "debug" / "examples" / "broker"
    with subprocess.Popen(
        [program, "--nodes", str(request.param)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdin is not None and process.stdout is not None
            address = process.stdout.readline().strip()
            assert address.count(",") == request.param - 1, "the broker did not start"
            yield address
            process.stdin.close()
            assert process.wait(10) == 0
        finally:
            if process.poll() is None:
                process.kill()


@pytest.fixture
def name() -> str:
    """A topic name of its own for each test."""
    return f"foreign-{uuid.uuid4().hex[:12]}"
