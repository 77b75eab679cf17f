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


def build_stub(text: str = "", machine: str = "") -> bytes:
    """Return the program for *machine* (this host's when empty), with *text* behind its code (ELF gABI, System V).

    Raises:
        UsageError: no code is known for that machine.
    """
    machine = machine or platform.machine()
    if machine not in _CODE:
        raise UsageError(f"drills know no stand-in program for {machine}", hint=f"known: {', '.join(_CODE)}")
    elf_machine, code = _CODE[machine]
    body = code + b"\x00" + text.encode()
    size = _HEADERS + len(body)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, elf_machine, 1, _LOAD_ADDRESS + _HEADERS, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _LOAD_ADDRESS, _LOAD_ADDRESS, size, size, 0x1000)
    return ident + header + segment + body
