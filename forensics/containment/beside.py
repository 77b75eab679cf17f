"""Does one thing beside another: while the engine freezes or disconnects, this process has time to spare."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """A call that runs in a thread of its own; nothing of it is lost, neither its result nor its failure."""

    def __init__(self, call: Callable[[], T], *, daemon: bool = False) -> None:
        """Start *call* now; with *daemon* the process does not wait for its end when it is interrupted."""
        self._call = call
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=daemon)
        self._thread.start()

    def result(self) -> T:
        """Wait for the end; return what the call returned, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised again by result(), in the thread that waits
            self._error = error
