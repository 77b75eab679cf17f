"""What hashing and sealing cost: a whole collection with a snapshot of 1 GB, with and without them, in turns.

Both arms collect the same container of the same engine (DOCKER_HOST) into a new case with every default collector. B
is the product: every digest, then the seal. A is the same code, but its digests are replaced, in this process only, by
ones that hash nothing, and there is no seal; such a case is worthless and thrown away. A B B A ..., medians. Printed:
the share of B's wall time that hashing and sealing are, `(B - A) / B`; exits 1 when it is above 10 %. The own CPU time
of both is shown beside it, because a machine that does other things moves the wall time and hardly the CPU time; and
the time of `docker save` written to a file, as a yardstick. The seal's own time is measured within B.
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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from forensics.collect import collect, open_case_for
from forensics.engine.docker import DockerEngine, connect
from forensics.evidence import digests, files, readahead, snapshot
from forensics.evidence.custody import Actor
from forensics.evidence.installation import find_key
from forensics.evidence.seal import seal_case
from forensics.evidence.verify import check_case

ROUNDS = int(os.environ.get("IR_BENCH_ROUNDS", "5"))
LIMIT = 0.10
IMAGE = "ir-bench-evidence:1"
NAME = "ir-bench-evidence"
FILE_BYTES = 64 << 20
FILES = int(os.environ.get("IR_BENCH_BYTES", str(1 << 30))) // FILE_BYTES
BUSYBOX = Path("/bin/busybox")


class NoDigest:
    """Stands in for a hash and hashes nothing; each has a name of its own, since blobs are named by digests."""

    made = 0

    def __init__(self) -> None:
        """Take the next name."""
        NoDigest.made += 1
        self._name = f"{NoDigest.made:064x}"

    def update(self, piece: bytes | memoryview) -> None:
        """Do nothing with *piece*."""

    def hexdigest(self) -> str:
        """Return the name."""
        return self._name


@contextmanager
def without_hashing() -> Iterator[None]:
    """Replace the digests of everything that writes evidence, as long as the context lasts."""
    with mock.patch.object(digests, "sha256", NoDigest), mock.patch.object(digests, "sha512", NoDigest):
        replaced = [
            mock.patch.object(module, name, NoDigest)
            for module in (files, readahead, snapshot)
            for name in ("sha256", "sha512")
            if hasattr(module, name)
        ]
        for patch in replaced:
            patch.start()
        try:
            yield
        finally:
            for patch in replaced:
                patch.stop()


def make_container() -> None:
    """Import an image of random bytes and log-like text, half and half (no registry is needed), and run it."""
    dice = random.Random(4)  # noqa: S311 - the same image every time, not a secret
    with subprocess.Popen(["docker", "import", "-", IMAGE], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stdin  # noqa: S101 - asked for above
        with tarfile.open(fileobj=child.stdin, mode="w|", bufsize=1 << 20) as tar:
            tar.add(BUSYBOX, "bin/busybox")
            for number in range(FILES):
                member = tarfile.TarInfo(f"srv/{number:03d}.{'log' if number % 2 else 'bin'}")
                member.size = FILE_BYTES
                tar.addfile(member, io.BytesIO(make_text(dice) if number % 2 else dice.randbytes(FILE_BYTES)))
    if child.returncode:
        sys.exit("docker import failed")
    command = ["docker", "run", "-d", "--name", NAME, IMAGE, "/bin/busybox", "sleep", "100000"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def make_text(dice: random.Random) -> bytes:
    """Return lines that look like a log."""
    block = b"".join(
        b"2026-01-01T00:00:00Z host app[%d]: GET /item/%d 200\n" % (n, dice.randrange(9999)) for n in range(20000)
    )
    return (block * (FILE_BYTES // len(block) + 1))[:FILE_BYTES]


def remove_container() -> None:
    """Remove what :func:`make_container` made, and what an earlier run left."""
    subprocess.run(["docker", "rm", "-f", NAME], capture_output=True, check=False)
    subprocess.run(["docker", "rmi", "-f", IMAGE], capture_output=True, check=False)


class Taken:
    """Seconds: wall and own CPU (threads and helpers included) of the arms, wall of the seal and of the yardstick."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self.wall: dict[str, list[float]] = {"without": [], "with": []}
        self.cpu: dict[str, list[float]] = {"without": [], "with": []}
        self.seal: list[float] = []
        self.save: list[float] = []


def run_arm(engine: DockerEngine, root: Path, arm: str, taken: Taken) -> None:
    """Collect into a new case; with hashing and seal, or without both."""
    os.sync()
    started, cpu = time.perf_counter(), cpu_seconds()
    container = engine.find_container(NAME)
    with open_case_for(container, root, engine.info(container), engine.url, Actor("bench")) as case:
        if arm == "without":
            with without_hashing():
                collect(case, engine, container)
        else:
            collect(case, engine, container)
            sealing = time.perf_counter()
            seal_case(case, find_key(None))
            taken.seal.append(time.perf_counter() - sealing)
    taken.wall[arm].append(time.perf_counter() - started)
    taken.cpu[arm].append(cpu_seconds() - cpu)


def save_only(engine: DockerEngine, path: Path, taken: Taken) -> None:
    """Write the engine's stream of the same image to a file, by the same client, and fsync it."""
    os.sync()
    started = time.perf_counter()
    with path.open("xb", buffering=0) as file:
        for chunk in engine.save(IMAGE):
            file.write(chunk)
        os.fsync(file.fileno())
    taken.save.append(time.perf_counter() - started)


def measure(engine: DockerEngine, folder: Path) -> Taken:
    """Run both arms in turns, the order turned round each time; the first round only warms the caches up."""
    warm_up, taken = Taken(), Taken()
    for number in range(-1, ROUNDS):
        arms = ("without", "with") if number % 2 else ("with", "without")
        into = warm_up if number < 0 else taken
        with tempfile.TemporaryDirectory(dir=folder) as place:
            for arm in arms:
                run_arm(engine, Path(place) / arm, arm, into)
            if number < 0:
                check_case(Path(place) / "with").raise_problems()
        with tempfile.TemporaryDirectory(dir=folder) as place:
            save_only(engine, Path(place) / "stream.tar", into)
    return taken


def cpu_seconds() -> float:
    """Return the CPU time until now of this process, all its threads, and of the helpers that it ran."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def show(taken: Taken) -> int:
    """Print the medians and the share; 1 when it is above the limit."""
    median = {arm: statistics.median(values) for arm, values in taken.wall.items()}
    for arm, wall in taken.wall.items():
        cpu = statistics.median(taken.cpu[arm])
        print(
            f"{arm:7} hashing and seal: median {median[arm]:6.2f} s (min {min(wall):.2f}, max {max(wall):.2f}); "
            f"own CPU {cpu:.2f} s"
        )
    print(f"seal {statistics.median(taken.seal):.2f} s; 'docker save' to a file {statistics.median(taken.save):.2f} s")
    shares = [1 - one / other for one, other in zip(taken.wall["without"], taken.wall["with"], strict=True)]
    share = 1 - median["without"] / median["with"]
    best = 1 - min(taken.wall["without"]) / min(taken.wall["with"])
    print(
        f"hashing and sealing are {share:.1%} of the collection's wall time (limit {LIMIT:.0%}); "
        f"best against best {best:.1%}, rounds {', '.join(f'{each:.1%}' for each in shares)}"
    )
    return 0 if share <= LIMIT else 1


def main() -> int:
    """Measure, print, and say whether the limit holds."""
    with tempfile.TemporaryDirectory(prefix="ir-bench-") as folder, connect() as engine:
        os.environ["IR_STATE_DIR"] = f"{folder}/state"
        find_key(None)
        remove_container()
        try:
            make_container()
            taken = measure(engine, Path(folder))
        finally:
            remove_container()
    return show(taken)


if __name__ == "__main__":
    sys.exit(main())
