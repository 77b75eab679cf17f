"""`make bench`: run every measurement in this folder, one after the other; each prints its own ratios.

A measurement is a file `bench_*.py` with a function `main() -> int`; a result other than 0 means that a stated limit
does not hold on this machine. It tells, it does not gate.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main() -> int:
    """Run all measurements; 1 if a stated limit does not hold."""
    missed = []
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"== {path.stem.removeprefix('bench_')}", flush=True)
        if importlib.import_module(f"benchmarks.{path.stem}").main():
            missed.append(path.stem)
    print(f"limits missed: {', '.join(missed)}" if missed else "every stated limit holds")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
