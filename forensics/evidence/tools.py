"""Runs the two helper programs of this room, ``ssh-keygen`` and ``openssl``: argument lists only, never a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from forensics.errors import StorageError
from forensics.text import show

_TIMEOUT_SECONDS = 60


def shorten(said: str) -> str:
    """Return what a helper that failed said, as the end of a sentence: the last line, without the file it is about."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return show(lines[-1].rpartition(" failed: ")[2]) if lines else "it said nothing"


def run_tool(arguments: list[str], *, stdin: Path | None = None, timeout: int = _TIMEOUT_SECONDS) -> tuple[int, str]:
    """Run a helper in the C locale; return its exit code and everything it said.

    Raises:
        StorageError: the program is not installed, or did not answer in *timeout* seconds.
    """
    program = shutil.which(arguments[0])
    if not program:
        packages = {"ssh-keygen": "openssh-client", "openssl": "openssl"}
        raise StorageError(
            f"{arguments[0]} is not installed", hint=f"install the package {packages.get(arguments[0], arguments[0])}"
        )
    environment = {**os.environ, "LC_ALL": "C"}
    source = stdin or Path(os.devnull)
    try:
        with source.open("rb") as file:
            done = subprocess.run(
                [program, *arguments[1:]],
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=timeout,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise StorageError(f"{arguments[0]} did not answer in {timeout} seconds") from error
    return done.returncode, done.stdout.decode("utf-8", "backslashreplace")
