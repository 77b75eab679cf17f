"""The command `ir`. Each command lives in its own file and is imported only when it is asked for."""

from __future__ import annotations

import sys

from forensics.cli.frame import LazyGroup, run

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
    "seal": ("forensics.cli.seal", "Close a case and sign what it is."),
    "verify": ("forensics.cli.verify", "Check that a case is what was recorded."),
    "custody": ("forensics.cli.custody", "The custody log, hand-overs, a case as one file."),
    "run": ("forensics.cli.run", "Run a playbook on a container."),
    "playbook": ("forensics.cli.playbook", "List, show and run playbooks."),
    "drill": ("forensics.cli.drill", "Rehearse on test containers, scored."),
}
"""Every command: its module (which holds `command`) and its one line in `ir --help`."""

cli = LazyGroup(
    name="ir",
    commands=COMMANDS,
    help="""Container incident response: isolate, collect, examine, prove.

\b
A container looks compromised:
  ir isolate web      cut it off, reversibly, with proof
  ir collect web      preserve everything it was
  ir report CASE      one page: what happened, how do we know
""",
)


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(cli))
