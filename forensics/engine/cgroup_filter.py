"""Cuts one control group off the network, whatever network namespace its processes are in.

A program of two instructions ("drop") is attached to the group's ingress and egress (bpf(2),
BPF_PROG_TYPE_CGROUP_SKB; Linux 4.10). It concerns established sockets, new ones and processes that join later, and
nothing outside the group, so it serves where a network cannot be disconnected: the host's network, a namespace shared
with other containers. It needs a cgroup2 hierarchy (pure or hybrid). It does not see packet sockets (AF_PACKET); the
proof has to say so.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from pathlib import Path

from forensics.errors import EngineError

_NAME = b"ir_cut"
_SYSCALL = {"x86_64": 321, "aarch64": 280, "armv7l": 386, "ppc64le": 361, "s390x": 351, "riscv64": 280}
_PROG_LOAD, _PROG_ATTACH, _PROG_DETACH = 5, 8, 9
_PROG_GET_FD_BY_ID, _OBJ_GET_INFO_BY_FD, _PROG_QUERY = 13, 15, 16
_TYPE_CGROUP_SKB = 8
_INGRESS, _EGRESS = 0, 1
_ALLOW_MULTI = 2
_ATTRIBUTE_BYTES = 144
_MAX_PROGRAMS = 64
_INFO_BYTES = 256
_INFO_NAME_OFFSET = 64
_DROP = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)
"""``r0 = 0; exit``: zero is "drop" for a cgroup_skb program."""


class FilterUnsupportedError(EngineError):
    """This kernel or machine knows no programs on control groups, so none of ours can stand there."""


def attach_drop(group: Path) -> None:
    """Drop every packet to and from the processes of *group*; doing it again changes nothing.

    Raises:
        EngineError: the kernel refuses; the sentence says why.
    """
    with _Group(group) as descriptor:
        present = [_find_ours(descriptor, direction) for direction in (_INGRESS, _EGRESS)]
        if all(present):
            return
        program = _load_drop()
        try:
            for direction, found in zip((_INGRESS, _EGRESS), present, strict=True):
                if not found:
                    _bpf(_PROG_ATTACH, struct.pack("=IIII", descriptor, program, direction, _ALLOW_MULTI), "attach")
        finally:
            os.close(program)


def detach_drop(group: Path) -> None:
    """Undo :func:`attach_drop`; nothing attached is fine."""
    with _Group(group) as descriptor:
        for direction in (_INGRESS, _EGRESS):
            for program_id in _find_ours(descriptor, direction):
                program = _bpf(_PROG_GET_FD_BY_ID, struct.pack("=II", program_id, 0), "open")
                try:
                    _bpf(_PROG_DETACH, struct.pack("=III", descriptor, program, direction), "detach")
                finally:
                    os.close(program)


def is_attached(group: Path) -> bool:
    """Whether the kernel says that our program stands at both directions of *group*."""
    with _Group(group) as descriptor:
        return all(_find_ours(descriptor, direction) for direction in (_INGRESS, _EGRESS))


class _Group:
    """An open descriptor of a control group's folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def __enter__(self) -> int:
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise EngineError(f"the control group cannot be opened ({error.strerror})") from error
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _load_drop() -> int:
    instructions, licence = ctypes.create_string_buffer(_DROP, len(_DROP)), ctypes.create_string_buffer(b"Apache-2.0")
    attribute = struct.pack(
        "=IIQQIIQII16s",
        _TYPE_CGROUP_SKB,
        len(_DROP) // 8,
        ctypes.addressof(instructions),
        ctypes.addressof(licence),
        0,
        0,
        0,
        0,
        0,
        _NAME,
    )
    return _bpf(_PROG_LOAD, attribute, "load")


def _find_ours(descriptor: int, direction: int) -> list[int]:
    ids = (ctypes.c_uint32 * _MAX_PROGRAMS)()
    attribute = bytearray(struct.pack("=IIIIQI", descriptor, direction, 0, 0, ctypes.addressof(ids), _MAX_PROGRAMS))
    answer = bytearray(_ATTRIBUTE_BYTES)
    answer[: len(attribute)] = attribute
    _bpf(_PROG_QUERY, answer, "query")
    count = struct.unpack_from("=I", answer, 24)[0]
    return [program_id for program_id in ids[:count] if _read_name(program_id) == _NAME]


def _read_name(program_id: int) -> bytes:
    program = _bpf(_PROG_GET_FD_BY_ID, struct.pack("=II", program_id, 0), "open")
    try:
        info = ctypes.create_string_buffer(_INFO_BYTES)
        _bpf(_OBJ_GET_INFO_BY_FD, struct.pack("=IIQ", program, _INFO_BYTES, ctypes.addressof(info)), "inspect")
        return info.raw[_INFO_NAME_OFFSET : _INFO_NAME_OFFSET + 16].rstrip(b"\0")
    finally:
        os.close(program)


def _bpf(command: int, attribute: bytes | bytearray, verb: str) -> int:
    number = _SYSCALL.get(platform.machine())
    if number is None:
        raise FilterUnsupportedError(f"no packet filter on control groups for {platform.machine()}")
    padded = bytearray(_ATTRIBUTE_BYTES)
    padded[: len(attribute)] = attribute
    buffer = (ctypes.c_char * _ATTRIBUTE_BYTES).from_buffer(padded)
    result: int = ctypes.CDLL(None, use_errno=True).syscall(
        ctypes.c_long(number), ctypes.c_int(command), buffer, ctypes.c_uint(_ATTRIBUTE_BYTES)
    )
    if result < 0:
        reason = os.strerror(ctypes.get_errno())
        unknown = ctypes.get_errno() == errno.ENOSYS or (command == _PROG_QUERY and ctypes.get_errno() == errno.EINVAL)
        raise (FilterUnsupportedError if unknown else EngineError)(
            f"the kernel does not let a packet filter {verb} on the control group ({reason})",
            hint="CAP_BPF and CAP_NET_ADMIN, or root, are needed; freezing the container stops it too",
        )
    if isinstance(attribute, bytearray):
        attribute[:] = padded[: len(attribute)]
    return result
