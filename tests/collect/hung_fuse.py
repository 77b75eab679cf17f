"""A real FUSE file system of a few lines, whose server can stop answering: what a hung NFS or sshfs mount looks like.

    python3 hung_fuse.py MOUNTPOINT

Answers until it is told to stop: SIGSTOP leaves questions unread, SIGUSR1 makes it take each and never answer. fuse(4).
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys

_HEADER = struct.Struct("=IIQQIIII")
_INIT, _GETATTR, _LOOKUP, _OPENDIR, _READDIR, _READDIRPLUS, _STATFS, _OPEN, _READ = 26, 3, 1, 27, 28, 44, 17, 14, 15
_DIRECTORY, _FILE = 0o40755, 0o100644
_CONTENT = b"far away\n" * 200_000
_ENOSYS = 38


def mount(point: str) -> int:
    descriptor = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    library = ctypes.CDLL(None, use_errno=True)
    if library.mount(b"far", point.encode(), b"fuse.far", 0, options):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return descriptor


def attributes(inode: int) -> bytes:
    mode, size = (_DIRECTORY, 0) if inode == 1 else (_FILE, len(_CONTENT))
    return struct.pack("=QQQQQQIIIIIIIIII", inode, size, 0, 1, 1, 1, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation: int, node: int, body: bytes) -> bytes | int:
    content: bytes | int = -_ENOSYS
    if operation == _GETATTR:
        content = struct.pack("=QII", 0, 0, 0) + attributes(node)
    elif operation == _LOOKUP and body == b"file\0":
        content = struct.pack("=QQQQII", 2, 0, 0, 0, 0, 0) + attributes(2)
    elif operation in {_OPEN, _OPENDIR}:
        content = struct.pack("=QII", 1, 1, 0)  # direct input and output
    elif operation == _READDIR:
        offset = struct.unpack_from("=QQ", body)[1]
        content = b"" if offset else struct.pack("=QQII", 2, 1, 4, 8) + b"file\0\0\0\0"
    elif operation == _READ:
        offset, size = struct.unpack_from("=QI", body, 8)
        content = _CONTENT[offset : offset + size]
    elif operation == _STATFS:
        content = struct.pack("=QQQQQIIII", 0, 0, 0, 0, 0, 512, 255, 512, 0) + bytes(24)
    return content


def main() -> None:
    device = mount(sys.argv[1])
    silent = []
    signal.signal(signal.SIGUSR1, lambda *_: silent.append(True))
    os.write(1, b"mounted\n")
    while True:
        request = os.read(device, 1 << 21)
        length, operation, unique, node, _, _, _, _ = _HEADER.unpack_from(request)
        if operation == _INIT:
            reply: bytes | int = struct.pack("=IIIIHHIIHHI", 7, 31, 65536, 0, 12, 10, 1 << 17, 1, 0, 0, 0) + bytes(24)
        elif silent:
            continue
        else:
            reply = answer(operation, node, request[_HEADER.size : length])
        error, content = (reply, b"") if isinstance(reply, int) else (0, reply)
        os.write(device, struct.pack("=IiQ", 16 + len(content), error, unique) + content)


if __name__ == "__main__":
    main()
