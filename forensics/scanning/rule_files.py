"""Which rule files are to be used: ours, the user's files and folders; their digest. Compiles nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from forensics.errors import RuleError
from forensics.resources import find_rules_dir
from forensics.scanning.nouns import OWN
from forensics.text import show

_SUFFIXES = (".yar", ".yara", ".rule", ".rules")
_COMPILED = b"YARA"
_MOST_BYTES = 256 << 20
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class RuleFile:
    """One file of rules and the namespace of its rules. Of a *set* (a folder's file) what compiles is used."""

    namespace: str
    path: str
    sha256: str
    is_set: bool = False
    is_compiled: bool = False


@dataclass(frozen=True, slots=True)
class RuleFiles:
    """All rule files of a scan."""

    files: tuple[RuleFile, ...] = ()

    def items(self) -> Iterator[tuple[str, str]]:
        """Yield namespace and path of each file."""
        return ((file.namespace, file.path) for file in self.files)

    @property
    def sources(self) -> tuple[RuleFile, ...]:
        """The files that hold rules as text."""
        return tuple(file for file in self.files if not file.is_compiled)

    @property
    def compiled(self) -> tuple[RuleFile, ...]:
        """The files that hold rules already compiled."""
        return tuple(file for file in self.files if file.is_compiled)

    @property
    def digest(self) -> str:
        """One digest of names and contents of the sources, SHA-256 (hex): the same rules give the same digest."""
        lines = (f"{file.namespace}\0{file.sha256}\0{int(file.is_set)}\n" for file in self.sources)
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def name_rule_files(paths: Mapping[str, str]) -> RuleFiles:
    """Return the files of *paths* (namespace to path).

    Raises:
        RuleError: one cannot be read.
    """
    return RuleFiles(tuple(_describe(Path(path), namespace) for namespace, path in paths.items()))


def find_rule_files(rules: tuple[Path, ...], *, own: bool = True) -> RuleFiles:
    """Return the shipped rules and the user's files and folders; namespaces of ours begin with :data:`OWN`.

    Raises:
        RuleError: a path does not exist, cannot be read, or a folder holds no rules.
    """
    shipped = sorted(find_rules_dir().glob("*.yar")) if own else []
    files = [_describe(path, f"{OWN}{index:04d}:{path.name}") for index, path in enumerate(shipped)]
    for path in rules:
        for found, is_set in _list_rules(path):
            name = os.fsencode(found.name).decode("utf-8", "replace")
            files.append(_describe(found, f"user-{len(files):04d}:{name}", is_set=is_set))
    return RuleFiles(tuple(files))


def _list_rules(path: Path) -> list[tuple[Path, bool]]:
    name = show(os.fsencode(path))
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES and file.is_file())
        if not found:
            raise RuleError(f"{name} holds no rule files", hint=f"rule files end in {', '.join(_SUFFIXES)}")
        return [(file, True) for file in found]
    if not path.is_file():
        raise RuleError(f"{name} does not exist", hint="give a rule file or a folder of rule files")
    return [(path, False)]


def _describe(path: Path, namespace: str, *, is_set: bool = False) -> RuleFile:
    digest = hashlib.sha256()
    size = 0
    try:
        with path.open("rb") as file:
            head = file.read(len(_COMPILED))
            digest.update(head)
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if size > _MOST_BYTES:
                    raise RuleError(f"{show(os.fsencode(path))} is larger than {_MOST_BYTES >> 20} MiB")
    except OSError as error:
        reason = error.strerror or str(error)
        raise RuleError(f"{show(os.fsencode(path))} cannot be read: {reason}", hint="check its permissions") from error
    compiled = head == _COMPILED
    return RuleFile(namespace, str(path), digest.hexdigest(), is_set=is_set and not compiled, is_compiled=compiled)
