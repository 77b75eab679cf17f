"""Stores an image that comes as its parts, each with the digest it must have, as an OCI image layout.

For parts that somebody else than the engine read: nothing is believed, and a part with another digest ends the
acquisition. The item is then *failed*, with what came, and the engine itself can still be asked. A layer that a case
beside this one holds is taken from there and hashed again; the item's attributes say which. They do not say of which
case, because whoever gets this one need not know of the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from forensics.errors import ArchiveError, CaseError
from forensics.evidence.acquire import finish_item
from forensics.evidence.activity import describe
from forensics.evidence.clone import find_blobs
from forensics.evidence.door import Door
from forensics.evidence.listing import write_listing
from forensics.evidence.oci import Blob, StreamNames, make_layout
from forensics.evidence.readahead import ReadAhead
from forensics.evidence.snapshot import BlobStore
from forensics.frozen import dataclass
from forensics.model import EvidenceItem, JsonObject, Outcome

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class LayerPart:
    """One uncompressed layer: the SHA-256 that it must have (hex), and its bytes."""

    diff_id: str
    chunks: Iterable[bytes]


@dataclass(frozen=True, slots=True)
class ImageParts:
    """An image's raw configuration and its layers, lowest first."""

    config: bytes
    layers: Iterable[LayerPart]


def acquire_parts(door: Door, draft: EvidenceItem, image: ImageParts) -> EvidenceItem:
    """Store the image as a new item and put it on record.

    Raises:
        ArchiveError: a layer is not what its digest says; what came is kept as a *failed* item.
    """
    claimed, folder = door.claim(draft)
    store = BlobStore(folder)
    try:
        attributes = _store(store, image, door.root)
    except BaseException as error:
        _commit(door, claimed, store, reason=describe(error))
        raise
    finally:
        store.close()
    return _commit(door, replace(claimed, attributes={**claimed.attributes, **attributes}), store)


def _store(store: BlobStore, image: ImageParts, root: Path) -> JsonObject:
    config = store.store((image.config,))
    cloned: list[str] = []
    layers = list(_store_layers(store, image.layers, root, cloned))
    entry = {"Config": config.sha256, "RepoTags": None, "Layers": [layer.sha256 for layer in layers]}
    manifest = Blob(_MANIFEST, 0)  # a name only: the layout writes its own, with the paths of the blobs
    names = StreamNames({_MANIFEST: manifest, **{blob.sha256: blob for blob in (config, *layers)}}, {})
    document = json.dumps([entry]).encode("ascii")
    layout = make_layout(
        names, lambda blob: document if blob is manifest else store.read(blob), lambda raw: store.store((raw,))
    )
    for name, content in layout.files.items():
        store.write(name, content)
    return {"image_ids": list(layout.image_ids), "tags": [], "cloned_layers": cloned}


def _store_layers(store: BlobStore, layers: Iterable[LayerPart], root: Path, cloned: list[str]) -> Iterator[Blob]:
    """Store and yield the layers; one that stands twice in an image is read once, one of another case is cloned."""
    stored: dict[str, Blob] = {}
    for layer in layers:
        if layer.diff_id not in stored:
            stored[layer.diff_id] = _clone(store, layer, root, cloned) or _read(store, layer)
        yield stored[layer.diff_id]


def _clone(store: BlobStore, layer: LayerPart, root: Path, cloned: list[str]) -> Blob | None:
    """Return the layer as another case holds it, None where none does; what cannot be read there is read here."""
    for known in find_blobs(root, layer.diff_id):
        with suppress(PermissionError, FileNotFoundError, CaseError):
            if blob := store.clone(known, layer.diff_id):
                cloned.append(layer.diff_id)
                return blob
    return None


def _read(store: BlobStore, layer: LayerPart) -> Blob:
    with ReadAhead(layer.chunks, hashed=False) as ahead:
        blob = store.store(ahead)
    if blob.sha256 != layer.diff_id:
        raise ArchiveError(f"a layer's digest is sha256:{blob.sha256}, its image says sha256:{layer.diff_id}")
    return blob


def _commit(door: Door, claimed: EvidenceItem, store: BlobStore, reason: str = "") -> EvidenceItem:
    written = write_listing(door, claimed.path.removeprefix("data/"), store.digests)
    return door.commit(finish_item(claimed, written, Outcome.FAILED if reason else Outcome.COLLECTED, reason))
