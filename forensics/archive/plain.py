"""The short way for the commonest header: a file, folder or symbolic link whose fields are all as they should be.

Gives exactly what :mod:`forensics.archive.headers` and :mod:`forensics.archive.members` give, several times as fast, or
nothing: whatever is unusual is left to them. A million members are read this way.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

from forensics.archive.headers import BLOCK, parse_number
from forensics.archive.members import TarMember
from forensics.model import EntryType

_TYPES = {ord("0"): EntryType.FILE, ord("2"): EntryType.SYMLINK, ord("5"): EntryType.DIRECTORY}
_FILE = EntryType.FILE
_SYMLINK = EntryType.SYMLINK
_NEW = tuple.__new__
_TYPEFLAG, _PREFIX = 156, 345
_GNU = b"ustar  \x00"
_SIZE_ENDS = b"\0 "
_PERMISSIONS = 0o7777
_NANOSECONDS = 1_000_000_000


@lru_cache(maxsize=4096)
def _expect_adler(field: bytes) -> int:
    """Return the low half of Adler-32 of a block with this checksum field, -1 where that is no checksum."""
    try:
        return parse_number(field) - ord(" ") * len(field) + sum(field) + 1
    except ValueError:
        return -1


@lru_cache(maxsize=4096)
def _parse_owner(fields: bytes) -> tuple[int, int, int] | None:
    try:
        return parse_number(fields[:8]) & _PERMISSIONS, parse_number(fields[8:16]), parse_number(fields[16:])
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _parse_time(field: bytes) -> int | None:
    try:
        return parse_number(field) * _NANOSECONDS
    except ValueError:
        return None


def make_plain_member(block: bytes, offset: int, hidden_by: str) -> TarMember | None:
    """Return the member that *block* alone describes, None where anything about it is unusual.

    All bytes are ASCII here, so their sum stays below the modulus of Adler-32, whose low half then is the checksum.
    """
    kind = _TYPES.get(block[_TYPEFLAG])
    if kind is None or not block.isascii() or zlib.adler32(block) & 0xFFFF != _expect_adler(block[148:156]):
        return None
    owner, mtime, digits = _parse_owner(block[100:124]), _parse_time(block[136:148]), block[124:135]
    if owner is None or mtime is None or not digits.isdigit() or block[135] not in _SIZE_ENDS:
        return None
    if block[_PREFIX] and block[257:265] != _GNU:
        return None
    try:
        size = int(digits, 8)
    except ValueError:
        return None
    target = None
    if kind is not _FILE:
        if size:
            return None
        target = block[157:257].partition(b"\0")[0] if kind is _SYMLINK else None
    name = block[:100].partition(b"\0")[0]
    mode, uid, gid = owner
    return _NEW(
        TarMember,
        (
            name,
            kind,
            mode,
            uid,
            gid,
            size,
            mtime,
            target,
            None,
            (),
            (),
            offset,
            offset + BLOCK,
            False,
            hidden_by,
            None,
            None,
        ),
    )
