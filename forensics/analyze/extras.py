"""Files that were collected beside the snapshot: tmpfs, volumes, executables of processes, deleted open files."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from forensics.analyze.bulk import NamedFailures
from forensics.analyze.content import ContentFacts, Kind
from forensics.analyze.examine import Examiner, make_externals
from forensics.analyze.files import Artifact, Origin, Stage
from forensics.analyze.runtime import number_of, object_of, text_of
from forensics.archive.content import BlockSource
from forensics.archive.limits import DAMAGE, Anomaly, Report
from forensics.archive.tar import ChunkReader, MemberContent, TarMember, read_tar
from forensics.archive.visitor import Content, spool_content
from forensics.errors import IrError
from forensics.model import EntryType, EvidenceItem, FileEntry
from forensics.text import to_bytes

if TYPE_CHECKING:
    from forensics.evidence.case import Case

_MEMORY_BYTES = 8 << 20
_ORIGINS = {
    "tmpfs": Origin.TMPFS,
    "volume": Origin.VOLUME,
    "executable": Origin.EXECUTABLE,
    "deleted-file": Origin.DELETED,
    "memory": Origin.MEMORY,
}


def read_extras(
    case: Case, items: Iterable[EvidenceItem], examiner: Examiner, failures: NamedFailures, warnings: NamedFailures
) -> Iterator[Artifact]:
    """Yield the files of all such items, examined; an item that cannot be read is a failure that names it."""

    def report(item: EvidenceItem, found: Anomaly) -> None:
        (failures if found.code in DAMAGE else warnings).append(f"{item.id}: {found.message}")

    for item in items:
        origin = _ORIGINS.get(item.kind)
        if origin is None:
            continue
        try:
            yield from _read_item(case, item, origin, examiner, partial(report, item))
        except (IrError, OSError) as error:
            failures.append(f"{item.id}: {error}")


def _read_item(
    case: Case, item: EvidenceItem, origin: Origin, examiner: Examiner, report: Report
) -> Iterator[Artifact]:
    if origin is Origin.MEMORY:
        yield from _read_memory(case, item, examiner, report)
        return
    if origin in {Origin.TMPFS, Origin.VOLUME}:
        stream = ChunkReader(case.stream(item))
        for member, content in read_tar(stream, report=report):
            yield _read_member(item, origin, member, content, examiner)
        return
    path = to_bytes(text_of(item.attributes.get("exe")) or text_of(item.attributes.get("target")))
    path = path.removesuffix(b" (deleted)").lstrip(b"/")
    entry = FileEntry(path, EntryType.FILE, 0o755, 0, 0, item.size_bytes, 0, sha256=item.sha256)
    stream = ChunkReader(case.stream(item))
    whole = spool_content(MemberContent(BlockSource(stream), item.size_bytes), _MEMORY_BYTES)
    yield _examine(item, origin, entry, whole, examiner)


def _read_memory(case: Case, item: EvidenceItem, examiner: Examiner, report: Report) -> Iterator[Artifact]:
    """Scan a process's memory as it was dumped; nothing else of it is looked at."""
    if examiner.scanner is None or not item.size_bytes:
        return
    pid = number_of(item.attributes.get("pid"))
    entry = FileEntry(b"proc/%d/mem" % pid, EntryType.FILE, 0o600, 0, 0, item.size_bytes, 0, sha256=item.sha256)
    result = examiner.scanner.scan_file(case.path_of(item), make_externals(entry, Kind.DATA))
    examiner.scanned_files += 1
    if result.failure:
        report(Anomaly("truncated", f"memory of pid {pid}: {result.failure}"))
    facts = ContentFacts(item.sha256, item.size_bytes, matches=result.matches, failure=result.failure)
    yield Artifact(item.id, Origin.MEMORY, entry, facts, Stage.RUNTIME, pid=pid or None)


def _mount_of(item: EvidenceItem) -> bytes:
    mount = item.attributes.get("mount")
    path = text_of(mount) or text_of(object_of(mount).get("destination")) or text_of(object_of(mount).get("path"))
    return to_bytes(path).strip(b"/")


def _read_member(
    item: EvidenceItem, origin: Origin, member: TarMember, content: MemberContent, examiner: Examiner
) -> Artifact:
    prefix = _mount_of(item)
    name = member.name.strip(b"/").removeprefix(b"./")
    path = posixpath.normpath(prefix + b"/" + name).lstrip(b"/")
    entry = FileEntry(
        path, member.type, member.mode, member.uid, member.gid, member.size_bytes, member.mtime_ns,
        link_target=member.link_target, xattrs=member.xattrs, device=member.device,
        atime_ns=member.atime_ns, ctime_ns=member.ctime_ns,
    )  # fmt: skip
    if member.type is not EntryType.FILE or member.hard_link:
        return Artifact(item.id, origin, entry, None, Stage.RUNTIME)
    return _examine(item, origin, entry, spool_content(content, _MEMORY_BYTES), examiner)


def _examine(item: EvidenceItem, origin: Origin, entry: FileEntry, content: Content, examiner: Examiner) -> Artifact:
    try:
        examiner.examine(entry, content, is_new=True)
    finally:
        content.close()
    known = FileEntry(
        entry.path, entry.type, entry.mode, entry.uid, entry.gid, content.size_bytes, entry.mtime_ns,
        sha256=content.sha256, xattrs=entry.xattrs, atime_ns=entry.atime_ns, ctime_ns=entry.ctime_ns,
    )  # fmt: skip
    pids = item.attributes.get("pids")
    pid = number_of(pids[0] if isinstance(pids, list) and pids else item.attributes.get("pid")) or None
    text = examiner.texts.get(content.sha256)
    facts = examiner.contents.facts_of(content.sha256)
    return Artifact(item.id, origin, known, facts, Stage.RUNTIME, pid=pid, text=text)
