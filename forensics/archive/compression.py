"""Plain, gzip (any number of members), zstd (any number of frames), bzip2 and xz streams, recognised by content.

Output, ratio and memory are capped; a broken or bombing stream ends early with an anomaly, never with an exception.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import Protocol

from forensics.archive.content import CHUNK_BYTES, ReadableStream
from forensics.archive.limits import MIB, Anomaly, Limits, Report

_STEP = 256 * 1024
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_XZ_MEMORY = 128 * MIB
_MAGIC_BYTES = 6


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Peekable:
    """A stream whose first bytes can be looked at, and which counts what it gave."""

    def __init__(self, stream: ReadableStream) -> None:
        self._stream = stream
        self._head = b""
        self.consumed = 0

    def peek(self, size: int) -> bytes:
        while len(self._head) < size:
            more = self._stream.read(size - len(self._head))
            if not more:
                break
            self._head += more
        return self._head[:size]

    def read(self, size: int, /) -> bytes:
        if self._head:
            taken, self._head = self._head[:size], self._head[size:]
        else:
            taken = self._stream.read(size)
        self.consumed += len(taken)
        return taken


def detect_compression(head: bytes) -> str:
    """Return ``gzip``, ``zstd``, ``bzip2``, ``xz`` or ``""`` for the first bytes of a stream."""
    if head.startswith(_GZIP):
        return "gzip"
    if head.startswith(_ZSTD) or (head[1:4] == _ZSTD_SKIPPABLE and head[0] & 0xF0 == 0x50):  # noqa: PLR2004 - RFC 8878
        return "zstd"
    if head.startswith(_BZIP2):
        return "bzip2"
    return "xz" if head.startswith(_XZ) else ""


def decompress(stream: ReadableStream, limits: Limits, report: Report) -> ReadableStream:
    """Return the uncompressed bytes of *stream*, which is read no further than it is needed."""
    source = _Peekable(stream)
    kind = detect_compression(source.peek(_MAGIC_BYTES))
    if not kind:
        return source
    if kind == "zstd":
        return _Guard(_ZstdStream(source, limits, report), source, limits, report)
    return _Guard(_MemberStream(source, kind, report), source, limits, report)


def _make_decoder(kind: str) -> _Decoder:
    if kind == "gzip":
        return _Zlib()
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


class _Zlib:
    """Gives zlib's object the interface of the others: input that did not fit the output is kept inside."""

    def __init__(self) -> None:
        self._object = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._object.eof

    @property
    def unused_data(self) -> bytes:
        return self._object.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._object.decompress(self._object.unconsumed_tail + data, max_length)


class _MemberStream:
    """Members of one kind, one after the other; zero padding between and behind them is allowed, as in gzip(1)."""

    def __init__(self, source: _Peekable, kind: str, report: Report) -> None:
        self._source = source
        self._kind = kind
        self._report = report
        self._decoder: _Decoder | None = _make_decoder(kind)
        self._starved = True

    def read(self, size: int, /) -> bytes:
        while self._decoder is not None:
            try:
                data = self._source.read(_STEP) if self._starved else b""
                output = self._decoder.decompress(data, size)
            except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                return self._stop("corrupt-compression", f"the {self._kind} stream is corrupt ({error})")
            if self._decoder.eof:
                self._next_member(self._decoder.unused_data)
            elif not output:
                if self._starved and not data:
                    return self._stop("truncated-compression", f"the {self._kind} stream ends early")
                self._starved = True
            else:
                self._starved = False
            if output:
                return output
        return b""

    def _next_member(self, rest: bytes) -> None:
        self._starved = True
        rest = rest.lstrip(b"\0")
        while not rest:
            more = self._source.read(_STEP)
            if not more:
                self._decoder = None
                return
            rest = more.lstrip(b"\0")
        rest += self._source.read(_MAGIC_BYTES) if len(rest) < _MAGIC_BYTES else b""
        if detect_compression(rest) != self._kind:
            self._stop("data-after-compression", f"data follows the {self._kind} stream")
            return
        self._decoder = _Prefixed(_make_decoder(self._kind), rest)

    def _stop(self, code: str, message: str) -> bytes:
        self._report(Anomaly(code, message, self._source.consumed))
        self._decoder = None
        return b""


class _Prefixed:
    """A decoder that first takes bytes left over from the member before."""

    def __init__(self, decoder: _Decoder, rest: bytes) -> None:
        self._decoder = decoder
        self._rest = rest

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        data, self._rest = self._rest + data, b""
        return self._decoder.decompress(data, max_length)


class _ZstdStream:
    """Frames of zstd, skippable ones included (seekable format, zstd:chunked)."""

    def __init__(self, source: _Peekable, limits: Limits, report: Report) -> None:
        import zstandard  # noqa: PLC0415 - only where something is zstd

        self._error = zstandard.ZstdError
        decompressor = zstandard.ZstdDecompressor(max_window_size=limits.max_zstd_window_bytes)
        self._reader = decompressor.stream_reader(source, read_size=_STEP, read_across_frames=True)  # type: ignore[arg-type]  # asks for IO[bytes], calls only read
        self._source = source
        self._report = report
        self._ended = False

    def read(self, size: int, /) -> bytes:
        if self._ended:
            return b""
        try:
            output = self._reader.read(size)
        except self._error as error:
            code = "zstd-window" if "memory" in str(error) else "corrupt-compression"
            self._report(Anomaly(code, f"the zstd stream cannot be read ({error})", self._source.consumed))
            self._ended = True
            return b""
        self._ended = not output
        return output


class _Guard:
    """Ends a stream whose output passes the caps."""

    def __init__(self, stream: ReadableStream, source: _Peekable, limits: Limits, report: Report) -> None:
        self._stream = stream
        self._source = source
        self._limits = limits
        self._report = report
        self._produced = 0

    def read(self, size: int, /) -> bytes:
        limits = self._limits
        if self._produced > limits.max_layer_bytes:
            return b""
        output = self._stream.read(min(size, CHUNK_BYTES))
        self._produced += len(output)
        ratio_hit = self._produced > max(limits.ratio_floor_bytes, self._source.consumed * limits.max_ratio)
        if output and (ratio_hit or self._produced > limits.max_layer_bytes):
            message = f"{self._source.consumed} bytes grew to more than {self._produced}; the rest is not read"
            self._report(Anomaly("compression-bomb", message, self._source.consumed))
            self._produced = limits.max_layer_bytes + 1
            return b""
        return output
