"""Finds and loads the native library, and checks that it speaks the ABI these wrappers were written for."""

from __future__ import annotations

import ctypes
import os
import sys

from . import _bindings

NAME = {"darwin": "libottla.dylib", "win32": "ottla.dll"}.get(sys.platform, "libottla.so")


def _candidates() -> list[str]:
    """Where the library may be, best first: told, packaged, built beside the sources of an editable install."""
    told = os.environ.get("OTTLA_LIBRARY")
    if told:
        return [told]
    here = os.path.dirname(os.path.abspath(__file__))
    found = [os.path.join(here, "_native", NAME)]
    source = os.path.normpath(os.path.join(here, *[os.pardir] * 4))
    if os.path.exists(os.path.join(source, "Cargo.toml")):
        found.append(os.path.join(source, "target", "release", NAME))
    return found


def _load() -> tuple[str, ctypes.PyDLL, ctypes.CDLL, _bindings.Functions]:
    candidates = _candidates()
    path = next(filter(os.path.exists, candidates), None)
    if path is None:
        raise ImportError(
            f"ottla's native library is missing: looked for {', '.join(candidates)}. Install the package with pip, or "
            "build it with `cargo rustc --lib --release --crate-type cdylib`; OTTLA_LIBRARY can name the file itself."
        )
    try:
        quick, releasing = ctypes.PyDLL(path), ctypes.CDLL(path)
    except OSError as error:
        raise ImportError(f"ottla's native library {path} can't be loaded: {error}") from error
    try:
        version = int(quick.ottla_abi_version())
    except AttributeError:
        raise ImportError(f"{path} is not ottla's native library: it has no ottla_abi_version") from None
    if version != _bindings.OTTLA_ABI_VERSION:
        raise ImportError(
            f"ottla's native library {path} has ABI {version}, this Python package needs ABI "
            f"{_bindings.OTTLA_ABI_VERSION}. Install both from one version of ottla."
        )
    try:
        return path, quick, releasing, _bindings.Functions(quick, releasing)
    except AttributeError as error:
        raise ImportError(
            f"ottla's native library {path} lacks a function of this version: {error}. Install both from one version."
        ) from None


lib_path, quick, releasing, lib = _load()
