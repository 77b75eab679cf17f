"""Opens every saved-image dialect, recognised by content: docker-archive, OCI layout, both at once, flat roots.

Everything that documents claim is verified while it is read; a mismatch is an anomaly and never hides content.
Standard input and compressed archives are unpacked to an anonymous temporary file first.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from forensics.archive.compression import decompress, detect_compression
from forensics.archive.content import CHUNK_BYTES, write_sparse
from forensics.archive.dockerarchive import is_manifest, read_docker_archive
from forensics.archive.flatlayout import FlatLayout, is_flat_layout, read_flat_layout
from forensics.archive.folderstore import DirectoryStore
from forensics.archive.layerstream import LayerStream, peek
from forensics.archive.legacyarchive import is_legacy, read_legacy_archive
from forensics.archive.limits import Anomaly, AnomalyLog, Limits, Report, ignore, read_limits
from forensics.archive.nouns import HistoryLine, Image, Layer
from forensics.archive.oci import read_document, read_oci
from forensics.archive.rebuild import rebuild_images
from forensics.archive.source import ImageSource, describe_image, fits
from forensics.archive.store import PartStore, Store, TarStore, is_root
from forensics.archive.tar import is_tar
from forensics.errors import ArchiveError, UsageError
from forensics.text import show

__all__ = ["HistoryLine", "Image", "ImageSource", "Layer", "LayerStream", "open_image"]

_STDIN = Path("-")


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
            source.images = tuple(image for image in source.images if fits(image, tag, platform)) or (
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
    store = DirectoryStore(source.path, source.log.report)
    root = is_root(os.fsencode(entry.name) for entry in source.path.iterdir())
    if not root and _has_documents(store, source.limits):
        source._store = store
        _read_images(source, store)
        return
    if not root and _rebuild(source, store):
        return
    source.dialect = "directory"
    source.images = (_make_flat_image("", 0),)
    _look_beside(source, store)


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
    _look_beside(source, store)


def _look_beside(source: ImageSource, store: PartStore) -> None:
    """Find the images that a root file system holds at its top: what engines load is another thing than it seems.

    Who exports a container wants its file system, whatever lies in it; so that stays the first reading.
    """
    if not _has_documents(store, source.limits):
        return
    beside = ImageSource(source.path, source.limits)
    try:
        _read_images(beside, store)
    except ArchiveError:
        return
    images = tuple(image for image in beside.images if any(layer.blob for layer in image.layers))
    if not images:
        return
    for anomaly in beside.log:
        if anomaly.code != "unreferenced-part":
            source.log.report(anomaly)
    names = "; ".join(describe_image(image) for image in images[:5])
    message = f"a root file system and a saved image in one: read as the former; --tag chooses an image ({names})"
    source.log.report(Anomaly("two-readings", message))
    source._store = beside._store
    source._beside = tuple(layer for image in images for layer in image.layers)
    source.images += images


def _rebuild(source: ImageSource, store: PartStore) -> bool:
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


def _report_lost_contents(store: PartStore, source: ImageSource) -> None:
    reason = _find_unreadable(store, source.limits)
    if reason is not None:
        message = (
            f"the table of contents cannot be read ({reason}); what the other parts are was found by their content"
        )
        source.log.report(Anomaly("bad-manifest", message))
    elif store.looks_like_image():
        message = "this was a saved image, but its table of contents is missing or names nothing"
        source.log.report(Anomaly("bad-manifest", message))


def _report_leftovers(source: ImageSource, store: PartStore) -> None:
    if isinstance(store, TarStore) and store.is_crowded:
        message = "the archive has more members than an image has parts; some of them may have been left out"
        source.log.report(Anomaly("too-many", message))
    for part in store.leftovers():
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


def _read_images(source: ImageSource, store: PartStore) -> None:
    report = source.log.report
    docker = store.size("manifest.json") >= 0
    if docker and is_flat_layout(store, read_document(store, "manifest.json", source.limits, ignore)[0]):
        source.dialect, source._store = "flat-layout", FlatLayout(store)
        source.images = read_flat_layout(source._store, source.limits, report)
        _report_leftovers(source, source._store)
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
    source._store = store
    if not source.images:
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
