"""Asks an engine's resolver for a name, from within a network namespace but by this process (RFC 1035).

A container's name is known only to the resolver in the namespaces of its networks. Nothing in a container is run, and
the answer, which a container's process could forge, is read within bounds and compared, never followed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct

from forensics.engine.netlink import entered
from forensics.engine.netns import open_namespace

RESOLVER = "127.0.0.11"
"""Where Docker's resolver answers on every network but the default bridge (libnetwork, resolver.go)."""
_KINDS = {1: socket.AF_INET, 28: socket.AF_INET6}
_HEADER = struct.Struct("!HHHHHH")
_TRIES = 2
_MOST_LATE = 16
_RECEIVE_BYTES = 4096
_SECONDS = 1.0
_MOST_LABELS = 128
_RECURSION, _ONE_CLASS, _POINTER = 0x0100, 1, 0xC0


def resolve(namespace_path: str, server: str, name: str) -> set[str] | None:
    """Return the IPv4 and IPv6 addresses that *server* gives for *name* in that namespace; None where it is silent.

    Raises:
        OSError: the namespace is gone, or may not be opened.
        EngineError: it may not be entered.
    """
    descriptor = open_namespace(namespace_path)
    try:
        with entered(descriptor):
            channel = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
    finally:
        os.close(descriptor)
    answers: list[set[str]] = []
    with contextlib.closing(channel):
        channel.settimeout(_SECONDS)
        for kind in _KINDS:
            with contextlib.suppress(OSError, ValueError, struct.error, IndexError):
                channel.connect((server, 53))
                answers.append(_ask(channel, name, kind))
    return set().union(*answers) if answers else None


def _ask(channel: socket.socket, name: str, kind: int) -> set[str]:
    """Ask, and ask once more where no answer comes; a late answer to an earlier question is none to this one."""
    for _ in range(_TRIES):
        question = build_question(name, kind)
        channel.send(question)
        for _ in range(_MOST_LATE):  # whoever answers there may be the attacker's, and never stop
            try:
                message = channel.recv(_RECEIVE_BYTES)
            except TimeoutError:
                break
            if message[:2] == question[:2]:
                return parse_answer(message, question[:2])
    raise TimeoutError


def build_question(name: str, kind: int) -> bytes:
    """Return a query for one name.

    Raises:
        ValueError: it is no name that DNS can ask for.
    """
    labels = [label.encode("ascii") for label in name.split(".")]
    if not all(0 < len(label) < 64 for label in labels):  # noqa: PLR2004 - RFC 1035, 2.3.4
        raise ValueError("no DNS name")
    packed = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    head = _HEADER.pack(int.from_bytes(os.urandom(2), "big"), _RECURSION, 1, 0, 0, 0)
    return head + packed + struct.pack("!HH", kind, _ONE_CLASS)


def parse_answer(message: bytes, token: bytes) -> set[str]:
    """Return the addresses in the answer section of *message*; none if it does not answer the query with *token*.

    Raises:
        struct.error, IndexError, ValueError: it is cut off or malformed.
    """
    _, flags, questions, answers, _, _ = _HEADER.unpack_from(message)
    if message[:2] != token or not flags & 0x8000:
        return set()
    offset = _HEADER.size
    for _ in range(questions):
        offset = _skip_name(message, offset) + 4
    found = set()
    for _ in range(answers):
        offset = _skip_name(message, offset)
        kind, _, _, length = struct.unpack_from("!HHIH", message, offset)
        offset += 10
        if kind in _KINDS:
            found.add(socket.inet_ntop(_KINDS[kind], message[offset : offset + length]))
        offset += length
    return found


def _skip_name(message: bytes, offset: int) -> int:
    for _ in range(_MOST_LABELS):
        length = message[offset]
        if length & _POINTER == _POINTER:
            return offset + 2
        offset += 1 + length
        if not length:
            return offset
    raise ValueError("a name without end")
