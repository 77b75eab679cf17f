"""A layer's uncompressed bytes, hashed on both sides of the compression as they stream. Holds one chunk at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO

from forensics.archive.compression import decompress, detect_compression
from forensics.archive.content import CHUNK_BYTES, ReadableStream
from forensics.archive.limits import Anomaly, Limits, Report
from forensics.archive.nouns import Layer
from forensics.text import show

_HEAD = 512


class LayerStream:
    """A layer's uncompressed bytes; at their end the digests are compared with what the documents claim."""

    def __init__(
        self,
        file: BinaryIO,
        layer: Layer,
        limits: Limits,
        report: Report,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        """Read *file*; *progress* is called with the number of stored bytes that were read since."""
        self._file = file
        self._progress = progress
        self._layer = layer
        self._report = report
        self._stored = hashlib.sha256()
        self._uncompressed = hashlib.sha256()
        self._plain = not detect_compression(peek(file))
        hashed = _Hashed(file, self._stored, progress)
        self._stream: ReadableStream = file if self._plain else decompress(hashed, limits, report)
        self._verified = False
        self.size_bytes = 0
        """Uncompressed bytes that were read."""

    def read(self, size: int, /) -> bytes:
        """Return at most *size* bytes."""
        chunk = self._stream.read(size)
        if chunk:
            self.size_bytes += len(chunk)
            self._uncompressed.update(chunk)
            if self._plain and self._progress is not None:
                self._progress(len(chunk))
        elif not self._verified:
            self._verify()
        return chunk

    def drain(self) -> None:
        """Read what is left, so that the digests are of everything."""
        while self.read(CHUNK_BYTES):
            pass

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    @property
    def digest(self) -> str:
        """The digest of the stored bytes; final after the end was reached."""
        return f"sha256:{(self._uncompressed if self._plain else self._stored).hexdigest()}"

    @property
    def diff_id(self) -> str:
        """The digest of the uncompressed bytes; final after the end was reached."""
        return f"sha256:{self._uncompressed.hexdigest()}"

    def _verify(self) -> None:
        self._verified = True
        while chunk := self._file.read(CHUNK_BYTES):
            self._stored.update(chunk)
        layer = self._layer
        if layer.digest.startswith("sha256:") and layer.digest != self.digest:
            message = f"layer {layer.index} is named {layer.digest} and has the digest {self.digest}"
            self._report(Anomaly("digest-mismatch", message))
        if layer.diff_id and layer.diff_id != self.diff_id:
            message = f"layer {layer.index} should have the diff_id {show(layer.diff_id, 80)} and has {self.diff_id}"
            self._report(Anomaly("diff-id-mismatch", message))


class _Hashed:
    def __init__(self, file: BinaryIO, digest: hashlib._Hash, progress: Callable[[int], object] | None) -> None:
        self._file = file
        self._progress = progress
        self._digest = digest

    def read(self, size: int, /) -> bytes:
        chunk = self._file.read(size)
        self._digest.update(chunk)
        if self._progress is not None:
            self._progress(len(chunk))
        return chunk


def peek(file: BinaryIO) -> bytes:
    """Return the first 512 bytes of a seekable file, which stands at its start afterwards."""
    head = file.read(_HEAD)
    file.seek(0)
    return head
