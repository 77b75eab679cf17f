"""The workloads of the measurements, made on the engine at hand (DOCKER_HOST); no image is pulled from anywhere.

W1: Debian packages with Python, Node and a compiler in five layers, with their package database, about 1.7 GB in
72,000 files; and a container of it in which 2,000 files, 200 MB, were added, modified and deleted. W2: 200,000 small
files. W3: three blobs of 1 GB. The packages come from the archives that this machine's apt knows.
"""

from __future__ import annotations

import io
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

BASE = (
    "base-files base-passwd bash bsdutils coreutils dash debianutils diffutils dpkg findutils grep gzip hostname "
    "init-system-helpers libc-bin login mount ncurses-base ncurses-bin passwd perl-base sed sysvinit-utils tar tzdata "
    "util-linux apt ca-certificates"
)
STAGES = (
    BASE,
    "python3-full python3-pip python3-venv python3-scipy python3-pandas python3-matplotlib",
    "nodejs npm node-typescript",
    "build-essential gdb git python3-dev perl",
    "nginx redis-server postgresql-15 vim curl openssh-client",
)
W1, W2, W3 = "ir-bench-w1:1", "ir-bench-w2:1", "ir-bench-w3:1"
SMALL_FILES = 200_000
GIB = 1 << 30
SHELL = "/bin/sh"
ADDED, MODIFIED, DELETED = 1400, 400, 200
ADDED_BYTES = 120_000


def run(*command: str | Path, **options: object) -> bytes:
    """Run a command that must succeed and return what it printed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, check=False, **options)  # type: ignore[call-overload] # passed on
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command[:4]))} failed: {done.stderr.decode(errors='replace').strip()[-500:]}")
    return bytes(done.stdout)


def has_image(name: str) -> bool:
    """Tell whether the engine has an image of this name."""
    return bool(run("docker", "images", "-q", name).strip())


def make_w1() -> str:
    """Return the name of W1, made if the engine lacks it: five layers, each the packages of one stage."""
    if has_image(W1):
        return W1
    with tempfile.TemporaryDirectory(prefix="ir-bench-", dir="/var/tmp") as place:
        folder, seen, status = Path(place), set[str](), bytearray()
        lines = ["FROM scratch"]
        for number, packages in enumerate(STAGES):
            debs = [deb for deb in download(folder, packages) if deb.name not in seen]
            seen |= {deb.name for deb in debs}
            unpack(debs, root := folder / f"layer{number}", status)
            run("tar", "-C", root, "--sort=name", "-cf", folder / f"layer{number}.tar", ".")
            shutil.rmtree(root)
            lines.append(f"ADD layer{number}.tar /")
        shutil.rmtree(folder / "debs")
        (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
        run("docker", "build", "-q", "-t", W1, folder)
    return W1


def download(folder: Path, packages: str) -> list[Path]:
    """Return the package files of *packages* with all that they depend on, as on a machine that has nothing yet."""
    archives = folder / "debs"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    options = (f"Dir::Cache::archives={archives}", f"Dir::State::status={folder}/status", "APT::Sandbox::User=root")
    given = [part for option in options for part in ("-o", option)]
    run("apt-get", *given, "install", "--yes", "--download-only", "--no-install-recommends", *packages.split())
    return sorted(archives.glob("*.deb"))


def unpack(debs: list[Path], root: Path, status: bytearray) -> None:
    """Unpack packages into one layer and put them into the package database, which grows from layer to layer."""
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    for deb in debs:
        run("dpkg-deb", "-x", deb, root)
        control = run("dpkg-deb", "-f", deb)
        name = run("dpkg-deb", "-f", deb, "Package").decode().strip()
        status += b"Status: install ok installed\n".join([control[: control.index(b"\n") + 1], b""])
        status += control[control.index(b"\n") + 1 :].rstrip(b"\n") + b"\n\n"
        with tarfile.open(fileobj=io.BytesIO(run("dpkg-deb", "--fsys-tarfile", deb))) as tar:
            names = [member.name.removeprefix(".") or "/." for member in tar]
        (info / f"{name}.list").write_text("\n".join(names) + "\n")
        sums = subprocess.run(["dpkg-deb", "-I", str(deb), "md5sums"], capture_output=True, check=False).stdout
        (info / f"{name}.md5sums").write_bytes(sums)
    (root / "var/lib/dpkg/status").write_bytes(status)


def start_w1(name: str) -> str:
    """Return a new container of W1 in which 2,000 files, 200 MB, are changed; it sleeps."""
    run("docker", "rm", "-f", name) if run("docker", "ps", "-aq", "-f", f"name=^{name}$") else None
    remove = f"rm -r /usr/share/doc/git; ls -d /usr/share/man/man1/* | head -{DELETED} | xargs rm"
    run("docker", "run", "-d", "--name", name, make_w1(), SHELL, "-c", f"{remove}; echo done; exec sleep 100000")
    while b"done" not in run("docker", "logs", name):
        time.sleep(0.1)
    changes = subprocess.Popen(["docker", "cp", "-", f"{name}:/"], stdin=subprocess.PIPE)
    with changes, tarfile.open(fileobj=changes.stdin, mode="w|") as tar:
        for member, content in list_changes():
            tar.addfile(member, io.BytesIO(content))
    return name


def list_changes() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Yield what is added below /srv and what is modified below /usr/lib: half random, half text."""
    dice = random.Random(10)  # noqa: S311 - the same every time, no secret
    for number in range(ADDED + MODIFIED):
        added = number < ADDED
        name = f"srv/data/{number % 40:02d}/file{number}.bin" if added else f"usr/lib/changed/module{number}.py"
        content = dice.randbytes(ADDED_BYTES) if number % 2 else (b"value = %d\n" % number) * (ADDED_BYTES // 12)
        member = tarfile.TarInfo(name)
        member.size = len(content)
        yield member, content


def make_w2() -> str:
    """Return the name of W2, made if the engine lacks it: many small files in one layer."""
    return make_flat(W2, ((f"data/{n % 500:03d}/{n:06d}.txt", b"%d\n" % n * (n % 60)) for n in range(SMALL_FILES)))


def make_w3() -> str:
    """Return the name of W3, made if the engine lacks it: three blobs of 1 GB."""
    block = random.Random(3).randbytes(1 << 20)  # noqa: S311 - the same every time, no secret
    return make_flat(W3, ((f"blobs/{n}", bytes([n]) + block[1:]) for n in range(3)), repeat=GIB >> 20)


def make_flat(name: str, files: Iterator[tuple[str, bytes]], repeat: int = 1) -> str:
    """Import one layer of *files*, each content given *repeat* times."""
    if has_image(name):
        return name
    with subprocess.Popen(["docker", "import", "-", name], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stdin  # noqa: S101 - asked for above
        with tarfile.open(fileobj=child.stdin, mode="w|", bufsize=1 << 20) as tar:
            tar.add("/bin/busybox", "bin/busybox")
            for path, content in files:
                member = tarfile.TarInfo(path)
                member.size = len(content) * repeat
                tar.addfile(member, Repeated(content, repeat))  # type: ignore[arg-type] # read() is all it needs
    if child.returncode:
        sys.exit(f"docker import {name} failed")
    return name


class Repeated:
    """A readable content given several times, without holding it."""

    def __init__(self, content: bytes, times: int) -> None:
        """Take the content and how often it is given."""
        self._stream = iter([content] * times) if content else iter(())
        self._left = b""

    def read(self, size: int) -> bytes:
        """Return up to *size* bytes."""
        while len(self._left) < size and (more := next(self._stream, b"")):
            self._left += more
        taken, self._left = self._left[:size], self._left[size:]
        return taken
