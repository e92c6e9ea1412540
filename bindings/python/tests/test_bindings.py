"""The generated declarations fit the header, and the library that is loaded."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ottla import _bindings, _library

ROOT = Path(__file__).resolve().parents[3]
TOOL = ROOT / "tools" / "generate_python_bindings.py"
HEADER = (ROOT / "include" / "ottla.h").read_text()


def test_declarations_are_what_the_header_says() -> None:
    done = subprocess.run([sys.executable, str(TOOL), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_stale_file_is_noticed(tmp_path: Path) -> None:
    header = TOOL.parents[1] / "include" / "ottla.h"
    changed = tmp_path / "ottla.h"
    changed.write_text(header.read_text() + "\nuint32_t ottla_brand_new(void);\n")
    done = subprocess.run([sys.executable, str(TOOL), "--check", str(changed)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "_bindings.py is not what ottla.h says" in done.stdout


def test_what_is_not_understood_is_an_error(tmp_path: Path) -> None:
    header = tmp_path / "ottla.h"
    header.write_text("typedef int32_t ottla_status;\nottla_status ottla_do(ottla_unknown *thing);\n")
    done = subprocess.run([sys.executable, str(TOOL), "--check", str(header)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "unknown type: ottla_unknown" in done.stderr


def test_structures_have_their_size_in_c() -> None:
    assert ctypes.sizeof(_bindings.ottla_bytes) == 2 * ctypes.sizeof(ctypes.c_void_p)
    assert ctypes.sizeof(_bindings.ottla_completion) == 64


def test_another_abi_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bindings, "OTTLA_ABI_VERSION", 9999)
    with pytest.raises(ImportError, match=r"has ABI 0, this Python package needs ABI 9999"):
        _library._load()


def test_a_missing_or_wrong_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OTTLA_LIBRARY", str(tmp_path / "none.so"))
    with pytest.raises(ImportError, match=r"looked for .*none\.so"):
        _library._load()
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"not a library")
    monkeypatch.setenv("OTTLA_LIBRARY", str(broken))
    with pytest.raises(ImportError, match=r"broken\.so can't be loaded"):
        _library._load()


# What a wrapper leaves out, by the beginnings of names, and why.
CPP_LEAVES_OUT = {
    "OTTLA_ERR_": "compared with Error::code() as they are",
    "OTTLA_ABI_VERSION": "compared as it is",
    "OTTLA_MUST_USE": "no constant",
    "OTTLA_TIMESTAMP_CREATE": "what is not appended",
    "ottla_batch_record": "rows are read from the columns",
    "ottla_error_clone": "errors are copied",
}
PYTHON_LEAVES_OUT = {
    "OTTLA_ERR_": "exceptions have the names of codes",
    "OTTLA_ABI_VERSION": "compared by the generated part",
    "OTTLA_MUST_USE": "no constant",
    "OTTLA_KEY_": "keys are keyword arguments",
    "OTTLA_STATS_": "statistics are JSON",
    "OTTLA_TIMESTAMP_": "told as text",
    "OTTLA_OK": "tested as a number",
    "OTTLA_WRITTEN": "what is not one of the others",
    "OTTLA_NOT_WRITTEN": "what is not one of the others",
    "OTTLA_PURGE_ALL": "the other two together",
}


def constants() -> list[str]:
    found = re.findall(r"^#define (OTTLA_[A-Z0-9_]+) ", HEADER, re.M)
    assert len(found) > 100
    return found


def functions() -> list[str]:
    found = re.findall(r"\b(ottla_[a-z0-9_]+)\(", re.sub(r"//.*", "", HEADER))
    assert len(found) > 100
    return found


def absent(names: list[str], text: str, left_out: dict[str, str]) -> list[str]:
    words = set(re.findall(r"\w+", text))
    return [name for name in names if name not in words and not name.startswith(tuple(left_out))]


def test_the_cpp_wrapper_has_all_that_the_header_has() -> None:
    text = "".join(path.read_text() for path in (ROOT / "bindings" / "cpp" / "include").rglob("*.hpp"))
    assert absent(constants() + functions(), text, CPP_LEAVES_OUT) == []


def test_the_python_wrapper_has_all_constants_of_the_header() -> None:
    sources = (ROOT / "bindings" / "python" / "src" / "ottla").glob("*.py")
    text = "".join(path.read_text() for path in sources if path.name != "_bindings.py")
    assert absent(constants(), text, PYTHON_LEAVES_OUT) == []
