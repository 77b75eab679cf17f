"""Stores an image that comes as its parts, each with the digest it must have, as an OCI image layout.

For parts that somebody else than the engine read: nothing is believed, and a part with another digest ends the
acquisition. The item is then *failed*, with what came, and the engine itself can still be asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace

from forensics.errors import ArchiveError
from forensics.evidence.acquire import finish_item
from forensics.evidence.activity import describe
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
        attributes = _store(store, image)
    except BaseException as error:
        _commit(door, claimed, store, reason=describe(error))
        raise
    finally:
        store.close()
    return _commit(door, replace(claimed, attributes={**claimed.attributes, **attributes}), store)


def _store(store: BlobStore, image: ImageParts) -> JsonObject:
    config = store.store((image.config,))
    layers = list(_store_layers(store, image.layers))
    entry = {"Config": config.sha256, "RepoTags": None, "Layers": [layer.sha256 for layer in layers]}
    manifest = Blob(_MANIFEST, 0)  # a name only: the layout writes its own, with the paths of the blobs
    names = StreamNames({_MANIFEST: manifest, **{blob.sha256: blob for blob in (config, *layers)}}, {})
    document = json.dumps([entry]).encode("ascii")
    layout = make_layout(
        names, lambda blob: document if blob is manifest else store.read(blob), lambda raw: store.store((raw,))
    )
    for name, content in layout.files.items():
        store.write(name, content)
    return {"image_ids": list(layout.image_ids), "tags": []}


def _store_layers(store: BlobStore, layers: Iterable[LayerPart]) -> Iterator[Blob]:
    """Store and yield the layers; one that stands twice in an image is read once."""
    stored: dict[str, Blob] = {}
    for layer in layers:
        if layer.diff_id not in stored:
            with ReadAhead(layer.chunks, hashed=False) as ahead:
                blob = store.store(ahead)
            if blob.sha256 != layer.diff_id:
                raise ArchiveError(f"a layer's digest is sha256:{blob.sha256}, its image says sha256:{layer.diff_id}")
            stored[layer.diff_id] = blob
        yield stored[layer.diff_id]


def _commit(door: Door, claimed: EvidenceItem, store: BlobStore, reason: str = "") -> EvidenceItem:
    written = write_listing(door, claimed.path.removeprefix("data/"), store.digests)
    return door.commit(finish_item(claimed, written, Outcome.FAILED if reason else Outcome.COLLECTED, reason))
