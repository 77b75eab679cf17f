"""Reads each content once and keeps what the analyzers need of it: kind, digests, text of configuration, matches.

Memory is bounded: texts up to a budget, everything else in a few hundred bytes a file. Content goes to the scanning
process; this process only looks at its first bytes and at text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Protocol

from forensics.analyze.bulk import NamedFailures
from forensics.analyze.code_files import read_code
from forensics.analyze.configuration import is_kept
from forensics.analyze.content import SAMPLE_BYTES, ContentFacts, Kind, read_elf, read_interpreter, sniff
from forensics.analyze.contents import ContentTable, Known
from forensics.analyze.indicators import find_in_bytes
from forensics.analyze.package_reader import PackageReader
from forensics.analyze.places import may_hold_secrets
from forensics.analyze.scanner import Scanner, ScanRequest, ScanResult, own_path
from forensics.model import FileEntry
from forensics.risk import name_secrets
from forensics.text import from_bytes

TEXT_BUDGET_BYTES = 96 << 20
_TEXT_OVERHEAD_BYTES = 300
"""What a kept text costs besides its bytes: a million empty ones count too."""
_MOST_KEPT = 1 << 20
_MOST_SECRET = 256 << 10
_MOST_SCANNED = 1 << 30
_MOST_STRINGS = 4 << 20
_PIPED_BYTES = 8 << 20


class ContentLike(Protocol):
    """The part of :class:`forensics.archive.visitor.Content` that is needed here."""

    sha256: str
    size_bytes: int

    def head(self, size: int = 4096) -> bytes:
        """Return the first bytes."""

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes; may be asked for again."""

    def read(self, limit: int | None = None) -> bytes:
        """Return the bytes, at most *limit*."""

    def open_file(self) -> BinaryIO | None:
        """Return the temporary file of large content, None for small content."""


@dataclass
class Examiner:
    """Facts of every content seen so far, in *contents*. *scanner* None means: no YARA, no libmagic."""

    scanner: Scanner | None
    scan_everything: bool = True
    contents: ContentTable = field(default_factory=ContentTable)
    texts: dict[str, bytes] = field(default_factory=dict)
    packages: PackageReader = field(default_factory=PackageReader)
    failures: NamedFailures = field(default_factory=NamedFailures)
    limited: NamedFailures = field(default_factory=NamedFailures)
    warnings: list[str] = field(default_factory=list)
    scanned_files: int = 0
    wanted_digests: frozenset[str] = frozenset()
    digest_hits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _text_bytes: int = 0

    def examine(self, entry: FileEntry, content: ContentLike, *, is_new: bool) -> None:
        """Look at one file's content; what was done for an identical content is not done again."""
        digest = content.sha256
        self.packages.examine(entry, content)
        if is_kept(entry.path):
            self._keep_text(entry, content)
        known = self.contents.find(digest)
        if known is None:
            kind = sniff(content.head(SAMPLE_BYTES if is_new else 4096))
            known = self.contents.add(digest, Known(kind))
        if is_new and not known.is_read:
            self._read(entry, content, known)
        elif self.wanted_digests and not known.is_read and digest not in self.digest_hits:
            self._digest(content)
        if self.scanner and not known.is_scanned and content.size_bytes and (is_new or self.scan_everything):
            known.is_scanned = True
            self._scan(entry, content, known, magic=is_new and known.kind in {Kind.DATA, Kind.TEXT, Kind.SCRIPT})

    def _read(self, entry: FileEntry, content: ContentLike, known: Known) -> None:
        known.is_read = True
        facts, old = self._read_all(entry, content, known.kind), known.facts
        known.facts = replace(facts, matches=old.matches, failure=old.failure, mime=old.mime) if old else facts

    def _keep_text(self, entry: FileEntry, content: ContentLike) -> None:
        if content.sha256 in self.texts:
            return
        size = min(content.size_bytes, _MOST_KEPT) + _TEXT_OVERHEAD_BYTES
        if self._text_bytes + size > TEXT_BUDGET_BYTES:
            self.limited.append(f"{from_bytes(entry.path)}: not kept, the budget for text is used up")
            return
        self._text_bytes += size
        self.texts[content.sha256] = content.read(_MOST_KEPT)

    def _read_all(self, entry: FileEntry, content: ContentLike, kind: Kind) -> ContentFacts:
        md5, sha1 = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False)
        for chunk in content.chunks():
            md5.update(chunk)
            sha1.update(chunk)
        self._note(content.sha256, md5.hexdigest(), sha1.hexdigest())
        sample = content.head(SAMPLE_BYTES)
        interpreter = read_interpreter(sample)
        extra: dict[str, tuple[object, ...]] = {}
        if kind is not Kind.ELF:
            extra = read_code(entry, kind, interpreter, content.read, content.size_bytes)
        elif kind is Kind.ELF and content.size_bytes <= _MOST_STRINGS:
            extra = {"indicators": find_in_bytes(content.read(_MOST_STRINGS))}
        if (
            kind in {Kind.TEXT, Kind.SCRIPT, Kind.PHP}
            and content.size_bytes <= _MOST_SECRET
            and may_hold_secrets(entry.path)
        ):
            secrets = name_secrets(from_bytes(content.read(_MOST_SECRET)))
            extra |= {"secrets": secrets} if secrets else {}
        return ContentFacts(
            sha256=content.sha256,
            size_bytes=content.size_bytes,
            kind=kind,
            interpreter=interpreter,
            elf=read_elf(sample) if kind is Kind.ELF else None,
            md5=md5.hexdigest(),
            sha1=sha1.hexdigest(),
            extra=extra,
        )

    def _digest(self, content: ContentLike) -> None:
        """Compute the digests that lists of indicators still use, of content that is not read otherwise."""
        md5, sha1 = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False)
        for chunk in content.chunks():
            md5.update(chunk)
            sha1.update(chunk)
        self._note(content.sha256, md5.hexdigest(), sha1.hexdigest())

    def _note(self, sha256: str, *digests: str) -> None:
        found = tuple(digest for digest in digests if digest in self.wanted_digests)
        if found:
            self.digest_hits[sha256] = found

    def _scan(self, entry: FileEntry, content: ContentLike, known: Known, *, magic: bool) -> None:
        if content.size_bytes > _MOST_SCANNED:
            self.limited.append(f"{from_bytes(b'/' + entry.path)}: larger than {_MOST_SCANNED >> 20} MiB, not scanned")
            return
        result = self._ask(entry, content, known.kind, magic=magic)
        self.scanned_files += 1
        if result.failure:
            self.failures.append(f"{from_bytes(b'/' + entry.path)}: {result.failure}")
        if not (result.matches or result.failure or result.mime):
            return
        if not known.is_read:
            self._read(entry, content, known)
        if known.facts:
            known.facts = replace(known.facts, matches=result.matches, failure=result.failure, mime=result.mime)

    def _ask(self, entry: FileEntry, content: ContentLike, kind: Kind, *, magic: bool) -> ScanResult:
        if self.scanner is None:
            return ScanResult()
        externals = make_externals(entry, kind)
        file = content.open_file()
        if file is not None:
            return self.scanner.scan(
                ScanRequest(externals, path=own_path(file.fileno()), magic=magic, sha256=content.sha256)
            )
        return self.scanner.scan(
            ScanRequest(externals, data=content.read(_PIPED_BYTES), magic=magic, sha256=content.sha256)
        )


def make_externals(entry: FileEntry, kind: Kind) -> dict[str, str]:
    """Return the values of the external variables that public rule sets expect, as UTF-8 that YARA accepts."""
    path = "/" + entry.path.decode("utf-8", "replace").replace("\x00", "?")
    name = path.rsplit("/", 1)[-1]
    extension = "." + name.rsplit(".", 1)[-1] if "." in name[1:] else ""
    return {
        "filename": name,
        "filepath": path,
        "extension": extension,
        "filetype": kind.value.upper(),
        "owner": str(entry.uid),
    }
