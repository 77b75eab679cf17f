"""RFC 3161 timestamps over a signature, through ``openssl ts``; the authority is known only from outside."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from forensics.evidence.tools import run_tool

_DUMP = re.compile(r"^ *00[01]0 - (.{47})", re.MULTILINE)


def read_imprint(reply: Path) -> str:
    """Return the hex digest that the timestamp was made over; empty if the reply cannot be read."""
    _, said = run_tool(["openssl", "ts", "-reply", "-in", str(reply), "-text"])
    return "".join(_DUMP.findall(said)).replace(" ", "").replace("-", "")


def is_whole(reply: Path) -> bool:
    """Return whether the token's signature fits its content and the certificate it carries; trusts nobody."""
    with tempfile.TemporaryDirectory(prefix="ir-") as folder:
        token = Path(folder) / "token"
        run_tool(["openssl", "ts", "-reply", "-in", str(reply), "-token_out", "-out", str(token)])
        if not token.is_file():
            return False
        arguments = ["-noverify", "-inform", "DER", "-in", str(token), "-out", str(Path(folder) / "content")]
        code, _ = run_tool(["openssl", "cms", "-verify", *arguments])
    return code == 0


def is_of_authority(signature: Path, reply: Path, tsa_ca: Path) -> bool:
    """Return whether the reply is a timestamp of *signature* by an authority that *tsa_ca* vouches for."""
    code, _ = run_tool(["openssl", "ts", "-verify", "-data", str(signature), "-in", str(reply), "-CAfile", str(tsa_ca)])
    return code == 0
