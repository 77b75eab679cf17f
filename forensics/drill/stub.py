"""A program that does nothing: a valid static ELF of under 300 bytes that waits for ever. Stands in for malware.

It opens nothing, connects nowhere, and reads nothing: its whole code is one wait in a loop. Text appended to it makes
it look like something else to a scanner; the text is never executed.
"""

from __future__ import annotations

import platform
import struct

from forensics.errors import UsageError

_LOAD_ADDRESS = 0x400000
_HEADERS = 64 + 56
_CODE = {
    # mov eax, 34 (pause); syscall; jmp back
    "x86_64": (62, bytes.fromhex("b8220000000f05ebf7")),
    # mov x0..x3, #0; mov x8, #73 (ppoll); svc #0; b back
    "aarch64": (183, bytes.fromhex("000080d2010080d2020080d2030080d2280980d2010000d4faffff17")),
}


_MEMORY_CODE = (
    b"\x48\x8d\x3dNNNN\x31\xf6\xb8\x3f\x01\x00\x00\x0f\x05"  # rdi = "", esi = 0; memfd_create
    b"\x89\xc3\x89\xdf\x48\x8d\x35PPPP\xbaLLLL\xb8\x01\x00\x00\x00\x0f\x05"  # write(fd, payload, its length)
    b"\x89\xdf\x48\x8d\x35EEEE\x48\x8d\x54\x24\x08\x48\x8b\x0c\x24\x4c\x8d\x54\xcc\x10"  # fd, "", argv, environment
    b"\x41\xb8\x00\x10\x00\x00\xb8\x42\x01\x00\x00\x0f\x05"  # AT_EMPTY_PATH; execveat
    b"\xb8\x3c\x00\x00\x00\x0f\x05"  # exit, if that failed
)
"""NNNN, PPPP, EEEE: distances to the empty name, the payload, the empty path; LLLL: length of the payload."""


def build_stub(text: str = "", machine: str = "") -> bytes:
    """Return the program for *machine* (this host's when empty), with *text* behind its code (ELF gABI, System V).

    Raises:
        UsageError: no code is known for that machine.
    """
    machine = machine or platform.machine()
    if machine not in _CODE:
        raise UsageError(f"drills know no stand-in program for {machine}", hint=f"known: {', '.join(_CODE)}")
    elf_machine, code = _CODE[machine]
    return _wrap(elf_machine, code + b"\x00" + text.encode())


def build_memory_stub(text: str = "", machine: str = "") -> bytes:
    """Return a program that copies a stub into memory (memfd_create(2)) and goes on as that, with the same arguments.

    Raises:
        UsageError: no code is known for that machine.
    """
    machine = machine or platform.machine()
    if machine != "x86_64":
        raise UsageError(f"drills know no program that lives in memory for {machine}", hint="known: x86_64")
    payload = build_stub(text, machine)
    code = _MEMORY_CODE.replace(b"LLLL", struct.pack("<I", len(payload)))
    end = len(code)
    for mark, target in ((b"NNNN", end), (b"PPPP", end + 1), (b"EEEE", end)):
        place = code.index(mark)
        code = code.replace(mark, struct.pack("<i", target - place - 4))
    return _wrap(_CODE[machine][0], code + b"\x00" + payload)


def _wrap(elf_machine: int, body: bytes) -> bytes:
    size = _HEADERS + len(body)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, elf_machine, 1, _LOAD_ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return ident + header + segment + body
