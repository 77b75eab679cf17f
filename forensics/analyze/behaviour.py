r"""Recognises what a command line or a script *does*: arguments, scripts, cron lines, histories.

Quotes that only break words apart, ``${IFS}`` and continued lines are undone first; base64, hexadecimal and gzip are
decoded one level down, because that is how commands are hidden. Runs nothing; patterns are bounded, so hostile text
costs linear time.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.analyze.behaviour_noun import Behaviour
from forensics.analyze.behaviour_table import BEHAVIOURS

MOST_TEXT = 256 * 1024
"""Characters of one text that are looked at."""

_EXCERPT = 160
_MOST_BLOBS = 40
_MOST_BLOB = 16 * 1024
_MOST_UNPACKED = 64 * 1024
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){12,}")
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
    """Yield what printable text stands in base64, hexadecimal, or gzip within them; bounded, one level down."""
    for count, match in enumerate(_BASE64.finditer(text)):
        if count >= _MOST_BLOBS:
            return
        blob = match.group()[:_MOST_BLOB]
        for raw in _decode(blob):
            if decoded := _read_text(_unpack(raw)):
                yield decoded
                break


def _decode(blob: str) -> Iterator[bytes]:
    """Yield the bytes that a run of letters may stand for: hexadecimal first, since it looks like base64 too."""
    if _HEX.fullmatch(blob):
        yield bytes.fromhex(blob[: len(blob) & ~1])
    plain = blob.rstrip("=")
    try:
        yield base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return


def _unpack(raw: bytes) -> bytes:
    """Return what gzip or zlib holds, at most a few times what a blob may be; other bytes as they are."""
    if not raw.startswith((b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")):
        return raw
    try:
        return zlib.decompressobj(wbits=47).decompress(raw, _MOST_UNPACKED)
    except zlib.error:
        return raw


def _read_text(raw: bytes) -> str:
    for encoding in ("utf-8", "utf-16-le"):
        try:
            decoded = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        plain = sum(letter.isprintable() or letter in "\n\r\t" for letter in decoded)
        if decoded.isascii() and plain >= _PRINTABLE * len(decoded):
            return decoded
    return ""


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
