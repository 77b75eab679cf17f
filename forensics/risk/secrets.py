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
_SWITCH = re.compile(
    r"(?:<[^>]{0,80}>|\{\{.{0,80}\}\}|\$.*|%\w{0,40}%?|\*{3,}|none|null|true|false|yes|no|on|off|\d{1,4})$",
    re.IGNORECASE,
)
"""What stands in a secret's place and is none: a template's hole, a switch, a small number."""
_EXAMPLE = re.compile(
    r"(?:x{3,}|\.{3,}|your[-_ ].*|change[-_]?(?:me|it)|example.*|todo|fixme|placeholder|required|optional|prompt|ask"
    r"|undefined)$",
    re.IGNORECASE,
)
"""What stands in the place of a secret in files that explain; in an environment it is the secret itself."""
_HARMLESS_NAME = re.compile(
    r"(?:_file|_path|_dir|_url|_name|_ttl|_expiry|_length|_type|_id)$|^nopasswd$", re.IGNORECASE
)
"""The last one is a tag of sudoers(5): what follows it are the commands that need no password, and evidence."""
_ASSIGNMENT = re.compile(rf"({_NAME})[\"']?\s{{0,8}}[:=]\s{{0,8}}{_VALUE}", re.IGNORECASE)
_SPACED = re.compile(rf"(?:\b(?:ENV|ARG)\s{{1,8}}|(?<=\s)--)({_CORE})\s{{1,8}}{_VALUE}", re.IGNORECASE)
"""`ENV NAME value` and `--password value`; a bare word before a blank is prose or a package name."""
_URL = re.compile(r"([a-z][a-z0-9+.-]{1,20}://[^\s/:@]{0,200}:)([^\s/@]{1,200})@", re.IGNORECASE)
_VALUES = (
    ("AWS access key", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})")),
    ("GitLab token", re.compile(r"\bgl(?:pat|dt|rt|ptt|cbt|agent|soat)-[A-Za-z0-9_-]{20,64}")),
    ("Slack token", re.compile(r"\b(?:xox[abeprs]|xapp)-[A-Za-z0-9-]{10,255}")),
    ("Slack or Discord webhook", re.compile(
        r"https://(?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks)/[A-Za-z0-9/_-]{20,200}")),
    ("Google API key", re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    ("Google OAuth secret", re.compile(r"\b(?:GOCSPX-[A-Za-z0-9_-]{28}|ya29\.[A-Za-z0-9_-]{20,255})")),
    ("Azure storage key", re.compile(r"\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,90}={0,2}")),
    ("Azure shared access signature", re.compile(r"[?&;]sig=[A-Za-z0-9%+/]{40,200}")),
    ("Azure client secret", re.compile(r"\b[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}")),
    ("Stripe key", re.compile(r"\b[rs]k_live_[0-9A-Za-z]{16,255}")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("PyPI token", re.compile(r"\bpypi-AgE[A-Za-z0-9_-]{50,255}")),
    ("Docker Hub token", re.compile(r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{20,64}")),
    ("Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,64}\b")),
    ("AI provider key", re.compile(r"\bsk-(?:ant-|proj-)?[A-Za-z0-9_-]{32,255}")),
    ("Vault token", re.compile(r"\bhv[sbr]\.[A-Za-z0-9_-]{24,255}")),
    ("DigitalOcean token", re.compile(r"\bdo[opr]_v1_[0-9a-f]{64}\b")),
    ("SendGrid key", re.compile(r"\bSG\.[A-Za-z0-9_-]{16,64}\.[A-Za-z0-9_-]{16,64}")),
    ("Telegram bot token", re.compile(r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b")),
    ("age key", re.compile(r"\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b")),
    ("private key", re.compile(
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[A-Za-z0-9+/=\s\\:,-]{0,16384}-----END [A-Z ]{0,30}PRIVATE KEY)?")),
    ("JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,4096}\.eyJ[A-Za-z0-9_-]{10,4096}\.[A-Za-z0-9_-]{10,4096}")),
    ("registry password", re.compile(r"(?<=\"auth\")\s{0,4}:\s{0,4}\"[A-Za-z0-9+/]{8,1024}={0,2}\"")),
    ("cluster key", re.compile(r"(?<=client-key-data:)\s{1,4}[A-Za-z0-9+/]{40,8192}={0,2}")),
    ("password for a machine", re.compile(r"(?<=\bpassword )\S{3,200}(?=\s*(?:$|machine|account|macdef))")),
)  # fmt: skip
_LIMIT = 65_536
_NAME_LIMIT = 200
_MOST_NAMED = 12
_LEAST_SECRET = 6


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
    return "secret" if named and not _is_reference(value) else ""


def _is_reference(value: str) -> bool:
    """Whether a value only says where a secret is, or is none at all."""
    return value.startswith(("/run/secrets/", "$", "*")) or bool(_SWITCH.match(value.strip("\"' ")))


def name_secrets(text: str) -> tuple[str, ...]:
    """Return what kinds of secrets a file's text holds, names of variables with them; values never."""
    text = text[:_LIMIT]
    found = dict.fromkeys(what for what, pattern in _VALUES if pattern.search(text))
    if any(not _is_reference(match[2]) for match in _URL.finditer(text)):
        found["password in an address"] = None
    for match in _ASSIGNMENT.finditer(text):
        name, value = match[1], match[2].strip("\"'")
        if len(value) >= _LEAST_SECRET and not _HARMLESS_NAME.search(name) and _is_literal(value):
            found[f"value of {name}"] = None
    return tuple(found)[:_MOST_NAMED]


def _is_literal(value: str) -> bool:
    """Whether a value in a file is a secret itself, not code that fetches one."""
    if _is_reference(value) or _EXAMPLE.match(value):
        return False
    return not re.search(r"[(){}\[\]<>]|^[a-z_]+\.[a-z_.]+$", value)


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
