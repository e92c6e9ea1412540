#!/usr/bin/env python3
"""The README's programs are the tested examples: each `<!-- file: PATH -->` is followed by that file, word for word.

    tests/readme.py [--write]

Also checked: that every relative link of the README and of the pages for contributors leads somewhere, and that every
`make` target, path, function and type they name exists; and that the figures and plots are those of
`benches/figures.json`. `--write` puts the files in.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = {".c": "c", ".cpp": "cpp", ".py": "python", ".rs": "rust"}
BLOCK = re.compile(r"^<!-- file: (\S+) -->\n(?:\n?```\w+\n.*?^```\n)?", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
# Pages for those who work on the code; their paths may leave out `src/`, and a crate's `crates/` too.
PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md", *sorted(f"docs/design/{p.name}" for p in ROOT.glob("docs/design/*.md")))
SOURCES = ("src", "crates", "tests", "docs", "bindings", "include", "benches", "examples", "tools", "packaging", ".ci")
CODE = re.compile(r"`([^`\s]+)`")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
FILE = re.compile(r"\.(?:rs|py|c|h|cpp|hpp|md|toml|json|sh|txt)$")
MEMBER = re.compile(r"([A-Z]\w+)::(\w+)")


def filled(text: str) -> tuple[str, int]:
    """The README as it has to be, and how many programs it shows."""

    def block(found: re.Match[str]) -> str:
        path = ROOT / found[1]
        return f"<!-- file: {found[1]} -->\n\n```{LANGUAGES[path.suffix]}\n{path.read_text()}```\n"

    return BLOCK.subn(block, text)


def mistakes(readme: str, write: bool) -> list[str]:
    found = []
    wanted, programs = filled(readme)
    if programs < len(LANGUAGES):
        found.append(f"README.md shows {programs} programs, not one in each of {', '.join(LANGUAGES.values())}")
    if wanted != readme and write:
        (ROOT / "README.md").write_text(wanted)
    elif wanted != readme:
        found.append("README.md differs from the examples it shows; run: tests/readme.py --write")
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for name in ("README.md", "CHANGELOG.md", *PAGES):
        text = (ROOT / name).read_text()
        beside = (ROOT / name).parent
        found += [f"{name}: no {link}" for link in LINK.findall(text) if not (beside / link).exists()]
        commands = re.findall(r"(?:^    .*?|`)\bmake ([a-z-]+)", text, re.M)
        found += [f"{name}: make {target} does not exist" for target in commands if target not in targets]
    figures = subprocess.run(
        [sys.executable, ROOT / "benches" / "readme_table.py", "--check"], capture_output=True, text=True
    )
    if figures.returncode != 0:
        found.append(f"README.md's figures are {figures.stdout.strip() or figures.stderr.strip()}")
    return found + unknown_code() + unknown_tests((ROOT / "docs" / "faults.md").read_text())


def unknown_code() -> list[str]:
    """Paths and members of types that the pages for contributors name and that are not there (any more)."""
    files = [p.relative_to(ROOT) for place in SOURCES for p in (ROOT / place).rglob("*")]
    # Every tail of a path: what is named may leave out the folders that the text is about.
    files += [Path(p.parts[1], *p.parts[3:]) for p in files if p.parts[0] == "crates" and "src" in p.parts]
    tails = {"/".join(p.parts[i:]) for p in files for i in range(len(p.parts))}
    tails |= {p.name for p in ROOT.iterdir()}
    sources = [p for place in ("src", "crates") for p in (ROOT / place).rglob("*.rs")]
    words = set(re.findall(r"\w+", "".join(p.read_text() for p in sources)))

    def is_known(path: str) -> bool:
        top = path.split("/", 1)[0]
        return (ROOT / path).exists() if "/" in path and top in SOURCES else path in tails

    found = []
    for name in PAGES:
        for code in CODE.findall((ROOT / name).read_text()):
            path = code.rstrip("/")
            named = PATH.fullmatch(code) and ("/" in path or FILE.search(path))
            if named and path.split("/", 1)[0] != "target" and not is_known(path):
                found.append(f"{name}: no {code}")
            member = MEMBER.fullmatch(code)
            if member and not words.issuperset(member.groups()):
                found.append(f"{name}: no {code} in src/")
    return found


def unknown_tests(text: str) -> list[str]:
    """Tests that the table of faults names and that are not there (any more)."""
    kinds = ("*.rs", "*.c", "*.py")
    places = [ROOT / place for place in ("crates", "src", "tests")]
    sources = "".join(p.read_text() for place in places for kind in kinds for p in place.rglob(kind))
    functions = set(re.findall(r"\b(?:fn|void|def) (\w+)\(", sources))
    named = sorted(set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", text)))
    return [f"docs/faults.md: no test {name}" for name in named if name not in functions]


def main() -> int:
    found = mistakes((ROOT / "README.md").read_text(), "--write" in sys.argv[1:])
    print("\n".join(found) or "the README is as the examples are")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
