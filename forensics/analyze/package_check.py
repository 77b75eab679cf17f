"""Compares a file system with what its packages recorded: one pass over the paths, no content read again. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from forensics.analyze.content import Kind
from forensics.analyze.language_packages import is_node_path
from forensics.analyze.package import Installed, canonical
from forensics.analyze.packages import Checked, Database, Misfit, Packages
from forensics.analyze.places import in_system, in_system_bin, is_system_library
from forensics.model import EntryType, FileEntry

_MOST = 500
_EXPECTED = re.compile(
    rb"^(?:etc|var|run|tmp|dev|proc|sys|boot|root|home)/|^usr/share/(?:doc|man|info|locale|lintian|bug|help|gnome/help)/"
    rb"|/__pycache__/|\.py[co]$|/LC_[A-Z]+/|/locale-archive$|(?:^|/)gconv-modules\.cache$|/(?:giomodule|mime)\.cache$"
    rb"|/(?:loaders|immodules)\.cache$|^usr/lib/(?:systemd|udev)/|/fonts\.(?:dir|scale)$|/icon-theme\.cache$"
)
"""What administrators, triggers and slimming tools change: its rules stand elsewhere, or there are none."""
_SUBSTITUTED = re.compile(rb"^usr/(?:s?bin|local/s?bin)/(?:start|initctl|invoke-rc\.d|policy-rc\.d|start-stop-daemon)$")
_MODULE = re.compile(rb"/(?:site|dist)-packages/.*\.(?:py|so|pth)$")
_DESCRIPTION = re.compile(rb"\.(?:dist|egg)-info/")
_HASHED = frozenset({"md5", "sha1", "sha256"})


@dataclass(frozen=True, slots=True)
class FileSystem:
    """What is compared: all entries, the digests that are known of a content, its kind, and what came at run time."""

    entries: Callable[[], Iterator[FileEntry]]
    sums: Callable[[str], tuple[str, str]]
    kind: Callable[[str], Kind | None]
    is_runtime: Callable[[FileEntry], bool]
    is_runtime_deletion: Callable[[bytes], bool]


def check_files(system: FileSystem, packages: Packages) -> Checked:
    """Return every file that does not agree with its package, those that have none, and those that are gone."""
    comparison = _Comparison(system, packages)
    for entry in system.entries():
        comparison.look_at(entry)
    return comparison.finish()


class _Comparison:
    def __init__(self, system: FileSystem, packages: Packages) -> None:
        self._system, self._packages = system, packages
        self._records = _index_languages(packages.languages)
        self._there: set[bytes] = set()
        self._modified: list[Misfit] = []
        self._unowned: list[Misfit] = []
        self._tampered: list[Misfit] = []
        self._count = 0

    def look_at(self, entry: FileEntry) -> None:
        """Compare one path."""
        path = canonical(entry.path)
        owned = self._packages.final.owners.get(path) or self._packages.base.owners.get(path)
        record = self._records.get(path)
        if owned or record:
            self._there.add(path)
        if entry.type is not EntryType.FILE or entry.sha256 is None:
            return
        if owned:
            self._verify(entry, path, owned)
        elif record:
            self._verify_language(entry, record)
        elif self._is_unowned(entry, path):
            self._unowned.append(self._misfit(entry, b""))

    def _is_unowned(self, entry: FileEntry, path: bytes) -> bool:
        """Whether somebody put a program where only packages do, or a module beside those that records list."""
        if _MODULE.search(path):
            return bool(self._records) and not _DESCRIPTION.search(path) and self._system.is_runtime(entry)
        return self._packages.is_known() and _needs_owner(path) and self._is_program(entry)

    def _verify(self, entry: FileEntry, path: bytes, owner: bytes) -> None:
        if _EXPECTED.search(path) or _SUBSTITUTED.match(path) or path in self._packages.diverted:
            return
        if path in self._packages.base.configuration or path in self._packages.final.configuration:
            return
        sha256 = entry.sha256 or ""
        md5, sha1 = self._system.sums(sha256)
        if self._packages.is_tampered(path):
            self._tampered.append(self._misfit(entry, owner))
        verdicts = [state.matches(path, md5, sha1, sha256) for state in self._states(owner)]
        if all(verdict is None for verdict in verdicts):
            return
        self._count += 1
        if not any(verdicts):
            self._modified.append(self._misfit(entry, owner))

    def _states(self, owner: bytes) -> Iterator[Database]:
        """Yield the records that may explain the file: the trusted one, and that of an upgrade nobody doubts."""
        base, final = self._packages.base, self._packages.final
        yield base
        if owner not in self._packages.doubted and base.versions.get(owner) != final.versions.get(owner):
            yield final

    def _verify_language(self, entry: FileEntry, record: tuple[Installed, str]) -> None:
        package, digest = record
        if not digest or _EXPECTED.search(canonical(entry.path)):
            return
        self._count += 1
        if digest != f"sha256:{entry.sha256}":
            self._modified.append(self._misfit(entry, package.name, package.type))

    def _misfit(self, entry: FileEntry, owner: bytes, kind: str = "") -> Misfit:
        is_program = kind != "" or bool(_MODULE.search(entry.path)) or self._is_program(entry)
        return Misfit(entry.path, owner, self._system.is_runtime(entry), is_program, kind)

    def _is_program(self, entry: FileEntry) -> bool:
        kind = self._system.kind(entry.sha256 or "")
        return kind is Kind.ELF or (kind is Kind.SCRIPT and bool(entry.mode & 0o111))

    def finish(self) -> Checked:
        """Return what was found; what is gone is only judged among programs and libraries."""
        base = self._packages.base
        gone = (
            path for path in base.owners if path not in self._there and (in_system_bin(path) or is_system_library(path))
        )
        deleted = [
            Misfit(path, base.owners[path], self._system.is_runtime_deletion(path), is_program=True)
            for path in sorted(gone)
            if base.digests.get(path) and path not in self._packages.diverted
        ]
        deleted += [
            Misfit(path, package.name, is_runtime=True, is_program=True, type=package.type)
            for path, (package, _) in sorted(self._records.items())
            if path not in self._there and _MODULE.search(path) and self._system.is_runtime_deletion(path)
        ]
        return Checked(
            tuple(self._modified[:_MOST]),
            tuple(deleted[:_MOST]),
            tuple(self._unowned[:_MOST]),
            tuple(self._tampered[:_MOST]),
            self._count,
        )


def _needs_owner(path: bytes) -> bool:
    """Whether only packages put programs there; what links and generators put there is no regular program."""
    return (
        in_system(path)
        and not _EXPECTED.search(path)
        and b"/site-packages/" not in path
        and b"node_modules/" not in path
    )


def _index_languages(packages: Iterable[Installed]) -> Mapping[bytes, tuple[Installed, str]]:
    return {
        path: (package, digest)
        for package in packages
        for path, digest in package.files.items()
        if digest.partition(":")[0] in _HASHED
    }


def find_lock_conflicts(packages: Packages) -> Iterator[tuple[bytes, str, str]]:
    """Yield packages of Node's whose folder says another version than the lock file: path, installed, locked."""
    for package in packages.languages:
        if package.type == "npm" and is_node_path(package.database):
            locked = packages.locks.get(package.database.removesuffix(b"/package.json"))
            if locked and locked[0] != package.version:
                yield package.database, package.version, locked[0]
