"""Approvals' signatures (SSHSIG) made and checked with `ssh-keygen -Y`; namespace ir-approval, and no other."""

from __future__ import annotations

import tempfile
from pathlib import Path

from forensics.errors import StorageError
from forensics.evidence.tools import run_tool
from forensics.playbook.statement import NAMESPACE

_SIGN_SECONDS = 300


def find_approver(statement: bytes, signature: bytes, approvers: Path, names: tuple[str, ...]) -> str:
    """Return under which of *names* the file *approvers* allows the key that signed *statement*; empty if none."""
    with tempfile.TemporaryDirectory(prefix="ir-") as folder:
        message, armor = Path(folder) / "statement", Path(folder) / "statement.sig"
        message.write_bytes(statement)
        armor.write_bytes(signature)
        for name in names:
            arguments = ["-f", str(approvers), "-I", name, "-n", NAMESPACE, "-s", str(armor)]
            code, _ = run_tool(["ssh-keygen", "-Y", "verify", *arguments], stdin=message)
            if code == 0:
                return name
    return ""


def sign_statement(statement: bytes, key: Path) -> bytes:
    """Return the armored signature; a token may want a touch, an encrypted key its passphrase.

    Raises:
        StorageError: the key does not sign.
    """
    with tempfile.TemporaryDirectory(prefix="ir-") as folder:
        message = Path(folder) / "statement"
        message.write_bytes(statement)
        arguments = ["ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(message)]
        code, said = run_tool(arguments, timeout=_SIGN_SECONDS)
        if code:
            hint = "is it in ssh-agent, or its token plugged in?"
            raise StorageError(f"the key {key} does not sign: {said.strip()}", hint=hint)
        return message.with_name("statement.sig").read_bytes()
