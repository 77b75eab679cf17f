"""Reads a stream in a thread of its own and hashes it there, so that an engine never waits for our disk or digests.

A unix socket buffers 200 kB; without this, engine and reader take turns. Memory is bounded by a few chunks.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Iterable, Iterator
from types import TracebackType

_CHUNKS_AHEAD = 16
_PAUSE_SECONDS = 0.2


class ReadAhead:
    """Iterates over the chunks of a stream; an error of the stream comes out where the stream broke off.

    ``sha256`` and ``size_bytes`` cover what the stream gave; ``taken_bytes`` what was handed on.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        """Start nothing yet: reading begins with the context."""
        self._chunks = chunks
        self._digest = hashlib.sha256()
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
        if kind is None:
            self._thread.join()

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
        """The digest of the whole stream (hex), None where not all of it was handed on."""
        return self._digest.hexdigest() if self.taken_bytes == self.size_bytes else None

    def _run(self) -> None:
        last: BaseException | None = None
        try:
            for chunk in self._chunks:
                self._digest.update(chunk)
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
