"""An opened image archive, directory or root file system: its images, and the members of their layers. Only reads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from forensics.archive.content import MemberContent
from forensics.archive.directory import walk_directory
from forensics.archive.layerstream import LayerStream
from forensics.archive.limits import Anomaly, AnomalyLog, Limits, share
from forensics.archive.members import TarMember
from forensics.archive.nouns import Image, Layer
from forensics.archive.store import Part, PartStore, open_window
from forensics.archive.tar import read_tar
from forensics.errors import ArchiveError, UsageError
from forensics.text import show


class ImageSource:
    """An opened archive or directory: its images, and the members of their layers. Use as a context manager."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Remember where; :func:`open_image` opens."""
        self.path = path
        self.limits = limits
        self.dialect = ""
        self.images: tuple[Image, ...] = ()
        self.log = AnomalyLog(limits)
        self.progress: Callable[[int], object] | None = None
        self._store: PartStore | None = None
        self._beside: tuple[Layer, ...] = ()
        self._read: dict[str, tuple[int, int]] = {}
        self._repeatable = limits.max_repeated_bytes
        self._file: BinaryIO | None = None

    def leftovers(self) -> Iterator[Part]:
        """Yield the parts that no image uses; beside a root file system, the layers of the images in it."""
        if self._store is None:
            return
        if not self.is_ambiguous:
            yield from self._store.leftovers()
        blobs = {layer.blob for layer in self._beside if layer.blob}
        yield from (part for part in self._store.parts() if os.fsdecode(part.name) in blobs)

    def open_part(self, part: Part) -> BinaryIO:
        """Return the bytes of such a part."""
        if self._store is None:
            raise TypeError("a root file system has no parts")
        return self._store.open_part(part)

    @property
    def is_ambiguous(self) -> bool:
        """Whether a root file system, read by default, also holds a saved image, which engines load instead."""
        return bool(self._beside)

    def may_read(self, layer: Layer) -> bool:
        """Tell whether *layer* is read; the same bytes listed in too many places are not, which is reported."""
        index, size_bytes = self._read.get(layer.blob, (layer.index, 0))
        if not layer.blob or index == layer.index:
            return True
        self._repeatable -= size_bytes
        if self._repeatable < 0:
            message = f"layer {layer.index} is the same as layer {index}, listed too often to be read again"
            self.log.report(Anomaly("repeated-layer", message))
        return self._repeatable >= 0

    def note_read(self, layer: Layer, size_bytes: int) -> None:
        """Remember that *layer* was read, and how many bytes it has when uncompressed."""
        if layer.blob:
            self._read.setdefault(layer.blob, (layer.index, size_bytes))

    @property
    def anomalies(self) -> tuple[Anomaly, ...]:
        """What was seen so far; reading layers adds to it."""
        return tuple(self.log)

    def open_layer(self, layer: Layer) -> LayerStream:
        """Return the layer's uncompressed stream.

        Raises:
            ArchiveError: its bytes are not in the archive, or it is a plain directory.
        """
        file = self._open_blob(layer)
        if file is None:
            raise ArchiveError(f"the bytes of layer {layer.index} are not in {show(os.fsencode(self.path))}")
        limits = share(self.limits, len({layer.blob for image in self.images for layer in image.layers}))
        return LayerStream(file, layer, limits, self.log.for_layer(layer.index), self.progress)

    def _open_blob(self, layer: Layer) -> BinaryIO | None:
        if self._store is not None and layer.whiteouts:
            return self._store.open(layer.blob) if layer.blob else None
        if self._file is not None:
            return open_window(self._file, 0, os.fstat(self._file.fileno()).st_size)
        return None

    def read_members(
        self, layer: Layer, finished: Callable[[LayerStream], None] | None = None
    ) -> Iterator[tuple[TarMember, MemberContent]]:
        """Yield the layer's members with content; the digests are verified at the end. A missing layer has none."""
        report = self.log.for_layer(layer.index)
        if self.dialect == "directory" and not layer.whiteouts:
            yield from walk_directory(self.path, self.limits, report)
            return
        if not layer.blob and layer.whiteouts:
            return
        stream = self.open_layer(layer)
        try:
            yield from read_tar(stream, share(self.limits, len(self.images[0].layers)), report)
            stream.drain()
            if finished is not None:
                finished(stream)
        finally:
            stream.close()

    def select(self, tag: str | None = None, platform: str | None = None) -> Image:
        """Return the one image that *tag* and *platform* name.

        Raises:
            UsageError: none fits, or more than one; the hint lists them.
        """
        fitting = [image for image in self.images if fits(image, tag, platform)]
        if self.is_ambiguous and tag is None and platform is None:
            fitting = fitting[:1]
        if len(fitting) == 1:
            return fitting[0]
        listed = "; ".join(describe_image(image) for image in self.images[:20])
        where = show(os.fsencode(self.path))
        if not fitting:
            raise UsageError(f"{where} holds no such image", hint=f"it holds: {listed}")
        raise UsageError(f"{where} holds {len(fitting)} images", hint=f"choose with --tag or --platform: {listed}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def describe_image(image: Image) -> str:
    """Return an image's names and platform, safe to show."""
    names = ", ".join(show(tag, 120) for tag in image.tags) or show(image.id, 80) or "untagged"
    return f"{names} ({show(image.platform, 60)})" if image.platform else names


def fits(image: Image, tag: str | None, platform: str | None) -> bool:
    """Tell whether *tag* (or an id) and *platform* name *image*."""
    if platform is not None and image.platform != platform and not image.platform.startswith(f"{platform}/"):
        return False
    if tag is None:
        return True
    return any(known == tag or known.endswith((f"/{tag}", f":{tag}", f"/{tag}:latest")) for known in image.tags) or (
        tag in image.tags or image.id.removeprefix("sha256:").startswith(tag.removeprefix("sha256:"))
    )
