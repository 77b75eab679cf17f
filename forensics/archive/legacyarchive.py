"""What `docker save` wrote before 1.10: ``repositories``, and a folder ``<id>`` (``json``, ``layer.tar``) a layer.

The layers of an image are found through ``parent``. Ids are random here, and nothing can be verified. Reads JSON only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from forensics.archive.documents import get_list, get_object, get_text, parse_platform
from forensics.archive.limits import Anomaly, Limits, Report
from forensics.archive.nouns import HistoryLine, Image, Layer
from forensics.archive.oci import read_document
from forensics.archive.store import Store
from forensics.model import JsonObject
from forensics.text import show

_ID = re.compile(r"[0-9a-f]{64}\Z")


def is_legacy(store: Store, limits: Limits, report: Report) -> bool:
    """Tell whether ``repositories`` leads to a layer of the archive."""
    return any(store.size(f"{top}/json") >= 0 for top in _find_tops(store, limits, report))


def read_legacy_archive(store: Store, limits: Limits, report: Report) -> tuple[Image, ...]:
    """Return every image that ``repositories`` names."""
    tops = _find_tops(store, limits, report)
    return tuple(_read_image(store, top, tuple(tags), limits, report) for top, tags in tops.items())


def _find_tops(store: Store, limits: Limits, report: Report) -> dict[str, list[str]]:
    """Return the id of each image's topmost layer with its names; at most ``max_images``."""
    if store.size("repositories") < 0:
        return {}
    document, _ = read_document(store, "repositories", limits, report)
    tops: dict[str, list[str]] = {}
    for repository, tags in document.items() if isinstance(document, dict) else ():
        for tag, top in tags.items() if isinstance(tags, dict) else ():
            if isinstance(top, str) and _ID.match(top) and (top in tops or len(tops) < limits.max_images):
                tops.setdefault(top, []).append(f"{repository}:{tag}")
    return tops


def _read_image(store: Store, top: str, tags: tuple[str, ...], limits: Limits, report: Report) -> Image:
    chain: dict[str, JsonObject] = {}
    layer = top
    while layer:
        if layer in chain or len(chain) >= limits.max_layers or not _ID.match(layer):
            message = (
                f"the layers of {show(tags[0], 120)} run in a circle, are too many, or have a parent that is no id"
            )
            report(Anomaly("bad-manifest", message))
            break
        document, _ = read_document(store, f"{layer}/json", limits, report)
        chain[layer] = document if isinstance(document, dict) else {}
        layer = get_text(chain[layer], "parent")
    documents = [(name, chain[name]) for name in reversed(chain)]
    history = tuple(_describe(number, document) for number, (_, document) in enumerate(documents))
    layers = tuple(_locate(store, history[n], name, n, report) for n, (name, _) in enumerate(documents))
    config = chain[top]
    return Image(tags, config, layers, history, parse_platform(config), f"sha256:{top}")


def _describe(number: int, document: JsonObject) -> HistoryLine:
    command = _join(get_list(get_object(document, "container_config"), "Cmd"))
    return HistoryLine(get_text(document, "created"), command, get_text(document, "comment"), number)


def _join(words: Iterable[object]) -> str:
    return " ".join(word for word in words if isinstance(word, str))


def _locate(store: Store, line: HistoryLine, name: str, number: int, report: Report) -> Layer:
    blob = f"{name}/layer.tar"
    size_bytes = store.size(blob)
    if size_bytes < 0:
        report(Anomaly("missing-blob", f"layer {number} ({name}) is not in the archive", layer=number))
    return Layer(number, "", "", max(size_bytes, 0), line.created_by or line.comment, blob if size_bytes >= 0 else "")
