"""`ir diff`: what differs between two file systems: images, their layers, cases, exported tars, directories."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

import click

from forensics.cli.frame import json_option

_ASPECTS = ("added", "deleted", "moved", "content", "type", "target", "device", "mode", "owner", "xattrs", "mtime")


@click.command()
@click.argument("a")
@click.argument("b")
@click.option("--only", multiple=True, type=click.Choice(_ASPECTS), help="Only such differences; may be repeated.")
@click.option(
    "--path", "paths", multiple=True, metavar="GLOB", help="Only these paths, or below them; may be repeated."
)
@click.option("--text", is_flag=True, help="With a unified diff of each text file whose content changed.")
@click.option("--tag", help="The image with this tag or id, on both sides.")
@click.option("--platform", help="The image for this platform, on both sides.")
@json_option
def command(a: str, b: str, only: tuple[str, ...], paths: tuple[str, ...], **options: Any) -> int:  # noqa: ANN401 - click's options
    r"""Show what differs from A to B: content, type, mode, owner, attributes, times, and files that were moved.

    A and B are saved images, OCI layouts, exported tars, directories or cases. PATH@N means the layers 0 to N,
    PATH@TAG one image of several, "-" standard input. Exit code 1: something is damaged, as the warnings say.

    \b
    Examples:
      ir diff base.tar suspect.tar --only content --only mode
      ir diff suspect.tar@2 suspect.tar --text --path etc
      ir diff cases/CASE golden.tar --json
    """
    from forensics.analyze.bulk import keep_or_spool  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.archive.compare import decode_change, encode_change, iterate_changes  # noqa: PLC0415 - as above
    from forensics.archive.differences import Selection  # noqa: PLC0415 - as above
    from forensics.archive.limits import DAMAGE  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.archive.moves import find_all_moves  # noqa: PLC0415 - as above
    from forensics.cli.diff_view import emit_document, find_owners, open_side, say_differences  # noqa: PLC0415 - as above

    if a == b == "-":
        raise click.UsageError("only one of A and B can be standard input")
    with ExitStack() as stack:
        before, after = (open_side(stack, side, options["tag"], options["platform"]) for side in (a, b))
        changes = keep_or_spool(iterate_changes(before.tree, after.tree), encode_change, decode_change)
        chosen = Selection(find_all_moves(changes), only, tuple(os.fsencode(path) for path in paths))
        owners = {**find_owners(before), **find_owners(after)}
        show = emit_document if options["as_json"] else say_differences
        show(before, after, chosen, owners, text=bool(options["text"]))
        return int(any(anomaly.code in DAMAGE for side in (before, after) for anomaly in side.anomalies))
