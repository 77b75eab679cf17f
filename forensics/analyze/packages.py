"""Which files belong to which package, by the distribution's own databases (dpkg, apk). Reads retained texts only.

The baseline's database is trusted; the last one may have been edited by the intruder, so it only excuses a file whose
package it did not know before or knows in another version. rpm databases are binary and are named as not examined.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

DPKG_STATUS = b"var/lib/dpkg/status"
DPKG_INFO = b"var/lib/dpkg/info/"
APK_DATABASE = b"lib/apk/db/installed"
RPM_DATABASES = (b"var/lib/rpm/rpmdb.sqlite", b"var/lib/rpm/Packages", b"usr/lib/sysimage/rpm/rpmdb.sqlite")
_MD5_LINE = re.compile(rb"^([0-9a-f]{32})  (.+)$", re.MULTILINE)
_MERGED = (b"bin/", b"sbin/", b"lib/", b"lib64/", b"lib32/", b"libx32/")


@dataclass(frozen=True)
class Database:
    """One state of the package database: owners of paths, recorded digests (``md5:`` or ``sha1:``), versions."""

    owners: Mapping[bytes, bytes] = field(default_factory=dict)
    digests: Mapping[bytes, str] = field(default_factory=dict)
    versions: Mapping[bytes, str] = field(default_factory=dict)

    def matches(self, path: bytes, md5: str, sha1: str) -> bool | None:
        """Whether a content is the recorded one; None where no digest is recorded for *path*."""
        recorded = self.digests.get(canonical(path))
        return None if recorded is None else recorded in {f"md5:{md5}", f"sha1:{sha1}"}

    def owner(self, path: bytes) -> bytes | None:
        """Return the package that owns *path*, or None."""
        return self.owners.get(canonical(path))


@dataclass(frozen=True)
class Packages:
    """The package databases before and after."""

    base: Database = field(default_factory=Database)
    final: Database = field(default_factory=Database)

    def is_known(self) -> bool:
        """Whether there is any database to judge by."""
        return bool(self.final.owners or self.base.owners)

    def is_packages_content(self, path: bytes, md5: str, sha1: str) -> bool:
        """Whether a content at *path* is what a package put there, by the trusted database or an honest upgrade."""
        if self.base.matches(path, md5, sha1):
            return True
        if not self.final.matches(path, md5, sha1):
            return False
        owner = self.final.owner(path) or b""
        return self.base.versions.get(owner) != self.final.versions.get(owner)

    def is_unchanged_base(self, path: bytes, changed: Mapping[bytes, object]) -> bool:
        """Whether the baseline's packages own *path* and it has not changed since."""
        return path not in changed and (self.base.owner(path) or self.final.owner(path)) is not None

    def is_tampered(self, path: bytes) -> bool:
        """Whether the record of *path* was edited without a change of version: somebody hides a replaced file."""
        path = canonical(path)
        before, after = self.base.digests.get(path), self.final.digests.get(path)
        if before is None or after is None or before == after:
            return False
        owner = self.base.owners.get(path, b"")
        return self.base.versions.get(owner) == self.final.versions.get(owner)


def canonical(path: bytes) -> bytes:
    """Return *path* as on a merged-/usr system, so that /bin/ls and /usr/bin/ls are the same file."""
    path = path.lstrip(b"/")
    return b"usr/" + path if path.startswith(_MERGED) else path


def is_database_path(path: bytes) -> bool:
    """Whether the content at *path* is needed to read a package database."""
    if path in {DPKG_STATUS, APK_DATABASE}:
        return True
    if path.startswith(b"var/lib/dpkg/status.d/"):
        return True
    return path.startswith(DPKG_INFO) and path.endswith((b".list", b".md5sums"))


def read_database(paths: Iterable[bytes], read: Callable[[bytes], bytes | None]) -> Database:
    """Read whatever databases *paths* hold; *read* returns the retained content of a path."""
    owners: dict[bytes, bytes] = {}
    digests: dict[bytes, str] = {}
    versions: dict[bytes, str] = {}
    for path in paths:
        text = read(path) if is_database_path(path) else None
        if text is None:
            continue
        if path == APK_DATABASE:
            _read_apk(text, owners, digests, versions)
        elif path.endswith((b".list", b".md5sums")):
            _read_dpkg_info(path, text, owners, digests)
        else:
            _read_dpkg_status(text, owners, digests, versions)
    return Database(owners, digests, versions)


def _read_dpkg_info(path: bytes, text: bytes, owners: dict[bytes, bytes], digests: dict[bytes, str]) -> None:
    package = path.rsplit(b"/", 1)[-1].rsplit(b".", 1)[0].split(b":")[0]
    if path.endswith(b".list"):
        owners.update((canonical(line), package) for line in text.split(b"\n") if line not in {b"", b"/."})
        return
    for digest, name in _MD5_LINE.findall(text):
        owners.setdefault(canonical(name), package)
        digests[canonical(name)] = "md5:" + digest.decode("ascii")


def _read_dpkg_status(
    text: bytes, owners: dict[bytes, bytes], digests: dict[bytes, str], versions: dict[bytes, str]
) -> None:
    package = b""
    conffiles = False
    for line in text.split(b"\n"):
        if line.startswith(b"Package: "):
            package = line[9:].strip()
        elif line.startswith(b"Version: "):
            versions[package] = line[9:].strip().decode("utf-8", "replace")
        if conffiles and line.startswith(b" /"):
            words = line.split()
            owners[canonical(words[0])] = package
            if len(words) > 1:
                digests[canonical(words[0])] = "md5:" + words[1].decode("ascii", "replace")
        conffiles = line.startswith(b"Conffiles:") or (conffiles and line.startswith(b" "))


def _read_apk(text: bytes, owners: dict[bytes, bytes], digests: dict[bytes, str], versions: dict[bytes, str]) -> None:
    package, folder, path = b"", b"", b""
    for line in text.split(b"\n"):
        tag, value = line[:2], line[2:]
        if tag == b"P:":
            package = value
        elif tag == b"V:":
            versions[package] = value.decode("utf-8", "replace")
        elif tag == b"F:":
            folder = value
        elif tag == b"R:":
            path = canonical(folder + b"/" + value if folder else value)
            owners[path] = package
        elif tag == b"Z:" and value.startswith(b"Q1"):
            try:
                digests[path] = "sha1:" + base64.b64decode(value[2:], validate=True).hex()
            except binascii.Error:
                continue
