"""Packs a sealed case into one file, deterministically and if wanted encrypted; unpacks one and refuses what is off.

Packing: tar (sorted names, no owners, no times) in zstd, optionally in age. Unpacking goes through our own tar reader,
creates regular files and folders with names of ours only, and keeps nothing that does not verify as a sealed case.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from forensics.archive.limits import Anomaly
from forensics.archive.tar import TarMember, read_tar
from forensics.errors import CaseExistsError, RefusedError, UsageError, VerificationError
from forensics.evidence import age, files
from forensics.evidence.verify import check_case
from forensics.evidence.view import read_document
from forensics.model import EntryType

_LEFT_OUT = frozenset({".reserve", "analysis", "report"})
"""What no seal covers: derived from evidence, and rebuilt from it by whoever gets the case."""
_NAME = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*/?")
_LEVEL = 3
_WINDOW_BYTES = 128 << 20
_CHUNK_BYTES = 1 << 20


def export_case(root: Path, target: Path, recipients: tuple[str, ...] = ()) -> str:
    """Write the sealed case *root* to the new file *target*; return its SHA-256 (hex).

    The same case and the same version of zstd give the same bytes; an encrypted file differs each time.

    Raises:
        RefusedError: the case is not sealed.
        VerificationError: it is not what was recorded.
        UsageError: a recipient is no age or SSH public key, or the name does not fit.
    """
    if bool(recipients) != (target.suffix == ".age"):
        raise UsageError("an encrypted file ends in .age and needs --recipient", hint="give both or neither")
    _check(root)
    keys = age.parse_recipients(recipients)
    with _create(target) as output:
        if not keys:
            _pack(root, output)
        else:
            age.through_pipe(lambda writer: _pack(root, writer), lambda reader: age.encrypt(reader, output, keys))
    return files.hash_file(target, sha512=False).sha256


def import_case(source: Path, root: Path, identity: Path | None = None) -> str:
    """Unpack an exported case into the new folder *root*; return the SHA-256 (hex) of the file.

    Raises:
        VerificationError: it is no sealed case that is what was recorded; nothing is kept of it.
        CaseExistsError: something is at *root*.
    """
    if root.exists() or root.is_symlink():
        raise CaseExistsError(f"{files.shown(root)} exists already", hint="give a new folder with --output")
    partial = root.with_name(f"{root.name}.partial")
    partial.mkdir(mode=0o700)
    try:
        with source.open("rb") as file:
            if identity:
                age.through_pipe(
                    lambda writer: age.decrypt(file, writer, identity), lambda reader: _unpack(reader, partial)
                )
            else:
                _unpack(file, partial)
        _check(partial)
        partial.rename(root)
    except BaseException:
        shutil.rmtree(partial)
        raise
    return files.hash_file(source, sha512=False).sha256


def _check(root: Path) -> None:
    result = check_case(root)
    result.raise_problems()
    if not result.sealed:
        raise RefusedError("only a sealed case is handed over", hint="run 'ir seal' first")


def _create(target: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb")
    except FileExistsError as error:
        raise UsageError(f"{files.shown(target)} exists already", hint="give another name") from error


def _pack(root: Path, output: BinaryIO) -> None:
    import zstandard  # noqa: PLC0415 - only where a case is packed

    name = str(read_document(root)["id"])
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
    with (
        compressor.stream_writer(output, closefd=False) as packed,
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(root.rglob("*"), key=lambda each: each.relative_to(root).as_posix()):
            if path.relative_to(root).parts[0] in _LEFT_OUT:
                continue
            _add(tar, path, f"{name}/{path.relative_to(root).as_posix()}")


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    if path.is_dir():
        member.type, member.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(member)
    else:
        member.mode, member.size = 0o600, path.stat().st_size
        with files.open_file(path) as file:
            tar.addfile(member, file)


def _unpack(source: BinaryIO, target: Path) -> None:
    import zstandard  # noqa: PLC0415 - only where a case is unpacked

    faults: list[Anomaly] = []
    decompressor = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES)
    try:
        with decompressor.stream_reader(source, closefd=False) as stream:
            for member, content in read_tar(stream, report=faults.append):
                _place(member, content, target)
    except zstandard.ZstdError as error:
        raise VerificationError(f"the file is no zstd-compressed case: {error}") from error
    if faults:
        raise VerificationError(f"the archive is damaged or was made by somebody else: {faults[0].message}")


def _place(member: TarMember, content: Iterable[bytes], target: Path) -> None:
    parts = member.name.rstrip(b"/").split(b"/")[1:]
    if not _NAME.fullmatch(member.name) or member.type not in {EntryType.FILE, EntryType.DIRECTORY} or member.hard_link:
        raise VerificationError("the archive holds something that no case holds: a link, a device or a foreign name")
    if parts and parts[0].decode("ascii") in _LEFT_OUT:
        raise VerificationError("the archive holds derived files, which no seal covers")
    path = target.joinpath(*(part.decode("ascii") for part in parts))
    if member.type is EntryType.DIRECTORY:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = files.open_directory(path.parent)
    try:
        files.write_file(path.name, folder, content)
    finally:
        os.close(folder)
