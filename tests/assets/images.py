"""Writes saved images in every dialect from layer tars: docker-archive, hybrid, OCI layout, Podman, kaniko."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any


def sha256(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def make_config(layers: list[bytes], history: list[dict[str, Any]] | None = None, **extra: Any) -> bytes:
    """Return an image configuration for uncompressed *layers*."""
    lines = history if history is not None else [{"created_by": f"layer {n}"} for n in range(len(layers))]
    return json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer)}" for layer in layers]},
            "history": lines,
            **extra,
        }
    ).encode()


def pack(parts: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Return a tar of named parts."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return raw.getvalue()


def docker_parts(layers: list[bytes], tags: list[str] | None = None, config: bytes | None = None) -> dict[str, bytes]:
    """Return the parts of docker-archive as `docker save` wrote it up to 24."""
    config = config or make_config(layers)
    names = [f"{sha256(layer + bytes([n]))}/layer.tar" for n, layer in enumerate(layers)]
    manifest = [{"Config": f"{sha256(config)}.json", "RepoTags": tags or ["demo:1"], "Layers": names}]
    return {
        **dict(zip(names, layers, strict=True)),
        f"{sha256(config)}.json": config,
        "manifest.json": json.dumps(manifest).encode(),
        "repositories": b"{}",
    }


def legacy_parts(layers: list[bytes], **changes: Any) -> dict[str, bytes]:
    """Return the parts of `docker save` before 1.10; *changes* replace fields of the topmost layer's ``json``."""
    ids = [sha256(layer + bytes([n])) for n, layer in enumerate(layers)]
    parts: dict[str, bytes] = {}
    for number, (name, layer) in enumerate(zip(ids, layers, strict=True)):
        document = {
            "id": name,
            "created": "2015-11-01T00:00:00Z",
            "container_config": {"Cmd": ["/bin/sh", "-c", f"layer {number}"]},
            "os": "linux",
            "architecture": "amd64",
            **({"parent": ids[number - 1]} if number else {}),
            **(changes if number == len(ids) - 1 else {}),
        }
        parts |= {f"{name}/VERSION": b"1.0", f"{name}/json": json.dumps(document).encode(), f"{name}/layer.tar": layer}
    return {**parts, "repositories": json.dumps({"demo": {"1": ids[-1], "old": ids[0]}}).encode()}


def podman_parts(layers: list[bytes], tags: list[str] | None = None) -> dict[str, bytes]:
    """Return the parts of Podman's save through the compatible socket: ``<sha>.tar`` and ``<id>.json``."""
    config = make_config(layers)
    names = [f"{sha256(layer)}.tar" for layer in layers]
    manifest = [{"Config": f"{sha256(config)}.json", "RepoTags": tags or ["localhost/demo:1"], "Layers": names}]
    return {
        **dict(zip(names, layers, strict=True)),
        f"{sha256(config)}.json": config,
        "manifest.json": json.dumps(manifest).encode(),
    }


def kaniko_parts(layers: list[bytes]) -> dict[str, bytes]:
    """Return the parts of kaniko's tar: configuration by digest, gzipped layers by digest."""
    config = make_config(layers)
    packed = [gzip.compress(layer, mtime=0) for layer in layers]
    names = [f"{sha256(layer)}.tar.gz" for layer in packed]
    manifest = [{"Config": f"sha256:{sha256(config)}", "RepoTags": ["demo:1"], "Layers": names}]
    return {
        f"sha256:{sha256(config)}": config,
        **dict(zip(names, packed, strict=True)),
        "manifest.json": json.dumps(manifest).encode(),
    }


def descriptor(raw: bytes, media_type: str, **extra: Any) -> dict[str, Any]:
    """Return an OCI descriptor of *raw*."""
    return {"mediaType": media_type, "digest": f"sha256:{sha256(raw)}", "size": len(raw), **extra}


class OciLayout:
    """Collects blobs and manifests of an OCI layout."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self.manifests: list[dict[str, Any]] = []

    def add_blob(self, raw: bytes, media_type: str, **extra: Any) -> dict[str, Any]:
        self.parts[f"blobs/sha256/{sha256(raw)}"] = raw
        return descriptor(raw, media_type, **extra)

    def add_image(
        self, layers: list[bytes], stored: list[bytes] | None = None, *, listed: bool = True, **extra: Any
    ) -> dict[str, Any]:
        """Add an image; *stored* are the layers as blobs (compressed), *layers* uncompressed."""
        config = make_config(layers)
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self.add_blob(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [self.add_blob(raw, "application/vnd.oci.image.layer.v1.tar") for raw in stored or layers],
        }
        found = self.add_blob(json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json", **extra)
        if listed:
            self.manifests.append(found)
        return found

    def add_index(self, manifests: list[dict[str, Any]], *, listed: bool = True, **extra: Any) -> dict[str, Any]:
        index = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
        found = self.add_blob(index, "application/vnd.oci.image.index.v1+json", **extra)
        if listed:
            self.manifests.append(found)
        return found

    def finish(self) -> dict[str, bytes]:
        index = {"schemaVersion": 2, "manifests": self.manifests}
        return {**self.parts, "index.json": json.dumps(index).encode()}


def write_parts(root: Path, parts: dict[str, bytes]) -> Path:
    """Write parts as files below *root*."""
    for name, content in parts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root
