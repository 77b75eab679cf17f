"""A tar member as its headers describe it: the header itself, then what extension headers override. Never reads."""

from __future__ import annotations

from typing import NamedTuple

from forensics.archive.headers import BLOCK, RawHeader
from forensics.archive.limits import Anomaly, Report
from forensics.archive.pax import PaxOverrides, Records
from forensics.model import EntryType
from forensics.text import show

_TYPES = {
    b"0": EntryType.FILE,
    b"\0": EntryType.FILE,
    b"1": EntryType.FILE,
    b"2": EntryType.SYMLINK,
    b"3": EntryType.CHAR_DEVICE,
    b"4": EntryType.BLOCK_DEVICE,
    b"5": EntryType.DIRECTORY,
    b"6": EntryType.FIFO,
    b"7": EntryType.FILE,
    b"S": EntryType.FILE,
    b"D": EntryType.DIRECTORY,
}
_NANOSECONDS = 1_000_000_000
_PERMISSIONS = 0o7777
_NEW = tuple.__new__
"""What a named tuple's constructor calls, without the cost of its keyword arguments: a million members."""


class TarMember(NamedTuple):
    """One member; a named tuple because an archive has a million of them.

    ``name`` is as stored. A hard link has type FILE, ``hard_link`` set and its target in ``link_target``.
    ``size_bytes`` is the logical size (a sparse file's real size); offsets count uncompressed bytes. ``hidden_by`` is
    empty, or names the defect (``bad-checksum``, ``end-marker``, ``lone-zero-block``) behind which the member stood:
    readers that stop there never show it.
    """

    name: bytes
    type: EntryType
    mode: int
    uid: int
    gid: int
    size_bytes: int
    mtime_ns: int
    link_target: bytes | None
    device: tuple[int, int] | None
    xattrs: tuple[tuple[bytes, bytes], ...]
    pax: Records
    header_offset: int
    data_offset: int
    hard_link: bool
    hidden_by: str
    atime_ns: int | None = None
    ctime_ns: int | None = None


class Extensions(NamedTuple):
    """The extension headers that stand before a member."""

    records: Records = ()
    long_name: bytes | None = None
    long_link: bytes | None = None


NO_EXTENSIONS = Extensions()


def make_member(header: RawHeader, offset: int, hidden_by: str, report: Report) -> TarMember:
    """Return the member that a header alone describes.

    A type that has no data keeps no size, as in Go's reader: whatever others skip there is reported.
    """
    typeflag = header.typeflag
    kind = _TYPES.get(typeflag)
    size = header.size
    if kind is None:
        kind = EntryType.FILE
        report(Anomaly("unknown-type", f"unknown member type {show(typeflag)}, taken as a file", offset, header.name))
    elif typeflag == b"\0" and header.name[-1:] == b"/":
        kind = EntryType.DIRECTORY
    elif size and typeflag == b"D":
        kind = EntryType.FILE
        message = f"a GNU dump directory with {size} bytes of content, which engines refuse; taken as a file"
        report(Anomaly("unknown-type", message, offset, header.name))
    elif size and typeflag in b"123456":
        message = f"a member without data claims {size} bytes, which other readers skip"
        report(Anomaly("size-without-data", message, offset, header.name))
        size = 0
    name, mode, uid, gid, _, mtime, _, link_name, device, _, _ = header
    return _NEW(
        TarMember,
        (
            name,
            kind,
            mode & _PERMISSIONS,
            uid,
            gid,
            size,
            mtime * _NANOSECONDS,
            link_name if typeflag in b"12" else None,
            device if typeflag in b"34" else None,
            (),
            (),
            offset,
            offset + BLOCK,
            typeflag == b"1",
            hidden_by,
            None,
            None,
        ),
    )


def override_header(
    header: RawHeader, extensions: Extensions, overrides: PaxOverrides, report: Report, offset: int
) -> RawHeader:
    """Return *header* with the names, owners and size that the extension headers give (GNU wins over PAX, as in Go)."""
    for name in header.bad_fields:
        report(Anomaly("bad-field", f"the header field {name} is no number; taken as 0", offset, header.name))
    size = header.size if overrides.size is None else overrides.size
    if size < 0:
        report(Anomaly("bad-field", "the header has a negative size; taken as 0", offset, header.name))
        size = 0
    elif header.size not in {0, size}:
        message = f"the header says {header.size} bytes and its PAX record {size}: readers disagree on what follows"
        report(Anomaly("size-mismatch", message, offset, header.name))
    return header._replace(
        name=extensions.long_name or overrides.path or header.name,
        link_name=extensions.long_link or overrides.link_path or header.link_name,
        size=size,
        uid=_choose(overrides.uid, header.uid),
        gid=_choose(overrides.gid, header.gid),
    )


def override_member(member: TarMember, overrides: PaxOverrides, extensions: Extensions) -> TarMember:
    """Return *member* with times and extended attributes of its PAX records."""
    return member._replace(
        mtime_ns=_choose(overrides.mtime_ns, member.mtime_ns),
        atime_ns=overrides.atime_ns,
        ctime_ns=overrides.ctime_ns,
        xattrs=overrides.xattrs,
        pax=extensions.records,
    )


def _choose(override: int | None, value: int) -> int:
    return value if override is None else override
