r"""Recognises what a command line or a script *does*: arguments, scripts, cron lines, histories.

Quotes that only break words apart, ``${IFS}`` and continued lines are undone first, and base64 is decoded one level
down, because that is how commands are hidden. Runs nothing; patterns are bounded, so hostile text costs linear time.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.analyze.behaviour_noun import Behaviour
from forensics.analyze.behaviour_table import BEHAVIOURS

MOST_TEXT = 256 * 1024
"""Characters of one text that are looked at."""

_EXCERPT = 160
_MOST_BLOBS = 40
_MOST_BLOB = 16 * 1024
_SHORT_ESCAPE = re.compile(r"\\x([0-9a-fA-F]{2})")
_IFS = re.compile(r"\$\{IFS[^}]{0,10}\}|\$IFS(?:\$\d)?")
_SPLIT_WORD = re.compile(r"(?<=\w)(?:''|\"\"|\\(?=[A-Za-z]))(?=\w)|(?<=[\s;|&(])\\(?=[a-z])")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_COMMENT = re.compile(r"(?m)^[ \t]*#(?!!).*$")
_PRINTABLE = 0.95


@dataclass(frozen=True, slots=True)
class Hit:
    """One behaviour that a text shows; ``decoded`` when it stood in base64."""

    behaviour: Behaviour
    excerpt: str
    decoded: bool = False


def find_behaviours(text: str, *, script: bool = True) -> tuple[Hit, ...]:
    """Return each behaviour once, in the order of the table; comment lines of a *script* do not count."""
    text = text[:MOST_TEXT]
    plain = _normalise(_COMMENT.sub("", text) if script else text)
    hits = {hit.behaviour.id: hit for hit in _search(plain, decoded=False)}
    for blob in decode_blobs(plain):
        for hit in _search(_normalise(blob), decoded=True):
            hits.setdefault(hit.behaviour.id, hit)
    return tuple(hits[behaviour.id] for behaviour in BEHAVIOURS if behaviour.id in hits)


def decode_blobs(text: str) -> Iterator[str]:
    """Yield what printable text stands base64-encoded in *text*; bounded in number and size, one level down."""
    for count, match in enumerate(_BASE64.finditer(text)):
        if count >= _MOST_BLOBS:
            return
        blob = match.group()[:_MOST_BLOB]
        try:
            raw = base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True)
        except (binascii.Error, ValueError):
            continue
        for encoding in ("utf-8", "utf-16-le"):
            try:
                decoded = raw.decode(encoding)
            except UnicodeDecodeError:
                continue
            if decoded.isascii() and sum(map(str.isprintable, decoded)) >= _PRINTABLE * len(decoded):
                yield decoded
                break


def _normalise(text: str) -> str:
    text = text.replace("\\\n", " ")
    text = _SHORT_ESCAPE.sub(lambda match: chr(int(match.group(1), 16)), text)
    return _SPLIT_WORD.sub("", _IFS.sub(" ", text))


def _search(text: str, *, decoded: bool) -> Iterator[Hit]:
    lowered = text.lower()
    for behaviour in BEHAVIOURS:
        if behaviour.needs and not any(word in lowered for word in behaviour.needs):
            continue
        for pattern in behaviour.patterns:
            match = pattern.search(text)
            if match:
                yield Hit(behaviour, _excerpt(text, match), decoded)
                break


def _excerpt(text: str, match: re.Match[str]) -> str:
    start = text.rfind("\n", 0, match.start()) + 1
    start = max(start, match.start() - _EXCERPT // 4)
    end = text.find("\n", match.end())
    end = len(text) if end < 0 else end
    return text[start : min(end, start + _EXCERPT)].strip()
