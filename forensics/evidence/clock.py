"""Compares the system clock with its time service: what the kernel's clock discipline says. Asks no network.

adjtimex(2): ``offset`` is what remains to be corrected, ``STA_UNSYNC`` means that no time service steers the clock.
"""

from __future__ import annotations

import ctypes

from forensics.evidence.custody import Clock

_STA_UNSYNC = 0x0040
_STA_NANO = 0x2000
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The head of ``struct timex``; the kernel writes the whole of it, so there is room behind."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 40),
    )


def read_clock() -> Clock:
    """Return the state of this host's clock; an offset of None means that nothing is known, not that it is zero."""
    timex = _Timex()
    libc = ctypes.CDLL(None, use_errno=True)
    state = libc.adjtimex(ctypes.byref(timex))
    if state < 0:
        return Clock("CLOCK_REALTIME, adjtimex refused")
    if timex.status & _STA_UNSYNC or state == _TIME_ERROR:
        return Clock("CLOCK_REALTIME, not synchronised (adjtimex)")
    per_ms = 1_000_000 if timex.status & _STA_NANO else 1_000
    return Clock("CLOCK_REALTIME, synchronised (adjtimex)", round(timex.offset / per_ms, 6))
