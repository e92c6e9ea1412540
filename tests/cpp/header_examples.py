#!/usr/bin/env python3
"""The examples in the comments of <ottla.hpp> and its parts, as files to include: of NAME.hpp NAME_1.inc and so on.

    tests/cpp/header_examples.py HEADERS PROGRAM OUTPUT-DIRECTORY

`"localhost:9092"` becomes `servers`, `int main()` becomes `void program()`. Fails if PROGRAM does not include each of
them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def blocks(text: str) -> list[str]:
    """Runs of comment lines indented by five or more, empty comment lines within them included."""
    found: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        code = re.match(r" *///? {5}(.*)", line)
        empty = re.match(r" *///?$", line)
        if code:
            if not inside:
                found.append([])
            found[-1].append(code[1])
            inside = True
        elif empty and inside:
            found[-1].append("")
        else:
            inside = False
    return ["\n".join(lines).rstrip() + "\n" for lines in found]


def main() -> int:
    headers, program, out = map(Path, sys.argv[1:])
    out.mkdir(parents=True, exist_ok=True)
    included = set(re.findall(r'#include "(\w+\.inc)"', program.read_text()))
    written = set()
    for header in sorted(headers.rglob("*.hpp")):
        for number, block in enumerate(blocks(header.read_text()), 1):
            # What only the library's own code calls.
            if "detail::" in block:
                continue
            name = f"{header.stem}_{number}.inc"
            written.add(name)
            place = out / name
            text = block.replace('"localhost:9092"', "servers").replace("int main()", "void program()")
            if not place.exists() or place.read_text() != text:
                place.write_text(text)
    for name in sorted(written ^ included):
        print(f"{program.name}: {'does not include' if name in written else 'includes what is no example:'} {name}")
    return 1 if written != included or len(written) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
