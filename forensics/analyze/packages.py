"""Which files belong to which package: the nouns, and whom to believe. Reads nothing itself.

The first layer that lists a version of a package is believed about it: whoever edits a database later, in a later
layer or in the running container, changes what is said last, not what was said first. A version that appears later
counts only where nothing contradicts it.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from forensics.analyze.package import Installed, canonical
from forensics.analyze.package_reader import PackageReader, is_database_path, list_system

__all__ = [
    "Checked",
    "Database",
    "Misfit",
    "Packages",
    "canonical",
    "is_database_path",
    "make_database",
    "read_database",
]


_SCRIPT = re.compile(rb"var/lib/dpkg/info/([^/:]+?)(?::[^/.]+)?\.(?:(?:pre|post)(?:inst|rm)|config|triggers)$")


@dataclass(frozen=True)
class Database:
    """One state of all package databases: owners of paths, recorded digests, versions by name of package."""

    owners: Mapping[bytes, bytes] = field(default_factory=dict)
    digests: Mapping[bytes, str] = field(default_factory=dict)
    versions: Mapping[bytes, str] = field(default_factory=dict)
    configuration: frozenset[bytes] = frozenset()

    def matches(self, path: bytes, md5: str, sha1: str, sha256: str = "") -> bool | None:
        """Whether a content is the recorded one; None where no digest is recorded for *path*, or of another kind."""
        recorded = self.digests.get(canonical(path))
        if recorded is None:
            return None
        known = {"md5": md5, "sha1": sha1, "sha256": sha256}
        algorithm, _, digest = recorded.partition(":")
        return digest == known[algorithm] if known.get(algorithm) else None

    def owner(self, path: bytes) -> bytes | None:
        """Return the package that owns *path*, or None."""
        return self.owners.get(canonical(path))


def make_database(packages: Iterable[Installed]) -> Database:
    """Return the index of *packages*; of two that list a path with a digest the last one counts."""
    owners: dict[bytes, bytes] = {}
    digests: dict[bytes, str] = {}
    versions: dict[bytes, str] = {}
    configuration: set[bytes] = set()
    for package in packages:
        versions[package.name] = package.version
        configuration |= package.configuration
        for path, digest in package.files.items():
            owners[path] = package.name
            if digest:
                digests[path] = digest
    return Database(owners, digests, versions, frozenset(configuration))


def read_database(paths: Iterable[bytes], read: Callable[[bytes], bytes | None]) -> Database:
    """Read whatever databases of the distribution *paths* hold; *read* returns the content of a path."""
    reader = PackageReader()
    for path in paths:
        text = read(path) if is_database_path(path) else None
        if text is not None:
            reader.keep(0, path, hashlib.sha256(text).hexdigest(), io.BytesIO(text))
    return make_database(list_system(reader, reader.seen.get(0, {})))


@dataclass(frozen=True, slots=True)
class Misfit:
    """One file that does not agree with the packages. ``is_runtime``: it came about after the image was finished."""

    path: bytes
    package: bytes
    is_runtime: bool
    is_program: bool
    type: str = ""


@dataclass(frozen=True)
class Checked:
    """What came of comparing the file system with the records. ``count`` is how many files had a record to meet."""

    modified: tuple[Misfit, ...] = ()
    deleted: tuple[Misfit, ...] = ()
    unowned: tuple[Misfit, ...] = ()
    tampered: tuple[Misfit, ...] = ()
    count: int = 0


@dataclass(frozen=True)
class Packages:
    """The package databases: as the layers that installed brought them (``base``), and as they are last (``final``).

    ``installed`` is everything that is listed last, ``languages`` the part of Python and Node, ``origins`` names the
    layer of each. ``doubted`` are packages whose newest version or record is contradicted, with the reason;
    ``changed`` those that came, went or were upgraded after the image was finished; ``diverted`` are paths that a
    package's file was moved away from; ``unread`` says which databases were not examined, and why, ``notes`` what
    cannot be verified at all.
    """

    base: Database = field(default_factory=Database)
    final: Database = field(default_factory=Database)
    installed: tuple[Installed, ...] = ()
    languages: tuple[Installed, ...] = ()
    locks: Mapping[bytes, tuple[str, str]] = field(default_factory=dict)
    origins: Mapping[tuple[str, bytes, str, bytes], str] = field(default_factory=dict)
    doubted: Mapping[bytes, str] = field(default_factory=dict)
    changed: tuple[str, ...] = ()
    diverted: frozenset[bytes] = frozenset()
    unread: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    checked: Checked = field(default_factory=Checked)

    def is_known(self) -> bool:
        """Whether there is any database to judge by."""
        return bool(self.final.owners or self.base.owners)

    def is_packages_content(self, path: bytes, md5: str, sha1: str, sha256: str = "") -> bool:
        """Whether a content at *path* is what a package put there, by the trusted database or an honest upgrade."""
        if self.base.matches(path, md5, sha1, sha256):
            return True
        if not self.final.matches(path, md5, sha1, sha256):
            return False
        owner = self.final.owner(path) or b""
        return owner not in self.doubted and self.base.versions.get(owner) != self.final.versions.get(owner)

    def is_maintainer_script(self, path: bytes, *, is_runtime: bool) -> bool:
        """Whether *path* is a script of dpkg's or apk's that came with a package: in no list, and without a digest.

        In the running container it came with a package only where the package itself came or was upgraded there.
        """
        found = _SCRIPT.match(path)
        if found is None or found[1] in self.doubted or found[1] not in self.final.versions:
            return False
        return not is_runtime or self.base.versions.get(found[1]) != self.final.versions[found[1]]

    def is_unchanged_base(self, path: bytes, changed: Mapping[bytes, object]) -> bool:
        """Whether the baseline's packages own *path* and it has not changed since."""
        return path not in changed and (self.base.owner(path) or self.final.owner(path)) is not None

    def is_tampered(self, path: bytes) -> bool:
        """Whether the record of *path* was edited without an honest new version: somebody hides a replaced file."""
        path = canonical(path)
        before, after = self.base.digests.get(path), self.final.digests.get(path)
        if before is None or after is None or before == after or before.partition(":")[0] != after.partition(":")[0]:
            return False
        owner = self.base.owners.get(path, b"")
        return owner in self.doubted or self.base.versions.get(owner) == self.final.versions.get(owner)
