"""A real RFC 3161 timestamp authority for tests: its own CA, its key, and `openssl ts -reply` behind HTTP."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from case_tools import AUTHORITIES

_CONFIG = """
[tsa]
default_tsa = authority
[authority]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/ca.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class Authority:
    """One authority; `ca` is the certificate that vouches for it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.ca = folder / "ca.pem"
        AUTHORITIES.append(self.ca)
        self.config = folder / "ts.cnf"
        self.config.write_text(_CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        (folder / "extensions").write_text("extendedKeyUsage=critical,timeStamping\n")
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        _run(*new, "-x509", "-keyout", folder / "ca.key", "-out", self.ca, "-days", "30", "-subj", "/CN=Test CA")
        _run(*new, "-keyout", folder / "tsa.key", "-out", folder / "tsa.csr", "-subj", "/CN=Test TSA")
        by = ["-CA", self.ca, "-CAkey", folder / "ca.key", "-CAcreateserial", "-extfile", folder / "extensions"]
        _run("openssl", "x509", "-req", "-in", folder / "tsa.csr", *by, "-days", "30", "-out", folder / "tsa.pem")

    def reply(self, query: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            asked, answered = Path(folder) / "query", Path(folder) / "reply"
            asked.write_bytes(query)
            _run("openssl", "ts", "-reply", "-config", self.config, "-queryfile", asked, "-out", answered)
            return answered.read_bytes()

    @contextmanager
    def serve(self, *, stale: bytes = b"") -> Iterator[str]:
        """Answer over HTTP; with *stale* always with this reply, as an authority that is broken or replayed."""
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                reply = stale or authority.reply(query)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/tsr"
        finally:
            server.shutdown()
            server.server_close()


def _run(*arguments: str | Path) -> None:
    subprocess.run([str(argument) for argument in arguments], check=True, capture_output=True)
