"""Content of an archive that belongs to none of its images: parts that no table names, members shadowed by others.

Engines load no such part, and so nobody looks into it: what is parked there is read like any other content.
"""

from __future__ import annotations

from collections.abc import Iterator

from forensics.archive.compression import decompress
from forensics.archive.content import BlockSource, MemberContent
from forensics.archive.image import ImageSource
from forensics.archive.index import Table, Workspace
from forensics.archive.layerbuilder import LayerBuilder
from forensics.archive.limits import Anomaly
from forensics.archive.nouns import Layer
from forensics.archive.store import Part
from forensics.archive.tar import is_tar, read_tar
from forensics.archive.visitor import Visitor, spool_content
from forensics.model import EntryType, FileEntry
from forensics.text import show

NO_LAYER = -1
"""The layer of a file that is in none."""


def read_leftovers(source: ImageSource, visitor: Visitor) -> Iterator[tuple[bytes, FileEntry]]:
    """Yield the name of each such part with each file in it; *visitor* sees their contents.

    A part that is a tar archive, compressed or not, is read as one; any other is a file of its own.
    """
    for part in source.leftovers():
        if _is_archive(source, part):
            yield from _read_archive(source, part, visitor)
        else:
            yield part.name, _read_file(source, part, visitor)


def _is_archive(source: ImageSource, part: Part) -> bool:
    with source.open_part(part) as file:
        stream = decompress(file, source.limits, lambda _anomaly: None)
        head = b""
        while len(head) < 512 and (more := stream.read(512 - len(head))):  # noqa: PLR2004 - one block of tar
            head += more
    return is_tar(head)


def _read_archive(source: ImageSource, part: Part, visitor: Visitor) -> Iterator[tuple[bytes, FileEntry]]:
    def report(anomaly: Anomaly) -> None:
        message = f"in {show(part.name, 100)}: {anomaly.message}"
        source.log.report(Anomaly(anomaly.code, message, anomaly.offset, anomaly.path))

    layer = Layer(NO_LAYER, "", "", part.size, "", "")
    builder = LayerBuilder(layer, Table(Workspace(source.limits.memory_entries)), source.limits, report, visitor)
    with source.open_part(part) as file:
        for member, content in read_tar(decompress(file, source.limits, report), source.limits, report):
            builder.add(member, content)
    tree = builder.finish()
    for entry in tree.entries:
        if entry.type is EntryType.FILE:
            yield part.name, entry
    for hidden in tree.hidden:
        if hidden.entry.type is EntryType.FILE:
            yield part.name, hidden.entry


def _read_file(source: ImageSource, part: Part, visitor: Visitor) -> FileEntry:
    with source.open_part(part) as file:
        content = spool_content(MemberContent(BlockSource(file), part.size), source.limits.memory_content_bytes)
    entry = FileEntry(part.name, EntryType.FILE, 0o644, 0, 0, content.size_bytes, 0, NO_LAYER, sha256=content.sha256)
    try:
        visitor(entry, content)
    finally:
        content.close()
    return entry
