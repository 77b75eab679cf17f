"""Builds small cases for the analyzers: layers from tables of files, evidence documents as they are collected."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assets.images import docker_parts, make_config, pack, sha256

from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import Finding, Severity, Subject

MTIME = 1_750_000_000
ELF = (
    b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00\x01\x00\x00\x00" + bytes(8) + (64).to_bytes(8, "little")
    + bytes(12) + b"\x40\x00\x38\x00\x01\x00\x40\x00\x05\x00\x04\x00" + b"\x03\x00\x00\x00" + bytes(52)
)  # fmt: skip
"""A 64-bit dynamic executable of one program header (PT_INTERP); runs nowhere."""


@dataclass(frozen=True)
class F:
    """One member of a layer; ``target`` makes it a symbolic link."""

    content: bytes = b""
    mode: int = 0o644
    mtime: int = 0
    target: str = ""
    xattrs: tuple[tuple[str, bytes], ...] = ()


def layer(files: Mapping[str, F | bytes | str], removed: tuple[str, ...] = (), *, later: int = 0) -> bytes:
    """Return a layer's tar; files without a time of their own were written *later* seconds after the base."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, value in sorted(files.items()):
            file = value if isinstance(value, F) else F(value.encode() if isinstance(value, str) else value)
            info = tarfile.TarInfo(name)
            info.mode, info.mtime, info.size = file.mode, file.mtime or MTIME + later, len(file.content)
            info.pax_headers = {f"SCHILY.xattr.{key}": item.decode("latin-1") for key, item in file.xattrs}
            if file.target:
                info.type, info.linkname, info.size = tarfile.SYMTYPE, file.target, 0
            archive.addfile(info, io.BytesIO(file.content))
        for name in removed:
            folder, _, base = name.rpartition("/")
            archive.addfile(tarfile.TarInfo(f"{folder}/.wh.{base}" if folder else f".wh.{base}"))
    return raw.getvalue()


def image(layers: list[bytes], history: list[str] | None = None) -> bytes:
    """Return a docker-archive of *layers*."""
    lines = [{"created_by": line} for line in history] if history else None
    return pack(docker_parts(layers, config=make_config(layers, lines)))


def make_case(
    root: Path,
    layers: list[bytes] | None = None,
    documents: Mapping[str, Any] | None = None,
    *,
    kind: str = "container",
    history: list[str] | None = None,
) -> Case:
    """Return a case: the last of *layers* is what the container changed; documents as their kinds."""
    case = Case.create(root, subject=Subject(kind=kind, name="suspect"), actor=Actor(name="tester"))
    if layers:
        case.add("image", [image(layers, history)], source="test", method="test", filename="image.tar")
        if kind == "container":
            diff_ids = [f"sha256:{sha256(part)}" for part in layers[:-1]]
            case.add_json("image-inspect", {"RootFS": {"Layers": diff_ids}, "Config": {}}, source="test", method="test")
    for name, document in (documents or {}).items():
        case.add_json(name, document, source="test", method="test")
    return case


def process(pid: int, argv: list[str], exe: str, **more: Any) -> dict[str, Any]:
    """Return one entry of a process table."""
    fds = [{"fd": number, "target": target} for number, target in more.pop("fds", {}).items()]
    return {"pid": pid, "ppid": 1, "comm": Path(exe).name[:15], "argv": argv, "exe": exe, "fds": fds, **more}


def tcp(local: str, remote: str = "0.0.0.0:0", state: str = "LISTEN", inode: int = 0, **more: Any) -> dict[str, Any]:
    """Return one entry of a connection table."""
    parts = {}
    for side, text in (("local", local), ("remote", remote)):
        address, _, port = text.rpartition(":")
        parts |= {f"{side}_addr": address, f"{side}_port": int(port)}
    return {"proto": "tcp", "family": "inet", "state": state, "inode": inode, **parts, **more}


def rules(findings: tuple[Finding, ...], worst: Severity = Severity.INFO) -> dict[str, Finding]:
    """Return the findings of at least *worst* by rule."""
    return {finding.rule: finding for finding in findings if finding.severity.rank <= worst.rank}


def paths(finding: Finding) -> set[bytes]:
    """Return the paths that a finding refers to."""
    return {reference.path for reference in finding.evidence if reference.path is not None}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a JSON lines file."""
    return [json.loads(line) for line in path.read_text("ascii").splitlines()]
