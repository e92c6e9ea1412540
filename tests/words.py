#!/usr/bin/env python3
"""Phrases that readers of English trip over, in what users read: the header, README.md, docs/, docstrings, the C++
headers, and the documentation of public Rust items.

    tests/words.py              lists each with its place and what to write instead; any is a failure
    tests/words.py --self-test  checks the patterns themselves
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Pattern, what to write instead, and an example that must be found.
PHRASES = (
    (r"\b(?:of|to) NULL\b", "for NULL", "How many there are; 0 of NULL."),
    (
        r"\banswers? (?:`?OTTLA_|NULL\b|\d|\"|an? (?:status|error|number)\b|an? `|at once\b|as of\b)",
        "returns",
        "Every function answers an error.",
    ),
    (r"\b(?:tells?|told|telling) of\b", "reports", "An event tells of it."),
    (
        r"\b(?:tells?|told) (?:which|how|what|why|whether|when|where|that|in|apart)\b",
        "reports, says, has",
        "It tells how much that is.",
    ),
    (r"\b(?:is|are|was|were|be|been) told\b", "is reported, gets", "The other one is told to wait."),
    (r"\bwhat bec(?:ame|omes?) of\b", "the outcome of", "What became of records."),
    (r"\bof (?:its|their|his|her|one's|your|our) own\b", "a separate, its own", "A call of its own."),
    (r"\bbeside\b", "next to, in addition to, during", "It may be called beside a poll."),
    (r"\banew\b", "again, over", "Its offsets begin anew."),
    (r"\bwhereupon\b", "after which", "It is read, whereupon it ends."),
    (r"\bof no (?:use|effect)\b", "cannot help, has no effect", "Waiting is of no use."),
    (r"\b(?:whom|whoever|all who|nobody who)\b", "which, the caller, all calls", "It wakes all who wait."),
    (r"\bshall\b", "must, will", "It shall be freed."),
    (r"\bin the open(?= or\b|[.,;:]|$)", "in plain text", "It is sent in the open."),
    (r"\b(?:is|was|be) said of\b", "acknowledged", "Nothing was said of it."),
    (r"\bfor so (?:long|many)\b", "for this long, for this many", "It waits for so long."),
    (r"\b(?:ask(?:s|ed)?) for again\b", "requested again", "It is asked for again."),
    (r"\bkept? in touch with\b", "reached", "It can't be kept in touch with."),
    (r"\bis none of\b", "is not", "This is none of its members."),
)

# Where the Rust API lives; what is internal to it has no readers outside.
RUST = ("admin", "client", "config", "consumer", "group", "producer", "reading", "share", "stats")
PUBLIC = re.compile(r"pub (?:const |unsafe |async )*(?:fn|struct|enum|trait|type|const|static|mod|union) |pub \w+:")

Block = tuple[Path, int, str]


def marked(path: Path, marks: tuple[str, ...]) -> Iterator[tuple[int, str, str]]:
    """Runs of lines that begin with one of the marks: the first line's number, the text, and the line that follows."""
    start, block = 0, ""
    for number, line in enumerate([*path.read_text().splitlines(), ""], 1):
        text = line.strip()
        mark = next((mark for mark in marks if text.startswith(mark)), None)
        if mark is not None:
            start = start if block else number
            block += text[len(mark) :] + "\n"
        elif block and not text.startswith("#["):
            yield start, block, text
            block = ""


def rust() -> Iterator[Block]:
    files = [ROOT / "crates" / "base" / "src" / "error.rs"]
    folders = [*(ROOT / "src" / folder for folder in RUST), ROOT / "crates" / "broker" / "src"]
    files += [p for folder in folders for p in sorted(folder.rglob("*.rs")) if "tests" not in p.parts]
    for path in files:
        public_type = False
        for start, block, after in marked(path, ("///",)):
            top = not path.read_text().splitlines()[start - 1].startswith(" ")
            if top:
                public_type = bool(PUBLIC.match(after)) and " fn " not in after
            variant = public_type and not top and re.match(r"[A-Z]\w*[ ,({]|[A-Z]\w*$", after)
            if PUBLIC.match(after) or variant:
                yield path, start, block


def docstrings(path: Path) -> Iterator[Block]:
    tree = ast.parse(path.read_text())
    hidden = {id(n) for c in ast.walk(tree) if (getattr(c, "name", None) or "").startswith("_") for n in ast.walk(c)}
    # Docstrings, and the strings below attributes.
    for node in ast.walk(tree):
        constant = node.value if isinstance(node, ast.Expr) else None
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str) and id(node) not in hidden:
            yield path, constant.lineno, constant.value


def blocks() -> Iterator[Block]:
    pages = sorted((ROOT / "docs").rglob("*.md"))
    for path in (ROOT / "README.md", *pages, ROOT / "bindings" / "python" / "README.md"):
        yield (
            path,
            1,
            re.sub(r"^```\w*\n.*?^```$", lambda m: "\n" * m[0].count("\n"), path.read_text(), flags=re.M | re.S),
        )
    for path in sorted((ROOT / "include").glob("*.h")):
        yield from ((path, start, block) for start, block, _ in marked(path, ("//",)))
    for path in sorted((ROOT / "bindings" / "cpp" / "include").rglob("*.hpp")):
        yield from ((path, start, block) for start, block, _ in marked(path, ("///",)))
    for path in sorted((ROOT / "bindings" / "python" / "src" / "ottla").glob("[!_]*.py")):
        yield from docstrings(path)
    yield from docstrings(ROOT / "bindings" / "python" / "src" / "ottla" / "__init__.py")
    yield from rust()


def mistakes(text: str) -> Iterator[tuple[int, str, str]]:
    """The offset of each phrase, the phrase, and what to write instead."""
    flat = re.sub(r"\s", " ", text)
    for pattern, instead, _ in PHRASES:
        # A line of prose may end within a phrase, and the next one begin with spaces.
        for found in re.finditer(pattern.replace(" ", " +"), flat, re.I):
            yield found.start(), " ".join(found[0].split()), instead


def self_test() -> None:
    for pattern, _, example in PHRASES:
        assert list(mistakes(example)), f"{pattern} does not find: {example}"
    assert list(mistakes("Its offsets\n begin\n   anew.")) and list(mistakes("It tells\n   how much."))
    fine = "Returns the answer to the call, or NULL if none has come. A broker answers a fetch. 0 for NULL."
    assert not list(mistakes(fine)), list(mistakes(fine))


def main() -> int:
    self_test()
    if sys.argv[1:] == ["--self-test"]:
        return 0
    count, found = 0, []
    for path, start, text in blocks():
        count += 1
        for offset, phrase, instead in mistakes(text):
            line = start + text.count("\n", 0, offset)
            found.append(f"{path.relative_to(ROOT)}:{line}: '{phrase}': write: {instead}")
    if count < 500:
        found.append(f"only {count} texts were found")
    print("\n".join(found) or f"{count} texts, no phrase to trip over")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
