"""Gathers the package databases of every layer while the layers stream by. Keeps what they list, not their text.

Nothing is judged here; what cannot be read is named with its reason.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, BinaryIO, Protocol

from forensics.analyze import language_packages as language
from forensics.analyze import package_texts as texts
from forensics.analyze.package import (
    APK_DATABASES,
    DPKG_DIVERSIONS,
    DPKG_FOLDER,
    DPKG_INFO,
    DPKG_LOG,
    DPKG_STATUS,
    Installed,
)
from forensics.analyze.places import in_system, in_system_bin
from forensics.analyze.rpm_database import RpmError, read_rpm
from forensics.model import FileEntry
from forensics.text import show_path

_RPM_FOLDERS = (b"var/lib/rpm/", b"usr/lib/sysimage/rpm/", b"usr/share/rpm/")
RPM_SQLITE = frozenset(folder + b"rpmdb.sqlite" for folder in _RPM_FOLDERS)
RPM_LOGS = frozenset(path + b"-wal" for path in RPM_SQLITE)
RPM_OLD = {folder + name: form for folder in _RPM_FOLDERS for name, form in ((b"Packages", "BerkeleyDB"), (b"Packages.db", "ndb"))}  # fmt: skip  # noqa: E501
_MOST_TEXT = 64 << 20
_MOST_RAW = 512 << 20
_MOST_IN_MEMORY = 1 << 20
_MOST_UNREAD = 50
_LOGGED = re.compile(rb"^\S+ \S+ (?:status installed|install|upgrade) ([^ :]+)(?::\S+)? ", re.MULTILINE)
_LIBRARY = re.compile(rb"\.so[\d.]*$")
Sums = Mapping[str, tuple[str, str]]


class ContentLike(Protocol):
    """The part of :class:`forensics.archive.visitor.Content` that is needed here."""

    sha256: str
    size_bytes: int

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes; may be asked for again."""

    def read(self, limit: int | None = None) -> bytes:
        """Return the bytes, at most *limit*."""


def is_database_path(path: bytes) -> bool:
    """Whether the content at *path* lists packages or their files."""
    if path.startswith(b"var/lib/dpkg/"):
        if path.startswith(DPKG_INFO):
            return path.endswith((b".list", b".md5sums"))
        return path in {DPKG_STATUS, DPKG_DIVERSIONS} or path.startswith(DPKG_FOLDER)
    if path.endswith((b".json", b"METADATA", b"RECORD", b"PKG-INFO", b".egg-info")):
        return language.is_node_path(path) or language.is_lock_path(path) or language.is_python_path(path)
    return path in APK_DATABASES or path == DPKG_LOG or path in RPM_SQLITE or path in RPM_LOGS


def is_system_database(path: bytes) -> bool:
    """Whether it is one of the distribution's own databases, not of a language."""
    return is_database_path(path) and not path.endswith((b".json", b"METADATA", b"RECORD", b"PKG-INFO", b".egg-info"))


@dataclass
class PackageReader:
    """What was seen of package databases, layer by layer; ``sums`` are MD5 and SHA-1 of programs, by SHA-256."""

    seen: dict[int, dict[bytes, str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    sums: dict[str, tuple[str, str]] = field(default_factory=dict)
    _parsed: dict[tuple[str, bytes], Any] = field(default_factory=dict)
    _raw: dict[str, BinaryIO] = field(default_factory=dict)

    def examine(self, entry: FileEntry, content: ContentLike) -> None:
        """Look at one file of a layer."""
        path = entry.path
        if is_database_path(path):
            self._keep(entry, content)
        elif path in RPM_OLD and content.size_bytes:
            self._name(f"{show_path(path)}: a package database of rpm in the format {RPM_OLD[path]} is not examined")
        elif _is_program(entry) and content.sha256 not in self.sums:
            md5, sha1 = hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False)
            for chunk in content.chunks():
                md5.update(chunk)
                sha1.update(chunk)
            self.sums[content.sha256] = md5.hexdigest(), sha1.hexdigest()

    def fork(self) -> PackageReader:
        """Return a reader for another image that knows what this one has read."""
        return PackageReader(unread=self.unread, sums=self.sums, _parsed=self._parsed, _raw=self._raw)

    def _keep(self, entry: FileEntry, content: ContentLike) -> None:
        most = _MOST_RAW if _is_raw(entry.path) else _MOST_TEXT
        if content.size_bytes > most:
            what = f"a package database too large to be examined ({content.size_bytes} bytes)"
            self._name(f"{show_path(entry.path)}: {what}")
            return
        known = (content.sha256, _kind_of(entry.path)) in self._parsed or content.sha256 in self._raw
        self.keep(entry.layer, entry.path, content.sha256, io.BytesIO() if known else _spool(content))

    def keep(self, layer: int, path: bytes, sha256: str, file: BinaryIO) -> None:
        """Remember the database at *path* of a layer; *file* is only read where its content is not known."""
        self.seen.setdefault(layer, {})[path] = sha256
        if _is_raw(path):
            self._raw.setdefault(sha256, file)
        elif (sha256, _kind_of(path)) not in self._parsed:
            file.seek(0)
            self._parsed[sha256, _kind_of(path)] = _parse(path, file.read())

    def _name(self, text: str) -> None:
        if len(self.unread) < _MOST_UNREAD and text not in self.unread:
            self.unread.append(text)

    def parsed(self, state: Mapping[bytes, str], path: bytes) -> Any:  # noqa: ANN401 - each kind of text has its own
        """Return what the text at *path* said in *state*, None where there is none."""
        digest = state.get(path)
        return self._parsed.get((digest, _kind_of(path))) if digest else None

    def read_rpm(self, state: Mapping[bytes, str], path: bytes) -> tuple[Installed, ...]:
        """Return the packages of rpm's database at *path* in *state*; one that is damaged is named, never empty."""
        digest, log = state[path], state.get(path + b"-wal", "")
        key = (f"{digest}+{log}", path)
        if key not in self._parsed:
            self._parsed[key] = self._read_rpm(digest, log, path)
        return tuple(self._parsed[key])

    def _read_rpm(self, digest: str, log: str, path: bytes) -> list[Installed]:
        found: list[Installed] = []
        if digest not in self._raw:
            return found
        try:
            found.extend(read_rpm(self._raw[digest], self._raw.get(log), path))
        except RpmError as error:
            self._name(f"{show_path(path)}: {error}")
        return found


def _is_program(entry: FileEntry) -> bool:
    if not (in_system(entry.path) or in_system_bin(entry.path)):
        return False
    return bool(entry.mode & 0o111) or bool(_LIBRARY.search(entry.path))


def _is_raw(path: bytes) -> bool:
    """Whether it is binary, and read together with its log when all is seen."""
    return path in RPM_SQLITE or path in RPM_LOGS


def _spool(content: ContentLike) -> BinaryIO:
    if content.size_bytes <= _MOST_IN_MEMORY:
        return io.BytesIO(content.read(_MOST_IN_MEMORY))
    file: BinaryIO = tempfile.TemporaryFile(prefix="ir-packages-")  # noqa: SIM115 - lives as long as the reader
    for chunk in content.chunks():
        file.write(chunk)
    return file


def _kind_of(path: bytes) -> bytes:
    """Return what decides how a text is read: the same bytes may stand at places of different meaning."""
    if path.startswith(DPKG_INFO):
        return b".list" if path.endswith(b".list") else b".md5sums"
    return path


def _parse(path: bytes, text: bytes) -> Any:  # noqa: ANN401, PLR0911 - each kind of text has its own
    if path in APK_DATABASES:
        return tuple(texts.parse_apk(text, path))
    if path == DPKG_LOG:
        return frozenset(_LOGGED.findall(text))
    if path == DPKG_DIVERSIONS:
        return texts.parse_diversions(text)
    if path.startswith(b"var/lib/dpkg/"):
        if path.endswith(b".list"):
            return texts.parse_list(text)
        return texts.parse_sums(text) if path.endswith(b".md5sums") else tuple(texts.parse_status(text))
    if language.is_lock_path(path):
        return language.parse_lock(text, path)
    if language.is_node_path(path):
        return language.parse_manifest(text, path)
    return language.parse_metadata(text) if language.is_metadata_path(path) else language.parse_record(text, path)


def list_system(reader: PackageReader, state: Mapping[bytes, str]) -> Iterator[Installed]:
    """Yield the packages that the distribution's own databases list in *state*."""
    for path in sorted(state):
        if path in APK_DATABASES:
            yield from reader.parsed(state, path) or ()
        elif path in RPM_SQLITE:
            yield from reader.read_rpm(state, path)
        elif path == DPKG_STATUS or (path.startswith(DPKG_FOLDER) and not path.endswith(b".md5sums")):
            for stanza in reader.parsed(state, path) or ():
                yield _list_dpkg(reader, state, path, stanza)


def _list_dpkg(reader: PackageReader, state: Mapping[bytes, str], path: bytes, stanza: texts.Stanza) -> Installed:
    find = partial(reader.parsed, state)
    if path != DPKG_STATUS:
        return texts.make_dpkg(stanza, path, (), find(path + b".md5sums") or {})
    own = DPKG_INFO + stanza.name
    names = (own, own + b":" + stanza.architecture.encode("utf-8", "surrogateescape"))
    listed = next((found for name in names if (found := find(name + b".list")) is not None), ())
    sums = next((found for name in names if (found := find(name + b".md5sums"))), dict[bytes, str]())
    return texts.make_dpkg(stanza, path, listed, sums)


def list_languages(reader: PackageReader, state: Mapping[bytes, str]) -> Iterator[Installed]:
    """Yield the packages of Python and of Node in *state*."""
    for path in sorted(state):
        if language.is_node_path(path):
            if package := reader.parsed(state, path):
                yield package
        elif language.is_python_path(path) and language.is_metadata_path(path):
            name, version, licence = reader.parsed(state, path) or ("", "", "")
            if name and version:
                record = path.removesuffix(b"METADATA") + b"RECORD"
                files = (reader.parsed(state, record) or {}) if path.endswith(b"METADATA") else {}
                yield Installed("pypi", name.encode("utf-8", "surrogateescape"), version, path, files, licence=licence)


def list_locks(reader: PackageReader, state: Mapping[bytes, str]) -> Mapping[bytes, tuple[str, str]]:
    """Return what npm's lock files say of each package's folder in *state*."""
    found: dict[bytes, tuple[str, str]] = {}
    for path in sorted(state):
        if language.is_lock_path(path):
            found |= reader.parsed(state, path) or {}
    return found
