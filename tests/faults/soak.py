#!/usr/bin/env python3
"""Builds the soak and becomes it: Cargo would not pass Ctrl-C's verdict on.

soak.py MINUTES [SEED]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()
PYTHON = TARGET / "venv" / "bin" / "python"


def main() -> None:
    if not PYTHON.exists():
        subprocess.run([sys.executable, ROOT / "tests" / "run.py", "tools"], check=True)
    command = ["cargo", "test", "--no-run", "--test", "faults", "--message-format", "json"]
    built = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = [json.loads(line) for line in built.splitlines()]
    program = next(a["executable"] for a in artifacts if a.get("target", {}).get("name") == "faults")
    minutes, *seed = sys.argv[1:]
    words = [program, "--soak", minutes, *(["--seed", *seed] if seed else [])]
    os.environ["OTTLA_TEST_PYTHON"] = str(PYTHON)
    os.execv(program, words)


if __name__ == "__main__":
    main()
