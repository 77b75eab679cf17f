"""`ir layers`: the layers of a saved image or of a case, and their safe extraction."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from forensics.cli.frame import emit_json, json_option

if TYPE_CHECKING:
    from forensics.archive.image import ImageSource


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--tag", help="Only the image with this tag or id.")
@click.option("--platform", help="Only the image for this platform, such as linux/arm64.")
@click.option("--layer", type=click.IntRange(min=0), help="With --extract: this layer alone, counted from 0.")
@click.option(
    "--extract", "target", type=click.Path(path_type=Path), metavar="DIR", help="Extract safely into a new folder."
)
@json_option
def command(path: Path, layer: int | None, target: Path | None, as_json: bool, **choice: Any) -> int:  # noqa: ANN401 - click's options
    r"""List the layers of a saved image, OCI layout, exported tar, directory or case; "-" is standard input.

    Digests are verified on the way. --extract writes contents under names of our own with an index beside them: no
    link, device, owner or mode of the archive is ever created; deleted files that a layer still holds are extracted
    too. The caps against hostile input are settings, such as IR_LIMIT_MAX_EXTRACT_BYTES=2T (a wrong name lists all).
    Exit code 1: something is damaged, as the warnings say.

    \b
    Examples:
      ir layers image.tar
      docker save web | ir layers - --json
      ir layers cases/CASE --extract out --layer 3
    """
    from forensics.archive.image import open_image  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.archive.limits import DAMAGE  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.archive.tree import read_trees  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.cli.layers_view import describe_layers, find_image_path, say_layers, show_progress  # noqa: PLC0415 - as above

    if layer is not None and target is None:
        raise click.UsageError("--layer says what to extract; give --extract DIR too")
    with open_image(find_image_path(path), **choice) as source:
        if target is not None:
            _extract(source, layer, target, as_json=as_json)
            return int(bool(source.log.codes & DAMAGE))
        with show_progress(source):
            trees = list(read_trees(source))
        if as_json:
            emit_json(describe_layers(source, trees))
        else:
            say_layers(source, trees)
        return int(bool(source.log.codes & DAMAGE))


def _extract(source: ImageSource, layer: int | None, target: Path, *, as_json: bool) -> None:
    from forensics.archive.extract import extract_image, extract_layer  # noqa: PLC0415 - not needed by --help
    from forensics.cli.layers_view import say_extraction, say_warnings, show_progress  # noqa: PLC0415 - not needed by --help
    from forensics.errors import UsageError  # noqa: PLC0415 - not needed by --help

    image = source.select()
    if layer is not None and layer >= len(image.layers):
        raise UsageError(f"there is no layer {layer}", hint=f"the image has layers 0 to {len(image.layers) - 1}")
    with show_progress(source):
        if layer is None:
            extraction = extract_image(source, image, target)
        else:
            extraction = extract_layer(source, image.layers[layer], target)
    say_extraction(extraction, as_json=as_json)
    say_warnings(source.anomalies)
