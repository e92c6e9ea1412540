"""The wheel, and an editable install, in a fresh environment each: the library is found without being told."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import ottla
import pytest
from ottla import _library

PACKAGE = Path(__file__).resolve().parents[1]
TRY = (
    "import ottla, ottla.testing\n"
    "with ottla.testing.Broker() as broker:\n"
    "    broker.create_topic('t')\n"
    "    with ottla.Producer(broker.bootstrap_servers) as p: print(p.send('t', b'x').result().offset)\n"
)


def run(*command: str | Path, **environment: str) -> str:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OTTLA_", "PYTHON"))}
    done = subprocess.run(
        [str(c) for c in command], env={**clean, **environment}, capture_output=True, text=True, cwd="/"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fresh(place: Path) -> Path:
    run(sys.executable, "-m", "venv", place)
    return place / "bin" / "python"


@pytest.fixture(scope="module")
def loaded() -> str:
    """The library that this test run uses, so that nothing is built anew."""
    return str(Path(_library.lib_path).resolve())


def test_wheel(tmp_path: Path, loaded: str) -> None:
    python = fresh(tmp_path / "venv")
    run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, PACKAGE, OTTLA_LIBRARY=loaded)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"ottla-{ottla.__version__}-py3-none-")
    assert "any" not in wheel.name
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    assert {f"ottla/_native/{_library.NAME}", "ottla/py.typed", "ottla/__init__.py"} <= names
    assert not any(name.startswith(("tests", "ottla/_native/")) for name in names - {f"ottla/_native/{_library.NAME}"})
    run(python, "-m", "pip", "install", "-q", "--no-index", wheel)
    assert run(python, "-c", TRY) == "0\n"


def test_editable(tmp_path: Path, loaded: str) -> None:
    # A copy of the tree as a checkout has it, with the library where Cargo puts it.
    tree = tmp_path / "tree"
    shutil.copytree(PACKAGE, tree / "bindings" / "python", ignore=shutil.ignore_patterns("_native", "__pycache__"))
    shutil.copy(PACKAGE.parents[1] / "Cargo.toml", tree)
    (tree / "target" / "release").mkdir(parents=True)
    shutil.copy(loaded, tree / "target" / "release" / _library.NAME)
    python = fresh(tmp_path / "venv")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "-e", tree / "bindings" / "python", OTTLA_LIBRARY=loaded)
    assert run(python, "-c", TRY) == "0\n"
    assert run(python, "-c", "import ottla; print(ottla.__file__)").startswith(str(tree))
