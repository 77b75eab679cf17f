"""Reads what may never answer (a hung mount, a server of the attacker's) in a child process that can be given up.

A thread would not do: who waits for a FUSE server that took the question and never answers cannot be killed, and a
process with such a thread cannot end. The child holds nothing of the case open; the parent waits for silence, not for
the end, so a slow answer is no hung one. Runs nothing but the function it is given.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import struct
import time
from collections.abc import Callable, Generator
from typing import NoReturn, TypeVar

from forensics.model import JsonObject

SILENCE_SECONDS = 10.0
"""A reader that has given nothing for so long is given up."""

_FRAME = struct.Struct("=cQ")
_DATA, _RESULT, _ERROR = b"d", b"r", b"e"
_PIPE_BYTES = 1 << 20
_T = TypeVar("_T")

Work = Callable[[], Generator[bytes, None, JsonObject]]


def stream_apart(work: Work, *keep: int) -> Generator[bytes, None, JsonObject]:
    """Yield what *work* yields in a child process, and return what it returns (JSON); *keep* are open descriptors.

    Raises:
        TimeoutError: it was silent for :data:`SILENCE_SECONDS`; the child is killed, or left behind where it cannot be.
        OSError: what *work* raised, or the child died.
    """
    incoming, outgoing = os.pipe()
    with contextlib.suppress(OSError):  # only faster
        fcntl.fcntl(incoming, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    pid = os.fork()
    if pid == 0:
        _serve(work, outgoing, keep)
    os.close(outgoing)
    try:
        return (yield from _receive(incoming))
    finally:
        os.close(incoming)
        _end(pid)


def ask_apart(question: Callable[[], _T], *keep: int) -> _T:
    """Return the answer (JSON) of *question*, asked in a child process.

    Raises:
        OSError: as :func:`stream_apart`.
    """

    def work() -> Generator[bytes, None, JsonObject]:
        yield b""
        return {"answer": question()}

    stream = stream_apart(work, *keep)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            answer: _T = end.value["answer"]
            return answer


def _close_all_but(kept: set[int]) -> None:
    """Close what else is open: a child that hangs would hold the case's lock, and our output's reader, for ever."""
    nothing = os.open(os.devnull, os.O_RDWR)
    first = 3
    for standard in range(first):
        os.dup2(nothing, standard)
    for descriptor in sorted(kept):
        os.closerange(first, descriptor)
        first = descriptor + 1
    os.closerange(first, os.sysconf("SC_OPEN_MAX"))


def _serve(work: Work, outgoing: int, keep: tuple[int, ...]) -> NoReturn:
    """Run *work* and write frames; leave without any of the parent's clean-up."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's to answer
        _close_all_but({outgoing, *keep})
        try:
            _send_all(work(), outgoing)
            status = 0
        except OSError as error:
            _send(outgoing, _ERROR, json.dumps(error.strerror or str(error)).encode("ascii"))
    finally:
        os._exit(status)


def _send_all(stream: Generator[bytes, None, JsonObject], outgoing: int) -> None:
    while True:
        try:
            piece = next(stream)
        except StopIteration as end:
            _send(outgoing, _RESULT, json.dumps(end.value, ensure_ascii=True).encode("ascii"))
            return
        _send(outgoing, _DATA, piece)


def _send(outgoing: int, kind: bytes, content: bytes) -> None:
    view = memoryview(_FRAME.pack(kind, len(content)) + content)
    while view:
        view = view[os.write(outgoing, view) :]


def _receive(incoming: int) -> Generator[bytes, None, JsonObject]:
    while True:
        kind, size = _FRAME.unpack(_read(incoming, _FRAME.size))
        content = _read(incoming, size)
        if kind == _RESULT:
            result: JsonObject = json.loads(content)
            return result
        if kind == _ERROR:
            raise OSError(json.loads(content))  # without its number: a server may claim that the case's disk is full
        if content:
            yield content


def _read(incoming: int, size: int) -> bytes:
    pieces = []
    poll = select.poll()
    poll.register(incoming, select.POLLIN)
    while size > 0:
        if not poll.poll(SILENCE_SECONDS * 1000):
            raise TimeoutError(errno.ETIMEDOUT, f"no answer for {SILENCE_SECONDS:g} s: it hangs")
        piece = os.read(incoming, size)
        if not piece:
            raise OSError(errno.EIO, "the process that read it died")
        size -= len(piece)
        pieces.append(piece)
    return b"".join(pieces)


def _end(pid: int) -> None:
    """Reap the child; one that hangs is killed and left to the kernel, which reaps it when its wait ends."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for _ in range(50):
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
            time.sleep(0.01)
            continue
        return
