"""A folder of blobs named by their digest, with one manifest (`podman save --format docker-dir`, skopeo's `dir:`).

The manifest is OCI's or Docker's (schema 2); the blobs lie beside it under bare hexadecimal digits. Reads JSON only.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from typing import BinaryIO

from forensics.archive.documents import get_list, get_object, get_text
from forensics.archive.limits import Limits, Report
from forensics.archive.nouns import Image
from forensics.archive.oci import find_blob, read_document, read_manifest
from forensics.archive.store import Part, PartStore, Store

_MAX_VERSION = 100


class FlatLayout:
    """Shows such a store as an OCI layout."""

    def __init__(self, store: PartStore) -> None:
        """Take the store as it is."""
        self._store = store

    def open(self, name: str) -> BinaryIO | None:
        """Return the bytes of the part *name*, None where there is none."""
        return self._store.open(_flatten(name))

    def size(self, name: str) -> int:
        """Return the stored size of the part *name* in bytes, -1 where there is none."""
        return self._store.size(_flatten(name))

    def looks_like_image(self) -> bool:
        """Return True."""
        return True

    def leftovers(self) -> Iterator[Part]:
        """Yield the parts with data that nothing has asked for, but the line that names the format."""
        for part in self._store.leftovers():
            if part.name != b"version" or part.size > _MAX_VERSION:
                yield part

    def parts(self, most_bytes: int = sys.maxsize) -> list[Part]:
        """Return the parts with data, at most *most_bytes* of it."""
        return self._store.parts(most_bytes)

    def open_part(self, part: Part) -> BinaryIO:
        """Return the bytes of a part."""
        return self._store.open_part(part)


def _flatten(name: str) -> str:
    return name.rpartition("/")[2] if name.startswith("blobs/") else name


def is_flat_layout(store: Store, manifest: object) -> bool:
    """Tell whether *manifest* is an image manifest whose configuration lies beside it."""
    blob = find_blob(get_text(get_object(manifest, "config"), "digest"))
    return bool(blob and get_list(manifest, "layers")) and store.size(_flatten(blob)) >= 0


def read_flat_layout(store: FlatLayout, limits: Limits, report: Report) -> tuple[Image, ...]:
    """Return the one image."""
    manifest, raw = read_document(store, "manifest.json", limits, report)
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    return (read_manifest(store, manifest, digest, limits, report),) if isinstance(manifest, dict) else ()
