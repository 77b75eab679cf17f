"""Follows the frames of a zstd stream (RFC 8878) without decoding them: is one open when the input ends?

The library answers a stream that was cut off as one that ended. Holds no more than one header.
"""

from __future__ import annotations

_FRAME, _SKIPPABLE = b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_DICTIONARY_BYTES = (0, 1, 2, 4)
_BLOCK_HEADER = 3
_RUN_LENGTH = 1
_SINGLE_SEGMENT, _CHECKSUM = 0x20, 0x04
_CHECKSUM_BYTES = 4
_MAGIC_BYTES = 4
_SKIPPABLE_HEADER = 8


class FrameTracker:
    """Is fed everything that is read; :attr:`is_open` then tells whether a frame has begun and not ended."""

    def __init__(self) -> None:
        """Expect a frame."""
        self._skip = 0
        self._rest = b""
        self._in_frame = False
        self._checksum = False
        self._lost = False

    @property
    def is_open(self) -> bool:
        """Whether more input must come; never for what is no zstd, which the library refuses itself."""
        return not self._lost and (self._in_frame or self._skip > 0 or bool(self._rest))

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the input."""
        if self._lost or not data:
            return
        data, self._rest = self._rest + data, b""
        position = 0
        while True:
            step = min(self._skip, len(data) - position)
            self._skip -= step
            position += step
            if self._skip or position == len(data):
                return
            used = self._read_block(data, position) if self._in_frame else self._read_header(data, position)
            if not used:
                self._rest = b"" if self._lost else data[position:]
                return
            position += used

    def _read_header(self, data: bytes, start: int) -> int:
        """Return the length of a frame's header, 0 if it is not all there."""
        magic = data[start : start + _MAGIC_BYTES]
        left = len(data) - start
        if left < _MAGIC_BYTES + 1:
            return 0
        if magic[1:] == _SKIPPABLE and magic[0] >> 4 == 5:  # noqa: PLR2004 - RFC 8878, 3.1.2
            self._skip = int.from_bytes(data[start + 4 : start + 8], "little") if left >= _SKIPPABLE_HEADER else 0
            return _SKIPPABLE_HEADER if left >= _SKIPPABLE_HEADER else 0
        if magic != _FRAME:
            self._lost = True
            return 0
        descriptor = data[start + _MAGIC_BYTES]
        single = descriptor & _SINGLE_SEGMENT
        length = _CONTENT_SIZE_BYTES[descriptor >> 6] or (1 if single else 0)
        length += _MAGIC_BYTES + 1 + (0 if single else 1) + _DICTIONARY_BYTES[descriptor & 3]
        if left < length:
            return 0
        self._in_frame, self._checksum = True, bool(descriptor & _CHECKSUM)
        return length

    def _read_block(self, data: bytes, start: int) -> int:
        """Return the length of a block's header, 0 if it is not all there."""
        if len(data) - start < _BLOCK_HEADER:
            return 0
        header = int.from_bytes(data[start : start + _BLOCK_HEADER], "little")
        self._skip = 1 if header >> 1 & 3 == _RUN_LENGTH else header >> 3
        if header & 1:
            self._in_frame = False
            self._skip += _CHECKSUM_BYTES if self._checksum else 0
        return _BLOCK_HEADER
