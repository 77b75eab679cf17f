"""Makes the documents that turn stored blobs into an OCI image layout that ``docker load`` reads, too. Pure.

OCI image-spec: image-layout.md, manifest.md, descriptor.md; Docker image specification v1.2 (``manifest.json``).
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from forensics.errors import ArchiveError
from forensics.model import JsonObject

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MAGIC = ((b"\x1f\x8b", "+gzip"), (b"\x28\xb5\x2f\xfd", "+zstd"))
_MAX_LINKS = 40
LAYOUT_MARK = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored blob: digest (hex), size, and its first bytes."""

    sha256: str
    size_bytes: int
    head: bytes = b""

    @property
    def path(self) -> str:
        """Where it lies in the layout."""
        return f"blobs/sha256/{self.sha256}"


@dataclass(frozen=True, slots=True)
class StreamNames:
    """What the names of an engine's stream stand for: blobs, and links between names."""

    blobs: Mapping[str, Blob]
    links: Mapping[str, str]

    def find(self, name: str) -> Blob:
        """Return the blob of *name*, through links within the stream only.

        Raises:
            ArchiveError: the stream does not hold it.
        """
        wanted = name
        for _ in range(_MAX_LINKS):
            if wanted in self.blobs:
                return self.blobs[wanted]
            if wanted not in self.links:
                break
            wanted = posixpath.normpath(posixpath.join(posixpath.dirname(wanted), self.links[wanted]))
        raise ArchiveError(f"the engine's image stream names {name!r}, but does not hold it")


@dataclass(frozen=True, slots=True)
class Layout:
    """The documents of the layout, and what the images are."""

    files: Mapping[str, bytes]
    image_ids: tuple[str, ...]
    tags: tuple[str, ...]


def make_layout(names: StreamNames, read: Callable[[Blob], bytes], store: Callable[[bytes], Blob]) -> Layout:
    """Return ``oci-layout``, ``index.json`` and ``manifest.json`` for a stream; *store* keeps the OCI manifests.

    A stream that is an OCI layout already keeps its own index.

    Raises:
        ArchiveError: the stream is no image, or lacks a part that its manifest names.
    """
    entries = _read_entries(read(names.find("manifest.json")))
    documents = [_translate(entry, names) for entry in entries]
    files = {"manifest.json": _dump(documents)}
    if "index.json" in names.blobs and "oci-layout" in names.blobs:
        files["index.json"] = read(names.find("index.json"))
        files["oci-layout"] = read(names.find("oci-layout"))
    else:
        descriptors = [_describe_image(entry, names, store) for entry in entries]
        index = {
            "schemaVersion": 2,
            "mediaType": _INDEX,
            "manifests": [item for group in descriptors for item in group],
        }
        files |= {"index.json": _dump(index), "oci-layout": LAYOUT_MARK}
    ids = tuple(f"sha256:{names.find(entry['Config']).sha256}" for entry in entries)
    tags = tuple(str(tag) for entry in entries for tag in entry.get("RepoTags") or ())
    return Layout(files, ids, tags)


def _read_entries(content: bytes) -> list[JsonObject]:
    try:
        entries = json.loads(content)
        if entries and all(isinstance(entry["Config"], str) and isinstance(entry["Layers"], list) for entry in entries):
            return list(entries)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ArchiveError("the engine's image stream has an unreadable manifest.json") from error
    raise ArchiveError("the engine's image stream has a manifest.json that names no image")


def _translate(entry: JsonObject, names: StreamNames) -> JsonObject:
    """Return the entry of ``manifest.json`` with our blob paths in place of the stream's names."""
    layers = [names.find(str(layer)).path for layer in entry["Layers"]]
    return {**entry, "Config": names.find(entry["Config"]).path, "Layers": layers}


def _describe_image(entry: JsonObject, names: StreamNames, store: Callable[[bytes], Blob]) -> list[JsonObject]:
    layers = [names.find(str(layer)) for layer in entry["Layers"]]
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": _descriptor(_CONFIG, names.find(entry["Config"])),
        "layers": [_descriptor(_layer_type(layer), layer) for layer in layers],
    }
    descriptor = _descriptor(_MANIFEST, store(_dump(manifest)))
    tags = entry.get("RepoTags") or ()
    return [{**descriptor, "annotations": _annotate(str(tag))} for tag in tags] or [descriptor]


def _annotate(tag: str) -> JsonObject:
    return {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag.rpartition(":")[2]}


def _descriptor(media_type: str, blob: Blob) -> JsonObject:
    return {"mediaType": media_type, "digest": f"sha256:{blob.sha256}", "size": blob.size_bytes}


def _layer_type(layer: Blob) -> str:
    return _LAYER + next((suffix for magic, suffix in _MAGIC if layer.head.startswith(magic)), "")


def _dump(document: JsonObject | list[JsonObject]) -> bytes:
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")
