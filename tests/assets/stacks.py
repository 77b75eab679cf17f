# ruff: noqa: PTH101, PTH102, PTH103, PTH114, PTH115, PTH118, PTH123, PTH211, S311 - names are bytes, randomness is a seed
"""Builds layer directories as overlayfs keeps them, and the tars that engines make of them.

A layer is a table of paths; see ``Node``. The directory holds overlayfs' own whiteouts and opaque marks, so that the
kernel can mount it; the tar says the same in AUFS names or, on request, in overlayfs' marks.
"""

from __future__ import annotations

import io
import os
import random
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Node:
    """What stands at one path of one layer."""

    kind: str
    """file, dir, symlink, fifo, device, whiteout or link"""
    content: bytes = b""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    mtime_ns: int = 1_600_000_000_000_000_000
    xattrs: tuple[tuple[str, bytes], ...] = ()
    target: bytes = b""
    opaque: bool = False


def build_directory(root: Path, nodes: dict[bytes, Node]) -> None:
    """Create one layer as overlayfs' upper directory; nodes below something that is no folder are left out."""
    root.mkdir()
    made: list[tuple[bytes, Node]] = []
    for path, node in sorted(nodes.items()):
        full = os.path.join(os.fsencode(root), path)
        if not _has_folders(os.fsencode(root), path):
            continue
        _create(full, node, os.fsencode(root))
        made.append((full, node))
    for full, node in reversed(made):
        if node.kind not in {"whiteout", "link"} and os.path.lexists(full):
            os.utime(full, ns=(node.mtime_ns, node.mtime_ns), follow_symlinks=False)


def _has_folders(root: bytes, path: bytes) -> bool:
    here = root
    for part in path.split(b"/")[:-1]:
        here = os.path.join(here, part)
        if not os.path.lexists(here):
            os.mkdir(here, 0o755)
        elif not stat.S_ISDIR(os.lstat(here).st_mode):
            return False
    return True


def _create(full: bytes, node: Node, root: bytes) -> None:
    if node.kind == "dir":
        os.makedirs(full, exist_ok=True)
        if node.opaque:
            os.setxattr(full, "trusted.overlay.opaque", b"y")
    elif node.kind == "symlink":
        os.symlink(node.target or b"x", full)
    elif node.kind == "fifo":
        os.mkfifo(full)
    elif node.kind == "device":
        os.mknod(full, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    elif node.kind == "whiteout":
        os.mknod(full, 0o000 | stat.S_IFCHR, os.makedev(0, 0))
        return
    elif node.kind == "link" and stat.S_ISREG(_mode(os.path.join(root, node.target))):
        os.link(os.path.join(root, node.target), full)
        return
    else:
        with open(full, "wb") as file:
            file.write(node.content)
    os.chown(full, *node.owner, follow_symlinks=False)
    if node.kind != "symlink":
        os.chmod(full, node.mode)
        for name, value in node.xattrs if node.kind in {"file", "dir"} else ():
            os.setxattr(full, name, value)


def _mode(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def pack_directory(root: Path, *, native_marks: bool = False, shuffle: int | None = None) -> bytes:
    """Return the tar that an engine makes of an upper directory: PAX, nanoseconds, xattrs, whiteouts."""
    members: list[tuple[tarfile.TarInfo, bytes]] = []
    inodes: dict[tuple[int, int], str] = {}
    for folder, names, files in os.walk(os.fsencode(root)):
        for path in [
            folder,
            *(os.path.join(folder, n) for n in files + [n for n in names if os.path.islink(os.path.join(folder, n))]),
        ]:
            members += _describe(os.fsencode(root), path, inodes, native_marks)
    if shuffle is not None:
        links = [pair for pair in members if pair[0].type == tarfile.LNKTYPE]
        others = [pair for pair in members if pair[0].type != tarfile.LNKTYPE]
        random.Random(shuffle).shuffle(others)
        members = others + links
    return write_tar(members)


def write_tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    """Return a PAX tar of *members*."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


def _describe(
    root: bytes, path: bytes, inodes: dict[tuple[int, int], str], native_marks: bool
) -> list[tuple[tarfile.TarInfo, bytes]]:
    status = os.lstat(path)
    name = os.fsdecode(os.path.relpath(path, root))
    info = tarfile.TarInfo(name)
    info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    info.pax_headers = {"mtime": f"{status.st_mtime_ns // 10**9}.{status.st_mtime_ns % 10**9:09d}"}
    content = b""
    extra: list[tuple[tarfile.TarInfo, bytes]] = []
    if stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode):
        for key in os.listxattr(path):
            value = os.getxattr(path, key)
            if (key, value) == ("trusted.overlay.opaque", b"y") and not native_marks:
                extra.append((tarfile.TarInfo(os.path.join(name, ".wh..wh..opq")), b""))
            else:
                info.pax_headers[f"SCHILY.xattr.{key}"] = value.decode("utf-8", "surrogateescape")
    if stat.S_ISDIR(status.st_mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(status.st_mode):
        info.type, info.linkname = tarfile.SYMTYPE, os.fsdecode(os.readlink(path))
    elif stat.S_ISFIFO(status.st_mode):
        info.type = tarfile.FIFOTYPE
    elif stat.S_ISCHR(status.st_mode):
        if status.st_rdev == 0 and not native_marks:
            folder, _, base = name.rpartition("/")
            return [(tarfile.TarInfo(os.path.join(folder, ".wh." + base)), b"")]
        info.type, info.devmajor, info.devminor = tarfile.CHRTYPE, os.major(status.st_rdev), os.minor(status.st_rdev)
    elif (status.st_dev, status.st_ino) in inodes:
        info.type, info.linkname = tarfile.LNKTYPE, inodes[status.st_dev, status.st_ino]
    else:
        inodes[status.st_dev, status.st_ino] = name
        with open(path, "rb") as file:
            content = file.read()
    return [(info, content), *extra]
