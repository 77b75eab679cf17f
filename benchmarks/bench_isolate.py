"""How long `ir isolate` takes, whole command, against `docker network disconnect` in the same run (A B A B, medians).

Needs an engine (DOCKER_HOST) and the docker command. Prints the medians and their ratio; exits 1 above the limit of 3,
or when the run up to the proof takes a second. Further rows contain many at once: all are cut by the host, and seen to
be, within five times the time of one whole command; the whole command, in which the engine then disconnects one after
the other, is printed beside what the engine needs alone for the same.
The container runs on plain runc: the lab's runtime wrapper would be measured instead of the engine (freezing calls the
runtime, disconnecting does not).
"""

from __future__ import annotations

import json
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
PROOF_LIMIT_SECONDS = 1.0
MANY = int(os.environ.get("IR_BENCH_MANY", "50"))
MANY_LIMIT = 5.0
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


def measure_proof(ir: str) -> float:
    """Return how long one isolation takes from the plan to the written proof, as it says itself."""
    start()
    done = subprocess.run([ir, "isolate", NAME, "--json"], capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    if not document["proved"]:
        sys.exit(f"not proved: {document['reasons']}")
    return float(document["seconds"])


def start_many(label: str) -> list[str]:
    """Start many fresh containers and return their names."""
    names = [f"{NAME}-{number}" for number in range(MANY)]
    subprocess.run(["docker", "rm", "-f", *names], capture_output=True, check=False)
    for name in names:
        command = ["/bin/busybox", "sleep", "1000"]
        run("docker", "run", "-d", "--runtime", RUNTIME, "--name", name, "--label", label, IMAGE, *command)
    return names


def measure_many(ir: str) -> tuple[float, float, float]:
    """Return the engine's time for many disconnects in parallel; ours until all are cut; ours for the whole command."""
    names = start_many(NAME)
    started = time.perf_counter()
    jobs = [subprocess.Popen(["docker", "network", "disconnect", "bridge", name]) for name in names]
    if any(job.wait() for job in jobs):
        sys.exit("a disconnect failed")
    engine = time.perf_counter() - started
    names = start_many(NAME)
    cut, whole = contain_many(ir)
    subprocess.run(["docker", "rm", "-f", *names], capture_output=True, check=False)
    return engine, cut, whole


def contain_many(ir: str) -> tuple[float, float]:
    """Return when the command said that all are cut, and when it ended; both since it was started."""
    started, cut = time.perf_counter(), 0.0
    command = [ir, "isolate", "--label", NAME]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as job:
        for line in job.stderr or ():
            if line.startswith(f"CUT  {MANY} of {MANY}:"):
                cut = time.perf_counter() - started
        told = job.stdout.read() if job.stdout else ""
    whole = time.perf_counter() - started
    if job.returncode or not cut or told.count("PROVED  ") != MANY or "NOT PROVED" in told:
        sys.exit(f"not all {MANY} were cut and proved")
    return cut, whole


def judge_many(one: float, engine: float, cut: float, whole: float) -> bool:
    """Print the rows of many at once, and return whether their limit holds."""
    print(f"ir isolate --label, {MANY} cut by the host     {cut * 1000:8.1f} ms")
    print(f"{cut / one:.1f} times one (limit {MANY_LIMIT})")
    print(f"ir isolate --label, {MANY}, whole command      {whole * 1000:8.1f} ms")
    print(f"docker network disconnect, {MANY} in parallel  {engine * 1000:8.1f} ms")
    print(
        f"{whole / one:.1f} times one, {whole / engine:.2f} times what the engine needs itself (no limit: the engine's)"
    )
    return cut <= MANY_LIMIT * one


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
        proof = measure_proof(ir)
        many = measure_many(ir) if MANY else None
        subprocess.run(["docker", "rm", "-f", NAME], capture_output=True, check=False)
        subprocess.run(["docker", "rmi", IMAGE], capture_output=True, check=False)
    base, ours = statistics.median(disconnects), statistics.median(isolations)
    print(f"docker network disconnect  median {base * 1000:6.1f} ms  (min {min(disconnects) * 1000:.1f})")
    print(f"ir isolate, whole command  median {ours * 1000:6.1f} ms  (min {min(isolations) * 1000:.1f})")
    print(f"ratio {ours / base:.2f} (limit {LIMIT})")
    print(f"plan to proof              {proof * 1000:6.1f} ms  (limit {PROOF_LIMIT_SECONDS * 1000:.0f})")
    fits = many is None or judge_many(ours, *many)
    return 0 if fits and ours <= LIMIT * base and proof < PROOF_LIMIT_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main())
