"""How fast archives are read, on one core, in CPU time: headers against `tarfile` and `tar t`; trees; comparing again.

The archive has ninety thousand members, nearly all with content. Stated limits: 150,000 members a second for
headers and for the whole tree (tar to digests to index), and 5 s for `ir diff` of 200,000 files with ten thousand
changes from kept indexes. Prints rates and their ratios, taken in turns; exits 1 where a limit does not hold.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from forensics.archive.image import open_image
from forensics.archive.limits import Limits
from forensics.archive.tar import read_tar
from forensics.archive.tree import merge, read_layers

MEMBERS = 90_000
"""Below the threshold from which on the index goes to SQLite; above, it is measured on its own."""
COMPARED = 200_000
CHANGES = COMPARED // 20
ROUNDS = 5
MIN_RATE = 150_000
MAX_SECONDS = 5.0


def write_archive(path: Path, members: int, changed: int = 0) -> Path:
    """Write a root file system of small files, a hundred a folder; the first *changed* of every twenty differ."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for number in range(members):
            if number % 100 == 0:
                info = tarfile.TarInfo(f"usr/share/doc/package{number // 100}")
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            content = b"%d\n" % number * 40 if number % 20 >= changed else b"changed\n"
            info = tarfile.TarInfo(f"usr/share/doc/package{number // 100}/file-{number}")
            info.size, info.mtime = len(content), 1_600_000_000
            archive.addfile(info, io.BytesIO(content))
    return path


def write_image(folder: Path) -> Path:
    """Write a saved image of one layer, as a folder; return the layer's tar."""
    layer = write_archive(folder / "layer.tar", MEMBERS)
    (folder / "config.json").write_text("{}")
    manifest = [{"Config": "config.json", "RepoTags": ["bench:1"], "Layers": ["layer.tar"]}]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return layer


def read_headers(path: Path) -> None:
    """Ours."""
    with path.open("rb") as file:
        for _ in read_tar(file):
            pass


def read_headers_by_tarfile(path: Path) -> None:
    """The standard library's."""
    with tarfile.open(path) as archive:
        for _ in archive:
            pass


def read_headers_by_tar(path: Path) -> None:
    """GNU tar's, the list thrown away."""
    subprocess.run(["tar", "tvf", path], stdout=subprocess.DEVNULL, check=True)


def build_tree(path: Path) -> None:
    """Digest every content, and index."""
    with open_image(path.parent) as source:
        read_layers(source)


def build_in_database(path: Path) -> None:
    """The same with the index in SQLite from the first thousand entries on."""
    with open_image(path.parent, limits=Limits(memory_entries=1000)) as source:
        read_layers(source)


def build_merged(path: Path) -> None:
    """The same, and lay the layers on each other."""
    with open_image(path.parent) as source:
        merge(read_layers(source), source.limits)


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children until now."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


def measure(work: dict[str, Callable[[Path], None]], path: Path) -> dict[str, float]:
    """Return the best rate of each, in members a second of CPU time."""
    best = dict.fromkeys(work, float("inf"))
    for _ in range(ROUNDS):
        for name, function in work.items():
            started = cpu_seconds()
            function(path)
            best[name] = min(best[name], cpu_seconds() - started)
    return {name: MEMBERS * 1.01 / seconds for name, seconds in best.items()}


def compare_again(folder: Path) -> float:
    """Return the wall seconds of the second `ir diff` of two large archives."""
    a, b = write_archive(folder / "a.tar", COMPARED), write_archive(folder / "b.tar", COMPARED, 1)
    command = [sys.executable, "-m", "forensics", "diff", a, b]
    seconds = 0.0
    for _ in range(2):
        started = time.perf_counter()
        environment = {**os.environ, "IR_CACHE_DIR": str(folder)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - started
    if f"\n0 added, 0 deleted, 0 moved, {CHANGES} modified" not in done.stdout:
        sys.exit(f"the comparison went wrong: {done.stdout[-300:]}{done.stderr[-300:]}")
    return seconds


def main() -> int:
    """Measure, print, and say whether the limits hold."""
    with tempfile.TemporaryDirectory(prefix="ir-bench-") as place:
        path = write_image(Path(place))
        rates = measure(
            {
                "headers": read_headers,
                "tree": build_tree,
                "tree in SQLite": build_in_database,
                "tree, merged": build_merged,
                "tarfile": read_headers_by_tarfile,
                "tar tv": read_headers_by_tar,
            },
            path,
        )
        seconds = compare_again(Path(place))
    for name, rate in rates.items():
        print(
            f"{name:14} {rate:10,.0f} members/s, {rate / rates['tarfile']:5.2f} of tarfile's, "
            f"{rate / rates['tar tv']:5.2f} of tar tv's"
        )
    print(
        f"ir diff of {COMPARED} files with {CHANGES} changes, from kept indexes: {seconds:.2f} s (limit {MAX_SECONDS})"
    )
    slow = [name for name in ("headers", "tree") if rates[name] < MIN_RATE]
    print(f"below {MIN_RATE:,} members/s: {', '.join(slow) or 'nothing'}")
    return int(bool(slow) or seconds > MAX_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
