"""`ir approve`: sign exactly what a waiting step would do."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import json_option

HELP = """Approve a step that a run waits with: shows exactly what would be done, and signs that.

\b
  ir approve cases/20260101T101500Z-web kill --key ~/.ssh/id_ed25519
  ir approve cases/20260101T101500Z-web kill --print > kill.json      to sign it elsewhere:
  ssh-keygen -Y sign -n ir-approval -f KEY kill.json
  ir approve cases/20260101T101500Z-web kill --signature kill.json.sig

The run has to be waiting, with the approvers' public keys: 'ir run ... --approvers FILE'. Without a key nothing is
approved.
"""
_FILE = click.Path(path_type=Path)


@click.command(help=HELP)
@click.argument("case", type=_FILE)
@click.argument("step")
@click.option("--key", type=_FILE, help="SSH key that signs (file, agent's public half, sk- key).")
@click.option("--signature", type=_FILE, help="A signature that was made elsewhere.")
@click.option("--print", "only_print", is_flag=True, help="Print what would be signed, byte for byte; approve nothing.")
@json_option
def command(  # noqa: PLR0913, PLR0917 - click passes every option
    case: Path, step: str, key: Path | None, signature: Path | None, only_print: bool, as_json: bool
) -> int:
    """Sign the waiting request, hand a signature in, or print the request."""
    from forensics.cli.approve_view import approve_waiting  # noqa: PLC0415 - keeps `ir --help` light

    return approve_waiting(case, step, key=key, signature=signature, only_print=only_print, as_json=as_json)
