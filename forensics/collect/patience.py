"""Lets a request that cannot be taken back come to its end, even when the person loses patience."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from forensics.errors import EngineError

_T = TypeVar("_T")


def finish(request: Callable[[], _T]) -> _T:
    """Run *request* to its end; an interruption (Ctrl-C) meanwhile is raised after it, a second one at once.

    Raises:
        EngineError: what *request* raised.
        KeyboardInterrupt: it was interrupted; the request itself has ended by then.
    """
    results: list[_T] = []
    errors: list[EngineError] = []
    ended = threading.Event()

    def work() -> None:
        try:
            results.append(request())
        except EngineError as error:
            errors.append(error)
        finally:
            ended.set()

    threading.Thread(target=work, daemon=True).start()
    try:
        ended.wait()
    except KeyboardInterrupt:
        ended.wait()  # not Thread.join: interrupted once, it returns at once the second time (Python 3.11)
        raise
    if errors:
        raise errors[0]
    return results[0]
