"""The tests run on the sources of this tree and on the library that was built last; nothing has to be installed.

OTTLA_LIBRARY names another library. With OTTLA_TEST_INSTALLED the package that is installed is tested instead.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
NAME = {"darwin": "libottla.dylib", "win32": "ottla.dll"}.get(sys.platform, "libottla.so")


def use_sources() -> None:
    """For this process, and for those that tests start."""
    if not os.environ.get("OTTLA_LIBRARY"):
        built = [path for profile in ("debug", "release") if (path := TARGET / profile / NAME).exists()]
        if not built:
            raise pytest.UsageError(
                f"{NAME} is neither in {TARGET}/debug nor in {TARGET}/release. Build it with `make lib`, or optimised "
                "with `make build`; OTTLA_LIBRARY can name another file."
            )
        os.environ["OTTLA_LIBRARY"] = str(max(built, key=lambda path: path.stat().st_mtime))
    source = str(HERE / "src")
    sys.path.insert(0, source)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))


if not os.environ.get("OTTLA_TEST_INSTALLED"):
    use_sources()


def pytest_report_header() -> str:
    return f"ottla: {os.environ.get('OTTLA_LIBRARY', 'as installed')}"
