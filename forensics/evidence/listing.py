"""An item that is a folder is identified by the digest of its listing: a file for ``sha256sum -c``, sorted by name.

The listing of ``data/E0009-image`` is ``data/E0009-image.sha256``; its lines name paths relative to the case.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from forensics.evidence import files
from forensics.evidence.door import Door

SUFFIX = ".sha256"


def write_listing(door: Door, name: str, digests: Mapping[str, files.Written]) -> files.Written:
    """Write the listing of the folder ``data/<name>``; return its digests with the size of all listed files.

    *digests* holds what each file had when it was written, by its path within the folder.
    """
    lines = [f"{digests[path].sha256}  data/{name}/{path}\n".encode("ascii") for path in sorted(digests)]
    written = door.sparing(lambda: _write(door, name + SUFFIX, b"".join(lines)))
    return replace(written, size_bytes=sum(digest.size_bytes for digest in digests.values()))


def _write(door: Door, listing: str, content: bytes) -> files.Written:
    for leftover in (listing, listing + files.PARTIAL):
        if files.exists(leftover, door.data_fd):
            os.unlink(leftover, dir_fd=door.data_fd)
    return files.write_file(listing, door.data_fd, (content,))


def hash_folder(folder: Path) -> dict[str, files.Written]:
    """Return the digests of every regular file below *folder* as it is on disk now."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {path.relative_to(folder).as_posix(): files.hash_file(path) for path in found}
