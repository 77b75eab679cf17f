"""Reads one bounded HTTP/1.1 answer from a socket that may not be an engine at all (RFC 9112).

Never follows a redirect, never reads more than its bounds, never waits beyond its deadline, and never guesses: two
lengths that disagree are an error, not a choice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from forensics.errors import EngineError

if TYPE_CHECKING:
    import socket

NOT_AN_ENGINE = "see that DOCKER_HOST names an engine's socket"
_MAX_HEADER_BYTES = 64 * 1024
_MAX_BODY_BYTES = 64 * 1024 * 1024
_READ_BYTES = 64 * 1024
_MAX_CHUNK_DIGITS = 8
_STATUS_FIELDS = 2


class Answer(NamedTuple):
    """One HTTP response: its status, its whole, bounded body, and its headers by lower-case name."""

    status: int
    body: bytes
    headers: dict[bytes, bytes]


class Reader:
    """Buffered reading from one connection, as a whole bounded by a deadline."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._buffer = bytearray()

    def read_line(self, limit: int) -> bytes:
        """Return the next line without its CRLF; longer than *limit* bytes is no engine's answer."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > limit or not self._fill():
                raise EngineError("the engine's answer is cut off or no HTTP", hint=NOT_AN_ENGINE)
        if end > limit:
            raise EngineError("the engine's answer has an over-long header line", hint=NOT_AN_ENGINE)
        return self._take(end + 2)[:-2]

    def read_exactly(self, size: int) -> bytes:
        """Return exactly *size* bytes."""
        while len(self._buffer) < size:
            if not self._fill():
                raise EngineError("the engine's answer is cut off", hint="see whether the daemon was restarted")
        return self._take(size)

    def read_rest(self, limit: int) -> bytes:
        """Return everything up to the end of the connection, at most *limit* bytes."""
        while self._fill():
            _check_size(len(self._buffer), limit)
        return self._take(len(self._buffer))

    def _fill(self) -> bool:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError
        self._connection.settimeout(remaining)
        received = self._connection.recv(_READ_BYTES)
        self._buffer += received
        return bool(received)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def read_answer(reader: Reader) -> Answer:
    """Read one response (RFC 9112 sections 4 to 7); interim 1xx answers are passed over.

    Raises:
        EngineError: the answer is malformed, cut off or larger than the bounds.
    """
    while True:
        status = _parse_status(reader.read_line(_MAX_HEADER_BYTES))
        headers = _read_headers(reader)
        if status >= 200:  # noqa: PLR2004 - RFC 9110 15.2: 1xx is interim
            break
    if status in {204, 304}:
        return Answer(status, b"", headers)
    length, encoding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if encoding is not None:
        if encoding.lower() != b"chunked" or length is not None:
            raise EngineError("the engine's answer has an ambiguous length", hint=NOT_AN_ENGINE)
        return Answer(status, _read_chunked(reader), headers)
    if length is None:
        return Answer(status, reader.read_rest(_MAX_BODY_BYTES), headers)
    if not length.isdigit():
        raise EngineError("the engine's answer has no valid length", hint=NOT_AN_ENGINE)
    _check_size(int(length[:20]), _MAX_BODY_BYTES)
    return Answer(status, reader.read_exactly(int(length)), headers)


def _parse_status(line: bytes) -> int:
    fields = line.split(b" ", _STATUS_FIELDS)
    if len(fields) < _STATUS_FIELDS or fields[0] not in {b"HTTP/1.1", b"HTTP/1.0"} or not fields[1].isdigit():
        raise EngineError("what listens there does not speak HTTP", hint=NOT_AN_ENGINE)
    return int(fields[1][:3])


def _read_headers(reader: Reader) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    left = _MAX_HEADER_BYTES
    while line := reader.read_line(left):
        left -= len(line) + 2
        name, separator, value = line.partition(b":")
        if not separator or not name or name != name.strip() or left <= 0:
            raise EngineError("the engine's answer has a malformed header", hint=NOT_AN_ENGINE)
        name = name.lower()
        if name in {b"content-length", b"transfer-encoding"} and headers.get(name, value.strip()) != value.strip():
            raise EngineError("the engine's answer has an ambiguous length", hint=NOT_AN_ENGINE)
        headers[name] = value.strip()
    return headers


def _read_chunked(reader: Reader) -> bytes:
    body = bytearray()
    while True:
        digits = reader.read_line(_MAX_HEADER_BYTES).partition(b";")[0].strip()
        if not digits or len(digits) > _MAX_CHUNK_DIGITS or set(digits) - set(b"0123456789abcdefABCDEF"):
            raise EngineError("the engine's answer has a malformed chunk", hint=NOT_AN_ENGINE)
        size = int(digits, 16)
        if size == 0:
            _read_headers(reader)
            return bytes(body)
        _check_size(len(body) + size, _MAX_BODY_BYTES)
        body += reader.read_exactly(size)
        if reader.read_exactly(2) != b"\r\n":
            raise EngineError("the engine's answer has a malformed chunk", hint=NOT_AN_ENGINE)


def _check_size(size_bytes: int, limit: int) -> None:
    if size_bytes > limit:
        raise EngineError(f"the engine's answer is larger than {limit} bytes", hint=NOT_AN_ENGINE)
