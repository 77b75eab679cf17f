"""The command `ir`. Each command lives in its own file and is imported only when it is asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forensics.cli.frame import LazyGroup

    cli: LazyGroup

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "doctor": ("forensics.cli.doctor", "Is this host ready?"),
    "ps": ("forensics.cli.ps", "Containers ranked by risk."),
    "isolate": ("forensics.cli.isolate", "Contain a container: reversible, proved."),
    "release": ("forensics.cli.release", "Undo containment exactly."),
    "collect": ("forensics.cli.collect", "Collect evidence into a case, volatile first."),
    "examine": ("forensics.cli.examine", "Analyse a saved image; no engine needed."),
    "layers": ("forensics.cli.layers", "List or safely extract image layers."),
    "diff": ("forensics.cli.diff", "File-system differences between two images or cases."),
    "scan": ("forensics.cli.scan", "YARA over an image or a case."),
    "analyze": ("forensics.cli.analyze", "Rebuild findings from evidence alone."),
    "report": ("forensics.cli.report", "Render the evidence report."),
    "query": ("forensics.cli.query", "Ask a case in SQL."),
    "seal": ("forensics.cli.seal", "Close a case and sign what it is."),
    "verify": ("forensics.cli.verify", "Check that a case is what was recorded."),
    "custody": ("forensics.cli.custody", "The custody log, hand-overs, a case as one file."),
    "run": ("forensics.cli.run", "Run a playbook on a container."),
    "playbook": ("forensics.cli.playbook", "List, show and run playbooks."),
    "approve": ("forensics.cli.approve", "Approve a step that a run waits with."),
    "drill": ("forensics.cli.drill", "Rehearse on test containers, scored."),
}
"""Every command: its module (which holds `command`) and its one line in `ir --help`."""

_HELP = """Container incident response: isolate, collect, examine, prove.

\b
A container looks compromised:
  ir isolate web      cut it off, reversibly, with proof
  ir collect web      preserve everything it was
  ir report CASE      one page: what happened, how do we know
"""


def __getattr__(name: str) -> LazyGroup:
    """Make the click group when it is first asked for: the plain form of `ir isolate` never asks."""
    if name != "cli":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from forensics.cli.frame import LazyGroup  # noqa: PLC0415 - click takes a quarter of the time of `ir isolate`

    globals()[name] = group = LazyGroup(name="ir", commands=COMMANDS, help=_HELP)
    return group


def main() -> None:
    """Entry point of the installed command."""
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were being loaded; later ones are answered where the work is
        sys.stderr.write("ir: interrupted before anything was done\n")
        code = 130
    from forensics.cli.output import finish_streams  # noqa: PLC0415 - an interruption may come before it

    sys.exit(finish_streams(code))


def _run(arguments: list[str]) -> int:
    from forensics.cli.express import run_express  # noqa: PLC0415 - the other commands need none of it

    code = run_express(arguments) if arguments[:1] == ["isolate"] else None
    if code is None:
        from forensics.cli.frame import run  # noqa: PLC0415 - see above

        code = run(__getattr__("cli"))
    return code
