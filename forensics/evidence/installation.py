"""The key of this installation: an Ed25519 SSH key, made on first use where no other key is configured."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from forensics.errors import StorageError
from forensics.evidence.tools import run_tool

INSTALLATION = "installation key, made on first use"
CONFIGURED = "configured key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that can sign: its file (private, or public with the other half in ssh-agent) and its fingerprint."""

    path: Path
    fingerprint: str
    type: str
    origin: str
    created: bool = False


def state_dir() -> Path:
    """Return where this installation keeps its state: IR_STATE_DIR, /var/lib/ir for root, else below the home."""
    configured = os.environ.get("IR_STATE_DIR")
    if configured:
        return Path(configured)
    if os.getuid() == 0:
        return Path("/var/lib/ir")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "ir"


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
            raise StorageError(f"no signing key could be made: {said.strip()}", hint="give one with --key")
    return _describe(path, INSTALLATION, created=created)


def _describe(path: Path, origin: str, *, created: bool) -> SigningKey:
    code, said = run_tool(["ssh-keygen", "-l", "-E", "sha256", "-f", str(path)])
    words = said.split()
    if code or len(words) < 2 or not words[1].startswith("SHA256:"):  # noqa: PLR2004 - bits and fingerprint
        raise StorageError(
            f"{path} is no SSH key", hint="give a private key, or a public one whose half is in ssh-agent"
        )
    return SigningKey(path, words[1], words[-1].strip("()"), origin, created)
