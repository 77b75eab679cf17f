"""What a scan asks and answers. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OWN = "own-"
"""Begins the namespace of the rules that ship with ir."""

EXTERNALS: Mapping[str, str] = {"filename": "", "filepath": "", "extension": "", "filetype": "", "owner": ""}
"""The external variables that public rule sets expect, with the values that compiling needs."""


@dataclass(frozen=True, slots=True)
class StringMatch:
    """One string of a YARA rule that matched: the first bytes of it, its whole length, the bytes around it."""

    identifier: str
    offset: int
    data: bytes
    length: int = 0
    before: bytes = b""
    after: bytes = b""


@dataclass(frozen=True, slots=True)
class Match:
    """One YARA rule that matched one content."""

    rule: str
    namespace: str
    tags: tuple[str, ...]
    meta: Mapping[str, str]
    strings: tuple[StringMatch, ...]

    @property
    def is_own(self) -> bool:
        """Whether the rule ships with ir, so that nobody else needs to be named for it."""
        return self.namespace.startswith(OWN)


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What the worker said of one content; ``failure`` when it could not say everything."""

    matches: tuple[Match, ...] = ()
    mime: str = ""
    failure: str = ""


TIMEOUT_SECONDS = 60
"""How long one content may take."""


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One content: its bytes, or a path that the worker can read; of a path ``length`` bytes from ``offset`` on.

    With the ``sha256`` of the whole content the answer is remembered, and may be one that was given before.
    """

    externals: Mapping[str, str] = field(default_factory=dict)
    data: bytes = b""
    path: str = ""
    yara: bool = True
    magic: bool = False
    seconds: int = TIMEOUT_SECONDS
    offset: int = 0
    length: int = 0
    sha256: str = ""
