"""The key of this installation: an Ed25519 SSH key, made on first use where no other key is configured."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from forensics.errors import StorageError
from forensics.evidence.ssh import NAMESPACE
from forensics.evidence.tools import run_tool, shorten
from forensics.folders import state_dir

INSTALLATION = "installation key, made on first use"
CONFIGURED = "configured key"
_PUBLIC = re.compile(rb"(?:ssh|ecdsa|sk)-[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+")
_NO_PRINCIPAL = re.compile(r"[^A-Za-z0-9@._+-]+")
_MAX_PUBLIC = 16384


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that can sign: its file (private, or public with the other half in ssh-agent) and its fingerprint."""

    path: Path
    fingerprint: str
    type: str
    origin: str
    created: bool = False


def find_key(configured: Path | None) -> SigningKey:
    """Return the configured key, or this installation's own, which is made if it does not exist yet.

    Raises:
        StorageError: the file is no key that ssh-keygen can read.
    """
    if configured:
        return _describe(configured.expanduser(), CONFIGURED, created=False)
    path = state_dir() / "keys" / "ir_ed25519"
    created = not path.exists()
    if created:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        comment = f"ir installation key of {os.uname().nodename}"
        code, said = run_tool(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
        if code:
            raise StorageError(f"no signing key could be made: {shorten(said)}", hint="give one with --key")
    return _describe(path, INSTALLATION, created=created)


def allow(name: str, key: SigningKey) -> str:
    """Return the line of allowed_signers (ssh-keygen(1)) for a key and its holder; empty without its public half.

    The holder's name keeps only what a principal can hold.
    """
    principal = _NO_PRINCIPAL.sub("_", name) or "operator"
    for path in (key.path, Path(f"{key.path}.pub")):
        if path.is_file() and (match := _PUBLIC.match(path.read_bytes()[:_MAX_PUBLIC])):
            return f'{principal} namespaces="{NAMESPACE}" {match[0].decode("ascii")}'
    return ""


def _describe(path: Path, origin: str, *, created: bool) -> SigningKey:
    code, said = run_tool(["ssh-keygen", "-l", "-E", "sha256", "-f", str(path)])
    words = said.split()
    if code or len(words) < 2 or not words[1].startswith("SHA256:"):  # noqa: PLR2004 - bits and fingerprint
        raise StorageError(
            f"{path} is no SSH key", hint="give a private key, or a public one whose half is in ssh-agent"
        )
    return SigningKey(path, words[1], words[-1].strip("()"), origin, created)
