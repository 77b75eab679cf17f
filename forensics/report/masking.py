"""Finds credentials that the suspect held, and keeps their values out of the report. Never stores a value anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from forensics.report.document import Secret
from forensics.report.fields import EvidenceReader, object_at, objects_at, strings_at, text_at

# The text is the attacker's: every repetition below is bounded, so that none can take quadratic time (CWE-1333).
_SECRET_NAME = re.compile(
    r"pass(?:word|wd|phrase|code)?$|pass(?:word|wd|phrase)|secret|token|api_?key|access_?key|private_?key|"
    r"credential|(?:^|_)(?:pwd|auth|dsn)(?:_|$)|connection_?string|encryption_?key",
    re.IGNORECASE,
)
_NAMED_VALUE = re.compile(
    r"((?:passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)[\w.-]{0,64}"
    r"(?:\s{0,4}[=:]\s{0,4}|\s{1,4}))(\"[^\"]{3,1024}\"|'[^']{3,1024}'|[^\s\"',;&]{6,1024})",
    re.IGNORECASE,
)
_KNOWN_SHAPES = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}\b|\bgithub_pat_\w{40,}\b|\bglpat-[\w-]{20,}\b|"
    r"\bxox[abprs]-[\w-]{10,}\b|\beyJ[\w-]{8,1024}\.[\w-]{8,2048}\.[\w-]{0,1024}|\b[sr]k_live_\w{16,}\b|"
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)"
)
_URL_PASSWORD = re.compile(r"(://[^/\s:@]{0,256}:)([^/\s@]{1,256})(@)")
_SHORTEST = 6
_LONG_ENOUGH_FOR_A_HINT = 20
_NOT_SECRET = re.compile(r"/|true$|false$|none$|null$|yes$|no$|\d+$", re.IGNORECASE)


def mask(value: str) -> str:
    """Return a mask that lets an owner recognise a long credential, and nobody use it."""
    hint = value[:4] if len(value) >= _LONG_ENOUGH_FOR_A_HINT else ""
    return f"{hint}•••• ({len(value)} characters)"


class Masker:
    """Replaces every credential it knows, and whatever is shaped like one."""

    def __init__(self, values: Iterable[str]) -> None:
        """Take the values found in evidence; values too short to be told from ordinary words are left alone."""
        longest_first = sorted({value for value in values if len(value) >= _SHORTEST}, key=lambda v: (-len(v), v))
        self._values = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def apply(self, text: str) -> str:
        """Return *text* without credentials."""
        if self._values:
            text = self._values.sub(lambda match: mask(match[0]), text)
        text = _KNOWN_SHAPES.sub(lambda match: mask(match[0]), text)
        text = _URL_PASSWORD.sub(lambda match: match[1] + mask(match[2]) + match[3], text)
        return _NAMED_VALUE.sub(_mask_named, text)


def _mask_named(match: re.Match[str]) -> str:
    value = match[2].strip("\"'")
    if "••••" in value or _NOT_SECRET.match(value):
        return match[0]
    return match[1] + mask(value)


def find_secrets(evidence: EvidenceReader) -> tuple[tuple[Secret, ...], Masker]:
    """Return the credentials in the configuration and the process environments, and a masker that knows them all."""
    found: dict[tuple[str, str], Secret] = {}
    values: list[str] = []
    for name, value, where, item in _read_variables(evidence):
        if not _is_secret(name, value):
            continue
        values.append(_secret_part(value))
        found.setdefault((name, value), Secret(name, where, mask(_secret_part(value)), item))
    return tuple(found[key] for key in sorted(found)), Masker(values)


def _read_variables(evidence: EvidenceReader) -> Iterator[tuple[str, str, str, str]]:
    for kind, where in (("inspect", "container configuration"), ("image-inspect", "image configuration")):
        item, document = evidence.first(kind)
        for line in strings_at(object_at(document, "Config"), "Env"):
            yield *_split(line), where, item
    for item, document in evidence.read("processes"):
        for process in objects_at(document, "processes"):
            for line in strings_at(process, "environ"):
                yield *_split(line), f"environment of process {text_at(process, 'pid')}", item


def _split(line: str) -> tuple[str, str]:
    name, _, value = line.partition("=")
    return name, value


def _is_secret(name: str, value: str) -> bool:
    if len(value) < _SHORTEST or _NOT_SECRET.match(value):
        return False
    return bool(_SECRET_NAME.search(name) or _KNOWN_SHAPES.search(value) or _URL_PASSWORD.search(value))


def _secret_part(value: str) -> str:
    url = _URL_PASSWORD.search(value)
    return url[2] if url else value
