"""Whether an image is the one that it is taken for: its name, its digests, its layers, its signature. Offline."""

from __future__ import annotations

import base64
import binascii
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.image_names import find_imitated
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import object_of, text_of, texts_of
from forensics.archive.nouns import ImageSignature
from forensics.evidence.tools import run_tool
from forensics.model import Confidence, EvidenceRef, Finding, Severity

_NEXT = "Fetch the image again from its registry by digest and compare (`ir diff`)."
IMITATED = Rule(
    "image.name-imitates",
    "The image's name is almost that of a well-known image",
    Severity.MEDIUM,
    ("T1036.005", "T1204.003"),
    "A slip of the finger fetches the image of somebody who waits for it.",
    "A name of one's own that happens to be near.",
    "Ask who publishes the image; compare it with the one that was meant.",
    Confidence.MEDIUM,
)
OTHER_DIGEST = Rule(
    "image.digest-mismatch",
    "The container was asked for by a digest that its image does not have",
    Severity.HIGH,
    ("T1525", "T1195.002"),
    "The digest names the bytes; other bytes were exchanged for them on this engine.",
    "An image that was saved and loaded loses the digests of its registry.",
    _NEXT,
    Confidence.MEDIUM,
)
OTHER_LAYERS = Rule(
    "image.layers-mismatch",
    "The snapshot does not stand on the layers that the engine names for the image",
    Severity.HIGH,
    ("T1525",),
    "The container's lower file system is another one than that of the image it claims.",
    "None known.",
    _NEXT,
)
UNSIGNED = Rule(
    "image.no-signature",
    "No signature was found with the image",
    Severity.MEDIUM,
    (),
    "Signatures lie beside an image in its registry; `docker save` does not take them along.",
    "Most images are not signed.",
    "Look for one in the registry (`cosign verify`), or save the image with its signatures (`cosign save`).",
)
SIGNED = Rule(
    "image.signature-not-verified",
    "A signature was saved with the image and was not verified",
    Severity.INFO,
    (),
    "A signature proves something only with the signer's public key.",
    "Every signed image.",
    "Give the key with --image-key.",
)
VALID = Rule(
    "image.signature-valid",
    "The image's manifest is signed by the given key",
    Severity.INFO,
    (),
    "These bytes are what the holder of the key signed; it does not say that they are harmless.",
    "Every signed image.",
    "Compare the key with the one that the publisher announces.",
)
INVALID = Rule(
    "image.signature-invalid",
    "The image is not signed by the given key",
    Severity.HIGH,
    ("T1525", "T1195.002", "T1553"),
    "A signature is there, and it is of another key, of another image, or not genuine.",
    "A key that was exchanged since; the wrong key given.",
    _NEXT,
)
_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})")
_MOST_SIGNATURE = 16_384


def analyze_identity(view: CaseView) -> Iterator[Finding]:
    """Judge names, digests and signatures, as far as the case holds them."""
    yield from _judge_names(view)
    yield from _judge_digests(view)
    yield from _judge_signatures(view)


def name_absences(view: CaseView) -> Iterator[str]:
    """Yield what would prove where the image comes from and is not there; usual, so said and no finding."""
    if view.image_inspect and not texts_of(view.image_inspect.get("RepoDigests")):
        yield "the image has no digest of a registry: it was built, imported or loaded on its engine"
    image = view.files.image
    if image is not None and not image.signatures:
        yield "no signature lies beside the image; 'docker save' takes none along"


def _list_names(view: CaseView) -> Iterator[str]:
    config = object_of(view.inspect.get("Config"))
    yield text_of(config.get("Image"))
    yield from texts_of(view.image_inspect.get("RepoTags"))
    yield from texts_of(view.image_inspect.get("RepoDigests"))
    if not view.inspect and view.files.image is not None:
        yield from view.files.image.tags


def _judge_names(view: CaseView) -> Iterator[Finding]:
    reference = view.reference("inspect") if view.inspect else EvidenceRef(view.files.item or "case")
    told = dict[str, str]()
    for name in filter(None, _list_names(view)):
        if imitated := find_imitated(name):
            told.setdefault(imitated, name)
    for imitated, name in told.items():
        yield IMITATED.found(f"{name} is almost {imitated}", [reference])


def _judge_digests(view: CaseView) -> Iterator[Finding]:
    if not view.image_inspect:
        return
    reference = view.reference("image-inspect")
    known = set(_DIGEST.findall(" ".join(texts_of(view.image_inspect.get("RepoDigests")))))
    asked = set(_DIGEST.findall(text_of(object_of(view.inspect.get("Config")).get("Image"))))
    if asked - known and known:
        text = f"asked for {', '.join(sorted(asked))}, has {', '.join(sorted(known))}"
        yield OTHER_DIGEST.found(text, [view.reference("inspect"), reference])
    elif asked - known:
        text = f"asked for {', '.join(sorted(asked))}, has none"
        yield OTHER_DIGEST.found(text, [view.reference("inspect"), reference], severity=Severity.LOW)
    original = texts_of(object_of(view.image_inspect.get("RootFS")).get("Layers"))
    layers = [layer.diff_id for layer in view.files.layers]
    if original and layers and "" not in layers and layers[: len(original)] != list(original):
        yield OTHER_LAYERS.found(f"the image has {len(original)} layers, the snapshot {len(layers)}", [reference])


def _judge_signatures(view: CaseView) -> Iterator[Finding]:
    image = view.files.image
    if image is None:
        return
    reference, key = EvidenceRef(view.files.item), view.files.image_key
    about = [part for part in image.signatures if part.subject in {"", image.manifest_digest}]
    if not about:
        if key is not None:
            yield UNSIGNED.found(f"none beside the image to verify with {key.name}", [reference])
    elif key is None:
        yield SIGNED.found(", ".join(dict.fromkeys(part.kind for part in about)), [reference])
    else:
        reasons = [_verify(part, image.manifest_digest, key) for part in about]
        if "" in reasons:
            yield VALID.found(f"{image.manifest_digest} by {key.name}", [reference])
        else:
            yield INVALID.found("; ".join(dict.fromkeys(reasons)), [reference])


def _verify(part: ImageSignature, digest: str, key: Path) -> str:
    """Return why a signature proves nothing about the manifest *digest*; empty if it proves it."""
    if not part.signature:
        return f"a signature of the kind {part.kind or 'unknown'} is not verified by this version"
    try:
        signature = base64.b64decode(part.signature[:_MOST_SIGNATURE], validate=True)
        payload = object_of(json.loads(part.payload))
    except (binascii.Error, ValueError, RecursionError):
        return "the signature or what it signs cannot be read"
    signed = text_of(object_of(object_of(payload.get("critical")).get("image")).get("docker-manifest-digest"))
    with tempfile.TemporaryDirectory(prefix="ir-signature-") as folder:
        files = Path(folder)
        (files / "signature").write_bytes(signature)
        (files / "payload").write_bytes(part.payload)
        options = ["-verify", str(key), "-signature", str(files / "signature"), str(files / "payload")]
        code, _ = run_tool(["openssl", "dgst", "-sha256", *options])
    if code:
        return "the signature is not of this key"
    return "" if signed == digest else f"the signature is genuine, but for {signed or 'no image'}"
