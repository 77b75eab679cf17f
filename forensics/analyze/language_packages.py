"""Packages of Python and of Node: their own descriptions as bytes in, packages out. Pure, bounded by its input.

Python records a digest for each file (PyPA: recording installed projects); npm records one for the archive that was
downloaded, none for the files that came out of it, so that its packages are listed, not verified.
"""

from __future__ import annotations

import base64
import binascii
import csv
import json
import posixpath
import re
from collections.abc import Iterator, Mapping

from forensics.analyze.package import Installed, canonical
from forensics.model import JsonObject
from forensics.text import from_bytes, to_bytes

_PYTHON = re.compile(
    rb"(?:^|/)(?:[^/]+\.dist-info/(?:METADATA|RECORD)|[^/]+\.egg-info(?:/(?:PKG-INFO|SOURCES\.txt))?)$"
)
_NODE = re.compile(rb"(?:^|/)node_modules/(?:@[^/]+/)?[^/]+/package\.json$")
_LOCK = re.compile(rb"(?:^|/)(?:node_modules/\.package-lock|package-lock|npm-shrinkwrap)\.json$")
_METADATA = (b"METADATA", b"PKG-INFO", b".egg-info")
_MOST_HEADER_LINES = 400


def is_python_path(path: bytes) -> bool:
    """Whether *path* describes an installed Python package."""
    return bool(_PYTHON.search(path))


def is_node_path(path: bytes) -> bool:
    """Whether *path* describes an installed package of Node's."""
    return bool(_NODE.search(path))


def is_lock_path(path: bytes) -> bool:
    """Whether *path* is npm's list of what was resolved."""
    return bool(_LOCK.search(path))


def is_metadata_path(path: bytes) -> bool:
    """Whether *path* is the part of a Python package that names it."""
    return path.endswith(_METADATA)


def parse_metadata(text: bytes) -> tuple[str, str, str]:
    """Return name, version and licence of a METADATA or PKG-INFO file (RFC 822 headers)."""
    fields: dict[str, str] = {}
    for line in from_bytes(text).split("\n")[:_MOST_HEADER_LINES]:
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            fields.setdefault(name.lower(), value.strip())
    licence = fields.get("license-expression") or fields.get("license", "")
    return fields.get("name", ""), fields.get("version", ""), "" if licence == "UNKNOWN" else licence


def parse_record(text: bytes, path: bytes) -> dict[bytes, str]:
    """Return the digests of a RECORD file, its paths taken from the folder above; what leaves the root is left out."""
    above = posixpath.dirname(posixpath.dirname(path))
    files: dict[bytes, str] = {}
    try:
        for row in csv.reader(from_bytes(text).splitlines()):
            name = to_bytes(row[0]) if row else b""
            full = posixpath.normpath(name if name.startswith(b"/") else above + b"/" + name)
            if name and not full.startswith(b".."):
                files[canonical(full)] = _read_digest(row[1] if len(row) > 1 else "")
    except csv.Error:
        return files
    return files


def _read_digest(value: str) -> str:
    algorithm, _, encoded = value.partition("=")
    if algorithm != "sha256":
        return ""
    try:
        return f"sha256:{base64.urlsafe_b64decode(encoded + '==').hex()}"
    except (binascii.Error, ValueError):
        return ""


def parse_manifest(text: bytes, path: bytes) -> Installed | None:
    """Return the package of a package.json, None where it names none (folders of modules within a package)."""
    document = _read_object(text)
    name, version = document.get("name"), document.get("version")
    if not isinstance(name, str) or not isinstance(version, str) or not name or not version:
        return None
    licence = document.get("license")
    return Installed("npm", to_bytes(name), version, path, licence=licence if isinstance(licence, str) else "")


def parse_lock(text: bytes, path: bytes) -> Mapping[bytes, tuple[str, str]]:
    """Return version and integrity that npm resolved, by the path of each package's folder (lockfile version 2, 3)."""
    return dict(_iterate_lock(_read_object(text), _folder_of(path)))


def _folder_of(path: bytes) -> bytes:
    return posixpath.dirname(path).removesuffix(b"node_modules").rstrip(b"/")


def _iterate_lock(document: JsonObject, folder: bytes) -> Iterator[tuple[bytes, tuple[str, str]]]:
    packages = document.get("packages")
    for place, entry in packages.items() if isinstance(packages, dict) else ():
        if "node_modules/" in place and isinstance(entry, dict) and isinstance(entry.get("version"), str):
            integrity = entry.get("integrity")
            full = posixpath.normpath(folder + b"/" + to_bytes(place)).lstrip(b"/")
            yield full, (entry["version"], integrity if isinstance(integrity, str) else "")


def _read_object(text: bytes) -> JsonObject:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
