"""The true file system of an image: layers read in one pass, merged as the kernel merges them, compared, recovered.

Trees hold metadata and digests; content is shown to a visitor while it streams by, or read again on demand. Nothing
is ever written to where an archive says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from forensics.archive.compare import iterate_changes
from forensics.archive.image import Image, ImageSource, Layer, LayerStream
from forensics.archive.index import Row, Table, Workspace, make_key, make_row, unpack
from forensics.archive.layerbuilder import LayerBuilder
from forensics.archive.layertree import MAX_IMPLIED, HiddenFile, LayerTree
from forensics.archive.limits import DEFAULT_LIMITS, Anomaly, AnomalyLog, Limits
from forensics.archive.merge import replay, resolve_links
from forensics.archive.visitor import Content, Visitor, spool_content
from forensics.errors import ArchiveError
from forensics.model import Change, ChangeKind, EntryType, FileEntry, LayerSummary, RecoveredFile
from forensics.text import show, show_path

__all__ = [
    "Content",
    "HiddenFile",
    "LayerTree",
    "Tree",
    "Visitor",
    "compare",
    "iterate_changes",
    "iterate_layer_changes",
    "merge",
    "open_content",
    "read_contents",
    "read_layer",
    "read_layers",
    "read_tree",
    "read_trees",
    "visit",
]

_MAX_RECOVERED = 100_000


class Tree:
    """A merged file system: one entry a path, what was deleted on the way, and each layer's counts."""

    def __init__(self, table: Table) -> None:
        """Take the table of visible rows; :func:`merge` fills it."""
        self._table = table
        self.recovered: tuple[RecoveredFile, ...] = ()
        self.layers: tuple[LayerSummary, ...] = ()
        self.hidden: tuple[tuple[int, HiddenFile], ...] = ()
        self.anomalies: tuple[Anomaly, ...] = ()

    def __len__(self) -> int:
        return len(self._table)

    def rows(self) -> Iterator[Row]:
        """Yield the packed rows in the order of paths."""
        return iter(self._table)

    def entries(self) -> Iterator[FileEntry]:
        """Yield every entry in the order of paths, folders before what they hold."""
        return map(unpack, self._table)

    def get(self, path: bytes) -> FileEntry | None:
        """Return the entry at *path* (a leading slash does not matter), None where there is none."""
        row = self._table.get_last(make_key(path.strip(b"/")))
        return unpack(row) if row else None


def read_layer(
    source: ImageSource, layer: Layer, visitor: Visitor | None = None, workspace: Workspace | None = None
) -> LayerTree:
    """Read one layer: entries with the SHA-256 of their content, whiteouts, anomalies. Verifies its digests.

    *visitor* sees the content of every regular file, also of those that no engine shows.
    """
    seen_before = len(source.log)
    workspace = workspace or Workspace(source.limits.memory_entries, source.limits.memory_bytes)
    report = source.log.for_layer(layer.index)
    builder = LayerBuilder(layer, Table(workspace), source.limits, report, visitor)
    streams: list[LayerStream] = []
    for member, content in source.read_members(layer, streams.append) if source.may_read(layer) else ():
        builder.add(member, content)
    source.note_read(layer, streams[0].size_bytes if streams else 0)
    tree = builder.finish()
    for stream in streams:
        tree.digest, tree.diff_id = stream.digest, stream.diff_id
    if len(source.log) > seen_before:
        tree.anomalies = tuple(anomaly for anomaly in source.log if anomaly.layer == layer.index)
    return tree


def read_layers(source: ImageSource, image: Image | None = None, visitor: Visitor | None = None) -> list[LayerTree]:
    """Read all layers of *image* (the only one of the source by default), base first."""
    image = image or source.select()
    workspace = Workspace(source.limits.memory_entries, source.limits.memory_bytes)
    return [read_layer(source, layer, visitor, workspace) for layer in image.layers]


def read_tree(source: ImageSource, image: Image | None = None) -> Tree:
    """Read and merge all layers of *image*."""
    return merge(read_layers(source, image), source.limits)


def read_trees(source: ImageSource) -> Iterator[tuple[Image, Tree]]:
    """Read and merge every image; a layer that stands at the same place in several images is read once."""
    workspace = Workspace(source.limits.memory_entries, source.limits.memory_bytes)
    known: dict[tuple[int, str, str, str], LayerTree] = {}
    for image in source.images:
        trees = []
        for layer in image.layers:
            key = (layer.index, layer.blob, layer.digest, layer.diff_id)
            if key not in known:
                known[key] = read_layer(source, layer, None, workspace)
            trees.append(known[key].share(layer))
        yield image, merge(trees, source.limits, workspace)


def visit(source: ImageSource, visitor: Visitor, image: Image | None = None) -> Tree:
    """Read all layers once, show each distinct content once, and return the merged tree."""
    seen: set[bytes] = set()

    def visit_once(entry: FileEntry, content: Content) -> None:
        digest = bytes.fromhex(content.sha256)
        if digest not in seen:
            seen.add(digest)
            visitor(entry, content)

    return merge(read_layers(source, image, visit_once), source.limits)


def merge(layers: Iterable[LayerTree], limits: Limits = DEFAULT_LIMITS, workspace: Workspace | None = None) -> Tree:
    """Lay the layers on each other, base first, as overlayfs does."""
    return _Merger(list(layers), limits, workspace or Workspace(limits.memory_entries, limits.memory_bytes)).merge()


class _Merger:
    def __init__(self, trees: list[LayerTree], limits: Limits, workspace: Workspace) -> None:
        self._trees = trees
        self._by_index = {tree.layer.index: tree for tree in trees}
        self._table = Table(workspace)
        self._recovered: list[RecoveredFile] = []
        self._recovered_bytes = 0
        self._limits = limits
        self._log = AnomalyLog(limits)
        self._counts = {tree.layer.index: dict.fromkeys(ChangeKind, 0) for tree in trees}

    def merge(self) -> Tree:
        resolve_links(self._trees, self._note_dangling)
        added: Counter[int] = Counter()
        for history in replay(self._trees, self._note_shadowed):
            final = history.final
            if final is not None:
                key, sequence, flags, layer, packed = final
                self._table.append(make_row(key, 0, 0, layer, packed) if sequence or flags else final)
            for change in history.changes:
                if change.before is None:
                    added[change.layer] += 1
                else:
                    self._counts[change.layer][change.kind] += 1
            for row, layer in history.deleted:
                self._recover(unpack(row), layer)
        for index, count in added.items():
            self._counts[index][ChangeKind.ADDED] = count
        self._table.freeze()
        for item in self._trees:
            if item.implied >= MAX_IMPLIED:
                message = "too many folders are only implied; some of them are left out"
                self._log.report(Anomaly("too-many-implied", message, layer=item.layer.index))
        tree = Tree(self._table)
        tree.recovered = tuple(self._recovered)
        tree.layers = tuple(map(self._summarize, self._trees))
        tree.hidden = tuple((item.layer.index, hidden) for item in self._trees for hidden in item.hidden)
        tree.anomalies = tuple(self._log)
        return tree

    def _note_dangling(self, layer: int, path: bytes) -> None:
        message = f"{show_path(path)} is a hard link to something that no layer has"
        self._log.report(Anomaly("dangling-hard-link", message, path=path, layer=layer))

    def _note_shadowed(self, row: Row) -> None:
        entry = unpack(row)
        message = f"{show_path(entry.path)} stands twice in one layer; the later one counts"
        self._log.report(Anomaly("duplicate-member", message, path=entry.path, layer=row.layer))
        if entry.type is EntryType.FILE:
            self._recover(entry, row.layer)

    def _recover(self, entry: FileEntry, deleted_in: int) -> None:
        self._recovered_bytes += len(entry.path) + sum(len(name) + len(value) for name, value in entry.xattrs)
        if len(self._recovered) < _MAX_RECOVERED and self._recovered_bytes < self._limits.memory_bytes:
            tree = self._by_index[entry.layer]
            self._recovered.append(RecoveredFile(entry, deleted_in, tree.diff_id, tree.layer.created_by))
        else:
            message = f"more than {len(self._recovered)} deleted files can be recovered; the others are not listed"
            self._log.report(Anomaly("too-many-recovered", message, layer=entry.layer))

    def _summarize(self, tree: LayerTree) -> LayerSummary:
        layer = tree.layer
        counts = self._counts[layer.index]
        return LayerSummary(
            layer.index,
            tree.diff_id,
            tree.digest,
            layer.size_bytes,
            tree.members,
            counts[ChangeKind.ADDED],
            counts[ChangeKind.MODIFIED],
            counts[ChangeKind.DELETED],
            layer.created_by,
        )


def iterate_layer_changes(trees: Iterable[LayerTree]) -> Iterator[tuple[int, Change]]:
    """Yield (layer, change) for everything that each layer did to those below, in the order of paths."""
    trees = list(trees)
    resolve_links(trees, lambda _layer, _path: None)
    for history in replay(trees):
        for item in history.changes:
            change = item.unpack()
            if change is not None:
                yield item.layer, change


def compare(a: Tree, b: Tree) -> tuple[Change, ...]:
    """Return the changes from *a* to *b* in the order of paths."""
    return tuple(iterate_changes(a, b))


def open_content(source: ImageSource, image: Image, entry: FileEntry) -> Content:
    """Read a regular file's content again, by digest, from the layer that holds it. The caller closes it.

    Raises:
        ArchiveError: the layer has no such content.
    """
    layers = [layer for layer in image.layers if layer.index == entry.layer]
    for content in _iterate_contents(source, layers, {entry.size_bytes}) if entry.type is EntryType.FILE else ():
        if content.sha256 == entry.sha256:
            return content
        content.close()
    raise ArchiveError(f"the content of {show(entry.path)} is not in layer {entry.layer}")


def read_contents(source: ImageSource, image: Image, entries: Iterable[FileEntry], limit: int) -> dict[str, bytes]:
    """Read the contents of regular files of at most *limit* bytes again, in one pass over their layers.

    Returns them by SHA-256; what is larger, or cannot be read again, is not in the answer.
    """
    wanted = {entry.sha256: entry for entry in entries if entry.sha256 and entry.size_bytes <= limit}
    numbers = {entry.layer for entry in wanted.values()}
    layers = [layer for layer in image.layers if layer.index in numbers]
    found = {}
    for content in _iterate_contents(source, layers, {entry.size_bytes for entry in wanted.values()}):
        if content.sha256 in wanted:
            found[content.sha256] = content.read()
        content.close()
    return found


def _iterate_contents(source: ImageSource, layers: Iterable[Layer], sizes: set[int]) -> Iterator[Content]:
    """Yield the contents of *layers* that have one of *sizes*; only those are hashed."""
    for layer in layers:
        for member, content in source.read_members(layer):
            if member.type is EntryType.FILE and not member.hard_link and member.size_bytes in sizes:
                yield spool_content(content, source.limits.memory_content_bytes)
