"""Safe extraction: content as regular files under names of ours, everything else as lines of an index.

Creates nothing an archive asks for: no name, link, device, mode, owner or attribute of it reaches the disk. Content
lies in ``objects/<first two>/<sha256>`` (mode 0600), identical content once; ``index.jsonl`` says what it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from forensics.archive.content import write_sparse
from forensics.archive.image import Image, ImageSource, Layer
from forensics.archive.limits import Anomaly
from forensics.archive.tree import Content, LayerTree, Tree, merge, read_layer, read_layers
from forensics.errors import UsageError
from forensics.model import EntryType, FileEntry, JsonObject
from forensics.text import encode_base64, from_bytes, show

INDEX = "index.jsonl"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Extraction:
    """What was written: distinct contents, their bytes, and index lines."""

    root: Path
    objects: int
    size_bytes: int
    entries: int


def extract_image(source: ImageSource, image: Image, root: Path) -> Extraction:
    """Extract the merged file system of *image* with everything that was deleted, replaced or hidden on the way.

    Raises:
        UsageError: *root* exists and is not an empty folder.
    """
    store = _ObjectStore(root, source)
    trees = read_layers(source, image, store.write)
    tree = merge(trees, source.limits)
    for anomaly in tree.anomalies:
        source.log.report(anomaly)
    return store.finish(_describe_image(image, trees, tree, store.partial))


def extract_layer(source: ImageSource, layer: Layer, root: Path) -> Extraction:
    """Extract one layer as it is: its files, its whiteouts, and what no engine would show.

    Raises:
        UsageError: *root* exists and is not an empty folder.
    """
    store = _ObjectStore(root, source)
    tree = read_layer(source, layer, store.write)
    return store.finish(_describe_layer(tree, store.partial))


class _ObjectStore:
    def __init__(self, root: Path, source: ImageSource) -> None:
        _check_outside(root, source)
        self._root = _create_root(root)
        self._source = source
        self._limit = source.limits.max_extract_bytes
        self._objects = 0
        self._size_bytes = 0
        self.partial: list[tuple[FileEntry, str]] = []

    def write(self, entry: FileEntry, content: Content) -> None:
        """Store one content under its digest, once."""
        if entry.sha256 is None:
            self.partial.append((entry, content.sha256))
        if self._size_bytes + content.size_bytes > self._limit:
            message = f"more than {self._limit} bytes to extract; the rest is in the index only"
            self._source.log.report(Anomaly("extraction-limit", message))
            return
        path = self._root / "objects" / content.sha256[:2] / content.sha256
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, _NEW, 0o600)
        except FileExistsError:
            return
        try:
            with os.fdopen(descriptor, "wb") as file:
                write_sparse(file, content.chunks())
        except BaseException:
            path.unlink(missing_ok=True)  # a part of a content must not bear the digest of the whole
            raise
        self._objects += 1
        self._size_bytes += content.size_bytes

    def finish(self, lines: Iterable[JsonObject]) -> Extraction:
        """Write the index."""
        count = 0
        with os.fdopen(os.open(self._root / INDEX, _NEW, 0o600), "w", encoding="ascii") as index:
            for line in lines:
                index.write(json.dumps(line, ensure_ascii=True) + "\n")
                count += 1
        return Extraction(self._root, self._objects, self._size_bytes, count)


def _check_outside(root: Path, source: ImageSource) -> None:
    """Refuse to write into what is being read: it is evidence, and would be read again."""
    if source.path.is_dir() and root.resolve().is_relative_to(source.path.resolve()):
        raise UsageError(
            f"{show(os.fsencode(root))} lies in the folder that is being read", hint="name a folder elsewhere"
        )


def _create_root(root: Path) -> Path:
    if root.is_symlink() or (root.exists() and (not root.is_dir() or any(root.iterdir()))):
        raise UsageError(f"{show(os.fsencode(root))} exists and is not an empty folder", hint="name a new folder")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    return root


def _describe_image(
    image: Image, trees: list[LayerTree], tree: Tree, partial: list[tuple[FileEntry, str]]
) -> Iterator[JsonObject]:
    made_by = {layer.index: layer.created_by for layer in image.layers}
    for entry in tree.entries():
        yield describe_entry(entry, "visible", created_by=made_by.get(entry.layer, ""))
    for file in tree.recovered:
        yield describe_entry(file.entry, "deleted", created_by=file.created_by, deleted_in_layer=file.deleted_in_layer)
    for item in trees:
        for hidden in item.hidden:
            yield describe_entry(hidden.entry, "hidden", reason=hidden.reason)
    for entry, sha256 in partial:
        yield describe_entry(entry, "partial", object=sha256)


def _describe_layer(tree: LayerTree, partial: list[tuple[FileEntry, str]]) -> Iterator[JsonObject]:
    for entry in tree.entries:
        yield describe_entry(entry, "visible", created_by=tree.layer.created_by)
    for path in tree.whiteouts:
        yield {**_describe_path(path), "state": "whiteout", "layer": tree.layer.index}
    for path in tree.opaque:
        yield {**_describe_path(path), "state": "opaque", "layer": tree.layer.index}
    for hidden in tree.hidden:
        yield describe_entry(hidden.entry, "hidden", reason=hidden.reason)
    for entry, sha256 in partial:
        yield describe_entry(entry, "partial", object=sha256)


def _describe_path(path: bytes) -> JsonObject:
    return {"path": "/" + from_bytes(path), "path_b64": encode_base64(path)}


def describe_entry(entry: FileEntry, state: str, **extra: object) -> JsonObject:
    """Return an index line: paths and attributes as text without loss, and as base64 where programs need the bytes."""
    target = entry.link_target
    return {
        **_describe_path(entry.path),
        "state": state,
        "type": entry.type.value,
        "mode": f"{entry.mode:04o}",
        "uid": entry.uid,
        "gid": entry.gid,
        "size_bytes": entry.size_bytes,
        "mtime_ns": entry.mtime_ns,
        "layer": entry.layer,
        "sha256": entry.sha256 if entry.type is EntryType.FILE else None,
        "link_target": None if target is None else from_bytes(target),
        "device": entry.device,
        "xattrs": {from_bytes(name): encode_base64(value) for name, value in entry.xattrs},
        **extra,
    }
