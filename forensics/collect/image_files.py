"""Tells whether what runs is the file of the image: compared by content with the layers below the writable one.

Looks below the layers' directories on the host, no link followed out of them (openat2). Executes and copies nothing.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from forensics.collect.walk import hash_content
from forensics.engine.openat2 import open_path
from forensics.text import from_bytes, to_bytes

if TYPE_CHECKING:
    from forensics.collect.context import CollectContext
    from forensics.model import JsonObject


def find_layers(context: CollectContext) -> tuple[str, ...]:
    """Return the image's layer directories, the uppermost first; none where this driver does not name them."""
    data = (context.container.raw.get("GraphDriver") or {}).get("Data") or {}
    lower = str(data.get("LowerDir") or "") if context.info.is_local else ""
    return tuple(path for path in lower.split(":") if path and not path.endswith("-init/diff"))


def compare_with_image(layers: tuple[str, ...], paths: tuple[bytes, ...], sha256: str, limit: int) -> JsonObject:
    """Return as ``image_file`` which of *paths* is a file of the image with this content, null where none is.

    ``image_sha256`` is that of the file which the image has at the first path. Nothing is told (an empty object) where
    the layers are not known.
    """
    if not layers:
        return {}
    digests = [next(filter(None, (_hash(layer, path, limit) for layer in layers)), None) for path in paths]
    same = next((path for path, digest in zip(paths, digests, strict=True) if digest == sha256), None)
    return {"image_file": None if same is None else from_bytes(same), "image_sha256": digests[0]}


def _hash(layer: str, path: bytes, limit: int) -> str:
    """Return the digest of a regular file in one layer; empty where it has none there."""
    try:
        root = os.open(to_bytes(layer), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        handle = open_path(root, path)
        try:
            return hash_content(handle, limit)
        finally:
            os.close(handle)
    except OSError:  # not in this layer, a whiteout, or no regular file: the next one may have it
        return ""
    finally:
        os.close(root)
