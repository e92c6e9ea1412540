#!/usr/bin/env python3
"""The README's programs are the tested examples: each `<!-- file: PATH -->` is followed by that file, word for word.

    tests/readme.py [--write]

Also checked: that every relative link of README.md, ARCHITECTURE.md and CHANGELOG.md leads somewhere, and that every
`make` target they name exists; and that the figures and plots are those of `benches/figures.json`. `--write` puts the
files in.
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
    for name in ("README.md", "ARCHITECTURE.md", "CHANGELOG.md"):
        text = (ROOT / name).read_text()
        found += [f"{name}: no {link}" for link in LINK.findall(text) if not (ROOT / link).exists()]
        commands = re.findall(r"(?:^    .*?|`)\bmake ([a-z-]+)", text, re.M)
        found += [f"{name}: make {target} does not exist" for target in commands if target not in targets]
    figures = subprocess.run(
        [sys.executable, ROOT / "benches" / "readme_table.py", "--check"], capture_output=True, text=True
    )
    if figures.returncode != 0:
        found.append(f"README.md's figures are {figures.stdout.strip() or figures.stderr.strip()}")
    return found + unknown_tests((ROOT / "docs" / "faults.md").read_text())


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
