"""Signals about secrets where everyone with the engine's socket or the image can read them; values are masked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from forensics.model import JsonObject, Severity
from forensics.risk.signal import RiskSignal, as_list, as_object

_CORE = (
    r"[A-Za-z0-9_.-]{0,64}(?:passw(?:or)?d|passphrase|secret|token|api_?key|access_?key|private_?key"
    r"|credential|auth_?key|encryption_?key|signing_?key|_pw\b|_pwd\b|dsn\b)[A-Za-z0-9_.-]{0,64}"
)
_NAME = rf"(?<![A-Za-z0-9_.-]){_CORE}"
"""The look-behind lets a match begin at a word's start only: no hostile text can make the search quadratic."""
_VALUE = r"(\"[^\"]*\"|'[^']*'|[^\s;&|,\"']+)"
_SECRET_NAME = re.compile(_CORE, re.IGNORECASE)
_HARMLESS_NAME = re.compile(
    r"(?:_file|_path|_dir|_url|_name|_ttl|_expiry|_length|_type|_id)$|^nopasswd$", re.IGNORECASE
)
"""The last one is a tag of sudoers(5): what follows it are the commands that need no password, and evidence."""
_ASSIGNMENT = re.compile(rf"({_NAME})[\"']?\s{{0,8}}[:=]\s{{0,8}}{_VALUE}", re.IGNORECASE)
_SPACED = re.compile(rf"(?:\b(?:ENV|ARG)\s{{1,8}}|(?<=\s)--)({_CORE})\s{{1,8}}{_VALUE}", re.IGNORECASE)
"""`ENV NAME value` and `--password value`; a bare word before a blank is prose or a package name."""
_URL = re.compile(r"([a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,200}:)([^\s/@]{1,200})@", re.IGNORECASE)
_VALUES = (
    ("AWS access key", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})")),
    ("GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("Slack token", re.compile(r"\bxox[abeprs]-[A-Za-z0-9-]{10,}")),
    ("Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    ("Stripe key", re.compile(r"\b[rs]k_live_[0-9A-Za-z]{16,}")),
    ("private key", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")),
    ("JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}")),
)
_LIMIT = 65_536
_NAME_LIMIT = 200


def find_secret_risks(
    inspect: JsonObject, image: JsonObject | None, history: Sequence[JsonObject]
) -> Iterator[RiskSignal]:
    """Yield one signal for each secret in the environment, and for each in the image's history."""
    baked = set(as_list(as_object(as_object(image).get("Config")).get("Env")))
    for entry in as_list(as_object(inspect.get("Config")).get("Env")):
        what = classify_variable(entry[:_LIMIT])
        if what:
            where = "built into the image" if entry in baked else "in the environment"
            why = f"{where}: readable with 'inspect', by every process in it, and in crash reports"
            name = entry.partition("=")[0]
            matched = f"{name}={mask(entry.partition('=')[2])}"
            yield RiskSignal("risk.secret-environment", f"{what} {where}", Severity.MEDIUM, 10, matched, why, "4.10")
    for step in history:
        created_by = str(step.get("CreatedBy") or "")[:_LIMIT]
        masked = mask_secrets(created_by)
        if masked != created_by:
            why = "everyone who can pull the image reads its build history"
            yield RiskSignal(
                "risk.secret-history", "secret in the image's history", Severity.MEDIUM, 10, masked, why, "4.10"
            )


def classify_variable(entry: str) -> str:
    """Return what kind of secret an environment entry ``NAME=value`` holds, empty for none."""
    name, _, value = entry.partition("=")
    if len(value) < 3:  # noqa: PLR2004 - shorter ones are flags, not secrets
        return ""
    for what, pattern in _VALUES:
        if pattern.search(value):
            return what
    if _URL.search(value):
        return "password in an address"
    named = _SECRET_NAME.fullmatch(name[:_NAME_LIMIT]) and not _HARMLESS_NAME.search(name)
    return "secret" if named and not value.startswith(("/run/secrets/", "$")) else ""


def mask_secrets(text: str) -> str:
    """Return *text* with the values of secrets replaced by their length; names stay."""
    masked = _URL.sub(lambda found: f"{found[1]}{mask(found[2])}@", text)
    for pattern in (_ASSIGNMENT, _SPACED):
        masked = pattern.sub(_mask_assignment, masked)
    for _, pattern in _VALUES:
        masked = pattern.sub(lambda found: mask(found[0]), masked)
    return masked


def _mask_assignment(found: re.Match[str]) -> str:
    name, value = found[1], found[2].strip("\"'")
    if len(value) < 3 or value.startswith(("$", "*", "/run/secrets/")) or _HARMLESS_NAME.search(name):  # noqa: PLR2004
        return found[0]
    start = found.start(2) - found.start(0)
    return found[0][:start] + mask(value)


def mask(value: str) -> str:
    """Return what is shown in place of a secret: its length, and nothing of it."""
    return f"**** ({len(value)} characters)"
