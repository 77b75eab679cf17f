"""`ir custody import`: unpack a case that somebody packed; refuses what does not verify."""

from __future__ import annotations

from pathlib import Path

import click

from forensics.cli.frame import emit_json, json_option, say

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("file", type=_FILE)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="New folder for the case.")
@click.option("--identity", type=_FILE, help="age or SSH identity, for an encrypted file.")
@json_option
def command(file: Path, output: Path, identity: Path | None, as_json: bool) -> None:
    r"""Unpack a case into a new folder. What is no sealed case, or not what was recorded, is refused and removed.

    \b
    Example:
      ir custody import web.tar.zst.age -o evidence/web --identity ~/.config/age/key.txt
    """
    from forensics.cli.session import open_case  # noqa: PLC0415 - not needed by --help
    from forensics.evidence.export import import_case  # noqa: PLC0415 - not needed by --help

    digest = import_case(file, output, identity)
    with open_case(output) as opened:
        opened.record("copy", purpose=f"unpacked from {file.name}", hash_before=f"sha256:{digest}")
        case_id = opened.id
    if as_json:
        emit_json({"schema": "ir.import/1", "case": str(output), "case_id": case_id, "sha256": digest})
    else:
        say(f"{output}: case {case_id}, sealed and intact; who signed it, 'ir verify --allowed-signers' tells")
