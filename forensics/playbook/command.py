"""Runs a responder's own program outside the container, as a step: no shell, a time-out, output bounded and on record.

It is given nothing of the suspect but names and numbers: facts as JSON on its standard input, a few `IR_*` variables,
and no other environment. It never runs inside the container; nothing that the container holds is ever the program.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from forensics.errors import EngineError, IrError, RefusedError
from forensics.model import JsonObject
from forensics.playbook.context import Done, RunContext
from forensics.text import show

_KEPT_BYTES = 1 << 20
_SHOWN = 2000
_CHUNK = 1 << 16
_POLL_SECONDS = 0.1
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_RESERVED = re.compile(r"(?:IR_|LD_|PATH=)")


class Ended(NamedTuple):
    """How a program ended: the first MiB of what it printed, how much that was in all, and its status."""

    output: bytes
    size_bytes: int
    status: int
    is_late: bool


def run_command(context: RunContext, arguments: JsonObject) -> Done:
    """Run the program of a step; a status other than 0 is a failure.

    Raises:
        RefusedError: it is no absolute path of a program that only its owner can change.
        EngineError: it failed or took too long; its output is in the case.
    """
    words = check_command(arguments["argv"])
    environment = make_environment(context, arguments["environment"])
    limit = float(arguments["timeout_s"])
    details: JsonObject = {"argv": list(words), "timeout_s": limit, "environment": sorted(environment)}
    purpose = f"run {show(words[0], 200)} outside the container"
    context.case.record("command", purpose=purpose, result="begin", details=details)
    try:
        ended = run_program(words, environment, _write_facts(context), limit)
        details |= _keep_output(context, words, ended)
        _judge(words, ended, limit)
    except (IrError, OSError) as error:
        said = error.message if isinstance(error, IrError) else str(error.strerror)
        context.case.record("command", purpose=purpose, result="failed", error=said, details=details)
        raise
    context.case.record("command", purpose=purpose, details=details)
    return Done(_describe(ended))


def check_command(argv: list[object]) -> tuple[str, ...]:
    """Return the words of a command, its program by its real path.

    Raises:
        RefusedError: no absolute path of an executable file, or one that somebody else could change.
    """
    words = tuple(str(word) for word in argv)
    program = Path(words[0]) if words else Path()
    if any("\0" in word for word in words) or not program.is_absolute():
        raise RefusedError(
            f"'{show(str(program))}' is no absolute path", hint="name the program in full: /usr/local/bin/x"
        )
    real = program.resolve()
    if not real.is_file() or not os.access(real, os.X_OK):
        raise RefusedError(f"'{show(str(program))}' is no program", hint="give the path of an executable file")
    found = real.stat()
    loose = [folder for folder in real.parents if _others_may_replace(folder)]
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or loose:
        raise RefusedError(
            f"others may change {show(str(loose[0] if loose else real))}", hint="chown it, and chmod go-w"
        )
    return (str(real), *words[1:])


def _others_may_replace(folder: Path) -> bool:
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def make_environment(context: RunContext, more: list[object]) -> dict[str, str]:
    """Return the whole environment of a program: PATH, LANG, `IR_*`, and what the step adds.

    Raises:
        RefusedError: an addition is not NAME=VALUE, or would replace one of ours.
    """
    subject = context.case.subject
    environment = {
        "PATH": _PATH,
        "LANG": "C.UTF-8",
        "IR_CASE": str(context.case.root.absolute()),
        "IR_CASE_ID": context.case.id,
        "IR_CONTAINER_ID": context.container,
        "IR_CONTAINER_NAME": show(subject.name),
        "IR_IMAGE_ID": subject.image_id,
        "IR_PLAYBOOK": context.playbook.id if context.playbook else "",
        "IR_STEP": context.step.id if context.step else "",
        "IR_RUN_ID": context.run_id,
    }
    for pair in map(str, more):
        if not _VARIABLE.match(pair) or _RESERVED.match(pair) or "\0" in pair:
            raise RefusedError(
                f"'{show(pair, 60)}' cannot be set", hint="write NAME=VALUE; IR_*, LD_* and PATH are not yours to set"
            )
        name, _, value = pair.partition("=")
        environment[name] = value
    return environment


def run_program(words: tuple[str, ...], environment: dict[str, str], facts: bytes, limit: float) -> Ended:
    """Run a program in a process group of its own, which ends with it or with the time-out."""
    deadline = time.monotonic() + limit
    with tempfile.TemporaryFile() as given:
        given.write(facts)
        given.seek(0)
        program = subprocess.Popen(
            words,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    with program, _ended_group(program):
        kept, size_bytes = bytearray(), 0
        for chunk in _read(program, deadline):
            kept += chunk[: _KEPT_BYTES - len(kept)]
            size_bytes += len(chunk)
        is_late = program.poll() is None
    return Ended(bytes(kept), size_bytes, program.returncode, is_late)


def _read(program: subprocess.Popen[bytes], deadline: float) -> Iterator[bytes]:
    """Yield what the program prints until it has ended or its time is up; heirs of its output are not waited for."""
    output: IO[bytes] = program.stdout  # type: ignore[assignment]  # it was asked for
    os.set_blocking(output.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            has_ended = program.poll() is not None
            if selector.select(0 if has_ended else _POLL_SECONDS):
                chunk = os.read(output.fileno(), _CHUNK)
                if chunk:
                    yield chunk
                    continue
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(max(0.0, deadline - time.monotonic()))
                return
            if has_ended:
                return


@contextlib.contextmanager
def _ended_group(program: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()


def _write_facts(context: RunContext) -> bytes:
    """Return what conditions may ask about, as one JSON document."""
    from forensics.playbook.facts import read_facts  # noqa: PLC0415 - only conditions and programs need them

    facts = read_facts(context.playbook, context) if context.playbook else {}
    return json.dumps({"schema": "ir.facts/1", **facts}, ensure_ascii=True).encode("ascii") + b"\n"


def _keep_output(context: RunContext, words: tuple[str, ...], ended: Ended) -> JsonObject:
    known: JsonObject = {"status": ended.status, "output_bytes": ended.size_bytes}
    if context.case.sealed:
        return known | {"output": show(ended.output, _SHOWN)}
    item = context.case.add(
        "command-output",
        (ended.output,),
        source=f"program {show(words[0], 200)}, run outside the container",
        method="ir command.run; stdout and stderr",
        filename="output.txt",
        attributes={"argv": list(words), "status": ended.status, "size_bytes": ended.size_bytes},
    )
    return known | {"item": item.id}


def _judge(words: tuple[str, ...], ended: Ended, limit: float) -> None:
    name = show(words[0], 200)
    if ended.is_late:
        raise EngineError(f"{name} took longer than {limit:g} s and was ended", hint="its output is in the case")
    if ended.status:
        raise EngineError(f"{name} ended with status {ended.status}", hint="its output is in the case")


def _describe(ended: Ended) -> JsonObject:
    """Return the value for conditions; what the program printed as one JSON object is one, whole."""
    value: JsonObject = {"status": ended.status, "output": show(ended.output, _SHOWN)}
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(ended.output)
        if isinstance(document, dict):
            value["json"] = document
    return value
