"""System programs and libraries that are no longer what the image had, and rights that files gained."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.file_types import list_paths
from forensics.analyze.files import Artifact, Origin, Stage, brings_content
from forensics.analyze.places import in_system, in_system_bin, in_temp
from forensics.analyze.rule import Rule
from forensics.model import Change, ChangeKind, EntryType, FileEntry, Finding, Severity
from forensics.text import from_bytes, show_path

_NEXT = "Compare with the image's file (`ir diff`); rebuild the container from a trusted image."
REPLACED = Rule(
    "system.binary-replaced",
    "A system program or library was replaced",
    Severity.HIGH,
    ("T1554", "T1036.005"),
    "Containers are updated by new images; a program exchanged in place is a back door or hides one.",
    "A package upgrade inside the container (those that its database explains are left out).",
    _NEXT,
)
RETYPED = Rule(
    "system.binary-became-link-or-script",
    "A system program became a script or a link",
    Severity.HIGH,
    ("T1554", "T1574"),
    "A wrapper in front of a program sees or changes everything that passes through it.",
    "Alternatives systems switch links when packages are installed.",
    _NEXT,
)
SHADOWED = Rule(
    "system.command-shadowed",
    "A newcomer is found before the system's own command of the same name",
    Severity.HIGH,
    ("T1574.007",),
    "Whoever types the command runs the newcomer: fake ps, netstat or sudo hide things or steal passwords.",
    "A newer release of a tool installed under /usr/local by hand.",
    _NEXT,
)
SETID = Rule(
    "privilege.set-id-gained",
    "A file gained the right to run as its owner (set-uid or set-gid)",
    Severity.HIGH,
    ("T1548.001",),
    "Such a file, owned by root, turns any account into root.",
    "Packages that ship such programs (those are left out).",
    _NEXT,
)
SETID_SHELL = Rule(
    "privilege.set-id-shell",
    "A shell or script language runs as root for everybody",
    Severity.CRITICAL,
    ("T1548.001",),
    "A set-uid copy of a shell or interpreter is a back door to root.",
    "None known.",
    _NEXT,
)
CAPABILITY = Rule(
    "privilege.file-capability-gained",
    "A file gained capabilities",
    Severity.HIGH,
    ("T1548", "T1222.002"),
    "File capabilities give root's powers without set-uid and without showing in a listing.",
    "ping, and servers that bind low ports, are given one capability.",
    _NEXT,
)
_INTERPRETERS = (
    b"bash",
    b"dash",
    b"sh",
    b"busybox",
    b"zsh",
    b"ash",
    b"perl",
    b"python",
    b"php",
    b"ruby",
    b"node",
    b"find",
    b"vim",
    b"env",
)
_SHELL_NAMES = (b"bin/bash", b"bin/dash", b"bin/sh", b"usr/bin/bash", b"usr/bin/dash", b"bin/busybox", b"usr/bin/zsh")
_SETID = 0o6000
_MILD_CAPABILITIES = (1 << 10) | (1 << 13)
_CAPABILITY_BYTES = 8


def analyze_system_files(view: CaseView) -> Iterator[Finding]:
    """Judge changes of the image's programs and libraries; upgrades that the package database explains are left out."""
    yield from _judge_replaced(view)
    if view.files.baseline.is_runtime:
        yield from _judge_shadowed(view)


def _judge_replaced(view: CaseView) -> Iterator[Finding]:
    replaced: list[Artifact] = []
    for artifact in view.files.candidates:
        if artifact.before is None or not _is_program_place(artifact.path) or artifact.origin is not Origin.LAYER:
            continue
        if artifact.before.type is EntryType.FILE and artifact.before.sha256 != artifact.entry.sha256:
            if artifact.is_runtime and artifact.kind is Kind.SCRIPT and not _was_script(artifact, view):
                yield RETYPED.found(from_bytes(b"/" + artifact.path), [artifact.reference])
            elif artifact.kind in {Kind.ELF, Kind.SCRIPT}:
                replaced.append(artifact)
    for stage, severity in ((Stage.RUNTIME, None), (Stage.BUILD, Severity.MEDIUM)):
        group = [artifact for artifact in replaced if artifact.stage is stage]
        if group:
            yield REPLACED.found(list_paths(group), [artifact.reference for artifact in group], severity=severity)
    for change in view.files.changes:
        if _became_link(change) and not view.files.packages.final.owner(change.path):
            yield RETYPED.found(_describe_link(change), [view.files.reference(change.path)])


def _is_program_place(path: bytes) -> bool:
    return (in_system(path) or in_system_bin(path)) and not path.endswith((b".pyc", b".cache"))


def _was_script(artifact: Artifact, view: CaseView) -> bool:
    """Whether the baseline's file was a script too (its content is only retained where it was one of the artifacts)."""
    before = view.files.kind_of(artifact.before.sha256 or "") if artifact.before else None
    return before in {Kind.SCRIPT, Kind.TEXT}


def _became_link(change: Change) -> bool:
    if change.kind is not ChangeKind.MODIFIED or not change.before or not change.after:
        return False
    programs = in_system_bin(change.path) or in_system(change.path)
    return programs and change.before.type is EntryType.FILE and change.after.type is EntryType.SYMLINK


def _describe_link(change: Change) -> str:
    target = change.after.link_target if change.after else b""
    return from_bytes(b"/" + change.path + b" -> " + (target or b""))


def _judge_shadowed(view: CaseView) -> Iterator[Finding]:
    for artifact in view.files.candidates:
        name = artifact.path.rsplit(b"/", 1)[-1]
        if (
            artifact.before
            or not artifact.is_runtime
            or not artifact.path.startswith((b"usr/local/bin/", b"usr/local/sbin/"))
        ):
            continue
        if artifact.kind not in {Kind.ELF, Kind.SCRIPT, Kind.TEXT} or not artifact.is_executable:
            continue
        below = [folder + name for folder in (b"usr/bin/", b"bin/", b"usr/sbin/", b"sbin/")]
        own = next((path for path in below if view.files.base and view.files.base.get(path)), None)
        if own:
            yield SHADOWED.found(
                from_bytes(b"/" + artifact.path + b" before /" + own), [artifact.reference, view.files.reference(own)]
            )


def analyze_privileges(view: CaseView) -> Iterator[Finding]:
    """Judge set-id bits and capabilities gained, by new files and by changes of mode or attributes alone."""
    shells = _shell_digests(view)
    setid: list[Artifact] = []
    for artifact, entry, before in iterate_entries(view):
        gained = entry.mode & _SETID & ~(before.mode if before and before.type is EntryType.FILE else 0)
        if gained and entry.type is EntryType.FILE and entry.mode & 0o111:
            name = entry.path.rsplit(b"/", 1)[-1]
            if entry.mode & 0o4000 and (entry.sha256 in shells or name.rstrip(b"0123456789.") in _INTERPRETERS):
                yield SETID_SHELL.found(f"{show_path(entry.path)} mode {entry.mode:04o}", [artifact.reference])
            else:
                setid.append(artifact)
        if capability := _gained_capability(entry, before):
            severity = Severity.LOW if capability & ~_MILD_CAPABILITIES == 0 and not in_temp(entry.path) else None
            yield CAPABILITY.found(f"{show_path(entry.path)} {capability:#x}", [artifact.reference], severity=severity)
    if setid:
        runtime = any(artifact.is_runtime or in_temp(artifact.path) for artifact in setid)
        yield SETID.found(
            list_paths(setid), [artifact.reference for artifact in setid], severity=None if runtime else Severity.LOW
        )


def iterate_entries(view: CaseView) -> Iterator[tuple[Artifact, FileEntry, FileEntry | None]]:
    """Yield what may have gained a right: candidates, and changes of mode or attributes that left the content alone."""
    stage = Stage.RUNTIME if view.files.baseline.is_runtime else Stage.BUILD
    for artifact in view.files.candidates:
        if artifact.origin is not Origin.RECOVERED:
            yield artifact, artifact.entry, artifact.before
    for change in view.files.changes:
        if brings_content(change) or change.after is None:
            continue
        if change.kind is ChangeKind.ADDED and view.files.is_packaged_path(change.path):
            continue
        artifact = Artifact(view.files.item, Origin.LAYER, change.after, None, stage, before=change.before)
        yield artifact, change.after, change.before


def _shell_digests(view: CaseView) -> frozenset[str]:
    trees = [tree for tree in (view.files.base, view.files.final) if tree]
    entries = (tree.get(name) for tree in trees for name in _SHELL_NAMES)
    return frozenset(entry.sha256 for entry in entries if entry and entry.sha256)


def _gained_capability(entry: FileEntry, before: FileEntry | None) -> int:
    now, then = _capability(entry), _capability(before) if before else 0
    return now & ~then


def _capability(entry: FileEntry) -> int:
    raw = dict(entry.xattrs).get(b"security.capability", b"")
    if len(raw) < _CAPABILITY_BYTES:
        return 0
    low = int(struct.unpack_from("<I", raw, 4)[0])
    high = int(struct.unpack_from("<I", raw, 12)[0]) if len(raw) >= 16 else 0  # noqa: PLR2004 - VFS_CAP_REVISION_2
    return low | high << 32
