"""Compiled rule sets that we made ourselves, by the digest of their sources. Loads nothing: the worker does.

A compiled set is a program for YARA's own machine; a prepared one runs whatever its maker wanted. So one is used only
when this user's cache says that ir made it, and only while its bytes have the digest that was written down then.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from forensics.errors import RuleError
from forensics.folders import cache_dir
from forensics.scanning.rule_files import RuleFile, RuleFiles
from forensics.text import show

FORMAT = 1
_RECORD_BYTES = 1 << 20
_MOST_KEPT = 8


@dataclass(frozen=True, slots=True)
class CompiledSet:
    """A compiled set of ours: place, the digest it must have, how many rules, what of its sources was not used."""

    path: Path
    sha256: str
    rules: int
    refused: tuple[str, ...] = ()


def find_compiled(rules: RuleFiles, version: str) -> CompiledSet | None:
    """Return the set that was made of the same sources by the same version of YARA, or None."""
    return _read_record(_folder() / f"{_key(rules, version)}.json")


def accept_compiled(file: RuleFile, version: str) -> CompiledSet:
    """Return the record of a compiled file that a user gave.

    Raises:
        RuleError: this user's ir did not make it, or not with this version of YARA.
    """
    for record in _records():
        made = _read_record(record, Path(file.path))
        if made and made.sha256 == file.sha256 and record.name.startswith(_prefix(version)):
            return made
    name = show(os.fsencode(file.path))
    raise RuleError(
        f"{name} is a compiled rule set that this ir did not make",
        hint="give the rules as text: a compiled set is a program, and only one's own is to be trusted",
    )


def keep_compiled(rules: RuleFiles, version: str, content: bytes, count: int, refused: tuple[str, ...]) -> None:
    """Keep a set for the next time; a cache that cannot be written is no failure."""
    folder, key = _folder(), _key(rules, version)
    record = {
        "format": FORMAT,
        "sha256": hashlib.sha256(content).hexdigest(),
        "rules": count,
        "refused": list(refused),
    }
    with suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(folder, f"{key}.yarc", content)
        _write(folder, f"{key}.json", json.dumps(record).encode("ascii"))
        _forget_old(folder)


def _folder() -> Path:
    return cache_dir() / "yara"


def _prefix(version: str) -> str:
    return f"{FORMAT}-{version}-"


def _key(rules: RuleFiles, version: str) -> str:
    return f"{_prefix(version)}{rules.digest}"


def _records() -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(_folder().glob("*.json"))


def _read_record(record: Path, path: Path | None = None) -> CompiledSet | None:
    if not is_ours(record) or not is_ours(record.parent):
        return None
    try:
        document = json.loads(record.read_bytes()[:_RECORD_BYTES])
        made = CompiledSet(
            path or record.with_suffix(".yarc"),
            str(document["sha256"]),
            int(document["rules"]),
            tuple(map(str, document["refused"])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made if path or is_ours(made.path) else None


def is_ours(path: Path) -> bool:
    """Whether it is no link, and nobody but this user may have written it."""
    try:
        status = path.lstat()
    except OSError:
        return False
    kind = stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)
    return kind and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _write(folder: Path, name: str, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(folder / name)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise


def _forget_old(folder: Path) -> None:
    """Keep the sets that were made last."""
    records = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for record in records[_MOST_KEPT:]:
        record.unlink(missing_ok=True)
        record.with_suffix(".yarc").unlink(missing_ok=True)
