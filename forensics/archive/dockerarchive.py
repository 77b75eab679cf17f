"""docker-archive: what `docker save`, Podman's compatible save and kaniko write around a ``manifest.json``.

Layer and configuration names come from the document and are only looked up in the archive. Reads JSON only.
"""

from __future__ import annotations

import re
from dataclasses import replace

from forensics.archive.documents import (
    align_history,
    cap,
    find_created_by,
    get_object,
    get_text,
    get_texts,
    parse_platform,
)
from forensics.archive.limits import Anomaly, AnomalyLog, Limits, Report
from forensics.archive.nouns import Image, Layer
from forensics.archive.oci import Budget, read_document, verify_bytes
from forensics.archive.store import Store, clean_name
from forensics.model import JsonObject
from forensics.text import show, to_bytes

_HEX = re.compile(r"(?:\A|[/:])([0-9a-f]{64})(?:\.json)?\Z")
Configs = dict[str, tuple[JsonObject, str, tuple[Anomaly, ...]]]
"""What each configuration said: many images may name the same one."""
_BLOB = re.compile(r"blobs/(sha256|sha512)/([0-9a-f]{64,128})\Z")


def is_manifest(document: object) -> bool:
    """Tell whether a decoded ``manifest.json`` is docker-archive's: a list of objects with ``Layers``."""
    return isinstance(document, list) and all(isinstance(item, dict) and "Layers" in item for item in document)


def read_docker_archive(store: Store, limits: Limits, report: Report) -> tuple[Image, ...]:
    """Return every image of ``manifest.json``, in its order."""
    document, _ = read_document(store, "manifest.json", limits, report)
    if not is_manifest(document):
        report(Anomaly("bad-manifest", "manifest.json is not a list of images"))
        return ()
    items = cap(document if isinstance(document, list) else [], limits.max_images, "images", report)
    budget = Budget(limits, report)
    configs: Configs = {}
    return tuple(
        _read_image(store, item, limits, report, (budget, configs)) for item in items if isinstance(item, dict)
    )


def _read_image(store: Store, item: JsonObject, limits: Limits, outer: Report, shared: tuple[Budget, Configs]) -> Image:
    log = AnomalyLog(limits)
    budget, configs = shared
    name = get_text(item, "Config")
    if name not in configs:
        read = AnomalyLog(limits)
        configs[name] = (*_read_config(store, name, limits, read.report, budget), tuple(read))
    config, digest, anomalies = configs[name]
    for anomaly in anomalies:
        log.report(anomaly)
    diff_ids = get_texts(get_object(config, "rootfs"), "diff_ids")
    names = [
        name
        for name in budget.take_layers(
            cap(get_texts(item, "Layers"), limits.max_layers, "layers", log.report), "layers"
        )
        if isinstance(name, str)
    ]
    if len(names) != len(diff_ids):
        message = f"the manifest lists {len(names)} layers, the configuration {len(diff_ids)} diff_ids"
        log.report(Anomaly("layer-count-mismatch", message))
    history = align_history(config, len(names), log.report)
    layers = tuple(
        _locate_layer(
            store,
            Layer(
                index, diff_ids[index] if index < len(diff_ids) else "", "", 0, find_created_by(history, index), name
            ),
            log,
        )
        for index, name in enumerate(names)
    )
    for anomaly in log:
        outer(anomaly)
    tags = tuple(get_texts(item, "RepoTags"))
    return Image(tags, config, layers, history, parse_platform(config), digest, "", tuple(log))


def _read_config(store: Store, name: str, limits: Limits, report: Report, budget: Budget) -> tuple[JsonObject, str]:
    _check_name(name, "the configuration", report)
    document, raw = read_document(store, name, limits, report)
    match = _HEX.search(name)
    digest = f"sha256:{match[1]}" if match else ""
    if raw and digest:
        verify_bytes(raw, digest, "the image configuration", report)
    document = budget.take_document(document, raw, "a configuration")
    return (document if isinstance(document, dict) else {}), digest


def _locate_layer(store: Store, layer: Layer, log: AnomalyLog) -> Layer:
    """Return *layer*, whose ``blob`` is the name in the manifest, with what the archive holds under that name."""
    name = layer.blob
    _check_name(name, f"layer {layer.index}", log.report)
    size_bytes = store.size(name)
    match = _BLOB.match(name)
    digest = f"{match[1]}:{match[2]}" if match else ""
    if size_bytes < 0:
        message = f"layer {layer.index} ({show(name, 200)}) is not in the archive"
        log.report(Anomaly("missing-blob", message, layer=layer.index))
        return replace(layer, digest=digest, blob="")
    return replace(layer, digest=digest, size_bytes=size_bytes)


def _check_name(name: str, what: str, report: Report) -> None:
    raw = to_bytes(name)
    if raw.startswith(b"/") or clean_name(raw) is None or b".." in raw.split(b"/"):
        report(Anomaly("path-traversal", f"{what} is named {show(name, 200)}, which leads elsewhere", path=raw))
