"""What a whole collection costs, against the engine's own `docker commit` and `docker save > file` (the yardstick Y).

Both take the same frozen container of W1 (IR_BENCH_IMAGE=w1|w2|w3) in turns. Three rows: Y; the first case, its layers
read from the engine's own store where that serves; a second case beside the first, whose known layers are cloned and
hashed again. Prints medians, ratios to Y, and the peak RSS of `ir`; it states no limit of its own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import workloads

ROUNDS = int(os.environ.get("IR_BENCH_ROUNDS", "5"))
NAME = "ir-bench-collect"
KIND = os.environ.get("IR_BENCH_IMAGE", "w1")


def start() -> None:
    """Start the container of the chosen workload, and freeze it: what is measured does not move."""
    if KIND == "w1":
        workloads.start_w1(NAME)
    else:
        image = workloads.make_w2() if KIND == "w2" else workloads.make_w3()
        workloads.run("docker", "run", "-d", "--name", NAME, image, "/bin/busybox", "sleep", "100000")
    workloads.run("docker", "pause", NAME)


def commit_and_save(folder: Path) -> int:
    """Y: what a responder types by hand; returns no memory, the engine has it."""
    workloads.run("docker", "commit", "--pause=false", NAME, "ir-bench-yardstick:1")
    with (folder / "image.tar").open("wb") as file:
        subprocess.run(["docker", "save", "ir-bench-yardstick:1"], stdout=file, check=True)
        os.fsync(file.fileno())
    workloads.run("docker", "rmi", "ir-bench-yardstick:1")
    return 0


def collect(case: Path) -> int:
    """Collect into *case* and return the peak RSS in KiB."""
    ir = shutil.which("ir") or str(Path(sys.executable).parent / "ir")
    with subprocess.Popen([ir, "collect", NAME, "--case", str(case)], stdout=subprocess.DEVNULL) as child:
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"ir collect ended with {child.returncode}")
    return used.ru_maxrss


def measure(work: Callable[[], int]) -> tuple[float, int]:
    """Return wall seconds and what the work returned, with nothing of before left to be written."""
    os.sync()
    started = time.perf_counter()
    peak = work()
    return time.perf_counter() - started, peak


def main() -> int:
    """Measure in turns and print."""
    rows: dict[str, list[tuple[float, int]]] = {"Y": [], "first case": [], "second case": []}
    start()
    try:
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(prefix="ir-bench-", dir="/var/tmp") as place:
                folder = Path(place)
                os.environ["IR_STATE_DIR"], os.environ["IR_CACHE_DIR"] = f"{folder}/state", f"{folder}/cache"
                rows["Y"].append(measure(lambda: commit_and_save(folder)))  # noqa: B023 - called at once
                (folder / "image.tar").unlink()
                rows["first case"].append(measure(lambda: collect(folder / "one")))  # noqa: B023 - called at once
                rows["second case"].append(measure(lambda: collect(folder / "two")))  # noqa: B023 - called at once
    finally:
        workloads.run("docker", "rm", "-f", NAME)
    yardstick = statistics.median(seconds for seconds, _ in rows["Y"])
    for name, taken in rows.items():
        seconds = statistics.median(second for second, _ in taken)
        print(
            f"{name:12} median {seconds:6.2f} s  {seconds / yardstick:5.2f} Y  RSS {max(p for _, p in taken) >> 10} MiB"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
