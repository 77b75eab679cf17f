"""Reads image layers straight from a local Docker engine's overlay2 store, a tenth of the time that `save` takes.

The engine keeps, beside each layer's directory, what its tar had around the files (`tar-split.json.gz`); both together
give back the tar that the image's author pushed, bit for bit. Nothing here is believed: whoever stores a layer checks
its digest against the ``diff_id`` and asks the engine itself where they differ. Never writes below the engine's root,
never follows a link out of a layer, never opens anything but regular files.

Sources: moby ``layer/filestore.go`` and ``image/fs.go`` (the folders), vbatts/tar-split ``tar/storage`` (the records).
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from forensics.engine.base import EngineInfo
from forensics.engine.openat2 import open_path
from forensics.errors import EngineError

_DRIVER = "overlay2"
_HEX = re.compile(r"[0-9a-f]{64}")
_CACHE_ID = re.compile(r"[0-9a-z-]{1,128}")
_MAX_DOCUMENT_BYTES = 64 << 20
_MAX_RECORD_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 20
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FILE, _SEGMENT = 1, 2
_HINT = "the layer is asked from the engine instead"


class LayerStoreError(EngineError):
    """The engine's own folders do not hold the image as expected; the engine itself can still be asked."""


@dataclass(frozen=True, slots=True)
class StoredLayer:
    """One layer of a stored image: what its tar must hash to, its chain id, and where its files lie."""

    diff_id: str
    chain_id: str
    files: Path
    records: Path


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image as the store holds it: the raw configuration, whose SHA-256 is the id, and its layers, lowest first."""

    id: str
    config: bytes
    layers: tuple[StoredLayer, ...]


def find_store(info: EngineInfo) -> Path | None:
    """Return the folder of a store that can be read here, or None: a far engine, another driver, no rights."""
    if not (info.is_local and info.name == "docker" and info.storage_driver == _DRIVER and info.root_dir):
        return None
    root = Path(info.root_dir)
    wanted = (root / _DRIVER, *(root / "image" / _DRIVER / name for name in ("imagedb", "layerdb")))
    return root if all(os.access(folder, os.R_OK | os.X_OK) for folder in wanted) else None


def find_image(root: Path, image_id: str) -> StoredImage:
    """Return an image of the store; its configuration has been checked against the id, its layers have not.

    Raises:
        LayerStoreError: something is missing, or is not what its name says.
    """
    digest = _hex(image_id)
    store = root / "image" / _DRIVER
    config = _read(store / "imagedb/content/sha256" / digest)
    if hashlib.sha256(config).hexdigest() != digest:
        raise LayerStoreError("the engine's folder holds another configuration than the image's id says", hint=_HINT)
    try:
        diff_ids = tuple(_hex(diff_id) for diff_id in json.loads(config)["rootfs"]["diff_ids"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise LayerStoreError("the image's configuration names no layers", hint=_HINT) from error
    return StoredImage(digest, config, tuple(_find_layers(root, diff_ids)))


def read_layer(layer: StoredLayer) -> Iterator[bytes]:
    """Yield the layer's tar in pieces of about 1 MiB; the caller checks its SHA-256 against ``diff_id``.

    Raises:
        LayerStoreError: a record or a file is missing or damaged.
    """
    pieces: list[bytes] = []
    size = 0
    for piece in _assemble(layer):
        pieces.append(piece)
        size += len(piece)
        if size >= _CHUNK_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
    if pieces:
        yield b"".join(pieces)


def _find_layers(root: Path, diff_ids: tuple[str, ...]) -> Iterator[StoredLayer]:
    """Yield the layers; a chain id is the digest of the chain below and the next ``diff_id`` (OCI image-spec)."""
    chain = ""
    for diff_id in diff_ids:
        text = f"sha256:{chain} sha256:{diff_id}"
        chain = hashlib.sha256(text.encode("ascii")).hexdigest() if chain else diff_id
        place = root / "image" / _DRIVER / "layerdb/sha256" / chain
        cache_id = _read(place / "cache-id").decode("ascii", "replace").strip()
        if not _CACHE_ID.fullmatch(cache_id):
            raise LayerStoreError("the engine's folder names no directory for a layer", hint=_HINT)
        yield StoredLayer(diff_id, chain, root / _DRIVER / cache_id / "diff", place / "tar-split.json.gz")


def _assemble(layer: StoredLayer) -> Iterator[bytes]:
    try:
        with _LayerFiles(layer.files) as files, gzip.open(layer.records) as records:
            while line := records.readline(_MAX_RECORD_BYTES):
                record = json.loads(line)
                kind, payload = record["type"], record.get("payload") or ""
                if kind == _SEGMENT:
                    yield base64.b64decode(payload, validate=True)
                elif kind == _FILE and record.get("size"):
                    yield from files.read(_name(record), int(record["size"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, EOFError, zlib.error) as error:
        raise LayerStoreError(f"the engine's folder of a layer cannot be read: {error}", hint=_HINT) from error


def _name(record: dict[str, object]) -> bytes:
    """Return a record's file name; one that is not UTF-8 stands in ``name_raw``."""
    if raw := record.get("name_raw"):
        try:
            return base64.b64decode(str(raw), validate=True)
        except binascii.Error as error:
            raise ValueError(f"a name is not base64: {error}") from error
    return str(record["name"]).encode("utf-8", "surrogatepass")


class _LayerFiles:
    """The directory of one layer. The directory of the last file stays open: a tar lists neighbours together."""

    def __init__(self, folder: Path) -> None:
        self._root = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._parent = b""
        self._descriptor = os.dup(self._root)

    def __enter__(self) -> _LayerFiles:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        os.close(self._root)

    def read(self, name: bytes, size_bytes: int) -> Iterator[bytes]:
        """Yield exactly *size_bytes* of a regular file."""
        descriptor = self._open(name, size_bytes)
        try:
            left = size_bytes
            while left and (chunk := os.read(descriptor, min(left, _CHUNK_BYTES))):
                left -= len(chunk)
                yield chunk
            if left:
                raise ValueError("a file is shorter than its record says")
        finally:
            os.close(descriptor)

    def _open(self, name: bytes, size_bytes: int) -> int:
        parent, _, base = name.rstrip(b"/").rpartition(b"/")
        if parent != self._parent:
            descriptor = open_path(self._root, parent or b".", follow=True)
            os.close(self._descriptor)
            self._parent, self._descriptor = parent, descriptor
        if base in {b"", b".", b".."}:
            raise ValueError("a record names a directory as a file")
        found = os.stat(base, dir_fd=self._descriptor, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode) or found.st_size != size_bytes:
            raise ValueError("a file is not what its record says")
        return os.open(base, _READ_FLAGS | os.O_NOATIME, dir_fd=self._descriptor)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_DOCUMENT_BYTES + 1)
    except OSError as error:
        raise LayerStoreError(f"the engine's folder cannot be read: {error.strerror}", hint=_HINT) from error
    if len(content) > _MAX_DOCUMENT_BYTES:
        raise LayerStoreError("a document in the engine's folder is too large", hint=_HINT)
    return content


def _hex(digest: object) -> str:
    text = str(digest).removeprefix("sha256:")
    if not _HEX.fullmatch(text):
        raise LayerStoreError("the image has no SHA-256 id", hint=_HINT)
    return text
