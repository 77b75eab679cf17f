"""What a layer says about the layers below: AUFS-style names (OCI image-spec layer.md) and overlayfs' own marks.

Only a name that *begins* with ``.wh.`` is a whiteout; one that merely contains it is a file.
"""

from __future__ import annotations

import enum

from forensics.archive.members import TarMember
from forensics.model import EntryType

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
META_PREFIX = b".wh..wh."
PLINK_FOLDER = b".wh..wh.plnk"
OVERLAY_XATTRS = (b"trusted.overlay.", b"user.overlay.")


class Mark(enum.Enum):
    """What a member is, besides an entry."""

    NONE = 0
    WHITEOUT = 1
    OPAQUE = 2
    META = 3
    BAD = 4


def classify(path: bytes) -> tuple[Mark, bytes]:
    """Return what the name of *path* means, and the path it speaks of."""
    folder, slash, name = path.rpartition(b"/")
    if not name.startswith(PREFIX):
        if META_PREFIX in path and any(part.startswith(META_PREFIX) for part in path.split(b"/")):
            return Mark.META, path
        return Mark.NONE, path
    if name == OPAQUE_NAME:
        return Mark.OPAQUE, folder
    if name.startswith(META_PREFIX):
        return Mark.META, path
    hidden = name[len(PREFIX) :]
    if hidden in {b"", b".", b".."}:
        return Mark.BAD, path
    return Mark.WHITEOUT, folder + slash + hidden


def is_overlay_whiteout(member: TarMember) -> bool:
    """Tell whether a member is overlayfs' whiteout: a character device 0:0 (kernel, overlayfs.rst)."""
    return member.type is EntryType.CHAR_DEVICE and member.device == (0, 0)


def is_overlay_opaque(member: TarMember) -> bool:
    """Tell whether a directory carries overlayfs' opaque mark."""
    return member.type is EntryType.DIRECTORY and _has(member, b"opaque", b"y")


def is_overlay_mark(member: TarMember) -> bool:
    """Tell whether a file may be a whiteout in the form of an attribute (kernel 6.7): empty, with overlay.whiteout.

    It is one only in a folder of its layer that :func:`has_overlay_marks`.
    """
    return member.type is EntryType.FILE and not member.size_bytes and _has(member, b"whiteout")


def has_overlay_marks(member: TarMember) -> bool:
    """Tell whether a directory says that files in it may be whiteouts (overlay.opaque is ``x``)."""
    return member.type is EntryType.DIRECTORY and _has(member, b"opaque", b"x")


def _has(member: TarMember, name: bytes, value: bytes | None = None) -> bool:
    names = [prefix + name for prefix in OVERLAY_XATTRS]
    return any(key in names and value in {None, found} for key, found in member.xattrs)
