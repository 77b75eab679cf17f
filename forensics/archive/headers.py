"""The 512-byte tar header: fields, checksum, formats (POSIX pax, GNU tar manual, Go archive/tar, which engines use).

Parses one block and never reads. Where readers differ, Go's decides, because that is what Docker, containerd and
Podman run; the difference itself is reported by the caller.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)

_FIELDS = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12s")
_USTAR = b"ustar\x0000"
_GNU = b"ustar  \x00"
_CHECKSUM_START, _CHECKSUM_END = 148, 156
_ADLER_MODULUS = 65521
_MIN_ZEROS = 256
_INT64 = 1 << 63
_BASE256 = 0x80


class RawHeader(NamedTuple):
    """The fields of one header block, numbers parsed; ``bad_fields`` names those that were no numbers (0 here)."""

    name: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    typeflag: bytes
    link_name: bytes
    device: tuple[int, int]
    gnu: bool
    bad_fields: tuple[str, ...]


def has_valid_checksum(block: bytes) -> bool:
    """Tell whether the stored checksum is the sum of the bytes, taken unsigned or (old Sun tar) signed.

    Adler-32's low half is the sum modulo 65521 at C speed; it is exact where at least half the block is zero bytes,
    because then the sum stays below the modulus. Any other block is summed the slow way.
    """
    try:
        stored = _parse_repeated(block[_CHECKSUM_START:_CHECKSUM_END])
    except ValueError:
        return False
    if block.count(0) >= _MIN_ZEROS:
        low = zlib.adler32(block[_CHECKSUM_END:], zlib.adler32(block[:_CHECKSUM_START])) & 0xFFFF
        if (low + 8 * 32 - 1) % _ADLER_MODULUS == stored:
            return True
    summed = block[:_CHECKSUM_START] + b" " * 8 + block[_CHECKSUM_END:]
    unsigned = sum(summed)
    return stored in {unsigned, unsigned - 256 * sum(byte >> 7 for byte in summed)}


def parse_number(field: bytes) -> int:
    """Return the value of an octal or base-256 field; empty is 0.

    Raises:
        ValueError: the field is neither, or does not fit 64 bits.
    """
    text = field.strip(b" \0")
    if text.isdigit():
        return int(text, 8)
    if not text:
        return 0
    if field[0] & _BASE256:
        return _parse_base256(field)
    text = text.partition(b"\0")[0]
    if text.isdigit():
        return int(text, 8)
    raise ValueError("not an octal number")


def _parse_base256(field: bytes) -> int:
    bits = 8 * len(field) - 1
    value = int.from_bytes(field, "big") & ((1 << bits) - 1)
    if value >> (bits - 1):
        value -= 1 << bits
    if not -_INT64 <= value < _INT64:
        raise ValueError("does not fit 64 bits")
    return value


_parse_repeated = lru_cache(maxsize=4096)(parse_number)
"""Modes, owners and times repeat from member to member."""


def parse_header(block: bytes) -> RawHeader:
    """Return the fields of *block*, whose checksum the caller judges. Never raises: bad numbers are named."""
    (name, mode, uid, gid, size, mtime, _, typeflag, link, magic, _, _, major, minor, prefix, tail) = _FIELDS.unpack(
        block
    )
    gnu = magic == _GNU
    if not gnu and prefix[0] and magic[:6] == _USTAR[:6]:
        limit = 131 if tail[8:] == b"tar\0" else 155
        name = _cut(prefix[:limit]) + b"/" + _cut(name)
    try:
        return _NEW(
            RawHeader,
            (
                name.partition(b"\0")[0],
                _parse_repeated(mode),
                _parse_repeated(uid),
                _parse_repeated(gid),
                parse_number(size),
                _parse_repeated(mtime),
                typeflag,
                link.partition(b"\0")[0] if link[0] else b"",
                _NO_DEVICE if typeflag not in b"34" else (_parse_repeated(major), _parse_repeated(minor)),
                gnu,
                (),
            ),
        )
    except ValueError:
        return _parse_tolerantly(_cut(name), (mode, uid, gid, size, mtime, major, minor), typeflag, _cut(link), gnu=gnu)


_NO_DEVICE = (0, 0)
_NEW = tuple.__new__
"""What a named tuple's constructor calls, without the cost of its keyword arguments: a million headers."""
_NUMBER_NAMES = ("mode", "uid", "gid", "size", "mtime", "devmajor", "devminor")


def _parse_tolerantly(name: bytes, numbers: tuple[bytes, ...], typeflag: bytes, link: bytes, *, gnu: bool) -> RawHeader:
    values, bad = [], []
    for label, field in zip(_NUMBER_NAMES, numbers, strict=True):
        try:
            values.append(parse_number(field))
        except ValueError:
            values.append(0)
            bad.append(label)
    mode, uid, gid, size, mtime, major, minor = values
    return RawHeader(name, mode, uid, gid, size, mtime, typeflag, link, (major, minor), gnu, tuple(bad))


def _cut(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def is_plausible_header(block: bytes) -> bool:
    """Tell whether a block met while searching is a header beyond doubt: checksum, numbers and a name."""
    if block[0] == 0 and block[345] == 0:
        return False
    return has_valid_checksum(block) and not parse_header(block).bad_fields
