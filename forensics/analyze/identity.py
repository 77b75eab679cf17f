"""Says which file of the image a process really runs, by the digest of its executable. Pure; reads evidence only."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import NET_TOOLS, SHELLS, Process, is_interpreter_name
from forensics.model import EntryType, EvidenceRef, Finding, Severity
from forensics.text import from_bytes, to_bytes

OTHER_NAME = Rule(
    "process.program-under-another-name",
    "A program of the image runs under another name",
    Severity.HIGH,
    ("T1036.003", "T1036.005"),
    "The running file has the content of another program of the image, but not its name: a copy that hides.",
    "Applications that carry their own copy of an interpreter.",
    "Find out who made the copy; read its arguments as those of the program that it is.",
)
_WRAPPERS = frozenset({"busybox", "toybox", "coreutils"})


@dataclass(frozen=True, slots=True)
class Identity:
    """An executable that stands in the image under other names: all of them, without a leading slash."""

    names: tuple[bytes, ...]
    reference: EvidenceRef

    @property
    def path(self) -> str:
        """The name to tell: one of a program, not of an applet."""
        return "/" + from_bytes(self.names[0])


def identify(view: CaseView) -> Mapping[int, Identity]:
    """Return, by pid, what really runs where the process's own file is no part of the image."""
    running = _running(view)
    if not running or view.files.final is None:
        return {}
    tree = view.files.base or view.files.final
    wanted = {sha256 for sha256, _ in running.values()}
    places: dict[str, list[bytes]] = {}
    for entry in tree.entries():
        if entry.type is EntryType.FILE and entry.sha256 in wanted and entry.mode & 0o111:
            places.setdefault(entry.sha256, []).append(entry.path)
    found: dict[int, Identity] = {}
    for process in view.processes:
        sha256, reference = running.get(process.pid, ("", EvidenceRef("")))
        names = places.get(sha256, [])
        if names and _own_path(process, view) not in names and not _same_name(process, names):
            found[process.pid] = Identity(tuple(sorted(names, key=_rank)), reference)
    return found


def _running(view: CaseView) -> dict[int, tuple[str, EvidenceRef]]:
    """Return the digest of each process's executable, as it was kept in evidence."""
    running: dict[int, tuple[str, EvidenceRef]] = {}
    for item in view.find("executable"):
        pids = item.attributes.get("pids") if item.attributes else None
        for pid in pids if isinstance(pids, list) else ():
            if isinstance(pid, int):
                running[pid] = (item.sha256, EvidenceRef(item.id, pid=pid))
    return running


def _own_path(process: Process, view: CaseView) -> bytes:
    path = to_bytes(process.exe.removesuffix(" (deleted)"))
    return view.files.resolve(path) or path.lstrip(b"/")


def _same_name(process: Process, names: list[bytes]) -> bool:
    program = process.program
    return any(_related(from_bytes(posixpath.basename(name)), program) for name in names)


def _related(first: str, second: str) -> bool:
    return first.startswith(second) or second.startswith(first)


def _rank(path: bytes) -> tuple[bool, int, bytes]:
    return from_bytes(posixpath.basename(path)) not in _WRAPPERS, len(path), path


def describe_identity(process: Process, identity: Identity | None) -> Iterator[Finding]:
    """Report a copy; of an interpreter, a shell or a network tool it weighs, of anything else hardly."""
    if identity is None:
        return
    plain = posixpath.basename(identity.path)
    grave = is_interpreter_name(plain) or plain in SHELLS | NET_TOOLS | _WRAPPERS
    yield OTHER_NAME.found(
        f"pid {process.pid}: {process.exe} ({process.command}) is {identity.path} under another name",
        [process.reference, identity.reference],
        severity=None if grave else Severity.LOW,
    )
