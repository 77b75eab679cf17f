"""Finds the images of an archive whose table of contents is missing or unreadable, by the contents of its parts.

A manifest is known by its form, a configuration by its diff_ids, a layer by the digest that they give it. Names prove
nothing and are not asked. Reads JSON, and hashes what may be a layer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator

from forensics.archive.compression import decompress
from forensics.archive.content import CHUNK_BYTES
from forensics.archive.documents import align_history, find_created_by, get_object, get_texts, parse_platform
from forensics.archive.limits import MIB, Anomaly, Limits, Report, ignore
from forensics.archive.nouns import Image, Layer
from forensics.archive.oci import find_blob, read_manifest
from forensics.archive.store import PartStore
from forensics.archive.tar import is_tar
from forensics.model import JsonObject

_MAX_DOCUMENT = 4 * MIB
_HEAD = 512


def rebuild_images(store: PartStore, limits: Limits, report: Report) -> tuple[Image, ...]:
    """Return the images that manifests and configurations among the parts describe; nothing if there are none."""
    documents = dict(_read_documents(store))
    names = {f"sha256:{hashlib.sha256(raw).hexdigest()}": name for name, (raw, _) in documents.items()}
    manifests = {name: item for name, item in documents.items() if _is_manifest(item[1])}
    images = [
        read_manifest(store, manifest, f"sha256:{hashlib.sha256(raw).hexdigest()}", limits, report)
        for raw, manifest in manifests.values()
    ]
    known = {image.config_digest for image in images}
    configs = [
        (digest, config)
        for raw, config in documents.values()
        if get_texts(get_object(config, "rootfs"), "diff_ids")
        and (digest := f"sha256:{hashlib.sha256(raw).hexdigest()}") not in known
    ]
    if configs:
        parts = _hash_layers(store, limits)
        images += [_assemble(store, digest, config, parts, limits, report) for digest, config in configs]
    found = tuple(image for image in images if any(layer.blob for layer in image.layers))[: limits.max_images]
    for digest in (digest for image in found for digest in (image.config_digest, image.manifest_digest)):
        store.size(os.fsdecode(names.get(digest, b"")))
    return found


def _read_documents(store: PartStore) -> Iterator[tuple[bytes, tuple[bytes, JsonObject]]]:
    for part in store.parts(_MAX_DOCUMENT):
        with store.open_part(part) as file:
            first = file.read(1)
            raw = first + file.read(_MAX_DOCUMENT) if first == b"{" else b""
        try:
            document = json.loads(raw) if raw else None
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            yield part.name, (raw, document)


def _is_manifest(document: JsonObject) -> bool:
    blob = find_blob(str(get_object(document, "config").get("digest", "")))
    return bool(blob) and isinstance(document.get("layers"), list)


def _hash_layers(store: PartStore, limits: Limits) -> dict[str, str]:
    """Return the part of each diff_id, of everything that is a tar archive when it is uncompressed."""
    parts: dict[str, str] = {}
    for part in store.parts():
        with store.open_part(part) as file:
            stream = decompress(file, limits, ignore)
            digest = hashlib.sha256()
            head = b""
            while len(head) < _HEAD and (more := stream.read(_HEAD - len(head))):
                head += more
            if not is_tar(head):
                continue
            while head:
                digest.update(head)
                head = stream.read(CHUNK_BYTES)
        parts[f"sha256:{digest.hexdigest()}"] = os.fsdecode(part.name)
    return parts


def _assemble(  # noqa: PLR0913, PLR0917 - what an image is made of
    store: PartStore, digest: str, config: JsonObject, parts: dict[str, str], limits: Limits, report: Report
) -> Image:
    diff_ids = get_texts(get_object(config, "rootfs"), "diff_ids")[: limits.max_layers]
    history = align_history(config, len(diff_ids), report)
    layers = []
    for index, diff_id in enumerate(diff_ids):
        blob = parts.get(diff_id, "")
        if not blob:
            report(Anomaly("missing-blob", f"layer {index} ({diff_id[:80]}) is not in the archive", layer=index))
        size = store.size(blob) if blob else 0
        layers.append(Layer(index, diff_id, "", size, find_created_by(history, index), blob))
    return Image((), config, tuple(layers), history, parse_platform(config), digest)
