"""Small help with streams of chunks. Holds one chunk at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator


def peek(chunks: Iterable[bytes]) -> Iterator[bytes] | None:
    """Return the same stream, or None when it ends without a single byte."""
    iterator = iter(chunks)
    first = next((chunk for chunk in iterator if chunk), None)
    return None if first is None else itertools.chain((first,), iterator)
