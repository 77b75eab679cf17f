"""Opens every saved-image dialect, recognised by content: docker-archive, OCI layout, both at once, flat roots.

Everything that documents claim is verified while it is read; a mismatch is an anomaly and never hides content.
Standard input and compressed archives are unpacked to an anonymous temporary file first.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from forensics.archive.compression import decompress, detect_compression
from forensics.archive.content import CHUNK_BYTES, MemberContent, write_sparse
from forensics.archive.directory import walk_directory
from forensics.archive.dockerarchive import is_manifest, read_docker_archive
from forensics.archive.flatlayout import FlatLayout, is_flat_layout, read_flat_layout
from forensics.archive.layerstream import LayerStream, peek
from forensics.archive.legacyarchive import is_legacy, read_legacy_archive
from forensics.archive.limits import Anomaly, AnomalyLog, Limits, Report, ignore, read_limits
from forensics.archive.members import TarMember
from forensics.archive.nouns import HistoryLine, Image, Layer
from forensics.archive.oci import read_document, read_oci
from forensics.archive.rebuild import rebuild_images
from forensics.archive.store import DirectoryStore, Part, Store, TarStore, is_root, open_window
from forensics.archive.tar import is_tar, read_tar
from forensics.errors import ArchiveError, UsageError
from forensics.text import show

__all__ = ["HistoryLine", "Image", "ImageSource", "Layer", "LayerStream", "open_image"]

_STDIN = Path("-")


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
        self._store: Store | None = None
        self._file: BinaryIO | None = None

    def leftovers(self) -> Iterator[Part]:
        """Yield the parts that no image uses; nothing of a directory."""
        return self._store.leftovers() if isinstance(self._store, TarStore) else iter(())

    def open_part(self, part: Part) -> BinaryIO:
        """Return the bytes of such a part."""
        if not isinstance(self._store, TarStore):
            raise TypeError("only a tar archive has parts")
        return self._store.open_part(part)

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
        return LayerStream(file, layer, self.limits, self.log.for_layer(layer.index), self.progress)

    def _open_blob(self, layer: Layer) -> BinaryIO | None:
        if self._store is not None:
            return self._store.open(layer.blob) if layer.blob else None
        if self._file is not None:
            return open_window(self._file, 0, os.fstat(self._file.fileno()).st_size)
        return None

    def read_members(
        self, layer: Layer, finished: Callable[[LayerStream], None] | None = None
    ) -> Iterator[tuple[TarMember, MemberContent]]:
        """Yield the layer's members with content; the digests are verified at the end. A missing layer has none."""
        report = self.log.for_layer(layer.index)
        if self.dialect == "directory":
            yield from walk_directory(self.path, self.limits, report)
            return
        if not layer.blob and self._store is not None:
            return
        stream = self.open_layer(layer)
        try:
            yield from read_tar(stream, self.limits, report)
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
        fitting = [image for image in self.images if _fits(image, tag, platform)]
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


def _fits(image: Image, tag: str | None, platform: str | None) -> bool:
    if platform is not None and image.platform != platform and not image.platform.startswith(f"{platform}/"):
        return False
    if tag is None:
        return True
    return any(known == tag or known.endswith((f"/{tag}", f":{tag}", f"/{tag}:latest")) for known in image.tags) or (
        tag in image.tags or image.id.removeprefix("sha256:").startswith(tag.removeprefix("sha256:"))
    )


def open_image(
    path: Path, *, tag: str | None = None, platform: str | None = None, limits: Limits | None = None
) -> ImageSource:
    """Open an image file, an OCI layout or docker-archive directory, a plain directory, or ``-`` (standard input).

    With *tag* or *platform*, ``images`` holds only those that fit. The caps are those of the environment by default.

    Raises:
        ArchiveError: nothing in it can be read as an image or a file system.
        UsageError: it does not exist, no image fits *tag* and *platform*, or the environment sets no such cap.
    """
    source = ImageSource(path, limits or read_limits())
    try:
        _open(source)
        if tag is not None or platform is not None:
            source.images = tuple(image for image in source.images if _fits(image, tag, platform)) or (
                source.select(tag, platform),
            )
    except BaseException:
        source.close()
        raise
    return source


def _open(source: ImageSource) -> None:
    path = source.path
    if path == _STDIN:
        _open_file(source, sys.stdin.buffer)
        return
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            _open_directory(source)
            return
        if not stat.S_ISREG(status.st_mode) and not stat.S_ISFIFO(status.st_mode):
            raise UsageError(f"{show(os.fsencode(path))} is neither a file nor a directory")
        _open_file(source, path.open("rb"))
    except FileNotFoundError:
        raise UsageError(f"{show(os.fsencode(path))} does not exist", hint="check the path") from None


def _open_directory(source: ImageSource) -> None:
    store = DirectoryStore(source.path)
    names = (os.fsencode(entry.name) for entry in source.path.iterdir())
    if not is_root(names) and _has_documents(store, source.limits):
        source._store = store
        _read_images(source, store)
        return
    source.dialect = "directory"
    source.images = (_make_flat_image("", 0),)


def _open_file(source: ImageSource, file: BinaryIO) -> None:
    """Recognise a file by its content; what cannot be sought in or is compressed goes to a temporary file."""
    source._file = file
    if not file.seekable() or detect_compression(peek(file)):
        source._file = file = _unpack(file, source)
    if not is_tar(peek(file)):
        _reject(source, file)
    unpacking = tuple(source.log)
    store = TarStore(file, source.limits, source.log.report)
    size_bytes = os.fstat(file.fileno()).st_size
    if not store.is_root and _has_documents(store, source.limits):
        source._store = store
        _read_images(source, store)
        return
    if not store.is_root and _rebuild(source, store):
        return
    source.dialect = "flat"
    source.log = AnomalyLog(source.limits)
    for anomaly in unpacking:
        source.log.report(anomaly)
    if not store.is_root:
        _report_lost_contents(store, source)
    source.images = (_make_flat_image("", size_bytes),)


def _rebuild(source: ImageSource, store: TarStore) -> bool:
    """Read the images whose table of contents is missing or unreadable, if their parts tell what they are."""
    if not store.looks_like_image() and _find_unreadable(store, source.limits) is None:
        return False
    log = AnomalyLog(source.limits)
    images = rebuild_images(store, source.limits, log.report)
    if not images:
        return False
    _report_lost_contents(store, source)
    for anomaly in log:
        source.log.report(anomaly)
    source.dialect, source._store, source.images = "rebuilt", store, images
    _report_leftovers(source, store)
    return True


def _find_unreadable(store: Store, limits: Limits) -> str | None:
    """Return why a table of contents that is there cannot be read, None if there is none or it is another document."""
    for name in ("manifest.json", "index.json"):
        seen = AnomalyLog(limits)
        if store.size(name) >= 0 and read_document(store, name, limits, seen.report)[0] is None:
            return next((anomaly.message for anomaly in seen), f"{name} says nothing")
    return None


def _report_lost_contents(store: TarStore, source: ImageSource) -> None:
    reason = _find_unreadable(store, source.limits)
    if reason is not None:
        message = (
            f"the table of contents cannot be read ({reason}); what the other parts are was found by their content"
        )
        source.log.report(Anomaly("bad-manifest", message))
    elif store.looks_like_image():
        message = "this was a saved image, but its table of contents is missing or names nothing"
        source.log.report(Anomaly("bad-manifest", message))


def _report_leftovers(source: ImageSource, store: Store) -> None:
    for part in store.leftovers() if isinstance(store, TarStore) else ():
        message = f"no image of the archive uses {show(part.name, 200)}"
        source.log.report(Anomaly("unreferenced-part", message, path=part.name))


def _unpack(file: BinaryIO, source: ImageSource) -> BinaryIO:
    temporary: BinaryIO = tempfile.TemporaryFile(prefix="ir-image-")  # noqa: SIM115 - closed by the source
    with file:
        stream = decompress(file, source.limits, source.log.report)
        write_sparse(temporary, iter(lambda: stream.read(CHUNK_BYTES), b""))
    temporary.seek(0)
    return temporary


def _reject(source: ImageSource, file: BinaryIO) -> None:
    where = "standard input" if str(source.path) == "-" else show(os.fsencode(source.path))
    if not os.fstat(file.fileno()).st_size:
        damage = next((anomaly.message for anomaly in source.log), "")
        raise ArchiveError(f"{where}: {damage}" if damage else f"{where} is empty", hint="save the image again")
    raise ArchiveError(
        f"{where} is no image, OCI layout or tar archive", hint="give what `docker save` or `docker export` wrote"
    )


def _has_documents(store: Store, limits: Limits) -> bool:
    if store.size("index.json") >= 0 and store.size("oci-layout") >= 0:
        return True
    if store.size("manifest.json") >= 0:
        document = read_document(store, "manifest.json", limits, ignore)[0]
        return is_manifest(document) or is_flat_layout(store, document)
    return is_legacy(store, limits, ignore)


def _read_images(source: ImageSource, store: Store) -> None:
    report = source.log.report
    docker = store.size("manifest.json") >= 0
    if docker and is_flat_layout(store, read_document(store, "manifest.json", source.limits, ignore)[0]):
        source.dialect, source._store = "flat-layout", FlatLayout(store)
        source.images = read_flat_layout(source._store, source.limits, report)
        return
    oci = store.size("index.json") >= 0 and store.size("oci-layout") >= 0
    source.dialect = "docker+oci" if docker and oci else "docker-archive" if docker else "oci-layout"
    if not docker and not oci:
        source.dialect = "docker-archive-v0"
        source.images = read_legacy_archive(store, source.limits, report)
    by_docker = read_docker_archive(store, source.limits, report) if docker else ()
    by_oci = read_oci(store, source.limits, report) if oci else ()
    if docker or oci:
        source.images = _join(by_oci, by_docker, report) if docker and oci else by_docker or by_oci
    if not source.images and isinstance(store, TarStore):
        source.images = rebuild_images(store, source.limits, report)
    if not source.images:
        seen = "; ".join(anomaly.message for anomaly in source.anomalies[:3])
        raise ArchiveError(f"{show(os.fsencode(source.path))} lists no image that can be read", hint=seen)
    _report_leftovers(source, store)


def _join(by_oci: tuple[Image, ...], by_docker: tuple[Image, ...], report: Report) -> tuple[Image, ...]:
    """Join the two tables of contents of a hybrid archive; an image that only one of them knows is reported."""
    joined = {image.config_digest: image for image in by_oci}
    for image in by_docker:
        known = joined.get(image.config_digest)
        if known is None or [x.diff_id for x in known.layers] != [x.diff_id for x in image.layers]:
            message = f"manifest.json lists an image that index.json does not: {describe_image(image)}"
            report(Anomaly("hybrid-mismatch", message))
            joined[f"docker {image.config_digest}"] = image
        else:
            tags = known.tags + tuple(tag for tag in image.tags if tag not in known.tags)
            joined[image.config_digest] = replace(known, tags=image.tags or tags)
    return tuple(joined.values())


def _make_flat_image(blob: str, size_bytes: int) -> Image:
    layer = Layer(0, "", "", size_bytes, "", blob, whiteouts=False)
    return Image((), {}, (layer,), ())
