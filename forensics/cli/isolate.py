"""`ir isolate`: contain a container, reversibly, with proof."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import json_option

HELP = """Cut a container off: freeze it, record its connections, disconnect every network, prove it from the host.

\b
  ir isolate web                          a new case below ./cases
  ir isolate web --case cases/CASE        into a case that exists
  ir isolate web --dry-run                what would be done, and who else feels it
  ir isolate --label app=shop             many at once, each in a case of its own
  ir release web                          undo it exactly
"""


@click.command(help=HELP)
@click.argument("container", required=False)
@click.option("--all-of-network", "network", metavar="NAME", help="Every running container of this network.")
@click.option("--label", metavar="KEY[=VALUE]", help="Every running container with this label.")
@click.option("--case", "case_dir", type=click.Path(path_type=Path), help="New folder, or a case to append to.")
@click.option("--dry-run", is_flag=True, help="Show the plan with every inverse; change nothing.")
@click.option("--reason", default="", metavar="TEXT", help="Why, for the custody log.")
@click.option("--freeze/--no-freeze", default=None, help="Freeze its processes too (default: what the playbook says).")
@click.option("--cut-sharing", is_flag=True, default=None, help="Also cut containers that share its network.")
@json_option
def command(  # noqa: PLR0913, PLR0917 - one parameter an option, as click calls it
    container: str | None,
    network: str | None,
    label: str | None,
    case_dir: Path | None,
    dry_run: bool,
    reason: str,
    freeze: bool | None,
    cut_sharing: bool | None,
    as_json: bool,
) -> int:
    """Contain, or show the plan; 1 when it is not proved."""
    from forensics.cli.express import Isolation, run_isolation  # noqa: PLC0415 - keeps `ir --help` light

    return run_isolation(
        Isolation(
            container=container,
            network=network,
            label=label,
            case_dir=case_dir,
            dry_run=dry_run,
            reason=reason,
            freeze=freeze,
            cut_sharing=cut_sharing,
            as_json=as_json,
        )
    )
