"""Signatures that are saved beside images: recognised and read, not verified. Reads documents only.

Sources: cosign's SIGNATURE_SPEC.md (simple signing, tags of the form ``sha256-<hex>.sig``), OCI image-spec (``subject``
and ``artifactType``), sigstore's bundle media type.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.archive.documents import get_list, get_object, get_text
from forensics.archive.nouns import ImageSignature
from forensics.archive.store import Store
from forensics.model import JsonObject

SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
_ANNOTATION = "dev.cosignproject.cosign/signature"
_KINDS = re.compile(r"^application/vnd\.(?:dev\.cosign\.|dev\.sigstore\.|cncf\.notary\.|in-toto)")
_TAG = re.compile(r"^(?:.*:)?(sha256)-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?$")
_MOST = 100
_MOST_BYTES = 1 << 20


def is_attached(manifest: JsonObject) -> bool:
    """Whether a manifest is something attached to an image (a signature, a statement), not an image."""
    kinds = [get_text(manifest, "artifactType"), get_text(get_object(manifest, "config"), "mediaType")]
    kinds += [get_text(layer, "mediaType") for layer in get_list(manifest, "layers")[:_MOST]]
    return any(_KINDS.match(kind) for kind in kinds)


def read_signatures(manifest: JsonObject, tags: tuple[str, ...], store: Store) -> Iterator[ImageSignature]:
    """Yield the signatures of a manifest for which :func:`is_attached` holds."""
    named = next((f"{found[1]}:{found[2]}" for tag in tags if (found := _TAG.match(tag))), "")
    subject = get_text(get_object(manifest, "subject"), "digest") or named
    for layer in get_list(manifest, "layers")[:_MOST]:
        kind = get_text(layer, "mediaType")
        signature = get_text(get_object(layer, "annotations"), _ANNOTATION) if kind == SIMPLE_SIGNING else ""
        yield ImageSignature(kind, subject, _read(store, get_text(layer, "digest")), signature)


def _read(store: Store, digest: str) -> bytes:
    algorithm, _, name = digest.partition(":")
    if algorithm != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", name):
        return b""
    file = store.open(f"blobs/sha256/{name}")
    if file is None:
        return b""
    with file:
        return file.read(_MOST_BYTES)
