"""Writes saved images byte by byte, the same bytes every time: for drills, which have no registry, and for samples.

Knows no engine. Layers are plain tar; names, times and order come from the recipe only.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zlib
from dataclasses import dataclass, field

from forensics.model import JsonObject

BUILD_TIME = 1_750_000_000
"""The time stamp of everything that a recipe makes: 2025-06-15, fixed so that the bytes are the same every time."""
_STORED_BLOCK = 0xFFFF
_CREATED = "2025-06-15T15:06:40Z"


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """One path to put into a layer; ``target`` makes it a symbolic link, ``folder`` a directory."""

    path: str
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""
    folder: bool = False
    mtime: int = BUILD_TIME


@dataclass(frozen=True, slots=True)
class RecipeLayer:
    """One layer: what it adds, what it removes, and the history line that says how it came to be."""

    created_by: str
    files: tuple[RecipeFile, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole image; ``layers`` oldest first."""

    ref: str
    layers: tuple[RecipeLayer, ...]
    command: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    architecture: str = "amd64"
    exposed: tuple[str, ...] = field(default=())


def build_layer(layer: RecipeLayer) -> bytes:
    """Return the layer's tar: parent folders once, then the files, then whiteouts (OCI image-spec layer.md)."""
    buffer = io.BytesIO()
    seen: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in layer.files:
            _add_parents(tar, file.path, seen)
            _add_file(tar, file)
            seen.add(file.path.strip("/"))
        for path in layer.removed:
            folder, _, name = path.strip("/").rpartition("/")
            _add_parents(tar, path, seen)
            _add_file(tar, RecipeFile(f"{folder}/.wh.{name}".lstrip("/")))
    return buffer.getvalue()


def build_docker_archive(recipe: Recipe) -> bytes:
    """Return the image as `docker load` reads it: manifest.json, the configuration, one folder per layer."""
    layers = [build_layer(layer) for layer in recipe.layers]
    config = _dump(_config(recipe, layers))
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{hashlib.sha256(layer).hexdigest()}/layer.tar" for layer in layers]
    manifest = [{"Config": config_name, "RepoTags": [recipe.ref], "Layers": names}]
    files = dict(zip(names, layers, strict=True)) | {config_name: config, "manifest.json": _dump(manifest)}
    return _pack(files)


def build_oci_archive(recipe: Recipe) -> bytes:
    """Return the image as an OCI layout in a tar, its layers compressed with gzip (OCI image-spec image-layout.md)."""
    layers = [build_layer(layer) for layer in recipe.layers]
    blobs: dict[str, bytes] = {}
    config = _describe(blobs, _dump(_config(recipe, layers)), "application/vnd.oci.image.config.v1+json")
    packed = [_describe(blobs, pack_gzip(layer), "application/vnd.oci.image.layer.v1.tar+gzip") for layer in layers]
    media = "application/vnd.oci.image.manifest.v1+json"
    manifest = {"schemaVersion": 2, "mediaType": media, "config": config, "layers": packed}
    descriptor = _describe(blobs, _dump(manifest), media)
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": recipe.ref}
    index = {"schemaVersion": 2, "manifests": [descriptor]}
    return _pack({"oci-layout": _dump({"imageLayoutVersion": "1.0.0"}), "index.json": _dump(index), **blobs})


def pack_gzip(content: bytes) -> bytes:
    """Return *content* as gzip in stored blocks (RFC 1952, RFC 1951 3.2.4): no zlib changes the bytes."""
    starts = range(0, len(content), _STORED_BLOCK) or range(1)
    blocks = [content[start : start + _STORED_BLOCK] for start in starts]
    packed = b"".join(
        struct.pack("<BHH", number == len(blocks), len(block), len(block) ^ 0xFFFF) + block
        for number, block in enumerate(blocks, 1)
    )
    return b"\x1f\x8b\x08\x00" + bytes(5) + b"\xff" + packed + struct.pack("<II", zlib.crc32(content), len(content))


def _describe(blobs: dict[str, bytes], content: bytes, media_type: str) -> JsonObject:
    digest = hashlib.sha256(content).hexdigest()
    blobs[f"blobs/sha256/{digest}"] = content
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _config(recipe: Recipe, layers: list[bytes]) -> JsonObject:
    return {
        "architecture": recipe.architecture,
        "os": "linux",
        "created": _CREATED,
        "config": {
            "Cmd": list(recipe.command),
            "Env": [f"{name}={value}" for name, value in recipe.environment],
            "Labels": dict(recipe.labels),
            "WorkingDir": "/",
            **({"ExposedPorts": {port: {} for port in recipe.exposed}} if recipe.exposed else {}),
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]},
        "history": [{"created": _CREATED, "created_by": layer.created_by} for layer in recipe.layers],
    }


def _dump(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def _pack(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    seen: set[str] = set()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            _add_parents(tar, name, seen)
            _add_file(tar, RecipeFile(name, content))
    return buffer.getvalue()


def _add_parents(tar: tarfile.TarFile, path: str, seen: set[str]) -> None:
    parts = path.strip("/").split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        folder = "/".join(parts[:depth])
        if folder not in seen:
            seen.add(folder)
            _add_file(tar, RecipeFile(folder, mode=0o1777 if folder in {"tmp", "var/tmp"} else 0o755, folder=True))


def _add_file(tar: tarfile.TarFile, file: RecipeFile) -> None:
    member = tarfile.TarInfo(file.path.strip("/"))
    member.mode, member.uid, member.gid, member.mtime = file.mode, file.uid, file.gid, file.mtime
    if file.folder:
        member.type = tarfile.DIRTYPE
    elif file.target:
        member.type, member.linkname = tarfile.SYMTYPE, file.target
    else:
        member.size = len(file.content)
    tar.addfile(member, io.BytesIO(file.content) if member.isreg() else None)


def build_archive(files: tuple[RecipeFile, ...]) -> bytes:
    """Return a tar of *files* without their parent folders, to be unpacked over folders that exist."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for file in files:
            _add_file(tar, file)
    return buffer.getvalue()
