# ruff: noqa: PTH115, PTH118, PTH123 - names are bytes, randomness is a seed
"""The merged tree against the kernel: the same random layer stacks are mounted with overlayfs."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from assets.images import docker_parts
from assets.images import pack as pack_parts
from assets.stacks import Node, build_directory, pack_directory
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from forensics.archive.image import open_image
from forensics.archive.limits import Limits
from forensics.archive.tree import Tree, read_tree
from forensics.model import EntryType, FileEntry

STACKS = int(os.environ.get("IR_TEST_STACKS", "300"))
NAMES = (b"a", b"b", b"c.wh.d", b"\xff\xfe", b"a b")
PATHS = [b"/".join(parts) for depth in (1, 2, 3) for parts in itertools.product(NAMES[: 5 - depth], repeat=depth)]

FILES = st.builds(
    Node,
    kind=st.just("file"),
    content=st.sampled_from([b"", b"one", b"two\n" * 300]),
    mode=st.sampled_from([0o644, 0o4755, 0o600]),
    owner=st.sampled_from([(0, 0), (1000, 7)]),
    mtime_ns=st.sampled_from([1_600_000_000_123_456_789, 1_000_000_000]),
    xattrs=st.sampled_from(
        [
            (),
            (("user.note", b"\x00\xff"),),
            (("security.capability", bytes.fromhex("0100000200200000000000000000000000000000")),),
        ]
    ),
)
FOLDERS = st.builds(
    Node,
    kind=st.just("dir"),
    mode=st.sampled_from([0o755, 0o1777, 0o700]),
    opaque=st.booleans(),
    owner=st.sampled_from([(0, 0), (5, 6)]),
)
OTHERS = st.sampled_from(
    [
        Node("symlink", target=b"b"),
        Node("symlink", target=b"/a"),
        Node("fifo"),
        Node("device", mode=0o666),
        Node("whiteout"),
        Node("whiteout"),
        Node("link", target=b"a"),
        Node("link", target=b"b/a"),
    ]
)
LAYERS = st.dictionaries(st.sampled_from(PATHS), st.one_of(FILES, FOLDERS, OTHERS), max_size=9)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting overlayfs needs root")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tmpfs, because an overlayfs (in a container) cannot hold the layers of another."""
    path = tmp_path_factory.mktemp("overlay")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", path], check=False).returncode == 0
    if not mounted:
        assert not os.environ.get("CI"), "the comparison with the kernel must run in CI"
        pytest.skip("this machine does not allow mounts")
    yield path
    subprocess.run(["umount", path], check=True)


def read_mounted(root: Path) -> dict[bytes, tuple[object, ...]]:
    """Read the mount; a folder that is not merged lists its whiteouts, but they cannot be looked up."""
    top = os.fsencode(root)
    found = {b"": describe(top)}
    for folder, names, files in os.walk(top):
        for path in (os.path.join(folder, name) for name in names + files):
            if os.path.lexists(path):
                found[os.path.relpath(path, top)] = describe(path)
    return found


def describe(path: bytes) -> tuple[object, ...]:
    status = os.lstat(path)
    regular = stat.S_ISREG(status.st_mode)
    link = os.readlink(path) if stat.S_ISLNK(status.st_mode) else None
    device = stat.S_ISCHR(status.st_mode)
    readable = regular or stat.S_ISDIR(status.st_mode)
    with open(path if regular else os.devnull, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest() if regular else None
    return (
        stat.S_IFMT(status.st_mode),
        None if link is not None else stat.S_IMODE(status.st_mode),
        (status.st_uid, status.st_gid),
        status.st_size if regular else 0,
        digest,
        link,
        (os.major(status.st_rdev), os.minor(status.st_rdev)) if device else None,
        tuple(sorted((os.fsencode(key), os.getxattr(path, key)) for key in os.listxattr(path))) if readable else (),
        status.st_mtime_ns,
    )


FORMATS = {
    EntryType.FILE: stat.S_IFREG,
    EntryType.DIRECTORY: stat.S_IFDIR,
    EntryType.SYMLINK: stat.S_IFLNK,
    EntryType.FIFO: stat.S_IFIFO,
    EntryType.CHAR_DEVICE: stat.S_IFCHR,
}


def describe_entry(entry: FileEntry) -> tuple[object, ...]:
    return (
        FORMATS[entry.type],
        None if entry.type is EntryType.SYMLINK else entry.mode,
        (entry.uid, entry.gid),
        entry.size_bytes,
        entry.sha256,
        entry.link_target,
        entry.device,
        entry.xattrs,
        entry.mtime_ns,
    )


def mount_and_read(
    workplace: Path, layers: list[dict[bytes, Node]], native: bool, seed: int
) -> tuple[object, Tree, Path]:
    shutil.rmtree(workplace / "stack", ignore_errors=True)
    stack = workplace / "stack"
    stack.mkdir()
    (stack / "empty").mkdir(mode=0o755)
    folders = []
    for number, nodes in enumerate(layers):
        build_directory(stack / str(number), nodes)
        folders.append(stack / str(number))
    lower = ":".join(str(folder) for folder in [*reversed(folders), stack / "empty"])
    target = stack / "merged"
    target.mkdir()
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={lower}", target], check=True)
    try:
        expected = read_mounted(target)
    finally:
        subprocess.run(["umount", target], check=True)
    tars = [pack_directory(folder, native_marks=native, shuffle=seed) for folder in folders]
    path = stack / "image.tar"
    path.write_bytes(pack_parts(docker_parts(tars)))
    with open_image(path, limits=Limits(memory_entries=5 if seed % 3 == 0 else 100_000)) as source:
        tree = read_tree(source)
        assert [item.code for item in source.anomalies if item.code != "overlay-xattr"] == []
    return expected, tree, path


@given(st.lists(LAYERS, min_size=1, max_size=4), st.booleans(), st.integers(0, 1000))
@settings(
    max_examples=STACKS,
    deadline=None,
    derandomize="IR_TEST_STACKS" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example([{b"a/b": Node("file", b"x")}, {b"a": Node("symlink", target=b"b")}, {b"a/b": Node("file", b"y")}], False, 1)
@example([{b"a/b/a": Node("file", b"x")}, {b"a": Node("dir", opaque=True)}, {b"a/b": Node("dir")}], False, 2)
@example(
    [{b"a/b/a": Node("file", b"x")}, {b"a": Node("whiteout")}, {b"a/b": Node("dir")}, {b"a/b": Node("fifo")}], True, 3
)
def test_random_stacks_look_as_the_kernel_shows_them(
    workplace: Path, layers: list[dict[bytes, Node]], native: bool, seed: int
) -> None:
    expected, tree, _ = mount_and_read(workplace, layers, native, seed)
    found = {entry.path: describe_entry(entry) for entry in tree.entries()}
    assert found == expected
    for path in found:
        assert tree.get(path) is not None


@pytest.mark.parametrize("native", [True, False])
def test_whiteouts_in_the_form_of_attributes(workplace: Path, native: bool) -> None:
    """Kernel 6.7 and later; an empty file with the attribute is a whiteout in a folder that says so, and only there."""
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 8):
        pytest.skip("this kernel knows no such whiteouts")
    mark = Node("file", xattrs=(("trusted.overlay.whiteout", b"y"),))
    lower = {path: Node("file", b"lower") for path in (b"d/x", b"d/y", b"e/x", b"d/full")}
    upper = {
        b"d": Node("dir", mode=0o755, xattrs=(("trusted.overlay.opaque", b"x"),)),
        b"d/x": mark,
        b"d/full": Node("file", b"not empty", xattrs=mark.xattrs),
        b"e/z": Node("file", b"z"),
    }
    expected, tree, _ = mount_and_read(workplace, [lower, upper], native, 1)
    assert {entry.path: describe_entry(entry) for entry in tree.entries()} == expected
    assert tree.get(b"d/x") is None
    assert tree.get(b"d/full") is not None
    [recovered] = [item for item in tree.recovered if item.entry.path == b"d/x"]
    assert recovered.deleted_in_layer == 1
