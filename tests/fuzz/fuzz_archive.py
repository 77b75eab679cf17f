"""Coverage-guided fuzz target (atheris) over everything that reads an archive; seeds are the hostile assets.

Run by `tests/fuzz/test_fuzz.py`, or by hand for as long as you like:

    python tests/fuzz/fuzz_archive.py CORPUS_DIR -max_total_time=3600

Anything but an error of ours is a crash; more than ten seconds for one input is a hang.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["forensics.archive"]):
    from forensics.archive.image import open_image
    from forensics.archive.limits import MIB, Limits
    from forensics.archive.tree import merge, read_layers
    from forensics.errors import IrError

LIMITS = Limits(
    max_hole_bytes=4 * MIB,
    max_layer_bytes=16 * MIB,
    ratio_floor_bytes=4 * MIB,
    max_zstd_window_bytes=8 * MIB,
    memory_entries=20,
)
PLACE = Path(tempfile.mkdtemp(prefix="ir-fuzz-")) / "input"


def read_everything(raw: bytes) -> None:
    """Open *raw* as an image and read all of it; returns or raises an error of ours."""
    PLACE.write_bytes(raw)
    try:
        with open_image(PLACE, limits=LIMITS) as source:
            for image in source.images:
                trees = read_layers(source, image, lambda _entry, content: content.head(16))
                tree = merge(trees, source.limits)
                for entry in tree.entries():
                    tree.get(entry.path)
            tuple(source.anomalies)
    except IrError as error:
        str(error)


def main() -> None:
    atheris.Setup(sys.argv, read_everything)
    atheris.Fuzz()


if __name__ == "__main__":
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
    main()
