"""A strict YAML reader that keeps positions. Never builds an object, follows an alias, or guesses a type.

Ordinary loaders expand anchors and merge keys (a 1 KB file can become gigabytes), take the last of two equal keys, and
read ``no`` as false. This one works on the parser's events: it refuses anchors, aliases, merge keys, tags, duplicate
keys and second documents where they stand, and resolves plain scalars by the YAML 1.2 core schema only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from forensics.errors import PlaybookError
from forensics.text import show

MAX_BYTES = 1 << 20
_MAX_DEPTH = 24
_MAX_NODES = 50_000
_MAX_DIGITS = 18
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = re.compile(r"(?:~|null|Null|NULL|)\Z")
_TRUE = re.compile(r"(?:true|True|TRUE)\Z")
_FALSE = re.compile(r"(?:false|False|FALSE)\Z")
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))\Z")

_HINTS = {
    "mapping values are not allowed": "quote text that holds ': ', and check the indentation",
    "expected ',' or": "close every bracket, and quote text that holds , { } [ or ]",
    "tab character": "indent with spaces",
    "cannot start any token": "quote text that begins with @, `, % or a tab",
    "unexpected end of stream": "close every quote and bracket",
    "block end": "check the indentation",
}
"""What the parser says, and what usually helps."""

Scalar = str | int | float | bool | None
Node = Any
"""A scalar, a list of nodes or a dict of str to node."""
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file; line and column count from 1. ``warning`` does not stop a run."""

    line: int
    column: int
    message: str
    hint: str = ""
    warning: bool = False

    def describe(self, file: str) -> str:
        """Return ``file:line:column: message``, as editors and people read it."""
        return f"{file}:{self.line}:{self.column}: {self.message}"


@dataclass(slots=True)
class YamlDocument:
    """What a file holds, and where each path of it stands (line and column from 1)."""

    file: str
    root: Node = None
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def locate(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return where *path* stands; the nearest parent's place where it does not exist."""
        table = self.keys if key else self.values
        while path and path not in table and path not in self.keys:
            path = path[:-1]
        return table.get(path) or self.keys.get(path) or (1, 1)

    def problem(self, path: Path, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """Return a problem at *path*."""
        line, column = self.locate(path, key=key)
        return Problem(line, column, message, hint)


def raise_problems(file: str, problems: list[Problem]) -> None:
    """Raise the first of *problems*, saying how many more there are.

    Raises:
        PlaybookError: always, unless there are no problems.
    """
    if not problems:
        return
    more = f" (and {len(problems) - 1} more; see 'ir playbook lint')" if len(problems) > 1 else ""
    raise PlaybookError(problems[0].describe(file) + more, hint=problems[0].hint)


def parse_yaml(raw: bytes, file: str) -> YamlDocument:
    """Return what *raw* holds; *file* is only for messages.

    Raises:
        PlaybookError: anything that a strict reader refuses, with file, line and column.
    """
    file = show(file)
    if len(raw) > MAX_BYTES:
        raise PlaybookError(f"{file}:1:1: larger than 1 MiB", hint="a playbook is a page or two; split it")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise PlaybookError(f"{file}:{line}:{column}: not UTF-8", hint="save the file as UTF-8") from error
    return _Builder(file).build(text)


class _Builder:
    """Turns parser events into a document; every refusal carries the event's own position."""

    def __init__(self, file: str) -> None:
        self._document = YamlDocument(file)
        self._nodes = 0

    def build(self, text: str) -> YamlDocument:
        try:
            events = yaml.parse(text, Loader=_LOADER)
            self._expect_start(events)
            self._document.root = self._build_node(next(events), events, (), 0)
            self._expect_end(events)
        except yaml.MarkedYAMLError as error:
            self._refuse_marked(error)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self._refuse(line, 1, "a character that YAML does not allow", "remove control characters")
        return self._document

    def _refuse_marked(self, error: yaml.MarkedYAMLError) -> NoReturn:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = str(error.problem or error.context)
        hint = next((hint for part, hint in _HINTS.items() if part in said), "check the indentation")
        self._refuse(line, column, f"not YAML: {show(said)}", hint)

    def _expect_start(self, events: Iterator[yaml.Event]) -> None:
        next(events)
        first = next(events)
        if isinstance(first, yaml.StreamEndEvent):
            self._refuse(1, 1, "the file is empty", "'ir playbook show default' prints a whole one")

    def _expect_end(self, events: Iterator[yaml.Event]) -> None:
        next(events)
        last = next(events)
        if not isinstance(last, yaml.StreamEndEvent):
            self._refuse_event(last, "a second document", "keep one playbook in one file")

    def _build_node(self, event: yaml.Event, events: Iterator[yaml.Event], path: Path, depth: int) -> Node:
        self._check_event(event, depth)
        self._document.values[path] = _position(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._resolve(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._build_list(events, path, depth)
        return self._build_mapping(events, path, depth)

    def _check_event(self, event: yaml.Event, depth: int) -> None:
        self._nodes += 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse_event(event, "anchors and aliases are not allowed", "write the value out where it is used")
        if getattr(event, "tag", None) is not None:
            self._refuse_event(event, "tags are not allowed", "quote the value to make it text")
        if depth > _MAX_DEPTH:
            self._refuse_event(event, f"nested deeper than {_MAX_DEPTH} levels", "flatten it")
        if self._nodes > _MAX_NODES:
            self._refuse_event(event, f"more than {_MAX_NODES} values", "split the file")

    def _build_list(self, events: Iterator[yaml.Event], path: Path, depth: int) -> list[Node]:
        items: list[Node] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._build_node(event, events, (*path, len(items)), depth + 1))
        return items

    def _build_mapping(self, events: Iterator[yaml.Event], path: Path, depth: int) -> dict[str, Node]:
        mapping: dict[str, Node] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._read_key(event, mapping)
            self._document.keys[(*path, key)] = _position(event)
            mapping[key] = self._build_node(next(events), events, (*path, key), depth + 1)
        return mapping

    def _read_key(self, event: yaml.Event, mapping: dict[str, Node]) -> str:
        self._check_event(event, 0)
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse_event(event, "a key must be plain text", "lists and mappings cannot be keys")
        key: str = event.value
        if key == "<<" and event.implicit[0]:
            self._refuse_event(event, "merge keys are not allowed", "write the keys out")
        if key in mapping:
            self._refuse_event(event, f"the key {show(key, 60)!r} stands here twice", "remove one of them")
        return key

    def _resolve(self, event: yaml.ScalarEvent) -> Scalar:
        text: str = event.value
        if not event.implicit[0]:  # quoted or block style: always text
            return text
        constant = _resolve_constant(text)
        if constant is not _TEXT:
            return constant  # type: ignore[return-value]  # the sentinel is excluded by the line above
        if len(text) > _MAX_DIGITS and (_INTEGER.match(text) or _OCTAL.match(text) or _HEX.match(text)):
            self._refuse_event(event, "a number with too many digits", "quote it to make it text")
        if _NOT_FINITE.match(text) or (_FLOAT.match(text) and not math.isfinite(float(text))):
            self._refuse_event(event, "not a finite number", "write a number, or quote it to make it text")
        return _resolve_number(text)

    def _refuse_event(self, event: yaml.Event, message: str, hint: str) -> NoReturn:
        line, column = _position(event)
        self._refuse(line, column, message, hint)

    def _refuse(self, line: int, column: int, message: str, hint: str) -> NoReturn:
        raise PlaybookError(Problem(line, column, message).describe(self._document.file), hint=hint)


_TEXT = object()


def _resolve_constant(text: str) -> object:
    if _NULL.match(text):
        return None
    if _TRUE.match(text):
        return True
    return False if _FALSE.match(text) else _TEXT


def _resolve_number(text: str) -> Scalar:
    if _INTEGER.match(text):
        return int(text)
    if _OCTAL.match(text) or _HEX.match(text):
        return int(text, 0)
    return float(text) if _FLOAT.match(text) else text


def _position(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
