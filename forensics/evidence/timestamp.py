"""RFC 3161 timestamps over a signature, through ``openssl ts``; the authority is known only from outside."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import tempfile
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path

from forensics.errors import IrError, StorageError, UsageError
from forensics.evidence.tools import run_tool, shorten
from forensics.text import show

_NONCE = re.compile(r"^Nonce: (0x[0-9A-F]+)$", re.MULTILINE)
_TIME = re.compile(r"^Time stamp: (\w{3} +\d+ \d\d:\d\d:\d\d)(?:\.\d+)? (\d{4}) GMT$", re.MULTILINE)
_ANSWER_SECONDS = 30
_MAX_REPLY = 1 << 20
_LATER = "the seal stands without it; fetch the timestamp later with 'ir seal CASE --complete --tsa URL'"
_DUMP = re.compile(r"^ *00[01]0 - (.{47})", re.MULTILINE)


class TimestampError(IrError):
    """The authority gave no timestamp; the seal itself is whole."""


def read_imprint(reply: Path) -> str:
    """Return the hex digest that the timestamp was made over; empty if the reply cannot be read."""
    _, said = run_tool(["openssl", "ts", "-reply", "-in", str(reply), "-text"])
    return "".join(_DUMP.findall(said)).replace(" ", "").replace("-", "")


def read_time(reply: Path) -> datetime | None:
    """Return when the authority says that it made the timestamp; None if the reply cannot be read."""
    _, said = run_tool(["openssl", "ts", "-reply", "-in", str(reply), "-text"])
    match = _TIME.search(said)
    return datetime.strptime(f"{match[1]} {match[2]} +0000", "%b %d %H:%M:%S %Y %z") if match else None


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


def make_query(signature: Path) -> bytes:
    """Return the request for a timestamp of *signature*: SHA-256, with a nonce, asking for the certificate.

    Raises:
        StorageError: openssl does not make one.
    """
    with tempfile.TemporaryDirectory(prefix="ir-") as folder:
        query = Path(folder) / "query"
        arguments = ["-data", str(signature), "-sha256", "-cert", "-out", str(query)]
        code, said = run_tool(["openssl", "ts", "-query", *arguments])
        if code:
            raise StorageError(f"no timestamp request could be made: {shorten(said)}")
        return query.read_bytes()


def fetch_reply(query: bytes, url: str) -> bytes:
    """Send a request to a timestamp authority and return its reply, checked to be whole and of this request.

    Raises:
        UsageError: *url* is not http or https.
        TimestampError: the authority does not answer, refuses, or answers something else.
    """
    if not url.startswith(("http://", "https://")):
        raise UsageError(f"a timestamp authority has an http or https address, not {show(url)}")
    headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
    request = urllib.request.Request(url, data=query, headers=headers, method="POST")  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310 - checked above
            reply: bytes = answer.read(_MAX_REPLY)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TimestampError(f"the timestamp authority {show(url)} {_explain(error)}", hint=_LATER) from error
    _check_reply(query, reply, show(url))
    return reply


def _explain(error: Exception) -> str:
    """Return what became of a request, as the end of a sentence."""
    if isinstance(error, urllib.error.HTTPError):
        return f"answered with HTTP status {error.code}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    known = {
        socket.gaierror: "cannot be found: its name does not resolve here",
        ssl.SSLCertVerificationError: "has a TLS certificate that this host does not trust",
        ConnectionRefusedError: "refuses connections",
        TimeoutError: f"did not answer in {_ANSWER_SECONDS} seconds",
        http.client.HTTPException: "does not speak HTTP",
        ValueError: "has an address that is none",
    }
    said = next((text for kind, text in known.items() if isinstance(reason, kind)), "")
    return said or f"cannot be reached: {getattr(reason, 'strerror', None) or type(reason).__name__}"


def _check_reply(query: bytes, reply: bytes, url: str) -> None:
    with tempfile.TemporaryDirectory(prefix="ir-") as folder:
        asked, answered = Path(folder) / "query", Path(folder) / "reply"
        asked.write_bytes(query)
        answered.write_bytes(reply)
        _, question = run_tool(["openssl", "ts", "-query", "-in", str(asked), "-text"])
        _, answer = run_tool(["openssl", "ts", "-reply", "-in", str(answered), "-text"])
        if not is_whole(answered) or "Status: Granted" not in answer:
            raise TimestampError(f"the timestamp authority {url} did not grant a timestamp", hint=_LATER)
    nonce = _NONCE.search(question)
    if not nonce or _NONCE.findall(answer) != [nonce[1]] or _DUMP.findall(question) != _DUMP.findall(answer):
        raise TimestampError(f"the timestamp authority {url} answered another request", hint=_LATER)
