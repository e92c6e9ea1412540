#!/usr/bin/env python3
"""Generates bindings/python/src/ottla/_bindings.py, the raw ctypes declarations, from include/ottla.h.

    tools/generate_python_bindings.py [--check] [HEADER]

Standard library only. The header is plain C99 written by cbindgen: opaque handles, structs of scalars and pointers,
`#define` constants, types of function pointers, functions. Anything else is an error, so that nothing is left out
without a word. `--check`
compares instead of writing and ends with 1 if the file is stale.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = ROOT / "include" / "ottla.h"
OUTPUT = ROOT / "bindings" / "python" / "src" / "ottla" / "_bindings.py"
LINE = 120

SCALARS = {
    "bool": "c_bool",
    "double": "c_double",
    "int": "c_int",
    "int8_t": "c_int8",
    "int16_t": "c_int16",
    "int32_t": "c_int32",
    "int64_t": "c_int64",
    "intptr_t": "c_ssize_t",
    "size_t": "c_size_t",
    "uint8_t": "c_uint8",
    "uint16_t": "c_uint16",
    "uint32_t": "c_uint32",
    "uint64_t": "c_uint64",
    "uintptr_t": "c_size_t",
}

# These return at once, so keeping the GIL costs less than giving it back and asking for it again. Everything else may
# wait, do I/O, or work through a whole batch, and releases it.
QUICK = re.compile(
    r"ottla_(?:"
    r"abi_version|version|status_name"
    r"|(?:error|event|completions|partitions|keys|log_lines|topic_results|topic_list|topic_descriptions|cluster)_\w+"
    r"|(?:stats|offsets|membership)_\w+"
    r"|config_(?:new|set|free)"
    r"|batch_(?:rows|segment|segment_count|record|headers|held_bytes|free)"
    r"|producer_(?:wake|descriptor|get_counts|logs|next_event|next_stats)"
    r"|consumer_(?:wake|descriptor|logs|next_stats|held_bytes|buffered_bytes|position|lag|assignment|pause|resume"
    r"|seek|assign"
    r"|assign_topic|unassign|subscribe|subscribe_pattern|acknowledge|mark|commit_async|commit_batch_async"
    r"|membership)"
    r"|admin_logs"
    r"|broker_bootstrap_servers"
    r")"
)


class HeaderError(Exception):
    """The header has something this program does not know."""


@dataclass(frozen=True)
class Field:
    name: str
    type: str


@dataclass(frozen=True)
class Function:
    name: str
    result: str
    arguments: tuple[Field, ...]


@dataclass
class Header:
    constants: dict[str, str]
    structs: dict[str, list[Field]]
    pointers: list[Function]
    functions: list[Function]


def parse(text: str) -> Header:
    """What the header declares."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
    text = text.replace("\\\n", " ")
    constants = {
        name: number(value)
        for name, value in re.findall(r"^[ \t]*#[ \t]*define[ \t]+(OTTLA_\w+)[ \t]+(\S[^\n]*?)[ \t]*$", text, re.M)
        if re.fullmatch(r"\(?-?\d+\w*\)?", value)
    }
    text = re.sub(r"^[ \t]*#[^\n]*$", " ", text, flags=re.M)
    text = re.sub(r'extern\s+"C"\s*\{', " ", text)
    # Attributes such as must-use are macros in capitals, with or without arguments.
    text = re.sub(r"\bOTTLA_[A-Z_]+\b(?:\s*\([^()]*\))?", " ", text)
    opaque = set(re.findall(r"\btypedef\s+struct\s+(\w+)\s+\w+\s*;", text))
    aliases = {name: base for base, name in re.findall(r"\btypedef\s+(\w+)\s+(ottla_\w+)\s*;", text)}
    structs: dict[str, list[Field]] = {}
    types = Types(opaque, aliases, structs)
    for body, name in re.findall(r"\btypedef\s+struct(?:\s+\w+)?\s*\{(.*?)\}\s*(\w+)\s*;", text, re.S):
        structs[name] = [field for line in body.split(";") if line.strip() for field in types.fields(line)]
    pointers = []
    for result, name, arguments in re.findall(
        r"\btypedef\s+([\w\s*]+?)\(\s*\*\s*(ottla_\w+)\s*\)\s*\((.*?)\)\s*;", text, re.S
    ):
        pointers.append(Function(name, types.result(result), tuple(types.argument(a) for a in arguments.split(","))))
        types.pointers.add(name)
    text = re.sub(r"\btypedef\s+struct(?:\s+\w+)?\s*\{.*?\}\s*\w+\s*;|\btypedef[^;{]*;", " ", text, flags=re.S)
    functions = []
    for statement in text.replace("}", " ").split(";"):
        if not statement.strip():
            continue
        matched = re.fullmatch(r"\s*(.+?)\b(ottla_\w+)\s*\((.*)\)\s*", statement, re.S)
        if matched is None:
            raise HeaderError(f"not understood: {' '.join(statement.split())}")
        result, name, arguments = matched.groups()
        words = [a for a in arguments.split(",") if a.strip() and a.strip() != "void"]
        functions.append(Function(name, types.result(result), tuple(types.argument(a) for a in words)))
    return Header(constants, structs, pointers, functions)


def number(value: str) -> str:
    return re.sub(r"[()uUlL]", "", value)


class Types:
    """C types as ctypes. Pointers are plain addresses: made and read faster than ctypes' typed pointers."""

    def __init__(self, opaque: set[str], aliases: dict[str, str], structs: dict[str, list[Field]]) -> None:
        self.opaque = opaque
        self.aliases = aliases
        self.structs = structs
        self.pointers: set[str] = set()

    def fields(self, line: str) -> list[Field]:
        """`int64_t a, b` is two fields."""
        first, *others = line.split(",")
        field, base = self.declared(first)
        return [field, *(Field(other.strip(), base) for other in others)]

    def declared(self, line: str) -> tuple[Field, str]:
        matched = re.fullmatch(r"\s*(.*?[\s*])(\w+)\s*(?:\[(\d+)\])?\s*", line, re.S)
        if matched is None:
            raise HeaderError(f"not a declaration: {' '.join(line.split())}")
        base, name, length = matched.groups()
        kind = self.of(base)
        return Field(name, f"{kind} * {length}" if length else kind), kind

    def argument(self, line: str) -> Field:
        matched = re.fullmatch(r"\s*(.*?[\s*])(\w+)\s*", line, re.S)
        if matched is None:
            raise HeaderError(f"not an argument: {' '.join(line.split())}")
        return Field(matched[2], self.of(matched[1]))

    def result(self, text: str) -> str:
        text = re.sub(r"\b(?:extern|static|inline)\b", " ", text)
        return "None" if text.split() == ["void"] else self.of(text)

    def of(self, text: str) -> str:
        words = text.replace("*", " * ").split()
        base = [w for w in words if w not in ("const", "struct", "*")]
        stars = words.count("*")
        if len(base) != 1:
            raise HeaderError(f"not a type: {text.strip()}")
        name = base[0]
        if stars == 1 and name == "char":
            return "c_char_p"
        known = name in SCALARS or name in self.structs or name in self.opaque or name in self.aliases or name == "char"
        if stars:
            if not known and name != "void":
                raise HeaderError(f"unknown type: {name}")
            return "c_void_p"
        if name in self.aliases:
            return self.of(self.aliases[name])
        if name in self.structs or name in self.pointers:
            return name
        if name in SCALARS:
            return SCALARS[name]
        raise HeaderError(f"unknown type: {name}")


def wrap(head: str, items: list[str], tail: str, indent: str) -> list[str]:
    """One line if it fits, else one item a line."""
    line = f"{indent}{head}{', '.join(items)}{tail}"
    if len(line) <= LINE:
        return [line]
    return [f"{indent}{head}", *(f"{indent}    {item}," for item in items), f"{indent}{tail}"]


def natural(name: str) -> list[str]:
    return [word.zfill(8) if word.isdigit() else word for word in re.split(r"(\d+)", name)]


def generate(header: Header) -> str:
    lines = [
        '"""Raw declarations of the C ABI. Generated from include/ottla.h by tools/generate_python_bindings.py."""',
        "",
        "from __future__ import annotations",
        "",
        "import ctypes",
        "from collections.abc import Callable",
    ]
    used = {f.type.split(" *")[0] for fields in header.structs.values() for f in fields}
    called = header.functions + header.pointers
    used |= {a.type for f in called for a in f.arguments} | {f.result for f in called}
    names = ["Structure", *sorted((t for t in used if t.startswith("c_")), key=natural)]
    lines += ["from ctypes import (", *(f"    {n}," for n in names), ")"]
    lines += ["from typing import Any, ClassVar, cast", ""]
    lines += [f"{name} = {value}" for name, value in header.constants.items()]
    for name, fields in header.structs.items():
        lines += ["", "", f"class {name}(Structure):"]
        lines += [f"    {f.name}: {annotation(f.type)}" for f in fields]
        pairs = [f'("{f.name}", {f.type})' for f in fields]
        lines += ["    _fields_: ClassVar[Any] = (", *(f"        {pair}," for pair in pairs), "    )"]
    if header.pointers:
        lines += ["", ""]
    for pointer in header.pointers:
        items = [pointer.result, *(a.type for a in pointer.arguments)]
        lines += wrap(f"{pointer.name} = ctypes.CFUNCTYPE(", items, ")", "")
    lines += [
        "",
        "",
        "def _declare(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:",
        "    function.restype = result",
        "    function.argtypes = arguments",
        "    return cast(Callable[..., Any], function)",
        "",
        "",
        "class Functions:",
        '    """The functions without their prefix. The quick ones keep the GIL, all others release it."""',
        "",
        "    def __init__(self, quick: ctypes.PyDLL, releasing: ctypes.CDLL) -> None:",
        "        d = _declare",
    ]
    for function in header.functions:
        library = "quick" if QUICK.fullmatch(function.name) else "releasing"
        items = [f"{library}.{function.name}", function.result, *(a.type for a in function.arguments)]
        lines += wrap(f"self.{function.name.removeprefix('ottla_')} = d(", items, ")", " " * 8)
    return "\n".join(lines) + "\n"


def annotation(kind: str) -> str:
    if " * " in kind or kind.startswith("ottla_"):
        return "Any"
    return {"c_bool": "bool", "c_double": "float", "c_char_p": "bytes | None", "c_void_p": "int | None"}.get(
        kind, "int"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("header", type=Path, nargs="?", default=HEADER)
    options = parser.parse_args()
    text = generate(parse(options.header.read_text()))
    if not options.check:
        OUTPUT.write_text(text)
    elif not OUTPUT.exists() or OUTPUT.read_text() != text:
        print(f"{OUTPUT.relative_to(ROOT)} is not what {options.header.name} says; run {Path(__file__).name}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
