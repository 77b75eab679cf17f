"""The option `--ioc`, which `ir analyze`, `ir examine` and `ir scan` share."""

from __future__ import annotations

from pathlib import Path

import click

ioc_option = click.option(
    "--ioc",
    "iocs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="List of hashes, paths, addresses, domains (plain, CSV, STIX 2.1); may be repeated.",
)
