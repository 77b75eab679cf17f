"""Compiles rules so that one that YARA refuses costs itself, not the others. Runs in the worker.

A file that a person named is theirs to mend; of a set (a folder's file, or one of many rules) the rules that do not
compile, or that need what this YARA was built without, are left out by name.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensics.scanning.nouns import EXTERNALS

MANY_RULES = 50
_SECONDS = 90
_MOST_DROPPED = 2000
_WHERE = re.compile(r"^(?P<file>.*?)\((?P<line>\d+)\): (?P<what>.*)$", re.DOTALL)
_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|/(?:\\.|[^/\\\n])+/|(?P<open>\{)|(?P<close>\})"
    r"|(?P<rule>(?:\b(?:private|global)\s+)*\brule\s+(?P<name>\w+))",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Refused:
    """What was not used: a file, or one rule of it; ``line`` counts from 1, 0 where it is unknown."""

    path: str
    rule: str
    line: int
    what: str


@dataclass(frozen=True, slots=True)
class Usable:
    """What compiled; ``rules`` is yara.Rules or None."""

    rules: Any
    refused: tuple[Refused, ...]


def compile_usable(files: Mapping[str, str], sets: frozenset[str]) -> Usable:
    """Return everything that compiles of *files* (namespace to path); *sets* names those that may lose rules."""
    import yara  # noqa: PLC0415 - only where there are rules

    if not files:
        return Usable(None, ())
    try:
        return Usable(yara.compile(filepaths=dict(files), externals=dict(EXTERNALS), includes=False), ())
    except yara.Error:
        pass
    refused: list[Refused] = []
    texts: dict[str, str] = {}
    for namespace, path in files.items():
        text = _read(path)
        usable = _mend(text, path, refused, is_set=namespace in sets)
        if usable is not None:
            texts[namespace] = usable
    if not texts:
        return Usable(None, tuple(refused))
    return Usable(yara.compile(sources=texts, externals=dict(EXTERNALS), includes=False), tuple(refused))


def _read(path: str) -> str:
    raw = Path(path).read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _mend(text: str, path: str, refused: list[Refused], *, is_set: bool) -> str | None:
    """Return *text* without the rules that do not compile, or None where nothing is left or it is not a set."""
    problem = _try(text)
    if problem is None:
        return text
    spans = list(_find_rules(text))
    if not is_set and len(spans) < MANY_RULES:
        refused.append(Refused(path, "", problem[0], problem[1]))
        return None
    end = time.monotonic() + _SECONDS
    for _ in range(_MOST_DROPPED):
        line, what = problem
        span = next((span for span in spans if span[1] <= line <= span[2]), None)
        lines = text.split("\n")
        if not 0 < line <= len(lines) or time.monotonic() > end:
            break
        first, last = (span[1], span[2]) if span else (line, line)
        if not any(part.strip() for part in lines[first - 1 : last]):
            break
        lines[first - 1 : last] = [""] * (last - first + 1)
        text = "\n".join(lines)
        refused.append(Refused(path, span[0] if span else "", line, what))
        problem = _try(text)
        if problem is None:
            return text if any(_find_rules(text)) else None
    refused.append(Refused(path, "", problem[0], f"given up: {problem[1]}"))
    return None


def _try(text: str) -> tuple[int, str] | None:
    """Return line and reason of what YARA refuses in *text*, or None where it compiles."""
    import yara  # noqa: PLC0415 - loaded already

    try:
        yara.compile(source=text, externals=dict(EXTERNALS), includes=False)
    except yara.Error as error:
        found = re.match(r"^line (\d+): (.*)$", str(error), re.DOTALL) or _WHERE.match(str(error))
        if found and "line" in found.groupdict():
            return int(found["line"]), found["what"]
        return (int(found[1]), found[2]) if found else (0, str(error))
    return None


def _find_rules(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, first and last line of each rule; braces in strings, comments and expressions do not count.

    In YARA's language a slash begins a comment or an expression, never a division.
    """
    depth = 0
    name, start, line, position = "", 0, 1, 0
    for token in _TOKEN.finditer(text):
        line += text.count("\n", position, token.start())
        position = token.start()
        if token["rule"] and depth == 0:
            name, start = token["name"], line
        elif token["open"]:
            depth += 1
        elif token["close"]:
            depth = max(depth - 1, 0)
            if depth == 0 and name:
                yield name, start, line
                name = ""
