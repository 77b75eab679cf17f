"""Ends a step that takes too long: by the interval timer's signal in the main thread, by an exception put into others.

The signal interrupts a blocked system call; the exception only arrives when the call returns. A step beside others that
does not react is left behind by whoever runs it, and nothing more is recorded for it (:mod:`forensics.playbook.run`).
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AT_ONCE = 0.001


class StepTimeout(BaseException):
    """The step took longer than its playbook allows; no handler of per-item failures stops it."""


class StepStopped(BaseException):
    """The whole run was interrupted while this step ran beside others."""


@contextmanager
def time_limit(seconds: float, *, again: float = 0.0) -> Iterator[None]:
    """Raise :class:`StepTimeout` in the body after *seconds*; no limit with 0.

    In the main thread it is raised *again* every so many seconds until the body has ended: where an exception can be
    lost on its way (in a destructor, in a callback of C code), one is not enough. For bodies that clean up nothing.
    """
    if not seconds:
        yield
    elif threading.current_thread() is threading.main_thread():
        with _limit_by_signal(seconds, again):
            yield
    else:
        with _limit_by_exception(seconds):
            yield


def describe_limit(seconds: float) -> str:
    """Return the sentence for a step that was ended."""
    return f"it took longer than {seconds:g} seconds"


def raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """Let *error* be raised in another thread when it next runs Python; None takes back what has not arrived yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread_id), ctypes.py_object(error) if error else ctypes.c_void_p()
    )


@contextmanager
def _limit_by_signal(seconds: float, again: float) -> Iterator[None]:
    def expire(_number: int, _frame: FrameType | None) -> None:
        raise StepTimeout(describe_limit(seconds))

    started = time.monotonic()
    previous = signal.signal(signal.SIGALRM, expire)
    rest, interval = signal.setitimer(signal.ITIMER_REAL, seconds, again)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if rest:  # whoever set the timer before is not forgotten
            signal.setitimer(signal.ITIMER_REAL, max(_AT_ONCE, rest - (time.monotonic() - started)), interval)


@contextmanager
def _limit_by_exception(seconds: float) -> Iterator[None]:
    alarm = _Alarm(threading.get_ident())
    timer = threading.Timer(seconds, alarm.ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    except StepTimeout as error:
        raise StepTimeout(describe_limit(seconds)) from error
    finally:
        timer.cancel()
        alarm.disarm()


class _Alarm:
    """Rings in one thread, unless that was faster."""

    def __init__(self, thread_id: int) -> None:
        self._thread_id = thread_id
        self._is_over = False
        self._mutex = threading.Lock()

    def ring(self) -> None:
        with self._mutex:
            if not self._is_over:
                raise_in(self._thread_id, StepTimeout)

    def disarm(self) -> None:
        with self._mutex:
            self._is_over = True
            raise_in(self._thread_id, None)
