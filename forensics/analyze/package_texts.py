"""The text databases of dpkg and apk, as bytes in and packages out. Pure; a damaged line is passed over, not fatal.

Sources: dpkg-query(1), deb-conffiles(5), dpkg-divert(1); apk-installed(5).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from forensics.analyze.package import Installed, canonical

_MD5_LINE = re.compile(rb"^([0-9a-f]{32})  (.+)$", re.MULTILINE)
_INSTALLED = re.compile(rb"\binstalled$|\bhalf-configured$|\bunpacked$|\btriggers-\w+$")


@dataclass(frozen=True, slots=True)
class Stanza:
    """One package of dpkg's status file; its files stand in other files."""

    name: bytes
    version: str
    architecture: str
    source: str
    configuration: Mapping[bytes, str]


def parse_status(text: bytes) -> Iterator[Stanza]:
    """Yield the installed packages of a status file, or of a file of status.d."""
    for block in re.split(rb"\n[ \t]*\n", text):
        fields = _read_fields(block)
        status = fields.get(b"status", b"install ok installed")
        name = fields.get(b"package", b"").strip()
        if name and _INSTALLED.search(status.strip()):
            yield Stanza(
                name,
                _text(fields.get(b"version", b"")),
                _text(fields.get(b"architecture", b"")),
                _text(fields.get(b"source", b"")),
                dict(_read_conffiles(fields.get(b"conffiles", b""))),
            )


def _read_fields(block: bytes) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    conffiles: list[bytes] = []
    name = b""
    for line in block.split(b"\n"):
        if line[:1] in {b" ", b"\t"}:
            if name == b"conffiles":
                conffiles.append(line)
            continue
        raw, colon, value = line.partition(b":")
        if colon:
            name = raw.lower()
            fields[name] = value
    return fields | {b"conffiles": b"\n".join(conffiles)}


def _read_conffiles(value: bytes) -> Iterator[tuple[bytes, str]]:
    for line in value.split(b"\n"):
        words = line.split()
        if words and words[0].startswith(b"/"):
            known = len(words) > 1 and re.fullmatch(rb"[0-9a-f]{32}", words[1])
            yield canonical(words[0]), f"md5:{_text(words[1])}" if known else ""


def parse_list(text: bytes) -> tuple[bytes, ...]:
    """Return the canonical paths of a ``.list`` file."""
    return tuple(canonical(line) for line in text.split(b"\n") if line not in {b"", b"/."})


def parse_sums(text: bytes) -> dict[bytes, str]:
    """Return the recorded digests of a ``.md5sums`` file by canonical path."""
    return {canonical(name): "md5:" + digest.decode("ascii") for digest, name in _MD5_LINE.findall(text)}


def parse_diversions(text: bytes) -> dict[bytes, bytes]:
    """Return, by the path that is diverted, where packages' own file went."""
    lines = text.split(b"\n")
    return {canonical(lines[at]): canonical(lines[at + 1]) for at in range(0, len(lines) - 2, 3)}


def make_dpkg(stanza: Stanza, database: bytes, paths: Iterable[bytes], sums: Mapping[bytes, str]) -> Installed:
    """Return the package of a stanza with its list of files and their digests."""
    files = dict.fromkeys(paths, "") | dict(sums) | dict(stanza.configuration)
    return Installed(
        "deb", stanza.name, stanza.version, database, files, stanza.architecture, stanza.source,
        configuration=frozenset(stanza.configuration),
    )  # fmt: skip


def parse_apk(text: bytes, database: bytes) -> Iterator[Installed]:
    """Yield the packages of apk's installed database."""
    for block in text.split(b"\n\n"):
        fields: dict[bytes, str] = {}
        files: dict[bytes, str] = {}
        folder = path = b""
        for line in block.split(b"\n"):
            tag, value = line[:2], line[2:]
            if tag == b"F:":
                folder = value
            elif tag == b"R:":
                path = canonical(folder + b"/" + value if folder else value)
                files[path] = ""
            elif tag == b"Z:" and path:
                files[path] = _read_checksum(value)
            elif tag[1:] == b":" and tag not in fields:
                fields[tag] = _text(value)
        if name := fields.get(b"P:"):
            yield Installed(
                "apk", name.encode("utf-8", "surrogateescape"), fields.get(b"V:", ""), database, files,
                fields.get(b"A:", ""), fields.get(b"o:", ""), fields.get(b"L:", ""),
                frozenset(path for path in files if path.startswith(b"etc/")),
            )  # fmt: skip


def _read_checksum(value: bytes) -> str:
    """Return a checksum of apk: ``Q1`` SHA-1, ``Q2`` SHA-256 in base64; of symbolic links it is that of the target."""
    algorithm = {b"Q1": "sha1", b"Q2": "sha256"}.get(value[:2])
    if algorithm is None:
        return ""
    try:
        return f"{algorithm}:{base64.b64decode(value[2:], validate=True).hex()}"
    except binascii.Error:
        return ""


def _text(value: bytes) -> str:
    return value.strip().decode("utf-8", "surrogateescape")
