"""ssh:// engines: a private local socket whose every connection is one `ssh HOST docker system dial-stdio`.

The system's ssh is used (its keys, agent, known hosts and jump hosts), as the Docker CLI does; nothing is written on
the remote host.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
import urllib.parse
from pathlib import Path

from forensics.errors import EngineUnavailableError
from forensics.text import show

_SSH_OPTIONS = ("-o", "BatchMode=yes", "-o", "ConnectTimeout=15")


class SshTunnel:
    """Forwards a local unix socket to the engine of a remote host until it is closed."""

    def __init__(self, url: str) -> None:
        """Keep the address; :meth:`open` does the work."""
        self._arguments = ssh_arguments(url)
        self._folder = ""
        self._listener: socket.socket | None = None
        self._children: list[subprocess.Popen[bytes]] = []

    def open(self) -> str:
        """Start to listen and return the ``unix://`` address.

        Raises:
            EngineUnavailableError: there is no ssh client on this host.
        """
        if not shutil.which("ssh"):
            raise EngineUnavailableError("there is no ssh client on this host", hint="install openssh-client")
        self._folder = tempfile.mkdtemp(prefix="ir-ssh-")
        path = str(Path(self._folder) / "engine.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()
        return f"unix://{path}"

    def _serve(self, listener: socket.socket) -> None:
        with (Path(self._folder) / "ssh.err").open("wb") as errors:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed by close()
                with connection:
                    self._children.append(
                        subprocess.Popen(
                            self._arguments, stdin=connection.fileno(), stdout=connection.fileno(), stderr=errors
                        )
                    )

    def diagnosis(self) -> str:
        """Return what ssh said last, for the error's sentence; empty when it said nothing."""
        try:
            lines = (Path(self._folder) / "ssh.err").read_bytes().splitlines()
        except OSError:
            return ""
        return show(lines[-1].strip(), 200) if lines else ""

    def close(self) -> None:
        """Stop listening, end our ssh processes, remove the folder."""
        if self._listener:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for child in self._children:
            child.terminate()
            child.wait()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)


def ssh_arguments(url: str) -> list[str]:
    """Return the command for ``ssh://[user@]host[:port]``; a host that looks like an option is refused.

    Raises:
        EngineUnavailableError: the address has no usable host.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if not host or host.startswith("-") or (parts.username or "").startswith("-"):
        raise EngineUnavailableError(f"the engine address '{show(url)}' names no host", hint="use ssh://user@host")
    user = ["-l", parts.username] if parts.username else []
    port = ["-p", str(parts.port)] if parts.port else []
    return ["ssh", *_SSH_OPTIONS, *user, *port, "--", host, "docker", "system", "dial-stdio"]
