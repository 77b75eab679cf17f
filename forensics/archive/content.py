"""The bytes of one archive member, streamed in bounded chunks. Holds one chunk at a time and never seeks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol

from forensics.archive.headers import BLOCK, is_plausible_header
from forensics.archive.limits import MIB

CHUNK_BYTES = MIB
_ZEROS = bytes(CHUNK_BYTES)


class ReadableStream(Protocol):
    """Anything with ``read``: a file, a pipe, a decompressor. Short reads are allowed; ``b""`` is the end."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes."""
        ...


class SeekableStream:
    """A file read forwards, in which data that nobody wants is skipped by seeking."""

    def __init__(self, file: BinaryIO) -> None:
        """Take a regular file, from its start."""
        self._file = file
        self._size_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes."""
        return self._file.read(size)

    def skip(self, size: int) -> int:
        """Move on by *size* bytes, at most to the end; return by how many."""
        position = self._file.tell()
        return self._file.seek(min(position + size, self._size_bytes)) - position


def write_sparse(file: BinaryIO, chunks: Iterable[bytes]) -> None:
    """Write *chunks* with holes for zeros: a bomb of zeros fills no disk."""
    size_bytes = 0
    for chunk in chunks:
        size_bytes += len(chunk)
        if chunk.count(0) == len(chunk):
            file.seek(len(chunk), os.SEEK_CUR)
        else:
            file.write(chunk)
    file.truncate(size_bytes)
    file.flush()


class ChunkReader:
    """Makes a stream of an iterator of chunks (an engine's answer)."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        """Take the chunks; they may have any length."""
        self._chunks = chunks
        self._rest = b""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes; ``b""`` at the end."""
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = chunk
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class BlockSource:
    """A forward-only buffered source that knows its offset."""

    __slots__ = ("_buffer", "_end", "_position", "_start", "_stream")

    def __init__(self, stream: ReadableStream) -> None:
        self._stream = stream
        self._buffer = b""
        self._position = 0
        self._end = 0
        self._start = 0

    @property
    def offset(self) -> int:
        """Bytes consumed so far."""
        return self._start + self._position

    def take(self, size: int) -> bytes:
        """Return exactly *size* bytes; fewer only at the end of the stream."""
        position = self._position
        end = position + size
        if end <= self._end:
            self._position = end
            return self._buffer[position:end]
        return self._take_slowly(size)

    def _take_slowly(self, size: int) -> bytes:
        parts = []
        missing = size
        while missing:
            if self._position == self._end and not self._fill():
                break
            part = self._buffer[self._position : self._position + missing]
            self._position += len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def take_buffered(self, size: int) -> bytes | None:
        """Return exactly *size* bytes if they were read from the stream already, else None."""
        position = self._position
        end = position + size
        if end > self._end:
            return None
        self._position = end
        return self._buffer[position:end]

    def take_some(self, size: int) -> bytes:
        """Return between 1 and *size* bytes; ``b""`` only at the end of the stream."""
        if self._position == self._end and not self._fill():
            return b""
        part = self._buffer[self._position : self._position + size]
        self._position += len(part)
        return part

    def peek_block(self) -> bytes:
        """Return the next block without consuming it; shorter only at the end of the stream."""
        if self._end - self._position < BLOCK:
            rest = self._buffer[self._position :]
            start = self.offset
            while len(rest) < BLOCK:
                more = self._stream.read(CHUNK_BYTES)
                if not more:
                    break
                rest += more
            self._buffer, self._start, self._position, self._end = rest, start, 0, len(rest)
        return self._buffer[self._position : self._position + BLOCK]

    def skip(self, size: int) -> int:
        """Skip *size* bytes and return how many were there."""
        if size <= self._end - self._position:
            self._position += size
            return size
        skipped = min(size, self._end - self._position)
        self._position += skipped
        if size - skipped > CHUNK_BYTES and isinstance(self._stream, SeekableStream):
            jumped = self._stream.skip(size - skipped)
            self._start += self._end + jumped
            self._position = self._end = 0
            return skipped + jumped
        while skipped < size:
            if not self._fill():
                break
            step = min(size - skipped, self._end)
            self._position += step
            skipped += step
        return skipped

    def _fill(self) -> bool:
        self._start += self._end
        self._buffer = self._stream.read(CHUNK_BYTES)
        self._position = 0
        self._end = len(self._buffer)
        return self._end > 0


class MemberContent:
    """One member's bytes: iterate once, in chunks of at most 1 MiB, before asking for the next member.

    After that, ``complete`` tells whether every byte that the header promised was there.
    """

    __slots__ = ("_remaining", "_source", "partial", "stored_bytes", "truncated")

    def __init__(self, source: BlockSource | None, stored_bytes: int) -> None:
        self._source = source
        self.stored_bytes = stored_bytes
        self._remaining = stored_bytes
        self.truncated = False
        self.partial = False

    @property
    def complete(self) -> bool:
        """Whether the bytes are all that the member has: neither cut off nor refused by a cap."""
        return not (self.truncated or self.partial)

    def __iter__(self) -> Iterator[bytes]:
        while self._remaining:
            chunk = self._take(min(self._remaining, CHUNK_BYTES))
            if not chunk:
                return
            yield chunk

    def _take(self, size: int) -> bytes:
        chunk = self._source.take_some(size) if self._source else b""
        self._remaining -= len(chunk)
        if not chunk:
            self.truncated = True
            self._remaining = 0
        return chunk

    def take_whole(self) -> bytes | None:
        """Return all bytes if they are at hand already, None if they must be iterated over."""
        whole = self._source.take_buffered(self._remaining) if self._source else b""
        if whole is not None:
            self._remaining = 0
        return whole

    def finish(self) -> None:
        """Skip what was not read, so that the source stands at the next header."""
        if self._source is None or self.truncated:
            return
        missing = self._remaining
        if self._source.skip(missing - self.stored_bytes % -BLOCK) < missing:
            self.truncated = True
        self._remaining = 0


EMPTY = MemberContent(None, 0)
"""The content of every member without data."""


class DistrustedContent(MemberContent):
    """Content behind a header with a bad checksum: its size may be a lie, so it ends where a sound header begins."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        source = self._source
        while self._remaining and source is not None:
            block = source.peek_block()
            if not block or (len(block) == BLOCK and is_plausible_header(block)):
                self.truncated = True
                self._remaining = 0
                return
            chunk = source.take(min(self._remaining, len(block)))
            self._remaining -= len(chunk)
            yield chunk

    def take_whole(self) -> bytes | None:
        """Return None: where it ends must be found out."""
        return None

    def finish(self) -> None:
        """Skip what was not read, up to the next sound header."""
        for _ in self:
            pass
        super().finish()


class SparseContent(MemberContent):
    """A sparse file's logical bytes: stored segments with their holes filled with zeros."""

    __slots__ = ("_real_size", "_segments")

    def __init__(
        self, source: BlockSource, stored_bytes: int, segments: tuple[tuple[int, int], ...], real_size: int
    ) -> None:
        super().__init__(source, stored_bytes)
        self._segments = segments
        self._real_size = real_size

    def take_whole(self) -> bytes | None:
        """Return None: there are holes to fill."""
        return None

    def __iter__(self) -> Iterator[bytes]:
        position = 0
        for offset, length in self._segments:
            yield from _zeros(offset - position)
            position = offset
            missing = min(length, self._remaining)
            while missing:
                chunk = self._take(min(missing, CHUNK_BYTES))
                if not chunk:
                    return
                missing -= len(chunk)
                yield chunk
            position += length
        yield from _zeros(self._real_size - position)


def _zeros(count: int) -> Iterator[bytes]:
    while count > 0:
        yield _ZEROS[:count]
        count -= min(count, CHUNK_BYTES)
