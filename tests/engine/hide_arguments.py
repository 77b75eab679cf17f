"""A process whose argument area lies on a page that nobody ever delivers (userfaultfd(2), PR_SET_MM_MAP).

Depending on the kernel, reading its /proc/PID/cmdline blocks for ever or gives nothing. Prints "ready" when it is so.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import struct
import sys
import time
from pathlib import Path

_USERFAULTFD = 323  # x86-64
_API, _REGISTER = 0xC018AA3F, 0xC020AA00
_PR_SET_MM, _PR_SET_MM_MAP = 35, 14

library = ctypes.CDLL(None, use_errno=True)
library.sbrk.restype = ctypes.c_void_p


def check(result: int) -> int:
    if result < 0:
        sys.exit(f"errno {ctypes.get_errno()}")
    return result


descriptor = check(library.syscall(_USERFAULTFD, 0))
fcntl.ioctl(descriptor, _API, bytearray(struct.pack("=QQQ", 0xAA, 0, 0)))
page = mmap.mmap(-1, mmap.PAGESIZE)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
fcntl.ioctl(descriptor, _REGISTER, bytearray(struct.pack("=QQQQ", address, mmap.PAGESIZE, 1, 0)))

fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
(code, code_end, data, data_end, brk, stack, environ, environ_end) = (
    int(fields[number - 3]) for number in (26, 27, 45, 46, 47, 28, 50, 51)
)
areas = (code, code_end, data, data_end, brk, library.sbrk(ctypes.c_long(0)), stack, address, address + 100)
layout = struct.pack("=11QQII", *areas, environ, environ_end, 0, 0, 0xFFFFFFFF)
check(library.prctl(_PR_SET_MM, ctypes.c_ulong(_PR_SET_MM_MAP), layout, ctypes.c_ulong(len(layout)), ctypes.c_ulong(0)))
print("ready", flush=True)  # noqa: T201 - what the test waits for
time.sleep(60)
