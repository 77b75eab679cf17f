"""Checks that checking works: a case verifies, and a copy of it in which one bit is wrong does not."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from pathlib import Path

from forensics.drill.own import TEMPORARY
from forensics.errors import IrError


def is_verified(root: Path) -> bool:
    """Return whether the case at *root* is what was recorded."""
    from forensics.evidence.verify import verify_case  # noqa: PLC0415 - listing drills verifies nothing

    try:
        verify_case(root)
    except IrError:
        return False
    return True


def catches_flipped_byte(root: Path) -> bool:
    """Return whether verification refuses a copy in which one bit of one evidence byte is flipped, and only then.

    Which bit is left to chance: the more drills, the more of the evidence has been tried. The bit is flipped back and
    the copy verified once more, so that it was the bit that was noticed and not the copying.
    """
    with tempfile.TemporaryDirectory(prefix=f"{TEMPORARY}{os.getpid()}-") as folder:
        copy = Path(folder) / "case"
        shutil.copytree(root, copy, symlinks=True)
        files = sorted(path for path in (copy / "data").rglob("*") if path.is_file() and path.stat().st_size)
        if not files:
            return False
        victim = secrets.choice(files)
        place, bit = secrets.randbelow(victim.stat().st_size), 1 << secrets.randbelow(8)
        victim.chmod(0o600)
        _flip(victim, place, bit)
        if is_verified(copy):
            return False
        _flip(victim, place, bit)
        return is_verified(copy)


def _flip(path: Path, place: int, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ bit]))
