"""What the bytes of one file say about it: kind, ELF shape, digests, retained text. Bounded; reads content once.

Never decides whether something is bad: that is for the analyzers.
"""

from __future__ import annotations

import enum
import math
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from forensics.scanning.nouns import OWN, Match, StringMatch

__all__ = [
    "OWN",
    "SAMPLE_BYTES",
    "ContentFacts",
    "ElfFacts",
    "Kind",
    "Match",
    "StringMatch",
    "read_elf",
    "read_interpreter",
    "sniff",
]

SAMPLE_BYTES = 64 * 1024
"""Bytes at the beginning of a file that decide its kind."""

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_ET_EXEC, _ET_DYN = 2, 3
_PACKED_ENTROPY = 7.2
_ELF64_HEADER = 64
_ELF32_HEADER = 52
_MOST_PROGRAM_HEADERS = 64
_SMALL_SAMPLE = 4096


class Kind(enum.StrEnum):
    """What a file is by its content."""

    ELF = "elf"
    SCRIPT = "script"
    PHP = "php"
    JAVA = "java"
    PE = "pe"
    IMAGE = "image"
    ARCHIVE = "archive"
    PDF = "pdf"
    PYC = "pyc"
    TEXT = "text"
    EMPTY = "empty"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class ElfFacts:
    """Shape of an ELF file (elf(5)). ``is_packed``: a packer's mark, or no sections and compressed-looking segments."""

    is_executable: bool
    is_static: bool
    is_packed: bool
    is_library: bool


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """What is known of one content. ``failure`` says why something of it could not be examined."""

    sha256: str
    size_bytes: int
    kind: Kind = Kind.DATA
    interpreter: str = ""
    mime: str = ""
    elf: ElfFacts | None = None
    md5: str = ""
    sha1: str = ""
    matches: tuple[Match, ...] = ()
    failure: str = ""
    extra: Mapping[str, tuple[object, ...]] = field(default_factory=dict)


_SIGNATURES: tuple[tuple[bytes, Kind], ...] = (
    (b"\x7fELF", Kind.ELF),
    (b"#!", Kind.SCRIPT),
    (b"MZ", Kind.PE),
    (b"\xca\xfe\xba\xbe", Kind.JAVA),
    (b"\x89PNG\r\n", Kind.IMAGE),
    (b"\xff\xd8\xff", Kind.IMAGE),
    (b"GIF8", Kind.IMAGE),
    (b"BM", Kind.IMAGE),
    (b"\x00\x00\x01\x00", Kind.IMAGE),
    (b"RIFF", Kind.IMAGE),
    (b"%PDF-", Kind.PDF),
    (b"PK\x03\x04", Kind.ARCHIVE),
    (b"\x1f\x8b", Kind.ARCHIVE),
    (b"BZh", Kind.ARCHIVE),
    (b"\xfd7zXZ\x00", Kind.ARCHIVE),
    (b"7z\xbc\xaf", Kind.ARCHIVE),
    (b"\x28\xb5\x2f\xfd", Kind.ARCHIVE),
)
_PHP_MARKS = (b"<?php", b"<?=")
_PYC_TAIL = b"\r\n"


def sniff(sample: bytes) -> Kind:
    """Return the kind that the first bytes show; cheap, decides nothing that libmagic would deny."""
    if not sample:
        return Kind.EMPTY
    for signature, kind in _SIGNATURES:
        if sample.startswith(signature):
            return kind
    if any(mark in sample[:_SMALL_SAMPLE].lower() for mark in _PHP_MARKS):
        return Kind.PHP
    if sample[2:4] == _PYC_TAIL:
        return Kind.PYC
    return Kind.DATA if b"\x00" in sample[:_SMALL_SAMPLE] else Kind.TEXT


def read_interpreter(sample: bytes) -> str:
    """Return the base name of a script's interpreter (``env`` looked through), or an empty string."""
    if not sample.startswith(b"#!"):
        return ""
    words = sample[2:256].split(b"\n")[0].split()
    names = [word.rsplit(b"/", 1)[-1] for word in words if not word.startswith(b"-")]
    if names and names[0] == b"env":
        names = [name for name in names[1:] if b"=" not in name]
    return names[0].decode("utf-8", "replace") if names else ""


def read_elf(sample: bytes) -> ElfFacts | None:
    """Return the shape of an ELF file from its first bytes, or None where the header is no ELF header."""
    try:
        return _read_elf(sample)
    except struct.error:
        return ElfFacts(is_executable=False, is_static=False, is_packed=_has_packer_mark(sample), is_library=False)


def _read_elf(sample: bytes) -> ElfFacts | None:
    if not sample.startswith(b"\x7fELF") or len(sample) < _ELF32_HEADER:
        return None
    wide = sample[4] == 2  # noqa: PLR2004 - ELFCLASS64, elf(5)
    order = ">" if sample[5] == 2 else "<"  # noqa: PLR2004 - ELFDATA2MSB
    kind = struct.unpack_from(f"{order}H", sample, 16)[0]
    if wide:
        start, size, count, sections = (
            struct.unpack_from(f"{order}Q", sample, 32)[0],
            *struct.unpack_from(f"{order}HH", sample, 54),
            struct.unpack_from(f"{order}H", sample, 60)[0],
        )
    else:
        start, size, count, sections = (
            struct.unpack_from(f"{order}I", sample, 28)[0],
            *struct.unpack_from(f"{order}HH", sample, 42),
            struct.unpack_from(f"{order}H", sample, 48)[0],
        )
    types = {
        struct.unpack_from(f"{order}I", sample, start + index * size)[0]
        for index in range(min(count, _MOST_PROGRAM_HEADERS))
        if start + index * size + 4 <= len(sample)
    }
    dynamic = _PT_INTERP in types
    packed = _has_packer_mark(sample) or (sections == 0 and _entropy(sample[_SMALL_SAMPLE:]) > _PACKED_ENTROPY)
    library = kind == _ET_DYN and not dynamic and _PT_DYNAMIC in types
    return ElfFacts(
        is_executable=kind == _ET_EXEC or dynamic,
        is_static=kind == _ET_EXEC and not dynamic,
        is_packed=packed,
        is_library=library,
    )


def _has_packer_mark(sample: bytes) -> bool:
    return b"UPX!" in sample[:_SMALL_SAMPLE]


def _entropy(sample: bytes) -> float:
    if len(sample) < _SMALL_SAMPLE:
        return 0.0
    total = len(sample)
    return -sum(count / total * math.log2(count / total) for count in Counter(sample).values())
