"""Brings a long file to the disk while it is still being written, so that the fsync at its end has little left to do.

It only makes that fsync quicker and never replaces it. The kernel reports a failed write once (fsync(2)), so an error
that a flush hears is raised at the end of the context: no later fsync would say so again.
"""

from __future__ import annotations

import os
import threading

_STEP_BYTES = 64 << 20


class EarlyFlush:
    """Starts a flush in a thread of its own every 64 MiB, one at a time; waits for the last one at its end."""

    def __init__(self, descriptor: int) -> None:
        """Take a descriptor that is open for writing and stays open longer than this."""
        self._descriptor = descriptor
        self._waiting = 0
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def __enter__(self) -> EarlyFlush:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._thread:
            self._thread.join()
        if self._error and kind is None:
            raise self._error

    def wrote(self, size_bytes: int) -> None:
        """Count what was written; flush when it is enough and no flush is going on."""
        self._waiting += size_bytes
        if self._waiting >= _STEP_BYTES and not (self._thread and self._thread.is_alive()):
            self._waiting = 0
            self._thread = threading.Thread(target=self._flush, name="early-flush", daemon=True)
            self._thread.start()

    def _flush(self) -> None:
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._error = error
