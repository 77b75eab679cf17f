"""`ir isolate`: contain a container, reversibly, with proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.text import show

if TYPE_CHECKING:
    from forensics.containment.isolate import ContainmentResult

HELP = """Cut a container off: freeze it, record its connections, disconnect every network, prove it from the host.

\b
  ir isolate web                          a new case below ./cases
  ir isolate web --case cases/CASE        into a case that exists
  ir isolate web --dry-run                what would be done, and who else feels it
  ir release web                          undo it exactly
"""


@click.command(help=HELP)
@click.argument("container")
@click.option("--case", "case_dir", type=click.Path(path_type=Path), help="New folder, or a case to append to.")
@click.option("--dry-run", is_flag=True, help="Show the plan with every inverse; change nothing.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the custody log.")
@click.option("--freeze/--no-freeze", default=None, help="Freeze its processes too (default: what the playbook says).")
@click.option("--cut-sharing", is_flag=True, default=None, help="Also cut containers that share its network.")
@json_option
def command(  # noqa: PLR0913, PLR0917 - one parameter an option, as click calls it
    container: str,
    case_dir: Path | None,
    dry_run: bool,
    reason: str,
    freeze: bool | None,
    cut_sharing: bool | None,
    as_json: bool,
) -> int:
    """Contain, or show the plan; 1 when it is not proved."""
    from forensics.cli import containment_view as view  # noqa: PLC0415 - keeps `ir --help` light

    options = view.read_options(freeze=freeze, reason=reason, cut_sharing=cut_sharing)
    if dry_run:
        return view.show_plan(container, options, as_json=as_json)
    result = view.run_isolation(container, case_dir, options)
    if as_json:
        emit_json(result.to_document())
    else:
        _show(result)
    return 0 if result.proved and not any(done.error for done in result.performed) else 1


def _show(result: ContainmentResult) -> None:
    for done in result.performed:
        say(f"{'failed ' if done.error else 'done   '} {done.action.effect}{_remark(done.error or done.note)}")
    for warning in result.warnings:
        say(f"note    {warning}")
    name = show(result.container_name)
    if result.proved:
        say(f"PROVED  {name} is cut off: seen from the host, nothing leaves it or reaches it ({result.seconds:.2f} s)")
    for reason in result.proof.reasons:
        say(f"NOT PROVED  {reason}")
    case = show(str(result.case))
    say(f"case    {case}\nnext    ir collect {name} --case {case}\nundo    ir release {name}")


def _remark(text: str) -> str:
    return f": {show(text)}" if text else ""
