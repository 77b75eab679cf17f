"""What evidence costs: the snapshot of a 1 GB image into a sealed case, against the same stream only written to disk.

Both read the same `save` of the same engine (DOCKER_HOST), in turns (A B B A ...); the stream goes through the same
client. A: the bytes to one file and an fsync. B: everything a case does with it (blobs, digests, layout, item, custody,
manifests, signature). The best and the median of each are printed, and their ratio; exits 1 when the ratio of the
medians is above 1.10. A collection does more than this stream, so its own ratio is lower.
"""

from __future__ import annotations

import io
import os
import random
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from forensics.engine.docker import DockerEngine, connect
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.evidence.installation import find_key
from forensics.evidence.seal import seal_case
from forensics.evidence.verify import check_case
from forensics.model import Subject

ROUNDS = int(os.environ.get("IR_BENCH_ROUNDS", "5"))
LIMIT = 1.10
IMAGE = "ir-bench-evidence:1"
FILE_BYTES = 64 << 20
FILES = int(os.environ.get("IR_BENCH_BYTES", str(1 << 30))) // FILE_BYTES


def make_image() -> None:
    """Import an image of random bytes and log-like text, half and half; no registry is needed."""
    dice = random.Random(4)  # noqa: S311 - the same image every time, not a secret
    command = ["docker", "import", "-", IMAGE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stdin  # noqa: S101 - asked for above
        with tarfile.open(fileobj=child.stdin, mode="w|", bufsize=1 << 20) as tar:
            for number in range(FILES):
                member = tarfile.TarInfo(f"srv/{number:03d}.{'log' if number % 2 else 'bin'}")
                member.size = FILE_BYTES
                tar.addfile(member, io.BytesIO(make_text(dice) if number % 2 else dice.randbytes(FILE_BYTES)))
    if child.returncode:
        sys.exit("docker import failed")


def make_text(dice: random.Random) -> bytes:
    """Return lines that look like a log."""
    block = b"".join(
        b"2026-01-01T00:00:00Z host app[%d]: GET /item/%d 200\n" % (n, dice.randrange(9999)) for n in range(20000)
    )
    return (block * (FILE_BYTES // len(block) + 1))[:FILE_BYTES]


def write_only(engine: DockerEngine, folder: Path) -> None:
    """A: the stream to one file on the same disk."""
    with (folder / "stream.tar").open("xb", buffering=0) as file:
        for chunk in engine.save(IMAGE):
            file.write(chunk)
        os.fsync(file.fileno())


def add_and_seal(engine: DockerEngine, folder: Path) -> None:
    """B: the stream into a new case, which is sealed."""
    subject = Subject("container", "bench")
    with Case.create(folder / "case", subject=subject, actor=Actor("bench")) as case:
        case.add_image(engine.save(IMAGE), source="engine", method="save")
        seal_case(case, find_key(None))


def measure(engine: DockerEngine, folder: Path) -> dict[str, list[tuple[float, float]]]:
    """Return wall and own CPU seconds of both, taken in turns, the order turned round each time."""
    times: dict[str, list[tuple[float, float]]] = {"written": [], "evidence": []}
    turns = [("written", write_only), ("evidence", add_and_seal)]
    for number in range(-1, ROUNDS):
        for name, work in turns if number % 2 else turns[::-1]:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                os.sync()
                started, cpu = time.perf_counter(), cpu_seconds()
                work(engine, Path(place))
                if number >= 0:  # the first round warms the caches up
                    times[name].append((time.perf_counter() - started, cpu_seconds() - cpu))
                elif name == "evidence":
                    check_case(Path(place) / "case").raise_problems()
    return times


def cpu_seconds() -> float:
    """Return the CPU time of this process until now, all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure, print, and say whether the limit holds."""
    with tempfile.TemporaryDirectory(prefix="ir-bench-") as folder, connect() as engine:
        os.environ["IR_STATE_DIR"] = f"{folder}/state"
        find_key(None)
        make_image()
        times = measure(engine, Path(folder))
        engine.remove_image(IMAGE)
    for name, taken in times.items():
        wall, cpu = (sorted(values) for values in zip(*taken, strict=True))
        spread = f"min {wall[0]:.2f}, max {wall[-1]:.2f}; own CPU {statistics.median(cpu):.2f} s"
        print(f"{name:9} median {statistics.median(wall):6.2f} s  ({spread})")
    best, ratio = (
        pick(wall for wall, _ in times["evidence"]) / pick(wall for wall, _ in times["written"])
        for pick in (min, statistics.median)
    )
    print(f"ratio {ratio:.3f} (limit {LIMIT}); best against best {best:.3f}")
    return 0 if ratio <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
