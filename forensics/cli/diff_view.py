"""What `ir diff` reads and shows: two sides, their differences, counts by folder and package, text differences."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from forensics.archive.differences import Difference, count_by_folder, name_kind, render_text_difference
from forensics.archive.extract import describe_entry
from forensics.archive.image import Image, ImageSource, open_image
from forensics.archive.index import make_path, unpack
from forensics.archive.limits import Anomaly
from forensics.archive.saved import SavedTree, load_tree, make_cache_key, save_tree
from forensics.archive.tree import Tree, merge, read_contents, read_layers
from forensics.cli.frame import say
from forensics.cli.layers_view import describe_anomaly, find_image_path, say_warnings, show_progress
from forensics.errors import UsageError
from forensics.folders import cache_dir
from forensics.model import FileEntry, JsonObject
from forensics.text import encode_base64, from_bytes, show, show_path

_MAX_TEXT_BYTES = 256 * 1024
_MAX_BATCH_BYTES = 48 << 20
_ENTRY_BYTES = 2048
_SHOWN_FOLDERS = 15
_WORTH_KEEPING = 20_000
"""Paths of a tree from which on its index is kept in the user's cache."""
_SIGNS = {"added": "A", "deleted": "D", "moved": "R", "modified": "M"}
_COLOURS = {"added": "green", "deleted": "red", "moved": "cyan", "modified": "yellow"}


@dataclass(frozen=True, slots=True)
class Side:
    """One side of the comparison."""

    name: str
    source: ImageSource
    image: Image
    tree: Tree | SavedTree
    anomalies: tuple[Anomaly, ...]


def open_side(stack: ExitStack, name: str, tag: str | None, platform: str | None) -> Side:
    """Open ``PATH`` or ``PATH@N`` (the layers up to N) or ``PATH@TAG`` and read its tree.

    Raises:
        UsageError: there is no such layer or image, or more than one.
    """
    path, layer = Path(name), None
    if "@" in name and not path.exists():
        text, _, choice = name.rpartition("@")
        path = Path(text)
        layer, tag = (int(choice), tag) if choice.isdecimal() else (None, choice)
    source = stack.enter_context(open_image(find_image_path(path), tag=tag, platform=platform))
    image = source.select()
    if layer is not None and layer >= len(image.layers):
        raise UsageError(f"{show(name)}: there is no layer {layer}", hint=f"the last one is {len(image.layers) - 1}")
    count = len(image.layers) if layer is None else layer + 1
    key = make_cache_key(source, image, count)
    cached = cache_dir() / "trees" / f"{key}.sqlite"
    saved = load_tree(cached) if key else None
    if saved is not None:
        return Side(name, source, image, saved, saved.anomalies)
    with show_progress(source):
        tree = merge(read_layers(source, replace(image, layers=image.layers[:count])), source.limits)
    anomalies = (*source.anomalies, *tree.anomalies)
    if key and len(tree) >= _WORTH_KEEPING:
        save_tree(tree, anomalies, cached)
    return Side(name, source, image, tree, anomalies)


def find_owners(side: Side) -> Mapping[bytes, bytes]:
    """Return the package that owns each path, from the package databases of the side itself."""
    from forensics.analyze.packages import is_database_path, read_database  # noqa: PLC0415 - only for the summary

    rows = (row for row in side.tree.rows() if is_database_path(make_path(row.key)))
    entries = {entry.path: entry for entry in map(unpack, rows)}
    contents = read_contents(side.source, side.image, entries.values(), 64 << 20)
    return read_database(entries, lambda path: contents.get(entries[path].sha256 or "")).owners


def count_by_package(differences: Iterable[Difference], owners: Mapping[bytes, bytes]) -> Counter[str]:
    """Return how many differences touch files of each package; files that none owns count under an empty name."""
    from forensics.analyze.packages import canonical  # noqa: PLC0415 - only for the summary

    return Counter(from_bytes(owners.get(canonical(item.path), b"")) for item in differences)


def read_texts(a: Side, b: Side, differences: Iterable[Difference]) -> Iterator[tuple[Difference, str]]:
    """Yield, in their order, the unified diff of each difference whose content changed and is text on both sides.

    As many contents as memory may hold are read in one pass over the layers; more of them take more passes.
    """
    batch: list[Difference] = []
    size_bytes = 0
    for item in differences:
        sizes = [entry.size_bytes for entry in (item.change.before, item.change.after) if entry is not None]
        if "content" not in item.change.fields or not item.change.before or max(sizes) > _MAX_TEXT_BYTES:
            continue
        if size_bytes + sum(sizes) > _MAX_BATCH_BYTES:
            yield from _read_batch(a, b, batch)
            batch, size_bytes = [], 0
        batch.append(item)
        size_bytes += sum(sizes) + _ENTRY_BYTES
    yield from _read_batch(a, b, batch)


def _read_batch(a: Side, b: Side, batch: list[Difference]) -> Iterator[tuple[Difference, str]]:
    before = _read(a, (item.change.before for item in batch)) if batch else {}
    after = _read(b, (item.change.after for item in batch)) if batch else {}
    for item in batch:
        old = before.get(item.change.before.sha256 or "") if item.change.before else None
        new = after.get(item.change.after.sha256 or "") if item.change.after else None
        if old is not None and new is not None and (text := render_text_difference(item, old, new)):
            yield item, text


def _read(side: Side, entries: Iterable[FileEntry | None]) -> dict[str, bytes]:
    return read_contents(side.source, side.image, [entry for entry in entries if entry], _MAX_TEXT_BYTES)


def emit_document(
    a: Side, b: Side, differences: Iterable[Difference], owners: Mapping[bytes, bytes], *, text: bool
) -> None:
    """Write the document ``ir.diff/1``."""
    texts = read_texts(a, b, differences) if text else iter(())
    ahead = next(texts, None)
    head = json.dumps({"schema": "ir.diff/1", "a": a.name, "b": b.name})
    tail = json.dumps(
        {
            "summary": {
                "kinds": Counter(name_kind(item) for item in differences),
                "folders": [
                    {"path": "/" + from_bytes(folder), **counts} for folder, counts in count_by_folder(differences)
                ],
                "packages": count_by_package(differences, owners),
            },
            "warnings": [describe_anomaly(anomaly) for side in (a, b) for anomaly in side.anomalies],
        }
    )
    out = sys.stdout
    out.write(head.removesuffix("}") + ', "changes": [')
    for number, item in enumerate(differences):
        diff = None
        if ahead is not None and ahead[0].path == item.path:
            diff, ahead = ahead[1], next(texts, None)
        out.write((",\n" if number else "\n") + json.dumps(_describe(item, diff)))
    out.write("],\n" + tail.removeprefix("{") + "\n")


def _describe(difference: Difference, text: str | None) -> JsonObject:
    change = difference.change
    moved = difference.moved_from
    return {
        "path": "/" + from_bytes(change.path),
        "path_b64": encode_base64(change.path),
        "kind": name_kind(difference),
        "fields": list(change.fields),
        "layer": change.layer,
        "moved_from": None if moved is None else "/" + from_bytes(moved.path),
        "before": describe_entry(change.before, "before") if change.before else None,
        "after": describe_entry(change.after, "after") if change.after else None,
        "text": text,
    }


def say_differences(
    a: Side, b: Side, differences: Iterable[Difference], owners: Mapping[bytes, bytes], *, text: bool
) -> None:
    """Show the differences to a person."""
    for item in differences:
        kind = name_kind(item)
        line = f"{_SIGNS[kind]} {show_path(item.path)}"
        if item.moved_from is not None:
            line += f"  from {show_path(item.moved_from.path)}"
        if item.change.fields:
            line += f"  ({', '.join(item.change.fields)})"
        say(_paint(line, _COLOURS[kind]))
    if text:
        for _, diff in read_texts(a, b, differences):
            say("\n" + diff)
    _say_summary(differences, owners)
    for side in (a, b):
        say_warnings(side.anomalies)


def _say_summary(differences: Iterable[Difference], owners: Mapping[bytes, bytes]) -> None:
    kinds = Counter(name_kind(item) for item in differences)
    say("")
    say(", ".join(f"{kinds[kind]} {kind}" for kind in _SIGNS))
    for folder, counts in count_by_folder(differences)[:_SHOWN_FOLDERS]:
        say(f"  {counts.total():>6}  {show_path(folder)}")
    packages = count_by_package(differences, owners)
    if set(packages) - {""}:
        listed = ", ".join(
            f"{show(name) or 'no package'} {count}" for name, count in packages.most_common(_SHOWN_FOLDERS)
        )
        say(f"by package: {listed}")


def _paint(line: str, colour: str) -> str:
    import click  # noqa: PLC0415 - the one use here

    return click.style(line, fg=colour)
