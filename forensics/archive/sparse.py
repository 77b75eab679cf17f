"""Sparse files in tar: old GNU headers and the PAX formats 0.0, 0.1 and 1.0 (GNU tar manual, "Sparse Formats").

Parses maps; the blocks they stand in are handed over by the caller, who counts the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from forensics.archive.headers import BLOCK, parse_number
from forensics.archive.limits import Limits
from forensics.archive.pax import Records

_OLD_MAP, _OLD_ENTRIES, _OLD_EXTENDED, _OLD_REAL_SIZE = 386, 4, 482, 483
_MORE_ENTRIES, _MORE_EXTENDED = 21, 504
_ENTRY = 24
_MAX_DIGITS = 20


class SparseMap(NamedTuple):
    """Data segments (offset, length) of a file of ``real_size`` bytes; ``header_bytes`` of the stored data were map."""

    segments: tuple[tuple[int, int], ...]
    real_size: int
    header_bytes: int = 0


NextBlock = Callable[[], bytes]


def parse_old_gnu(block: bytes, next_block: NextBlock, limits: Limits) -> SparseMap:
    """Return the map of a GNU ``S`` header, reading its extension blocks with *next_block*.

    Raises:
        ValueError: the map is no map.
    """
    real_size = parse_number(block[_OLD_REAL_SIZE : _OLD_REAL_SIZE + 12])
    segments = _parse_entries(block, _OLD_MAP, _OLD_ENTRIES)
    extended = block[_OLD_EXTENDED]
    while extended:
        block = next_block()
        if len(block) < BLOCK or len(segments) > limits.max_sparse_segments:
            raise ValueError("the map of the sparse file has no end")
        segments += _parse_entries(block, 0, _MORE_ENTRIES)
        extended = block[_MORE_EXTENDED]
    return SparseMap(tuple(segments), real_size)


def _parse_entries(block: bytes, start: int, count: int) -> list[tuple[int, int]]:
    segments = []
    for position in range(start, start + count * _ENTRY, _ENTRY):
        if block[position] == 0:
            break
        offset = parse_number(block[position : position + 12])
        segments.append((offset, parse_number(block[position + 12 : position + 24])))
    return segments


def parse_pax(records: Records, next_block: NextBlock, limits: Limits) -> SparseMap | None:
    """Return the map that PAX *records* describe, None for an ordinary file.

    Raises:
        ValueError: the map is no map.
    """
    keys = dict(records)
    if b"GNU.sparse.major" in keys:
        if (keys[b"GNU.sparse.major"], keys.get(b"GNU.sparse.minor")) != (b"1", b"0"):
            raise ValueError("an unknown sparse format")
        return _parse_pax_1(_number(keys.get(b"GNU.sparse.realsize", b"")), next_block, limits)
    if b"GNU.sparse.size" not in keys:
        return None
    if b"GNU.sparse.map" in keys:
        numbers = [_number(part) for part in keys[b"GNU.sparse.map"].split(b",") if part]
    else:
        numbers = [_number(v) for k, v in records if k in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}]
    return SparseMap(_pair(numbers, limits), _number(keys[b"GNU.sparse.size"]))


def _parse_pax_1(real_size: int, next_block: NextBlock, limits: Limits) -> SparseMap:
    reader = _LineReader(next_block)
    count = reader.number()
    if count > limits.max_sparse_segments:
        raise ValueError("the map of the sparse file is too long")
    numbers = [reader.number() for _ in range(2 * count)]
    return SparseMap(_pair(numbers, limits), real_size, reader.blocks * BLOCK)


class _LineReader:
    def __init__(self, next_block: NextBlock) -> None:
        self._next_block = next_block
        self._rest = b""
        self.blocks = 0

    def number(self) -> int:
        while b"\n" not in self._rest[: _MAX_DIGITS + 1]:
            block = self._next_block()
            if len(block) < BLOCK or len(self._rest) > _MAX_DIGITS:
                raise ValueError("the map of the sparse file ends early")
            self.blocks += 1
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\n")
        return _number(line)


def _number(raw: bytes) -> int:
    if raw.isdigit() and len(raw) <= _MAX_DIGITS:
        return int(raw)
    raise ValueError("the map of the sparse file holds something that is no number")


def _pair(numbers: list[int], limits: Limits) -> tuple[tuple[int, int], ...]:
    if len(numbers) % 2 or len(numbers) // 2 > limits.max_sparse_segments:
        raise ValueError("the map of the sparse file is not made of pairs")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def check_map(sparse: SparseMap, stored_bytes: int) -> None:
    """Check that segments are in order, do not overlap, end within the file and are all stored.

    Raises:
        ValueError: they are not.
    """
    end = 0
    for offset, length in sparse.segments:
        if offset < end or length < 0:
            raise ValueError("the segments of the sparse file overlap")
        end = offset + length
    if end > sparse.real_size:
        raise ValueError("the segments of the sparse file reach beyond its end")
    if sum(length for _, length in sparse.segments) != stored_bytes - sparse.header_bytes:
        raise ValueError("the segments of the sparse file are not what is stored")
