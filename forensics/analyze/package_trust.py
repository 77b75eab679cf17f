"""Decides which record of a package is believed, and which changes of the databases are not. Pure.

Believed is the record in the layer where a version first stands: it was written by the package manager when it
installed the files. A later record of the same version is somebody's edit. A new version that came after the image was
finished is believed where the package manager's own traces agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from forensics.analyze.package import DPKG_DIVERSIONS, DPKG_LOG, Installed
from forensics.analyze.package_reader import (
    PackageReader,
    is_system_database,
    list_languages,
    list_locks,
    list_system,
)
from forensics.analyze.packages import Packages, make_database
from forensics.text import from_bytes

_Key = tuple[tuple[str, bytes, str, bytes], str]
_UNLOGGED = "dpkg's own log does not know of it"
_SAME_CHANGELOG = "the version is new, the changelog is not"
_HALVES = ((b"/METADATA", b"/RECORD"), (b"/RECORD", b"/METADATA"))


@dataclass
class _States:
    """The databases as they were after the image's last layer, and as they are last."""

    image: dict[bytes, str] = field(default_factory=dict)
    final: dict[bytes, str] = field(default_factory=dict)
    first: dict[_Key, tuple[Installed, int]] = field(default_factory=dict)
    latest: dict[tuple[str, bytes, str, bytes], Installed] = field(default_factory=dict)
    doubted: dict[bytes, str] = field(default_factory=dict)

    def note(self, package: Installed, layer: int) -> None:
        """Note the first record of a version; one that poses as an upgrade stays what it was."""
        if (package.key, package.version) in self.first:
            return
        before = self.latest.get(package.key)
        believed = package
        if before is not None and _same_changelog(before, package):
            self.doubted[package.name] = _SAME_CHANGELOG
            believed = before
        self.first[package.key, package.version] = believed, layer
        self.latest[package.key] = believed

    def layer_of(self, package: Installed) -> int:
        """Return the layer that a version first stands in, -1 where that is not known."""
        return self.first[package.key, package.version][1] if (package.key, package.version) in self.first else -1


def resolve_packages(
    readers: Iterable[tuple[PackageReader, int]],
    kept: Iterable[bytes],
    *,
    diff_ids: Mapping[int, str],
    is_container: bool,
) -> Packages:
    """Return whom to believe.

    *readers* are given in order, each with the number of its layers that count as finished image; *kept* are the paths
    of databases that still exist at the end, *diff_ids* name the layers of the last reader. *is_container* tells that
    the image's history ends before the last layer: what follows was done in the running container.
    """
    states = _States()
    reader = PackageReader()
    for reader, count in readers:
        _replay(reader, count, states)
    alive = {path: states.final[path] for path in kept if path in states.final}
    final = list(list_system(reader, alive))
    trusted = [_believe(package, states) for package in list_system(reader, states.image)]
    languages = [_believe(package, states) for package in list_languages(reader, alive)]
    installed = [*final, *languages]
    base = make_database(trusted)
    return Packages(
        base=base,
        final=make_database(final),
        installed=tuple(installed),
        languages=tuple(languages),
        origins={p.key: diff_ids.get(states.layer_of(p), "") for p in installed},
        doubted=states.doubted
        | dict(_find_forged(final))
        | (dict(_find_unlogged(reader, states, trusted, final, alive)) if is_container else {}),
        changed=tuple(_describe_changes(trusted, final)),
        diverted=frozenset(reader.parsed(alive, DPKG_DIVERSIONS) or {}),
        locks=list_locks(reader, alive),
        unread=tuple(reader.unread),
        notes=tuple(_name_unverifiable(languages)),
    )


def _replay(reader: PackageReader, count: int, states: _States) -> None:
    """Read the states one after the other; note where each version first stands."""
    states.final = {}
    for layer in sorted(reader.seen):
        changed = reader.seen[layer]
        states.final |= changed
        if layer < count:
            states.image = dict(states.final)
        if any(map(is_system_database, changed)):
            for package in list_system(reader, states.final):
                states.note(package, layer)
        for package in list_languages(reader, {path: states.final[path] for path in _beside(changed, states.final)}):
            states.note(package, layer)


def _beside(changed: Mapping[bytes, str], state: Mapping[bytes, str]) -> set[bytes]:
    """Return the changed descriptions, and those whose other half changed."""
    both = {path.removesuffix(half) + other for path in changed for half, other in _HALVES if path.endswith(half)}
    return (set(changed) | both) & set(state)


def _believe(package: Installed, states: _States) -> Installed:
    found = states.first.get((package.key, package.version))
    return found[0] if found else package


def _find_forged(final: Iterable[Installed]) -> Iterator[tuple[bytes, str]]:
    return ((package.name, package.forged) for package in final if package.forged)


def _find_unlogged(
    reader: PackageReader,
    states: _States,
    trusted: Iterable[Installed],
    final: Iterable[Installed],
    alive: Mapping[bytes, str],
) -> Iterator[tuple[bytes, str]]:
    """Yield what dpkg's log does not know, where dpkg keeps one: it writes down everything that it installs."""
    known = {(package.key, package.version) for package in trusted}
    logged = reader.parsed(alive, DPKG_LOG) or frozenset()
    if DPKG_LOG not in states.image and DPKG_LOG not in states.final:
        return
    for package in final:
        if package.type == "deb" and (package.key, package.version) not in known and package.name not in logged:
            yield package.name, _UNLOGGED


def _name_unverifiable(languages: Iterable[Installed]) -> Iterator[str]:
    """Yield what is listed and cannot be verified, with the reason."""
    node = sum(package.type == "npm" for package in languages)
    bare = sum(package.type == "pypi" and not any(package.files.values()) for package in languages)
    if node:
        yield f"{node} packages of Node are listed, not verified: npm records no digests of single files"
    if bare:
        yield f"{bare} packages of Python are listed, not verified: they have no record of their files' digests"


def _same_changelog(before: Installed, after: Installed) -> bool:
    """Whether every changelog is recorded as it was: a real upgrade brings at least one new."""
    start = b"usr/share/doc/" + after.name + b"/changelog"
    logs = {path: digest for path, digest in after.files.items() if path.startswith(start) and digest}
    return bool(logs) and all(before.files.get(path) == digest for path, digest in logs.items())


def _describe_changes(trusted: Iterable[Installed], final: Iterable[Installed]) -> Iterator[str]:
    before = {package.key: package.version for package in trusted}
    after = {package.key: package.version for package in final}
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        if old != new:
            name = from_bytes(key[1])
            yield (
                f"{name} {old} removed" if new is None else f"{name} {new}" if old is None else f"{name} {old} → {new}"
            )
