#!/usr/bin/env python3
"""Holds the tree against the layers that ARCHITECTURE.md allows.

The table "Layers" of ARCHITECTURE.md is read: each row's places (in back-ticks, first column) may import only from rows
above it, and places of one row don't know each other. Fails on an import against that, and on a circle of files in the
client. What the crates may know of each other, the compiler checks; here a crate is one place. Folders whose circles
are still to be opened stand in KNOWN; one that has none any more must leave the list.

    tests/layers.py           checks
    tests/layers.py --all     lists every circle too, with the names that tie it
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Folders whose circles are still to be opened.
KNOWN = {
    "cluster/core",
    "config",
    "ffi",
    "producer",
    "producer/sender",
    "producer/transaction",
    "protocol/record",
    "share/role",
}
# What is no part of the client: its circles are its own affair, its layers are not.
APART = ("broker/", "simulation/")

Module = tuple[str, ...]
PATH = re.compile(
    r"\b(pub(?:\([^)]*\))? )?(use )?\b((?:crate|super|self|ottla_\w+)(?:::super)*)((?:::\w+)*)(?:::\{([^}]*)\})?"
)


class Tree:
    """The files of the client and of the crates below `crates`, and what they import of each other.

    A file is named from its crate's folder on: `net/conn.rs` in the client, `protocol/wire.rs` in the crate protocol.
    """

    def __init__(self, root: Path) -> None:
        self.files: dict[Module, str] = {}
        self.text: dict[str, str] = {}
        self.handed_on: dict[tuple[str, str], Module] = {}
        self.crates = {path.name for path in (root / "crates").glob("*")}
        sources = {"": root / "src", **{f"{crate}/": root / "crates" / crate / "src" for crate in self.crates}}
        for prefix, source in sorted(sources.items()):
            for path in sorted(source.rglob("*.rs")):
                name = prefix + path.relative_to(source).as_posix()
                if is_test(name):
                    continue
                self.files[module_of(name)] = name
                self.text[name] = production(path.read_text())
        for name in self.text:
            for match, module in self.paths(name):
                if match.group(1) and match.group(2) and module:
                    self.handed_on[(name, module[-1])] = module
        self.imports: dict[str, dict[str, set[str]]] = {name: {} for name in self.text}
        # What a file only hands on makes no circle (a folder's face does), but it has a direction.
        self.exports: dict[str, dict[str, set[str]]] = {name: {} for name in self.text}
        for name in self.text:
            for match, module in self.paths(name):
                handed_on = match.group(1) and match.group(2)
                found = self.resolve(module, frozenset({(name, module[-1])} if handed_on and module else ()))
                if found and found[0] not in (name, "lib.rs"):
                    into = self.exports if handed_on else self.imports
                    into[name].setdefault(found[0], set()).add(found[1])

    def paths(self, name: str) -> list[tuple[re.Match[str], Module]]:
        """Every path in a file, from the crate's folder on."""
        here = module_of(name)
        own_crate = here[:1] if here and here[0] in self.crates else ()
        found: list[tuple[re.Match[str], Module]] = []
        for match in PATH.finditer(flat(self.text[name])):
            root = match.group(3).split("::")
            base = own_crate
            if root[0].startswith("ottla_"):
                base = (root[0].removeprefix("ottla_"),)
            elif root[0] != "crate":
                base = here[: len(here) - root.count("super")]
            tail = [part for part in match.group(4).split("::") if part]
            if match.group(5) is None:
                if tail:
                    found.append((match, (*base, *tail)))
                continue
            for item in match.group(5).split(","):
                own = item.strip().split(" as ")[0]
                if own:
                    more = [] if own == "self" else own.split("::")
                    found.append((match, (*base, *tail, *more)))
        return found

    def resolve(self, module: Module, seen: frozenset[tuple[str, str]] = frozenset()) -> tuple[str, str] | None:
        """The file that a path leads to, through what others hand on, and the name it takes there."""
        for length in range(len(module), -1, -1):
            name = self.files.get(module[:length])
            if name is None:
                continue
            rest = module[length:]
            key = (name, rest[0]) if rest else None
            if key and key in self.handed_on and key not in seen:
                return self.resolve(self.handed_on[key], seen | {key})
            return name, rest[0] if rest else ""
        return None

    def circles(self) -> list[list[str]]:
        """Files that import each other in a loop (Tarjan's components)."""
        order: dict[str, int] = {}
        low: dict[str, int] = {}
        stack: list[str] = []
        found: list[list[str]] = []

        def visit(name: str) -> None:
            order[name] = low[name] = len(order)
            stack.append(name)
            for other in self.imports[name]:
                if other not in order:
                    visit(other)
                    low[name] = min(low[name], low[other])
                elif other in stack:
                    low[name] = min(low[name], order[other])
            if low[name] == order[name]:
                circle = []
                while True:
                    other = stack.pop()
                    circle.append(other)
                    if other == name:
                        break
                if len(circle) > 1:
                    found.append(sorted(circle))

        sys.setrecursionlimit(10_000)
        for name in self.text:
            if name not in order and not name.startswith(APART):
                visit(name)
        return found


def module_of(name: str) -> Module:
    """The module that a file is."""
    parts = name[:-3].split("/")
    if parts[-1] in ("mod", "lib"):
        parts.pop()
    return tuple(parts)


def flat(text: str) -> str:
    """Paths with braces within braces, one by one: `a::{b::{c, d}, e}` as `a::b::{c, d}` and `a::{e}`."""
    nested = re.compile(
        r"((?:pub(?:\([^)]*\))? )?use )?((?:crate|super|self|ottla_\w+)(?:::\w+)*)"
        r"::\{([^{}]*?)(\w+(?:::\w+)*)::\{([^{}]*)\},?"
    )
    while match := nested.search(text):
        head, base, before, inner, names = match.groups()
        head = head or ""
        apart = f"{head}{base}::{inner}::{{{names}}};\n{head}{base}::{{{before}"
        text = text[: match.start()] + apart + text[match.end() :]
    return text


def is_test(name: str) -> bool:
    """Tests and their helpers may know everything."""
    parts = name[:-3].split("/")
    last = parts[-1]
    return "tests" in parts or last.endswith("tests") or last in ("rig", "testing", "simulated")


def production(text: str) -> str:
    """A file without comments and without its tests."""
    at = text.find("#[cfg(test)]\nmod tests {")
    if at >= 0:
        text = text[:at]
    return re.sub(r"//.*", "", text)


def layers(architecture: str) -> list[list[str]]:
    """The rows of the table of layers, from the ground up."""
    rows = []
    section = architecture.split("## Layers", 1)[1].split("\n## ", 1)[0]
    for line in section.splitlines():
        if line.startswith("| `"):
            places = re.findall(r"`(?:src|crates)/([\w/.]+?)/?`", line.split("|")[1])
            if places:
                rows.append(places)
    return rows


def row_of(rows: list[list[str]], name: str) -> int | None:
    for number, places in enumerate(rows):
        for place in places:
            if name == place or name.startswith(f"{place}/"):
                return number
    return None


def place_of(places: list[str], name: str) -> str:
    return next(place for place in places if name == place or name.startswith(f"{place}/"))


def against(tree: Tree, rows: list[list[str]]) -> list[str]:
    """Imports against the direction of the layers."""
    wrong = []
    for name, others in [*tree.imports.items(), *tree.exports.items()]:
        own = row_of(rows, name)
        if own is None:
            if name != "lib.rs" and others is tree.imports[name]:
                wrong.append(f"{name} stands in no row of ARCHITECTURE.md's table of layers")
            continue
        for other, names in others.items():
            theirs = row_of(rows, other)
            if theirs is None or theirs < own:
                continue
            if theirs == own and place_of(rows[own], name) == place_of(rows[own], other):
                continue
            wrong.append(f"{name} -> {other}: {', '.join(sorted(names))}")
    return wrong


def folder_of(circle: list[str]) -> str:
    parts = [name.split("/")[:-1] for name in circle]
    common = []
    for step in zip(*parts):
        if len(set(step)) > 1:
            break
        common.append(step[0])
    return "/".join(common)


def main(arguments: list[str]) -> int:
    tree = Tree(ROOT)
    rows = layers((ROOT / "ARCHITECTURE.md").read_text())
    problems = [f"against the layers: {line}" for line in against(tree, rows)]
    unseen = set(KNOWN)
    for circle in tree.circles():
        folder = folder_of(circle)
        if all(name.startswith(APART) for name in circle):
            continue
        unseen.discard(folder)
        if folder in KNOWN and "--all" not in arguments:
            continue
        ties = [
            f"    {name} -> {other}: {', '.join(sorted(tree.imports[name][other]))}"
            for name in circle
            for other in sorted(tree.imports[name])
            if other in circle
        ]
        text = f"a circle of {len(circle)} files in {folder or 'src'}:\n" + "\n".join(ties)
        if folder in KNOWN:
            print(text)
        else:
            problems.append(text)
    problems += [f"no circle is left in {folder}: take it off KNOWN" for folder in sorted(unseen)]
    for problem in problems:
        print(problem)
    if not problems:
        print(f"layers ok: {len(tree.text)} files in {len(rows)} rows; circles to be opened in {len(KNOWN)} folders")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
