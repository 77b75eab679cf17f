"""Replaces derived files, which can be built again from the evidence, so that they always agree with the custody log.

A verifier accepts a derived file that is missing, never one that differs from what the log last recorded of it. So: (1)
the new content goes to temporary files, (2) the old files go, (3) the log records the new digests, (4) the new files
take their names. Killed at any moment, what is there is what was recorded; it may lack something, which is built again.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from forensics.evidence import files

_BUFFER_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def replace_derived(
    base: Path,
    folder: str,
    contents: Iterable[tuple[str, bytes | Iterable[bytes]]],
    record: Callable[[dict[str, str]], object],
) -> None:
    """Replace files of ``base/folder``, which is made if needed; *record* puts their digests, by name, on record.

    The last one goes first and comes last: where it is, all are. A disk that fills up leaves the old files and no trace
    of the new ones.
    """
    parent = files.open_directory(base)
    try:
        directory = files.ensure_directory(folder, parent)
    finally:
        os.close(parent)
    try:
        digests = _prepare(contents, directory)  # (1)
        for name in reversed(digests):
            _remove(name, directory)  # (2)
        os.fsync(directory)
        record(digests)  # (3)
        for name in digests:
            os.rename(_temporary(name), name, src_dir_fd=directory, dst_dir_fd=directory)  # (4)
        os.fsync(directory)
    finally:
        os.close(directory)


def _prepare(contents: Iterable[tuple[str, bytes | Iterable[bytes]]], directory: int) -> dict[str, str]:
    digests: dict[str, str] = {}
    try:
        for name, content in contents:
            _check_name(name)
            digests[name] = ""
            digests[name] = _write(_temporary(name), content, directory)
    except BaseException:
        for name in digests:
            _remove(_temporary(name), directory)
        raise
    return digests


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"a derived file has an ASCII name of ours, not {name!r}")


def _write(name: str, content: bytes | Iterable[bytes], directory: int) -> str:
    """Write *content* as it comes, in pieces that memory can hold; return its SHA-256."""
    _remove(name, directory)
    digest = hashlib.sha256()
    descriptor = files.create_file(name, directory)
    try:
        gathered = bytearray()
        for chunk in (content,) if isinstance(content, bytes) else content:
            digest.update(chunk)
            gathered += chunk
            if len(gathered) >= _BUFFER_BYTES:
                files.write_all(descriptor, bytes(gathered))
                gathered.clear()
        files.write_all(descriptor, bytes(gathered))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest.hexdigest()


def _temporary(name: str) -> str:
    return f".{name}{files.PARTIAL}"


def _remove(name: str, directory: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
