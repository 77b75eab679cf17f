"""Brings a blob that another case on this disk holds into a new one: cloned where the file system can, else copied.

Never hard-linked, so that every case stands alone: what happens to one file happens to no other. Nothing that another
case says is believed: the new file is read again and must have the digest.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from forensics.evidence import files

_FICLONE = 0x40049409  # ioctl_ficlone(2)
_STEP_BYTES = 64 << 20
_READ_BYTES = 1 << 20
_NOT_HERE = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM})
"""What a kernel or a file system says that cannot clone, or cannot copy between these two files."""


def find_blobs(root: Path, sha256: str) -> Iterator[Path]:
    """Yield the files of that name (a digest, hex) in the images of the cases beside *root*; links are left out."""
    for path in sorted(root.absolute().parent.glob(f"*/data/E*-image/blobs/sha256/{sha256}")):
        if root.absolute() not in path.parents and stat.S_ISREG(path.lstat().st_mode):
            yield path


def clone_file(source: Path, target: int) -> None:
    """Give the new, empty file *target* (a descriptor) the content of *source*: a reflink, else a copy.

    Raises:
        CaseError: *source* is a link.
    """
    with files.open_file(source) as file:
        try:
            fcntl.ioctl(target, _FICLONE, file.fileno())
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
        else:
            return
        try:
            while os.copy_file_range(file.fileno(), target, _STEP_BYTES):
                pass
        except OSError as error:
            if error.errno not in _NOT_HERE or os.lseek(target, 0, os.SEEK_CUR):
                raise
            while chunk := file.read(_READ_BYTES):
                files.write_all(target, chunk)
