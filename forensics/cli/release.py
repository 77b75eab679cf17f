"""`ir release`: undo containment exactly, and prove that too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from forensics.cli.frame import emit_json, json_option, say
from forensics.errors import UsageError
from forensics.text import show

if TYPE_CHECKING:
    from forensics.containment.release import ReleaseResult

HELP = """Undo 'ir isolate': networks with aliases and addresses, restart policy, and let the processes go on.

\b
  ir release web            the container, wherever its case is
  ir release cases/CASE     the case, also when the container's name is in use again
  ir release --label app=shop             every contained one with this label
"""


@click.command(help=HELP)
@click.argument("target", metavar="CASE|CONTAINER", required=False)
@click.option("--all-of-network", "network", metavar="NAME", help="Every container that was cut off this network.")
@click.option("--label", metavar="KEY[=VALUE]", help="Every contained container with this label.")
@json_option
def command(target: str | None, network: str | None, label: str | None, as_json: bool) -> int:
    """Release; 1 when something is not as it was."""
    if sum(map(bool, (target, network, label))) != 1:
        raise UsageError("name one container or case, or --all-of-network, or --label", hint="see 'ir release --help'")
    if not target:
        from forensics.cli.release_many import run_releases, show_releases  # noqa: PLC0415 - see below

        return show_releases(run_releases(network, label), as_json=as_json)
    from forensics.cli.containment_view import run_release  # noqa: PLC0415 - keeps `ir --help` light

    result = run_release(target)
    if as_json:
        emit_json(result.to_document())
    else:
        _show(result)
    return 0 if result.restored else 1


def _show(result: ReleaseResult) -> None:
    for done in result.performed:
        remark = f": {show(done.error or done.note)}" if done.error or done.note else ""
        say(f"{'failed ' if done.error else 'done   '} {done.action.inverse}{remark}")
    for item in (*result.proof["reached"]["inward"], *result.proof["reached"]["names"]):
        if item["answered"]:
            say(f"reached {', '.join(map(show, item['answered']))} from {item['place']}")
    for difference in result.differences:
        say(f"differs {difference}")
    for reason in result.reasons:
        say(f"NOT RESTORED  {reason}")
    if not result.performed:
        say("nothing to undo: it is not contained")
    elif result.restored:
        say(f"RESTORED  ({result.seconds:.2f} s); the record is in {show(str(result.case))}")
