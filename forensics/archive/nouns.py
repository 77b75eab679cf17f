"""Images, layers and their history as their documents describe them. Frozen values; nothing here reads."""

from __future__ import annotations

from dataclasses import dataclass, field

from forensics.archive.limits import Anomaly
from forensics.model import JsonObject


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """One line of an image's history; ``layer`` is the layer that it made, None for a line that made none."""

    created: str
    created_by: str
    comment: str
    layer: int | None


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, from 0 (the base).

    ``digest`` and ``diff_id`` are what the documents claim (``sha256:…``), empty where they claim nothing; reading the
    layer verifies them. ``blob`` names the stored bytes within the source, empty where they are missing.
    ``whiteouts`` tells whether ``.wh.`` names are whiteouts: not in a flat root.
    """

    index: int
    diff_id: str
    digest: str
    size_bytes: int
    created_by: str
    blob: str
    media_type: str = ""
    whiteouts: bool = True


@dataclass(frozen=True, slots=True)
class ImageSignature:
    """A signature that was saved beside an image: what was signed, and the signature in base64 as it stands there.

    ``subject`` is the digest of the manifest that it claims to be about; ``kind`` is the media type. Hostile until
    verified; ``signature`` is empty for kinds that are only recognised.
    """

    kind: str
    subject: str
    payload: bytes
    signature: str


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its names, its configuration (hostile JSON) and its layers, base first."""

    tags: tuple[str, ...]
    config: JsonObject
    layers: tuple[Layer, ...]
    history: tuple[HistoryLine, ...]
    platform: str = ""
    config_digest: str = ""
    manifest_digest: str = ""
    anomalies: tuple[Anomaly, ...] = field(default=())
    signatures: tuple[ImageSignature, ...] = ()

    @property
    def id(self) -> str:
        """The image id as engines show it: the configuration's digest."""
        return self.config_digest
