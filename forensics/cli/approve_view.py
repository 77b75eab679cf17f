"""Shows what an approval is about and signs it: for a step that waits, or beforehand for one set of inputs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import click

from forensics.cli.frame import emit_json, say
from forensics.cli.playbook_told import show_statement
from forensics.cli.run_view import parse_inputs
from forensics.errors import CaseExistsError, PlaybookError, UsageError
from forensics.evidence.custody import format_utc
from forensics.evidence.view import read_document
from forensics.playbook.approval import ANY, read_bounded, read_request
from forensics.playbook.compiled import read_playbook
from forensics.playbook.run import plan_run
from forensics.playbook.schema import parse_duration
from forensics.playbook.signature import sign_statement
from forensics.playbook.statement import describe_step, encode_statement
from forensics.text import show


def approve_waiting(  # noqa: PLR0913 - what the command line says
    case: Path, step: str, *, key: Path | None, signature: Path | None, only_print: bool, as_json: bool
) -> int:
    """Sign the request that waits for *step* of *case*, hand in a signature of it, or print it."""
    path, document = read_request(str(read_document(case)["id"]), step)
    statement = encode_statement(document)
    if only_print:
        click.echo(statement.decode("ascii"), nl=False)
        return 0
    if (key is None) == (signature is None):
        raise UsageError("an approval is a signature", hint="give --key, or --signature of one made elsewhere")
    show_statement(document, err=True)
    armor = sign_statement(statement, key) if key else read_bounded(signature or Path())
    if not armor:
        raise UsageError(f"there is no signature in {show(str(signature))}", hint="give the .sig file of ssh-keygen")
    _write_new(Path(f"{path}.sig"), armor, replace=True)
    _tell(document, Path(f"{path}.sig"), as_json=as_json)
    return 0


def approve_beforehand(  # noqa: PLR0913 - what the command line says
    ref: str,
    container: str,
    step: str,
    given: tuple[str, ...],
    *,
    key: Path,
    lifetime: str,
    output: Path,
    as_json: bool,
) -> int:
    """Sign a statement that is good once, for one step of one playbook with one set of inputs."""
    playbook = read_playbook(ref)
    inputs = parse_inputs(playbook, container, given)
    planned = next((planned for planned in plan_run(playbook, inputs) if planned.step.id == step), None)
    if planned is None or planned.step.approval is None:
        asking = [p.step.id for p in plan_run(playbook, inputs) if p.step.approval]
        hint = f"these do: {', '.join(asking)}" if asking else "none of its steps does"
        raise PlaybookError(f"'{playbook.id}' has no step '{show(step, 60)}' that needs an approval", hint=hint)
    bound = {"container": ANY, "case": ANY, "run": ANY, "nonce": os.urandom(16).hex()}
    expires = format_utc(int((time.time() + _parse_lifetime(lifetime)) * 1e9))
    document = describe_step(playbook, inputs, planned) | bound | {"expires": expires}
    statement = encode_statement(document)
    show_statement(document, err=True)
    armor = sign_statement(statement, key)
    _write_new(output, statement)
    _write_new(Path(f"{output}.sig"), armor)
    _tell(document, output, as_json=as_json)
    return 0


def _parse_lifetime(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--expires {show(text, 60)}: {error}", hint="write --expires 1h") from error
    return float(str(seconds))


def _write_new(path: Path, content: bytes, *, replace: bool = False) -> None:
    """Write a file that appears whole, in place of nothing unless it is ours to replace."""
    if not replace and (path.exists() or path.is_symlink()):
        raise CaseExistsError(f"{show(str(path))} exists already", hint="give another name with --output")
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.rename(path)


def _tell(document: dict[str, object], path: Path, *, as_json: bool) -> None:
    if as_json:
        emit_json({"schema": "ir.approve/1", "statement": json.loads(json.dumps(document)), "file": str(path)})
    else:
        say(f"signed: {show(str(path))}")
