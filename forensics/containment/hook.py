"""Runs a responder's own command with a time-out: no shell, nothing of the container's, its own process group."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from forensics.errors import RefusedError
from forensics.text import show

_KEPT_BYTES = 1 << 20
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Ended(NamedTuple):
    """What the hook printed (stdout and stderr, its first MiB), and what went wrong; empty where nothing did."""

    output: bytes
    problem: str


def check_hook(command: str) -> tuple[str, ...]:
    """Return the command's words.

    Raises:
        RefusedError: it is not the absolute path of a program that nobody but its owner (root or us) can change.
    """
    try:
        words = tuple(shlex.split(command))
    except ValueError as error:
        raise RefusedError(
            f"the hook cannot be read: {error}", hint="write it as in a shell, without a shell's powers"
        ) from error
    path = Path(words[0]) if words else Path()
    if not path.is_absolute() or not path.is_file() or not os.access(path, os.X_OK):
        raise RefusedError(
            f"the hook {show(command)!r} names no program", hint="give the absolute path of an executable file"
        )
    found = path.stat()
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RefusedError(f"others may change the hook {show(str(path))}", hint="chown it, and chmod go-w")
    return words


def run_hook(words: tuple[str, ...], facts: dict[str, str], timeout_seconds: float) -> Ended:
    """Run the hook with *facts* as its whole environment besides PATH; everything it started ends with the time-out."""
    with tempfile.TemporaryFile() as output:
        hook = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"PATH": _PATH, **facts},
            cwd="/",
            start_new_session=True,
        )
        problem = ""
        try:
            if hook.wait(timeout_seconds):
                problem = f"ended with status {hook.returncode}"
        except subprocess.TimeoutExpired:
            problem = f"took longer than {timeout_seconds:g} s and was ended"
        finally:
            _end_group(hook)
        output.seek(0)
        return Ended(output.read(_KEPT_BYTES), problem)


def _end_group(hook: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(hook.pid, signal.SIGKILL)
    hook.wait()
