"""Reads a stream in a thread of its own and hashes it there, so that an engine never waits for our disk or digests.

A unix socket buffers 200 kB; without this, engine and reader take turns. Engines send pieces of 32 kB: they are joined,
since what costs here is the number of pieces, not of bytes. Memory is bounded by a few joined pieces.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType

from forensics.evidence.digests import StreamDigests, sha256

_CHUNKS_AHEAD = 16
_JOINED_BYTES = 1 << 20
_PAUSE_SECONDS = 0.2
_LEAVING_SECONDS = 1.0
"""How long a reader that nobody wants any more may take to leave; an engine that hangs keeps it longer."""


class ReadAhead:
    """Iterates over the chunks of a stream; an error of the stream comes out where the stream broke off.

    ``sha256`` and ``size_bytes`` cover what the stream gave; ``taken_bytes`` what was handed on.
    """

    def __init__(self, chunks: Iterable[bytes], *, hashed: bool = True) -> None:
        """Start nothing yet: reading begins with the context. What is *hashed* elsewhere need not be here."""
        self._chunks = chunks
        self._digests = StreamDigests(*(sha256,) if hashed else ())
        self._digest: str | None = None
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_CHUNKS_AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)
        self.size_bytes = 0
        self.taken_bytes = 0

    def __enter__(self) -> ReadAhead:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(None if kind is None else _LEAVING_SECONDS)
        if not self._thread.is_alive() and self.taken_bytes == self.size_bytes:
            self._digest = next(iter(self._digests.finish()), None)

    def __iter__(self) -> Iterator[bytes]:
        while True:
            chunk = self._queue.get()
            if chunk is None:
                return
            if isinstance(chunk, BaseException):
                raise chunk
            self.taken_bytes += len(chunk)
            yield chunk

    @property
    def sha256(self) -> str | None:
        """The digest of the whole stream (hex), known after the context; None where not all of it was handed on."""
        return self._digest

    def _run(self) -> None:
        last: BaseException | None = None
        try:
            for chunk in _join(self._chunks):
                self._digests.update(chunk)
                self.size_bytes += len(chunk)
                if not self._put(chunk):
                    return
        except BaseException as error:  # noqa: BLE001 - raised in the thread that iterates
            last = error
        self._put(last)

    def _put(self, chunk: bytes | BaseException | None) -> bool:
        """Wait for room; return False when nobody wants the stream any more."""
        while not self._stopped.is_set():
            try:
                self._queue.put(chunk, timeout=_PAUSE_SECONDS)
            except queue.Full:
                continue
            return True
        return False


def _join(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in pieces of up to 1 MiB (a longer one as it came), also those before an error."""
    pieces: list[bytes] = []
    size = 0
    iterator = iter(chunks)
    while True:
        try:
            chunk = next(iterator, None)
        except BaseException:
            yield b"".join(pieces)
            raise
        if chunk is None:
            break
        if pieces and size + len(chunk) > _JOINED_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
        pieces.append(chunk)
        size += len(chunk)
    if pieces:
        yield b"".join(pieces)
