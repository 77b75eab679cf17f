"""Digests of a stream that is given piece by piece: of a long one in threads, beside whoever receives and writes it.

SHA-256 of a fast stream takes as long as receiving it; hashlib lets other threads run meanwhile. A short stream, which
most evidence is, starts no thread. Nothing is read again: the digests cover the pieces that were given, in their order.
"""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash

_LONG_BYTES = 4 << 20
_BATCH_BYTES = 1 << 20
_BATCHES_AHEAD = 8
sha256: Callable[[], _Hash] = hashlib.sha256
sha512: Callable[[], _Hash] = hashlib.sha512


class StreamDigests:
    """The digests of one stream, one for each algorithm. Pieces must not change after they were given."""

    def __init__(self, *algorithms: Callable[[], _Hash]) -> None:
        """Take the algorithms; starts nothing."""
        self._digests = [algorithm() for algorithm in algorithms]
        self._workers: list[_Worker] = []
        self._batch: list[bytes | memoryview] = []
        self._batch_bytes = 0
        self.size_bytes = 0

    def update(self, piece: bytes | memoryview) -> None:
        """Go on with *piece*; may wait until the threads have caught up, so that memory stays bounded."""
        self.size_bytes += len(piece)
        if self.size_bytes <= _LONG_BYTES:
            for digest in self._digests:
                digest.update(piece)
            return
        self._batch.append(piece)
        self._batch_bytes += len(piece)
        if self._batch_bytes >= _BATCH_BYTES:
            self._hand_on()

    def finish(self) -> tuple[str, ...]:
        """Wait until everything given is hashed; return the digests (hex) in the order of the algorithms."""
        if self._batch:
            self._hand_on()
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.finish()
        return tuple(digest.hexdigest() for digest in self._digests)

    def _hand_on(self) -> None:
        if not self._workers:
            self._workers = [_Worker(digest) for digest in self._digests]
        for worker in self._workers:
            worker.put(self._batch)
        self._batch, self._batch_bytes = [], 0


class _Worker:
    """One digest in a thread of its own."""

    def __init__(self, digest: _Hash) -> None:
        self._digest = digest
        self._queue: queue.Queue[list[bytes | memoryview] | None] = queue.Queue(_BATCHES_AHEAD)
        self._error: MemoryError | None = None
        self._thread = threading.Thread(target=self._run, name="digest", daemon=True)
        self._thread.start()

    def put(self, batch: list[bytes | memoryview]) -> None:
        self._queue.put(batch)

    def finish(self) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            try:
                for piece in batch:
                    self._digest.update(piece)
            except MemoryError as error:  # raised where the digest is asked for; until then nobody is kept waiting
                self._error = error
