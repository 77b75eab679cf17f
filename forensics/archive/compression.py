"""Plain, gzip (any number of members), zstd (any number of frames), bzip2 and xz streams, recognised by content.

Output, ratio and memory are capped; a broken or bombing stream ends early with an anomaly, never with an exception.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from typing import Protocol

from forensics.archive.content import CHUNK_BYTES, ReadableStream
from forensics.archive.limits import MIB, Anomaly, Limits, Report
from forensics.archive.zstdframes import FrameTracker

_STEP = 256 * 1024
_GZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = b"\x2a\x4d\x18"
_XZ_MEMORY = 128 * MIB
_FIRST_STEP = 512
_MAX_NESTED = 4
_MAGIC_BYTES = 10
_NO_ZERO = re.compile(rb"[^\0]")
_BZIP2_BLOCK, _BZIP2_END = b"1AY&SY", b"\x17rE8P\x90"


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
    if head.startswith(_BZIP2) and head[4:10] in {_BZIP2_BLOCK, _BZIP2_END}:
        return "bzip2"
    return "xz" if head.startswith(_XZ) else ""


def decompress(stream: ReadableStream, limits: Limits, report: Report) -> ReadableStream:
    """Return the uncompressed bytes of *stream*, which is read no further than it is needed.

    What is compressed again within is uncompressed too, and reported: no engine unpacks it.
    """
    source = _Peekable(stream)
    for depth in range(_MAX_NESTED):
        kind = detect_compression(source.peek(_MAGIC_BYTES))
        if not kind:
            break
        if depth:
            report(Anomaly("nested-compression", f"a compressed stream holds another one ({kind})", source.consumed))
        inner = _ZstdStream(source, limits, report) if kind == "zstd" else _MemberStream(source, kind, report)
        source = _Peekable(_Guard(inner, source, limits, report))
    return source


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
        self._input = b""
        self._position = 0
        self._step = _FIRST_STEP

    def _take(self) -> bytes:
        """Return the next piece of input: small ones at first, for a stream may be a million empty members."""
        if self._position == len(self._input):
            self._input, self._position = self._source.read(_STEP), 0
        piece = self._input[self._position : self._position + self._step]
        self._position += len(piece)
        self._step = min(2 * self._step, _STEP)
        return piece

    def read(self, size: int, /) -> bytes:
        while self._decoder is not None:
            try:
                data = self._take() if self._starved else b""
                output = self._decoder.decompress(data, size)
            except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
                return self._stop("corrupt-compression", f"the {self._kind} stream is corrupt ({error})")
            if self._decoder.eof:
                self._position -= len(self._decoder.unused_data)
                self._next_member()
            elif not output:
                if self._starved and not data:
                    return self._stop("truncated-compression", f"the {self._kind} stream ends early")
                self._starved = True
            else:
                self._starved = False
            if output:
                return output
        return b""

    def _next_member(self) -> None:
        self._starved, self._step = True, _FIRST_STEP
        while (start := _NO_ZERO.search(self._input, self._position)) is None:
            self._input, self._position = self._source.read(_STEP), 0
            if not self._input:
                self._decoder = None
                return
        self._position = start.start()
        if len(self._input) - self._position < _MAGIC_BYTES:
            self._input, self._position = self._input[self._position :] + self._source.read(_STEP), 0
        if detect_compression(self._input[self._position : self._position + _MAGIC_BYTES]) != self._kind:
            self._stop("data-after-compression", f"data follows the {self._kind} stream")
            return
        self._decoder = _make_decoder(self._kind)

    def _stop(self, code: str, message: str) -> bytes:
        self._report(Anomaly(code, message, self._source.consumed))
        self._decoder = None
        return b""


class _ZstdStream:
    """Frames of zstd, skippable ones included (seekable format, zstd:chunked)."""

    def __init__(self, source: _Peekable, limits: Limits, report: Report) -> None:
        import zstandard  # noqa: PLC0415 - only where something is zstd

        self._error = zstandard.ZstdError
        decompressor = zstandard.ZstdDecompressor(max_window_size=limits.max_zstd_window_bytes)
        self._frames = FrameTracker()
        tracked = _Tracked(source, self._frames)
        self._reader = decompressor.stream_reader(tracked, read_size=_STEP, read_across_frames=True)  # type: ignore[arg-type]  # asks for IO[bytes], calls only read
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
        if self._ended and self._frames.is_open:
            self._report(Anomaly("truncated-compression", "the zstd stream ends early", self._source.consumed))
        return output


class _Tracked:
    """A source whose zstd frames are followed while they are read."""

    def __init__(self, source: _Peekable, frames: FrameTracker) -> None:
        self._source = source
        self._frames = frames

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._frames.feed(data)
        return data


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
