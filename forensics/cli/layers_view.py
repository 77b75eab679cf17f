"""What `ir layers` shows: one block an image, one line a layer, warnings last; and the same as JSON."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cli.frame import emit_json, say
from forensics.text import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from forensics.archive.extract import Extraction
    from forensics.archive.image import Image, ImageSource
    from forensics.archive.limits import Anomaly
    from forensics.archive.tree import Tree
    from forensics.model import JsonObject, LayerSummary

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024
_SHOWN_WARNINGS = 40
_SHOWN_HISTORY = 100


def find_image_path(path: Path) -> Path:
    """Return the saved image of a case, or *path* itself.

    Raises:
        UsageError: the case has no image.
    """
    if not (path / "data" / "case.json").is_file():
        return path
    from forensics.cli.session import read_case  # noqa: PLC0415 - only where a case is given
    from forensics.errors import UsageError  # noqa: PLC0415 - only where a case is given

    with read_case(path, "ir layers or ir diff") as case:
        images = case.find("image")
        if not images:
            raise UsageError(f"{show(os.fsencode(path))} holds no image", hint="collect the snapshot first")
        return case.path_of(images[-1])


def show_size(size_bytes: int) -> str:
    """Return a size for a reader."""
    value = float(size_bytes)
    for unit in _UNITS:
        if value < _STEP or unit == _UNITS[-1]:
            break
        value /= _STEP
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


@contextmanager
def show_progress(source: ImageSource) -> Iterator[None]:
    """Show how much of the layers was read, on stderr and only on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    import click  # noqa: PLC0415 - only on a terminal

    layers = {(layer.index, layer.blob): layer for image in source.images for layer in image.layers}
    length = sum(layer.size_bytes for layer in layers.values())
    with click.progressbar(length=length, label="reading layers", file=sys.stderr, update_min_steps=1 << 20) as bar:
        source.progress = bar.update
        try:
            yield
        finally:
            source.progress = None


def describe_layers(source: ImageSource, trees: Iterable[tuple[Image, Tree]]) -> JsonObject:
    """Return the document ``ir.layers/1``."""
    images = []
    anomalies = list(source.anomalies)
    for image, tree in trees:
        anomalies += tree.anomalies
        images.append(
            {
                "tags": list(image.tags),
                "id": image.id,
                "platform": image.platform,
                "layers": [_describe_layer(layer) for layer in tree.layers],
                "deleted_recovered": len(tree.recovered),
                "hidden": len(tree.hidden),
            }
        )
    return {
        "schema": "ir.layers/1",
        "dialect": source.dialect,
        "images": images,
        "warnings": [describe_anomaly(anomaly) for anomaly in anomalies],
    }


def _describe_layer(layer: LayerSummary) -> JsonObject:
    return {
        "diff_id": layer.diff_id,
        "digest": layer.digest,
        "entries": layer.entries,
        "added": layer.added,
        "modified": layer.modified,
        "deleted": layer.deleted,
        "history": layer.history,
        "size_bytes": layer.size_bytes,
    }


def describe_anomaly(anomaly: Anomaly) -> JsonObject:
    """Return one warning for machines."""
    return {
        "code": anomaly.code,
        "message": anomaly.message,
        "layer": anomaly.layer,
        "offset": anomaly.offset,
        "path": show(anomaly.path),
    }


def say_layers(source: ImageSource, trees: Iterable[tuple[Image, Tree]]) -> None:
    """Show the layers to a person."""
    anomalies = list(source.anomalies)
    for image, tree in trees:
        anomalies += tree.anomalies
        names = ", ".join(show(tag, 200) for tag in image.tags) or "untagged"
        say(f"{names}  {show(image.platform, 60)}  {show(image.id, 80)}  [{source.dialect}]")
        say("  layer  diff_id       size        entries  added  modified  deleted  made by")
        for layer in tree.layers:
            short = layer.diff_id.removeprefix("sha256:")[:12]
            history = show(layer.history, _SHOWN_HISTORY)
            say(
                f"  {layer.index:>5}  {short:<12}  {show_size(layer.size_bytes):>10}  {layer.entries:>7}  "
                f"{layer.added:>5}  {layer.modified:>8}  {layer.deleted:>7}  {history}"
            )
        say(f"  {len(tree)} paths in the end; {len(tree.recovered)} deleted files can be recovered")
    say_warnings(anomalies)


def say_warnings(anomalies: Iterable[Anomaly]) -> None:
    """Show what was wrong, on stderr."""
    warnings = list(anomalies)
    for anomaly in warnings[:_SHOWN_WARNINGS]:
        where = "" if anomaly.layer is None else f"layer {anomaly.layer}, "
        path = f", {show(anomaly.path, 200)}" if anomaly.path else ""
        say(f"warning: {where}{anomaly.code}: {anomaly.message}{path}", err=True)
    if len(warnings) > _SHOWN_WARNINGS:
        say(f"warning: {len(warnings) - _SHOWN_WARNINGS} more; --json lists all", err=True)


def say_extraction(extraction: Extraction, *, as_json: bool) -> None:
    """Show what was extracted."""
    if as_json:
        emit_json(
            {
                "schema": "ir.extraction/1",
                "root": str(extraction.root),
                "objects": extraction.objects,
                "size_bytes": extraction.size_bytes,
                "entries": extraction.entries,
            }
        )
    else:
        say(
            f"{extraction.objects} files ({show_size(extraction.size_bytes)}) in {show(str(extraction.root))}/objects; "
            f"{extraction.entries} lines in index.jsonl"
        )
