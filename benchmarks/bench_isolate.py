"""How long `ir isolate` takes, whole command, against `docker network disconnect` in the same run (A B A B, medians).

Needs an engine (DOCKER_HOST) and the docker command. Prints the medians and their ratio; exits 1 above the limit of 3.
The container runs on plain runc: the lab's runtime wrapper would be measured instead of the engine (freezing calls the
runtime, disconnecting does not).
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 11
LIMIT = 3.0
NAME = "ir-bench-isolate"
RUNTIME = os.environ.get("IR_BENCH_RUNTIME", "runc")
IMAGE = "ir-bench-isolate:1"


def run(*command: str) -> float:
    """Run a command that must succeed and return its wall time in seconds."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed: {done.stderr.strip() or done.stdout.strip()}")
    return seconds


def make_image() -> None:
    """Make an image of nothing but the machine's static busybox; no registry is needed."""
    packed = subprocess.run(["tar", "-C", "/", "-c", "bin/busybox"], capture_output=True, check=True)
    subprocess.run(["docker", "import", "-", IMAGE], input=packed.stdout, capture_output=True, check=True)


def start() -> None:
    """Start a fresh container on the default bridge and let it settle."""
    subprocess.run(["docker", "rm", "-f", NAME], capture_output=True, check=False)
    run("docker", "run", "-d", "--runtime", RUNTIME, "--name", NAME, IMAGE, "/bin/busybox", "sleep", "1000")
    time.sleep(0.3)


def measure(ir: str) -> tuple[list[float], list[float]]:
    """Return the times of disconnect and of isolate, taken in turns."""
    disconnects, isolations = [], []
    for _ in range(ROUNDS):
        start()
        disconnects.append(run("docker", "network", "disconnect", "bridge", NAME))
        start()
        isolations.append(run(ir, "isolate", NAME))
    return disconnects, isolations


def main() -> int:
    """Measure, print, and say whether the limit holds."""
    ir = shutil.which("ir", path=str(Path(sys.executable).parent)) or shutil.which("ir") or "ir"
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"IR_CASES": f"{folder}/cases", "IR_STATE_DIR": f"{folder}/state"}
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed command has its bytecode
        make_image()
        start()
        run(ir, "isolate", NAME)
        disconnects, isolations = measure(ir)
        subprocess.run(["docker", "rm", "-f", NAME], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", IMAGE], capture_output=True, check=False)
    base, ours = statistics.median(disconnects), statistics.median(isolations)
    print(f"docker network disconnect  median {base * 1000:6.1f} ms  (min {min(disconnects) * 1000:.1f})")
    print(f"ir isolate, whole command  median {ours * 1000:6.1f} ms  (min {min(isolations) * 1000:.1f})")
    print(f"ratio {ours / base:.2f} (limit {LIMIT})")
    return 0 if ours <= LIMIT * base else 1


if __name__ == "__main__":
    sys.exit(main())
