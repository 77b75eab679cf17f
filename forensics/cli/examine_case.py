"""Puts a saved image into a case of its own: the file's bytes as they are, a directory as a tar that we write."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from forensics.cli.session import default_case_dir, read_actor
from forensics.cli.settings import read_settings
from forensics.errors import ArchiveError, StorageError, UsageError
from forensics.text import show

if TYPE_CHECKING:
    from io import BufferedReader

    from forensics.evidence.case import Case
    from forensics.model import EvidenceItem

_CHUNK_BYTES = 1 << 20
_STDIN = Path("-")
_CHECK_EVERY = 16
_LEAST_FREE_BYTES = 1 << 30
_LEAST_FREE_PART = 50
"""What endless input must leave of a disk: a gibibyte, and the fiftieth part."""


Choice = Mapping[str, str | None]
"""Which image of a file with several: its ``tag``, its ``platform``, each None where it was not said."""


def check_image(path: Path, choice: Choice) -> None:
    """Find out whether *path* can be examined at all, before anything is written; standard input is looked at later.

    An empty folder is refused like an empty file, and a case like a mistaken command: nothing would be found in either,
    and that would read as an answer.

    Raises:
        UsageError: it does not exist, is empty, or is a case; or *choice* fits no image of it, or several.
        ArchiveError: it is no image.
    """
    from forensics.archive.image import open_image  # noqa: PLC0415 - keeps `ir --help` light

    if path == _STDIN:
        return
    name = show(os.fsencode(path))
    if (path / "data" / "case.json").is_file():
        raise UsageError(f"{name} is a case", hint=f"'ir analyze {name}' rebuilds its findings")
    if path.is_dir() and not any(path.iterdir()):
        raise UsageError(f"the folder {name} is empty", hint="give what 'docker save' or 'docker export' wrote")
    with open_image(path) as source:
        source.select(**choice)


def open_subject(path: Path, case_dir: Path | None, choice: Choice) -> Case:
    """Return a new case that holds the image at *path*.

    Raises:
        CaseExistsError: *case_dir* is taken.
        UsageError: standard input is empty, and no case is made; or *choice* does not fit what came from it.
        ArchiveError: what came from standard input is no image; the case keeps it.
    """
    from forensics.evidence.case import Case  # noqa: PLC0415 - keeps `ir --help` light
    from forensics.model import Subject  # noqa: PLC0415 - as above

    if path == _STDIN and not cast("BufferedReader", sys.stdin.buffer).peek(1):
        raise UsageError("standard input is empty", hint="see whether the command before the pipe failed")
    settings = read_settings()
    name = "standard-input" if path == _STDIN else path.name or "image"
    subject = Subject(kind="image", name=show(os.fsencode(name)))
    root = case_dir or default_case_dir(settings, name)
    case = Case.create(root, subject=subject, actor=read_actor(settings))
    try:
        _add_image(case, path, choice)
    except BaseException:
        case.close()
        raise
    return case


def _add_image(case: Case, path: Path, choice: Choice) -> None:
    source = show(os.fsencode(path))
    chosen = {name: value for name, value in choice.items() if value is not None}
    add = partial(case.add, "image", filename="image.tar", attributes=chosen)
    if path == _STDIN:
        _add_stdin(case, choice, add)
    elif path.is_dir():
        add(_pack(path), source=source, method="directory, packed by ir")
    else:
        with path.open("rb") as file:
            add(_read(file), source=source, method="copied as it is")


def _add_stdin(case: Case, choice: Choice, add: Callable[..., EvidenceItem]) -> None:
    from forensics.archive.image import open_image  # noqa: PLC0415 - as above

    item = add(_read_guarded(sys.stdin.buffer, case.root), source="standard input", method="as it came")
    try:
        with open_image(case.path_of(item)) as source:
            source.select(**choice)
    except ArchiveError as error:
        where = show(os.fsencode(case.root))
        raise ArchiveError(
            f"what came from standard input is no image, OCI layout or tar archive; it is kept in the case {where}",
            hint="give what 'docker save' or 'docker export' writes",
        ) from error


def _read(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk


def _read_guarded(file: BinaryIO, root: Path) -> Iterator[bytes]:
    """Yield what comes without end being promised, and stop before the disk is full.

    Raises:
        StorageError: the disk of *root* has too little left.
    """
    for number, chunk in enumerate(_read(file)):
        if number % _CHECK_EVERY == 0:
            status = os.statvfs(root)
            left = status.f_bavail * status.f_frsize
            if left < max(_LEAST_FREE_BYTES, status.f_blocks * status.f_frsize // _LEAST_FREE_PART):
                message = f"standard input fills the disk: {number} MiB came and {left >> 20} MiB are free in"
                raise StorageError(
                    f"{message} {show(os.fsencode(root))}", hint="give --case on a larger disk, or a file instead"
                )
        yield chunk


def _pack(path: Path) -> Iterator[bytes]:
    from forensics.collect.treetar import Budget, Tally, pack_tree  # noqa: PLC0415 - only for directories
    from forensics.collect.walk import open_directory  # noqa: PLC0415 - as above

    tally = Tally()
    root = open_directory(path)
    try:
        yield from pack_tree(root, Budget(sys.maxsize), tally)
    finally:
        os.close(root)
