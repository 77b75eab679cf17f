"""Content of one regular file, hashed before it is shown, so that identical content is visited once.

Small content stays in memory, larger content in an anonymous temporary file.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from typing import BinaryIO

from forensics.archive.content import CHUNK_BYTES, MemberContent, write_sparse
from forensics.model import FileEntry


class Content:
    """The bytes of one file; valid until the visitor returns."""

    def __init__(self, chunks: list[bytes], spool: BinaryIO | None, sha256: str, size_bytes: int) -> None:
        """Hold *chunks*, or a file that holds everything."""
        self._chunks = chunks
        self._spool = spool
        self.sha256 = sha256
        self.size_bytes = size_bytes

    def head(self, size: int = 4096) -> bytes:
        """Return the first *size* bytes."""
        if self._spool is None:
            return b"".join(self._chunks)[:size] if self._chunks else b""
        self._spool.seek(0)
        return self._spool.read(size)

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes; may be asked for again."""
        if self._spool is None:
            yield from self._chunks
            return
        self._spool.seek(0)
        while chunk := self._spool.read(CHUNK_BYTES):
            yield chunk

    def read(self, limit: int | None = None) -> bytes:
        """Return all bytes, or the first *limit*; large content is the caller's memory."""
        return self.head(self.size_bytes if limit is None else limit)

    def open_file(self) -> BinaryIO | None:
        """Return the temporary file of large content (for readers that map it), None for small content."""
        return self._spool

    def close(self) -> None:
        """Release the temporary file."""
        if self._spool is not None:
            self._spool.close()


Visitor = Callable[[FileEntry, Content], None]
"""Called with each distinct content of an image, and the first entry that has it."""


def digest_content(content: MemberContent) -> bytes:
    """Read *content* and return its SHA-256."""
    whole = content.take_whole()
    if whole is not None:
        return hashlib.sha256(whole).digest()
    digest = hashlib.sha256()
    for chunk in content:
        digest.update(chunk)
    return digest.digest()


def hash_content(content: MemberContent) -> str:
    """Read *content* and return its SHA-256 in hexadecimal digits."""
    return digest_content(content).hex()


def spool_content(content: MemberContent, memory_bytes: int) -> Content:
    """Read *content*, hash it, and keep it readable."""
    digest = hashlib.sha256()
    size_bytes = 0
    chunks: list[bytes] = []
    stream = iter(content)
    for chunk in stream:
        digest.update(chunk)
        size_bytes += len(chunk)
        chunks.append(chunk)
        if size_bytes > memory_bytes:
            break
    else:
        return Content(chunks, None, digest.hexdigest(), size_bytes)

    def hash_rest() -> Iterator[bytes]:
        nonlocal size_bytes
        yield from chunks
        for chunk in stream:
            digest.update(chunk)
            size_bytes += len(chunk)
            yield chunk

    spool: BinaryIO = tempfile.TemporaryFile(prefix="ir-content-")  # noqa: SIM115 - closed by Content.close
    write_sparse(spool, hash_rest())
    return Content([], spool, digest.hexdigest(), size_bytes)
