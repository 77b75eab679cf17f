"""What `ir doctor` looks at: each check asks one question; the answer is ok, warn or fail, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import EngineError
from forensics.model import JsonObject
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.base import EngineInfo
    from forensics.engine.docker import DockerEngine

_GIB = 1 << 30
_MIB = 1 << 20
_TIGHT_BYTES, _FULL_BYTES = 10 * _GIB, 100 * _MIB
_TOOL_SECONDS = 5
_CAPABILITIES = {
    "SYS_ADMIN": 21,
    "SYS_PTRACE": 19,
    "NET_ADMIN": 12,
    "DAC_READ_SEARCH": 2,
}
"""What reading another container's processes, namespaces and files takes; bits of capabilities(7)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One answer. ``blocks`` means that `ir isolate` or `ir collect` could not work."""

    name: str
    state: str
    detail: str
    advice: str = ""
    blocks: bool = False

    def to_document(self) -> JsonObject:
        """Return one entry of the schema ``ir.doctor/1``."""
        return asdict(self)


def check_engine(url: str) -> Iterator[Check]:
    """Look at the engine: does it answer, what is it, is it on this host, are its versions known to be vulnerable."""
    from forensics.engine.docker import connect  # noqa: PLC0415 - not needed by `ir doctor --help`

    try:
        with connect(url) as engine:
            info = engine.info()
            yield Check("engine", "ok", _describe(engine, info))
            yield _check_place(info)
            yield from _check_versions(engine)
            yield from _check_engine_disk(info)
    except EngineError as error:
        yield Check("engine", "fail", error.message, error.hint, blocks=True)


def _describe(engine: DockerEngine, info: EngineInfo) -> str:
    kind = f"{info.name} {info.version}, API {info.api_version}, {info.storage_driver}, cgroup v{info.cgroup_version}"
    return f"{show(kind)} at {show(engine.url)} (from {engine.origin})"


def _check_place(info: EngineInfo) -> Check:
    if info.is_local:
        return Check("place", "ok", "the engine's processes are on this host: everything can be collected")
    advice = "run ir on the engine's own host to collect memory, processes, sockets and tmpfs"
    return Check("place", "warn", "the engine is not on this host: only what its API gives can be collected", advice)


def _check_versions(engine: DockerEngine) -> Iterator[Check]:
    from forensics.engine.advisories import TABLE_DATE, find_advisories  # noqa: PLC0415 - only with an engine

    found = find_advisories(engine.read_version())
    for advisory, version in found:
        detail = f"{advisory.cve}: {advisory.component} {show(version)}: {advisory.what}"
        advice = f"fixed in {', '.join(advisory.fixed)}; ask your distribution whether it mended this version"
        yield Check("versions", "warn", detail, advice)
    if not found:
        yield Check("versions", "ok", f"no vulnerability of the table of {TABLE_DATE} fits engine and runtime")


def _check_engine_disk(info: EngineInfo) -> Iterator[Check]:
    if info.is_local and info.root_dir and Path(info.root_dir).is_dir():
        yield check_disk("engine disk", Path(info.root_dir), "the snapshot needs room there; see 'docker system df'")


def check_rights() -> Check:
    """Look at what this process may do on the host."""
    effective = 0
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
    missing = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    if not missing:
        return Check("rights", "ok", f"uid {os.geteuid()} with every capability that is needed")
    advice = "run ir as root; without, containment is not proved and volatile evidence is not collected"
    return Check("rights", "warn", f"uid {os.geteuid()} lacks {', '.join(missing)}", advice)


def check_disk(name: str, folder: Path, advice: str) -> Check:
    """Look at the free space of the file system that *folder* is, or will be, on."""
    while not folder.is_dir():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    detail = f"{usage.free / _GIB:.1f} GiB of {usage.total / _GIB:.1f} GiB free at {folder}"
    if usage.free < _FULL_BYTES:
        return Check(name, "fail", detail, advice, blocks=True)
    return Check(
        name, "warn" if usage.free < _TIGHT_BYTES else "ok", detail, advice if usage.free < _TIGHT_BYTES else ""
    )


def check_clock() -> Check:
    """Look at whether a time service steers the clock, on which every time in a case rests."""
    from forensics.evidence.clock import read_clock  # noqa: PLC0415 - not needed by `ir doctor --help`

    clock = read_clock()
    if clock.offset_ms is None:
        return Check("clock", "warn", clock.source, "start a time service (chrony, systemd-timesyncd)")
    return Check("clock", "ok", f"{clock.source}, {clock.offset_ms:g} ms off")


def check_kernel() -> Iterator[Check]:
    """Look at the kernel features that safe reading and cutting off rest on."""
    from forensics.engine.openat2 import has_openat2  # noqa: PLC0415 - not needed by `ir doctor --help`

    release = os.uname().release
    if has_openat2():
        yield Check("kernel", "ok", f"Linux {release} with openat2")
    else:
        yield Check(
            "kernel", "warn", f"Linux {release} without openat2", "files of live containers cannot be read safely"
        )
    yield _check_cgroups()
    scope = Path("/proc/sys/kernel/yama/ptrace_scope")
    if scope.is_file() and scope.read_text().strip() == "3":
        yield Check("ptrace", "warn", "yama forbids all tracing", "process memory cannot be collected until a reboot")


def _check_cgroups() -> Check:
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").is_file():
        return Check("cgroups", "ok", "cgroup v2")
    if (root / "unified").is_dir():
        return Check("cgroups", "ok", "cgroup v1 with v2 beside it (hybrid)")
    if (root / "freezer").is_dir():
        advice = "a container on the host's network can be frozen, but not cut off by packet filter"
        return Check("cgroups", "warn", "cgroup v1 only", advice)
    return Check("cgroups", "warn", "no control groups are mounted", "processes are found by namespace only")


def check_libraries() -> Iterator[Check]:
    """Look at the libraries that analysis needs, by using them."""
    try:
        import magic  # noqa: PLC0415 - loads libmagic, the question itself

        yield Check("libmagic", "ok", f"says {magic.from_buffer(b'#!/bin/sh', mime=True)} for a script")
    except (ImportError, OSError) as error:
        yield Check("libmagic", "fail", f"cannot be used: {show(str(error), 120)}", "install libmagic1")
    try:
        import yara  # noqa: PLC0415 - the question itself

        yara.compile(source="rule ready { condition: true }")
        yield Check("yara", "ok", f"yara {yara.YARA_VERSION}")
    except (ImportError, AttributeError) as error:
        yield Check("yara", "fail", f"cannot be used: {show(str(error), 120)}", "install yara-python")


def check_tools() -> Iterator[Check]:
    """Look at the programs that seal and verify a case."""
    for name, arguments, package, need in (
        ("ssh-keygen", ("ssh", "-V"), "openssh-client", "cases cannot be signed or their signatures checked"),
        ("openssl", ("openssl", "version"), "openssl", "timestamps cannot be checked"),
        ("nsenter", ("nsenter", "--version"), "util-linux", "only needed for containment by hand"),
        ("sha256sum", ("sha256sum", "--version"), "coreutils", "verify.sh cannot check a case"),
    ):
        if shutil.which(name):
            yield Check(name, "ok", _first_line(arguments))
        else:
            yield Check(name, "warn", f"not found: {need}", f"install {package}")


def _first_line(arguments: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(arguments, capture_output=True, check=False, timeout=_TOOL_SECONDS)
    except (OSError, subprocess.SubprocessError):
        return "found"
    lines = (done.stdout or done.stderr).splitlines()
    return show(lines[0], 80) if lines else "found"
