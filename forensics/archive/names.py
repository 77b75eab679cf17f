"""Member names to paths: cleaned as the engine cleans them, and resolved through links within the layer only."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from forensics.archive.limits import Anomaly, Limits, Report
from forensics.archive.store import clean_name
from forensics.model import EntryType
from forensics.text import show

_MAX_LINKS = 40
_MAX_KNOWN = 20_000
_MAX_KNOWN_BYTES = 8_000_000
_MAX_LOOKED_UP = 256_000_000
"""Bytes of all folder names of one layer that are looked up: a million honest folders have a quarter of it."""
Kind = tuple[EntryType, bytes | None]
"""The type of what stands at a path, and the target if that is a symbolic link."""


def normalize(name: bytes, limits: Limits, report: Report, offset: int) -> bytes | None:
    """Return the path of a member name, None if it leads outside the root (no engine unpacks it)."""
    if name[:2] == b"./":
        name = name[2:]
    if name[-1:] == b"/":
        name = name[:-1]
    if name[:1] == b"/":
        report(Anomaly("absolute-name", "a member has an absolute name; it is taken from the root", offset, name))
    if len(name) > limits.max_path_bytes or name.count(b"/") > limits.max_depth:
        report(Anomaly("path-too-long", f"a name of {len(name)} bytes is cut", offset, name[:200]))
        name = name[: min(limits.max_path_bytes, 200)].replace(b"/", b"_") + hashlib.sha256(name).hexdigest().encode()
    if name[:1] == b"/" or b"//" in name or b"./" in name or name[-1:] == b"." or name[-1:] == b"/":
        return _clean(name, report, offset)
    return name


def _clean(name: bytes, report: Report, offset: int) -> bytes | None:
    cleaned = clean_name(name)
    if b".." in name.split(b"/"):
        where = "outside" if cleaned is None else f"to {show(cleaned, 200)}"
        report(Anomaly("path-traversal", f"the name {show(name, 200)} leads {where}", offset, name))
    return cleaned


class NameResolver:
    """Resolves the folders of a path through the links of one layer, as the kernel does inside the engine's root."""

    def __init__(self, look_up: Callable[[bytes], Kind | None]) -> None:
        """Take the function that tells what stands at a path of the layer."""
        self._look_up = look_up
        self._folders = {b""}
        self._known_bytes = 0
        self._looked_up = 0
        self.prefixes: dict[bytes, bytes] = {}
        """Folders as members name them, with the prefix of the path that they stand for; no link is in the way."""

    def note_entry(self, path: bytes, kind: EntryType) -> None:
        """Learn that *path* now is a *kind*."""
        if path in self._folders and kind is not EntryType.DIRECTORY:
            self._forget()

    def note_file(self, path: bytes) -> None:
        """Learn that *path* now is a regular file."""
        if path in self._folders:
            self._forget()

    def note_prefix(self, name: bytes, path: bytes) -> None:
        """Learn that the member *name* stands at *path*, so that others in its folder need not be looked at again."""
        raw, prefix = name[: name.rfind(b"/") + 1], path[: path.rfind(b"/") + 1]
        if prefix[:-1] in self._folders and raw in {prefix, b"./" + prefix} and raw not in self.prefixes:
            self.prefixes[raw] = prefix
            self._known_bytes += len(raw)

    def _forget(self) -> None:
        self._folders = {b""}
        self._known_bytes = 0
        self.prefixes.clear()

    @property
    def is_exhausted(self) -> bool:
        """Whether so many folders were named that no new ones are looked at."""
        return self._looked_up > _MAX_LOOKED_UP

    def resolve(self, path: bytes) -> bytes | None:
        """Return *path* with links among its folders replaced.

        None if a folder is a file, links run in a circle, or the resolver :attr:`is_exhausted`.
        """
        folder = path.rpartition(b"/")[0]
        if folder in self._folders:
            return path
        resolved = self._resolve_folder(folder, 0)
        if resolved is None:
            return None
        if resolved == folder:
            return path
        name = path[len(folder) + 1 :]
        return resolved + b"/" + name if resolved else name

    def _resolve_folder(self, folder: bytes, links: int) -> bytes | None:
        done = b""
        rest = folder.split(b"/")
        while rest:
            part = rest.pop(0)
            here = done + b"/" + part if done else part
            self._looked_up += len(here)
            if self._looked_up > _MAX_LOOKED_UP:
                return None
            known = None if here in self._folders else self._look_up(here)
            if known is None or known[0] is EntryType.DIRECTORY:
                self._remember(here)
                done = here
            elif known[0] is EntryType.SYMLINK and links < _MAX_LINKS:
                links += 1
                target = known[1] or b""
                base = b"" if target[:1] == b"/" else done + b"/"
                joined = (base + target).split(b"/") + rest
                done, rest = b"", _apply_dots(joined)
            else:
                return None
        return done

    def _remember(self, folder: bytes) -> None:
        if len(self._folders) > _MAX_KNOWN or self._known_bytes > _MAX_KNOWN_BYTES:
            self._forget()
        self._known_bytes += len(folder)
        self._folders.add(folder)


def _apply_dots(parts: list[bytes]) -> list[bytes]:
    """Resolve ``.`` and ``..``; above the root is the root, as in a changed root."""
    kept: list[bytes] = []
    for part in parts:
        if part == b"..":
            del kept[-1:]
        elif part not in {b"", b"."}:
            kept.append(part)
    return kept
