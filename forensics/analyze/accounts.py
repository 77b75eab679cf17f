"""Accounts and rights that were not there before: uid 0, log-ins, passwords, groups, sudo rules, SSH keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.analyze.configuration import Area, Configured, read_configured
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.rule import Rule
from forensics.model import Confidence, Finding, Severity

_NEXT = "Ask who created it; remove it in the image; rotate what it could reach."
UID_ZERO = Rule(
    "account.uid-0",
    "A second account has root's user id",
    Severity.CRITICAL,
    ("T1136.001", "T1098"),
    "An account with uid 0 under another name is root with its own password.",
    "None in a container; historic Unix systems shipped 'toor'.",
    _NEXT,
)
LOGIN = Rule(
    "account.login-capable",
    "An account that can log in was added or enabled",
    Severity.HIGH,
    ("T1136.001", "T1098"),
    "A new account with a shell and a password is a way back in.",
    "Images create their service user; such an account has no password.",
    _NEXT,
)
PASSWORD = Rule(
    "account.password-changed",
    "A password was set or removed",
    Severity.HIGH,
    ("T1098", "T1556"),
    "Services in containers need no passwords; an intruder sets one to come back.",
    "SSH or FTP images that set a password at start.",
    _NEXT,
)
GROUP = Rule(
    "account.privileged-group",
    "An account joined a privileged group",
    Severity.MEDIUM,
    ("T1098.007",),
    "Members of these groups become root or drive the container engine.",
    "Build images that prepare a developer account.",
    _NEXT,
)
SUDO = Rule(
    "account.sudo-rule",
    "A rule lets an account become root without a password",
    Severity.HIGH,
    ("T1548.003",),
    "Whoever runs as that account is root.",
    "Development images give their user password-less sudo on purpose.",
    _NEXT,
)
KEY = Rule(
    "account.ssh-key",
    "An SSH key that may log in was added",
    Severity.HIGH,
    ("T1098.004",),
    "The holder of the private key can log in whenever the SSH service is reachable.",
    "SSH and Git server images receive their users' keys at start.",
    "Identify the key's owner by its comment and fingerprint; remove it.",
)
_NO_LOGIN = re.compile(r"(?:nologin|/false|/sync|/shutdown|/halt|/null)$")
_PRIVILEGED = frozenset({"root", "sudo", "wheel", "docker", "admin", "shadow", "disk", "lxd"})
_SUDO_ALL = re.compile(r"NOPASSWD\s*:|!authenticate|^\s*permit\s+(?:nopass|keepenv)", re.MULTILINE | re.IGNORECASE)
_KEY_LINE = re.compile(r"(?:ssh-(?:rsa|ed25519|dss)|ecdsa-sha2-\S+|sk-\S+@openssh\.com)\s+[A-Za-z0-9+/=]{20,}")
_PASSWD_FIELDS = 7
_FIRST_USER = 1000


@dataclass(frozen=True, slots=True)
class Account:
    """One line of passwd(5)."""

    name: str
    password: str
    uid: str
    shell: str

    @property
    def may_log_in(self) -> bool:
        """Whether it has a shell."""
        return not _NO_LOGIN.search(self.shell)


def parse_passwd(text: str) -> dict[str, Account]:
    """Return the accounts of a passwd file by name; lines that are none are left out."""
    accounts: dict[str, Account] = {}
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) >= _PASSWD_FIELDS and not line.startswith("#"):
            accounts[parts[0]] = Account(parts[0], parts[1], parts[2].strip(), parts[6].strip())
    return accounts


def parse_shadow(text: str) -> dict[str, str]:
    """Return the password fields of a shadow file by name."""
    return {parts[0]: parts[1] for line in text.splitlines() if len(parts := line.split(":")) > 1}


def is_usable_password(field: str) -> bool:
    """Whether somebody can log in with a password (shadow(5): ``*`` and ``!`` lock; empty needs none)."""
    return not field.startswith(("*", "!", "x"))


def analyze_accounts(view: CaseView) -> Iterator[Finding]:
    """Compare passwd, shadow, group, sudoers and keys with the baseline's."""
    shadow = parse_shadow(_decode(view.files.text(b"etc/shadow")))
    judges = {
        Area.PASSWD: lambda configured: _judge_passwd(configured, shadow),
        Area.SHADOW: _judge_shadow,
        Area.GROUP: _judge_group,
        Area.SUDOERS: _judge_sudoers,
        Area.KEYS: _judge_keys,
    }
    for configured in read_configured(view.files, *judges):
        yield from judges[configured.area](configured)


def _decode(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")


def _judge_passwd(configured: Configured, shadow: dict[str, str]) -> Iterator[Finding]:
    before = parse_passwd("\n".join([*configured.removed, *_kept_lines(configured)]))
    references = [configured.artifact.reference]
    for name, account in parse_passwd(configured.added_text).items():
        old = before.get(name)
        line = f"{name}:{account.uid}:{account.shell}"
        if re.fullmatch(r"0+", account.uid) and name != "root" and (old is None or old.uid != account.uid):
            yield UID_ZERO.found(line, references)
        elif account.password == "" or (
            account.password not in {"x", "*", "!"} and is_usable_password(account.password)
        ):
            yield PASSWORD.found(f"{line} (password field of passwd)", references)
        elif configured.artifact.is_runtime and account.may_log_in and (old is None or not old.may_log_in):
            usable = is_usable_password(shadow.get(name, "!"))
            system = old is not None and account.uid.isdecimal() and int(account.uid) < _FIRST_USER
            yield LOGIN.found(line, references, severity=None if usable or system else Severity.LOW)


def _kept_lines(configured: Configured) -> list[str]:
    added = set(configured.added)
    return [line for line in configured.text.splitlines() if line not in added]


def _judge_shadow(configured: Configured) -> Iterator[Finding]:
    before = parse_shadow("\n".join(configured.removed))
    for name, field in parse_shadow(configured.added_text).items():
        if field == before.get(name) or not is_usable_password(field):
            continue
        if not configured.artifact.is_runtime and not (field == "" and name == "root"):
            yield PASSWORD.found(
                f"{name}: password set while building", [configured.artifact.reference], severity=Severity.MEDIUM
            )
            continue
        shown = "no password needed" if field == "" else f"hash of type {field[:3]}"
        yield PASSWORD.found(f"{name}: {shown}", [configured.artifact.reference])


def _judge_group(configured: Configured) -> Iterator[Finding]:
    if not configured.artifact.is_runtime:
        return
    before = _members("\n".join(configured.removed))
    for name, members in _members(configured.added_text).items():
        joined = sorted(members - before.get(name, set()))
        if name in _PRIVILEGED and joined:
            yield GROUP.found(f"{name}: {', '.join(joined)}", [configured.artifact.reference])


def _members(text: str) -> dict[str, set[str]]:
    lines = (line.split(":") for line in text.splitlines())
    return {parts[0]: {part for part in parts[3].split(",") if part} for parts in lines if len(parts) > 3}  # noqa: PLR2004 - group(5)


def _judge_sudoers(configured: Configured) -> Iterator[Finding]:
    text = "\n".join(line for line in configured.added if not line.lstrip().startswith("#"))
    if match := _SUDO_ALL.search(text):
        line = next((line for line in text.splitlines() if match.group().strip() in line), match.group())
        runtime = configured.artifact.is_runtime
        yield SUDO.found(line.strip(), [configured.artifact.reference], severity=None if runtime else Severity.MEDIUM)


def _judge_keys(configured: Configured) -> Iterator[Finding]:
    keys = [line.strip() for line in configured.added if _KEY_LINE.search(line)]
    if keys:
        runtime = configured.artifact.is_runtime
        yield KEY.found(
            "; ".join(f"{key[:40]}… {key.split()[-1][-40:]}" for key in keys[:5]),
            [configured.artifact.reference],
            confidence=None if runtime else Confidence.MEDIUM,
        )
