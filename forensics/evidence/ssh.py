"""SSH signatures (SSHSIG, OpenSSH PROTOCOL.sshsig) made and checked with ``ssh-keygen -Y``; namespace ir-custody.

Keys may be files, live in ssh-agent (give the public half), or on a FIDO token (``sk-`` keys).
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from forensics.errors import StorageError
from forensics.evidence.tools import run_tool, shorten
from forensics.text import show

NAMESPACE = "ir-custody"
_SIGN_SECONDS = 300
_KEY = re.compile(r" key (SHA256:[A-Za-z0-9+/]*)")


def read_signing_key(message: Path, signature: Path) -> str:
    """Return the fingerprint of the key whose signature of *message* this is; empty if it is none."""
    code, said = run_tool(
        ["ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", str(signature)], stdin=message
    )
    match = _KEY.search(said)
    return match[1] if code == 0 and match else ""


def find_principal(message: Path, signature: Path, allowed_signers: Path) -> str:
    """Return the name under which *allowed_signers* allows the key that signed *message*; empty if it does not."""
    code, said = run_tool(["ssh-keygen", "-Y", "find-principals", "-s", str(signature), "-f", str(allowed_signers)])
    principal = said.split("\n", maxsplit=1)[0]
    if code or not principal:
        return ""
    arguments = ["-f", str(allowed_signers), "-I", principal, "-n", NAMESPACE, "-s", str(signature)]
    code, _ = run_tool(["ssh-keygen", "-Y", "verify", *arguments], stdin=message)
    return principal if code == 0 else ""


def sign(message: bytes, key: Path) -> bytes:
    """Return the armored signature of *message*; a token may want a touch, an encrypted key its passphrase.

    Raises:
        StorageError: the key does not sign.
    """
    with tempfile.TemporaryDirectory(prefix="ir-") as folder:
        path = Path(folder) / "message"
        path.write_bytes(message)
        arguments = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(path)]
        code, said = run_tool(arguments, timeout=_SIGN_SECONDS)
        if code:
            raise StorageError(
                f"the key {show(os.fsencode(key))} does not sign: {shorten(said)}",
                hint="is it in ssh-agent, or its token plugged in and touched?",
            )
        return path.with_name("message.sig").read_bytes()
