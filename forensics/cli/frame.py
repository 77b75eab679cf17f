"""The frame around every command: lazy loading, the one error handler, exit codes, machine output.

Exit codes: 0 done, 1 finished with failures, 2 usage, 3 verification failed, 4 engine or host unavailable, 5 refused,
130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensics import __version__
from forensics.cli.output import emit_json, forgive_reader
from forensics.errors import IrError, StorageError
from forensics.text import show

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["LazyGroup", "emit_json", "guard", "json_option", "run", "say"]
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}
INTERRUPTED = 130


class LazyGroup(click.Group):
    """A click group that imports a command's module only when that command is run or asked for help."""

    def __init__(self, *, name: str, commands: Mapping[str, tuple[str, str]], help: str) -> None:  # noqa: A002 - click's name
        """Take the table of commands: name to (module, one line of help)."""
        super().__init__(name=name, help=help, context_settings=CONTEXT_SETTINGS)
        self._table = dict(commands)
        if name == "ir":
            click.version_option(__version__, prog_name="ir", message="%(prog)s %(version)s")(self)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of the table, which is the order of the work."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return one command."""
        if cmd_name not in self._table:
            return None
        command: click.Command = importlib.import_module(self._table[cmd_name][0]).command
        if command.help:
            command.help = command.help.replace("\\b\n", "\b\n")  # raw docstrings (ruff D301)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands from the table, importing none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self._table.items()])


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--json``: stdout carries one JSON document and nothing else."""
    return click.option("--json", "as_json", is_flag=True, help="Machine output on stdout; everything else on stderr.")(
        function
    )


def say(message: str, *, err: bool = False) -> None:
    """Write one line for a person, without its colours where nobody sees them.

    Hostile parts must have gone through :func:`forensics.text.show` already. A stream that cannot be written: see
    :func:`forensics.cli.output.say`.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is not None:
        with forgive_reader(stream):
            click.echo(message, err=err)


def run(command: click.Command, arguments: list[str] | None = None) -> int:
    """Run *command* and return its exit code; every expected failure becomes one sentence and a hint."""
    given = sys.argv[1:] if arguments is None else arguments
    return guard(lambda: command.main(given, prog_name="ir", standalone_mode=False), given)


def guard(call: Callable[[], object], arguments: list[str]) -> int:
    """Return the exit code of *call*; the one place where an error becomes a sentence."""
    _open_standard_streams()
    sys.excepthook = _report_bug
    try:
        result = call()
    except (click.exceptions.Abort, KeyboardInterrupt) as error:
        return _show_interruption(error, arguments)
    except click.ClickException as error:
        return _fail_usage(error, arguments)
    except IrError as error:
        return _fail(error, arguments)
    except OSError as error:
        return _fail(_explain_os_error(error), arguments)
    except SystemExit as leaving:  # click's wordless answer to a broken pipe, which may have been the engine's
        if not isinstance(leaving.__context__, OSError):
            raise
        return _fail(_explain_os_error(leaving.__context__), arguments)
    return result if isinstance(result, int) else 0


def _fail_usage(error: click.ClickException, arguments: list[str]) -> int:
    context = getattr(error, "ctx", None)
    hint = f"see '{context.command_path} --help'" if context else ""
    return _show_error(error.format_message(), hint, error.exit_code, arguments)


def _fail(error: IrError, arguments: list[str]) -> int:
    return _show_error(error.message, error.hint, error.exit_code, arguments)


def _show_error(message: str, hint: str, exit_code: int, arguments: list[str]) -> int:
    advice = f" {hint[0].upper()}{hint[1:].rstrip('.')}{'' if hint.endswith('?') else '.'}" if hint else ""
    say(f"ir: {message.rstrip('.')}.{advice}", err=True)
    _emit_failure(message, hint, exit_code, arguments)
    return exit_code


def _show_interruption(error: BaseException, arguments: list[str]) -> int:
    case = _find_case(error) or _find_case(error.__cause__)
    if not case:
        return _show_error("interrupted; what was recorded up to here is whole", "", INTERRUPTED, arguments)
    go_on = f"ir playbook resume {case}" if _is_run(arguments) else f"ir collect CONTAINER --case {case} --resume"
    undo = f"'ir release {case}' undoes a containment, '{go_on}' goes on"
    return _show_error(f"interrupted; the case {case} is whole up to here", undo, INTERRUPTED, arguments)


def _is_run(arguments: list[str]) -> bool:
    return arguments[:1] == ["run"] or arguments[:2] in (["playbook", "run"], ["playbook", "resume"])


def _find_case(error: BaseException | None) -> str:
    """Return the case that *error* left, as a case notes on its way out (PEP 678); empty when there was none."""
    notes: list[str] = getattr(error, "__notes__", [])
    return next((show(note.removeprefix("case ")) for note in notes if note.startswith("case ")), "")


def _emit_failure(message: str, hint: str, exit_code: int, arguments: list[str]) -> None:
    if "--json" in arguments:
        emit_json({"schema": "ir.error/1", "error": message, "hint": hint, "exit_code": exit_code})


def _explain_os_error(error: OSError) -> IrError:
    where = show(os.fsencode(error.filename)) if isinstance(error.filename, str | bytes) else ""
    where = where or _find_case(error) or "the case"
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StorageError(f"the disk is full while writing {where}", hint="free space or choose another folder")
    if isinstance(error, FileExistsError | NotADirectoryError):
        return StorageError(f"{where} is not a folder", hint="choose another path")
    if error.errno == errno.EROFS:
        return StorageError(f"{where} is on a read-only medium", hint="choose another folder with --case or --output")
    return StorageError(f"{where}: {error.strerror or error}", hint="check the path and your permissions")


def _report_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say in one sentence that this is a bug of ours, and keep the traceback in a file for whoever mends it."""
    import tempfile  # noqa: PLC0415 - only on the way out
    import traceback  # noqa: PLC0415 - only on the way out

    with tempfile.NamedTemporaryFile("w", prefix="ir-bug-", suffix=".txt", delete=False) as file:
        traceback.print_exception(kind, error, trace, file=file)
    message = f"internal error ({kind.__name__}); this is a bug"
    say(f"ir: {message}. Details are in {file.name}.", err=True)
    _emit_failure(message, f"details are in {file.name}", 1, sys.argv)


def _open_standard_streams() -> None:
    """Open nothing in the place of a standard stream that is closed: evidence must never get its descriptor."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - as long as we run
