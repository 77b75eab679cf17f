"""OCI image layouts (image-spec image-layout.md): nested indexes, platforms, tags. Reads JSON only, never a layer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from forensics.archive.documents import (
    DIGEST,
    align_history,
    cap,
    count_values,
    describe_size,
    find_created_by,
    get_list,
    get_object,
    get_size,
    get_text,
    get_texts,
    parse_json,
    parse_platform,
)
from forensics.archive.limits import Anomaly, AnomalyLog, Limits, Report
from forensics.archive.nouns import HistoryLine, Image, ImageSignature, Layer
from forensics.archive.signatures import is_attached, read_signatures
from forensics.archive.store import Store
from forensics.model import JsonObject
from forensics.text import show

_TAG_KEYS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_ATTESTATION = "vnd.docker.reference.type"


def read_document(store: Store, name: str, limits: Limits, report: Report) -> tuple[object, bytes]:
    """Return a JSON part of the store and its raw bytes; None and empty, with an anomaly, where that cannot be."""
    file = store.open(name)
    if file is None:
        report(Anomaly("missing-blob", f"{show(name)} is not in the archive"))
        return None, b""
    with file:
        raw = file.read(limits.max_json_bytes + 1)
    if len(raw) > limits.max_json_bytes:
        report(Anomaly("document-too-large", f"{show(name)} is larger than {limits.max_json_bytes} bytes"))
        return None, b""
    if count_values(raw) > limits.max_json_values:
        report(Anomaly("document-too-large", f"{show(name, 200)} has more than {limits.max_json_values} values"))
        return None, b""
    return parse_json(raw, name, report), raw


class Budget:
    """How many layers and kept values the images of one archive may still have, all together."""

    def __init__(self, limits: Limits, report: Report) -> None:
        """Start with everything; *report* hears when it is used up."""
        self._layers = limits.max_all_layers
        self._values = limits.max_json_values
        self._report = report

    def take_layers(self, items: list[object], what: str) -> list[object]:
        """Return as many of *items* as there may be."""
        kept = items[: self._layers]
        self._layers -= len(kept)
        if len(kept) < len(items):
            self._report(Anomaly("too-many", f"all images together have too many {what}; the last ones are left out"))
        return kept

    def take_document(self, document: object, raw: bytes, what: str) -> object:
        """Return *document*, None if too much is kept already."""
        self._values -= count_values(raw)
        if self._values >= 0:
            return document
        self._report(Anomaly("document-too-large", f"all documents together have too many values; {what} is not kept"))
        return None


def find_blob(digest: str) -> str:
    """Return the part's name of a digest, empty if the text is no digest (then it could be any path)."""
    return f"blobs/{digest.replace(':', '/')}" if DIGEST.match(digest) else ""


def verify_bytes(raw: bytes, digest: str, what: str, report: Report) -> None:
    """Report bytes that do not have the *digest* that names them."""
    algorithm, _, expected = digest.partition(":")
    actual = hashlib.new(algorithm, raw).hexdigest()
    if actual != expected:
        report(Anomaly("digest-mismatch", f"{what} is named {digest} and has the digest {algorithm}:{actual}"))


def read_oci(store: Store, limits: Limits, report: Report) -> tuple[Image, ...]:
    """Return every image that ``index.json`` leads to, in its order."""
    index, _ = read_document(store, "index.json", limits, report)
    return _OciReader(store, limits, report).read_index(index)


def read_manifest(store: Store, manifest: JsonObject, digest: str, limits: Limits, report: Report) -> Image:
    """Return the image of a manifest that no index names."""
    return _OciReader(store, limits, report).read_manifest(manifest, _Context(digest=digest))


@dataclass(frozen=True, slots=True)
class _Context:
    """What the descriptors on the way down said."""

    tags: tuple[str, ...] = ()
    platform: str = ""
    digest: str = ""
    depth: int = 0


class _OciReader:
    def __init__(self, store: Store, limits: Limits, report: Report) -> None:
        self._store = store
        self._limits = limits
        self._report = report
        self._budget = Budget(limits, report)
        self._seen: set[str] = set()
        self._images: dict[str, Image] = {}
        self._signatures: list[ImageSignature] = []

    def read_index(self, index: object) -> tuple[Image, ...]:
        self._read_index(index, _Context())
        signatures = tuple(self._signatures)
        return tuple(replace(image, signatures=signatures) for image in self._images.values())

    def _read_index(self, index: object, context: _Context) -> None:
        descriptors = get_list(index, "manifests")
        for descriptor in cap(descriptors, self._limits.max_images, "manifests in an index", self._report):
            self._read_descriptor(descriptor, context)

    def _read_descriptor(self, descriptor: object, context: _Context) -> None:
        annotations = get_object(descriptor, "annotations")
        digest = get_text(descriptor, "digest")
        if _ATTESTATION in annotations:
            self._look_at_attestation(digest)
            return
        tags = next((tag for key in _TAG_KEYS if (tag := get_text(annotations, key))), "")
        below = _Context(
            (*context.tags, tags) if tags else context.tags,
            parse_platform(get_object(descriptor, "platform")) or context.platform,
            digest,
            context.depth + 1,
        )
        if digest in self._images:
            self._add_tags(digest, below.tags)
            return
        if digest in self._seen or below.depth > self._limits.max_index_depth:
            self._report(Anomaly("cyclic-index", f"the index {show(digest)} was seen before or lies too deep"))
            return
        if below.depth > 1 and below.platform and find_blob(digest) and self._store.size(find_blob(digest)) < 0:
            message = f"the image for {show(below.platform, 60)} is listed but was not saved"
            self._report(Anomaly("absent-platform", message))
            return
        document = self._read_blob(digest, get_size(descriptor), "a manifest")
        self._seen.add(digest)
        if "manifests" in document and "layers" not in document:
            self._read_index(document, below)
        elif is_attached(document):
            self._signatures.extend(read_signatures(document, below.tags, self._store))
        elif document and len(self._images) < self._limits.max_images:
            self._images[digest] = self.read_manifest(document, below)

    def _look_at_attestation(self, digest: str) -> None:
        """Provenance and SBOM documents (BuildKit) are no file system; only see that their blobs are there."""
        saved = find_blob(digest) and self._store.size(find_blob(digest)) >= 0
        manifest = self._read_blob(digest, -1, "an attestation") if saved else {}
        for item in (get_object(manifest, "config"), *get_list(manifest, "layers")[: self._limits.max_layers]):
            self._store.size(find_blob(get_text(item, "digest")))

    def _add_tags(self, digest: str, tags: tuple[str, ...]) -> None:
        image = self._images[digest]
        new = tuple(tag for tag in tags if tag not in image.tags)
        self._images[digest] = replace(image, tags=image.tags + new)

    def _read_blob(self, digest: str, size_bytes: int, what: str) -> JsonObject:
        name = find_blob(digest)
        if not name:
            self._report(Anomaly("bad-digest", f"{what} is named {show(digest, 120)}, which is no digest"))
            return {}
        document, raw = read_document(self._store, name, self._limits, self._report)
        if raw:
            verify_bytes(raw, digest, what, self._report)
            if size_bytes not in {-1, len(raw)}:
                message = f"{what} should have {describe_size(size_bytes)} and has {len(raw)}"
                self._report(Anomaly("size-mismatch", message))
            document = self._budget.take_document(document, raw, what)
        return document if isinstance(document, dict) else {}

    def read_manifest(self, manifest: JsonObject, context: _Context) -> Image:
        log = AnomalyLog(self._limits)
        outer, self._report = self._report, log.report
        try:
            return self._assemble(manifest, context, log)
        finally:
            self._report = outer
            for anomaly in log:
                outer(anomaly)

    def _assemble(self, manifest: JsonObject, context: _Context, log: AnomalyLog) -> Image:
        descriptor = get_object(manifest, "config")
        config_digest = get_text(descriptor, "digest")
        config = self._read_blob(config_digest, get_size(descriptor), "the image configuration")
        diff_ids = get_texts(get_object(config, "rootfs"), "diff_ids")
        descriptors = cap(get_list(manifest, "layers"), self._limits.max_layers, "layers", self._report)
        descriptors = self._budget.take_layers(descriptors, "layers")
        if len(diff_ids) != len(descriptors):
            message = f"the manifest lists {len(descriptors)} layers, the configuration {len(diff_ids)} diff_ids"
            self._report(Anomaly("layer-count-mismatch", message))
        history = align_history(config, len(descriptors), self._report)
        layers = tuple(
            self._make_layer(index, item, diff_ids[index] if index < len(diff_ids) else "", history)
            for index, item in enumerate(descriptors)
        )
        platform = context.platform or parse_platform(config)
        return Image(context.tags, config, layers, history, platform, config_digest, context.digest, tuple(log))

    def _make_layer(self, index: int, descriptor: object, diff_id: str, history: tuple[HistoryLine, ...]) -> Layer:
        digest = get_text(descriptor, "digest")
        blob = find_blob(digest)
        if not blob:
            self._report(Anomaly("bad-digest", f"layer {index} is named {show(digest, 120)}, which is no digest"))
            digest = ""
        size_bytes = self._store.size(blob) if blob else -1
        if blob and size_bytes < 0:
            self._report(Anomaly("missing-blob", f"layer {index} ({digest}) is not in the archive", layer=index))
            blob = ""
        elif blob and get_size(descriptor) not in {-1, size_bytes}:
            message = f"layer {index} should have {describe_size(get_size(descriptor))} and has {size_bytes}"
            self._report(Anomaly("size-mismatch", message, layer=index))
        created_by = find_created_by(history, index)
        return Layer(index, diff_id, digest, max(size_bytes, 0), created_by, blob, get_text(descriptor, "mediaType"))
