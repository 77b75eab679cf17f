"""Where a file has content and where it has holes, so that neither budget nor tar pays for bytes that are nowhere.

A file of a terabyte of nothing is one system call for an attacker. The map goes in front of the content as the PAX
sparse format 1.0 has it (GNU tar manual, "Storing Sparse Files"); GNU tar, bsdtar and Python read it.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from forensics.collect.walk import Node, open_content

_BLOCK = 512
MAX_EXTENTS = 10_000
"""A file in more pieces counts as whole from the last one on."""


class Extent(NamedTuple):
    """A piece of a file that has content."""

    offset: int
    size_bytes: int


def find_extents(node: Node) -> tuple[Extent, ...]:
    """Return the pieces of a regular file that have content, lseek(2) ``SEEK_DATA``; the whole file where none is told.

    A file that has no holes, cannot be opened, or lies where the file system knows of none is one piece.
    """
    size_bytes = node.status.st_size
    whole = (Extent(0, size_bytes),) if size_bytes else ()
    if node.status.st_blocks * _BLOCK >= size_bytes:
        return whole
    try:
        descriptor = open_content(node.handle)
    except OSError:  # whoever reads the content gets the same error, and says so
        return whole
    try:
        return _list_extents(descriptor, size_bytes)
    except OSError:
        return whole
    finally:
        os.close(descriptor)


def _list_extents(descriptor: int, size_bytes: int) -> tuple[Extent, ...]:
    extents: list[Extent] = []
    position = 0
    while position < size_bytes:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break  # nothing but a hole up to the end
        position = size_bytes
        if len(extents) + 1 < MAX_EXTENTS:
            position = min(os.lseek(descriptor, start, os.SEEK_HOLE), size_bytes)
        if position > start:
            extents.append(Extent(start, position - start))
    return tuple(extents)


def render_map(extents: tuple[Extent, ...], size_bytes: int) -> bytes:
    """Return the map that precedes the content, padded to whole blocks; its last entry marks the end of the file."""
    entries = (*extents, Extent(size_bytes, 0))
    text = "".join(f"{offset}\n{length}\n" for offset, length in entries)
    raw = f"{len(entries)}\n{text}".encode("ascii")
    return raw + bytes(-len(raw) % _BLOCK)
