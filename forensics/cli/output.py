"""What a command writes to its standard streams. Without click, because `ir isolate` does not wait for it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, TextIO

from forensics.errors import StorageError


def emit_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout; ASCII, so that no hostile name reaches the terminal raw."""
    say(json.dumps(document, ensure_ascii=True, indent=2))


def say(message: str, *, err: bool = False) -> None:
    """Write one line for a person, without colours; hostile parts went through :func:`forensics.text.show` before.

    What the stream's encoding lacks is escaped. A reader who has left stops neither the work nor its exit code.

    Raises:
        StorageError: the stream cannot be written for another reason, such as a full disk.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is None:
        return
    with forgive_reader(stream):
        encoding = stream.encoding or "utf-8"
        stream.write(message.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()


@contextmanager
def forgive_reader(stream: TextIO) -> Generator[None]:
    """Send what follows nowhere when the reader of *stream* has left; ``ir verify CASE | head -1`` must still fail."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except OSError as error:
        name = "standard error" if stream is sys.stderr else "standard output"
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # or the interpreter would try again at its end
        raise StorageError(f"{name} cannot be written: {error.strerror}", hint="see where it goes") from error


def finish_streams(code: int) -> int:
    """Write out what still waits and return the exit code: *code*, or 1 where that failed and nothing else had.

    The interpreter would try once more at its end, and answer a full disk with a code of its own (120).
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            with forgive_reader(stream):
                stream.flush()
        except StorageError:
            code = code or 1
    return code
