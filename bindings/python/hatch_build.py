"""Build hook: the native library goes into the wheel as ottla/_native, and the wheel is for this platform.

OTTLA_LIBRARY names a library that is built already. Otherwise Cargo builds it from the repository this package lies
in, which costs nothing where it is fresh.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = {"darwin": "libottla.dylib", "win32": "ottla.dll"}.get(sys.platform, "libottla.so")


class NativeLibrary(BuildHookInterface):  # type: ignore[misc]
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        library = self.library()
        if version != "editable":
            build_data["force_include"][str(self.stripped(library))] = f"ottla/_native/{NAME}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self.scratch:
            self.scratch.cleanup()

    scratch: tempfile.TemporaryDirectory[str] | None = None

    def stripped(self, library: Path) -> Path:
        """A copy without debug information, where there is a program that makes one."""
        strip = shutil.which("strip")
        if not strip or not sys.platform.startswith("linux"):
            return library
        self.scratch = tempfile.TemporaryDirectory()
        copy = Path(self.scratch.name) / NAME
        subprocess.run([strip, "--strip-unneeded", "-o", str(copy), str(library)], check=True)
        return copy

    def library(self) -> Path:
        told = os.environ.get("OTTLA_LIBRARY")
        if told:
            return Path(told)
        source = Path(self.root).resolve().parents[1]
        target = Path(os.environ.get("CARGO_TARGET_DIR") or source / "target")
        library = target / "release" / NAME
        if not (source / "Cargo.toml").exists():
            raise RuntimeError("the Rust sources are not there; install from a checkout, or set OTTLA_LIBRARY")
        if shutil.which("cargo"):
            # As `make build` does it, or each of the two would compile anew what the other has made.
            command = ["cargo", "rustc", "--quiet", "-p", "ottla", "--lib", "--release"]
            subprocess.run([*command, "--crate-type", "cdylib,staticlib"], cwd=source, check=True)
        if not library.exists():
            raise RuntimeError(f"{library} is not there, and Cargo, which builds it, isn't either: https://rustup.rs")
        return library
