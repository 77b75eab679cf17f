"""Extended headers: PAX records (POSIX.1-2017 pax) and what they override, bounded. Reads nothing."""

from __future__ import annotations

import re
from typing import NamedTuple

from forensics.archive.limits import Anomaly, Limits, Report
from forensics.text import show

Records = tuple[tuple[bytes, bytes], ...]

_TIME = re.compile(rb"(-?)(\d{1,18})(?:\.(\d*))?\Z")
_INTEGER = re.compile(rb"\d{1,19}\Z")
_LENGTH = re.compile(rb"(\d{1,10}) ")
_XATTR_PREFIX = b"SCHILY.xattr."
_INT64 = 1 << 63


class PaxOverrides(NamedTuple):
    """What a member's PAX records say, where they say it; None keeps the header's own value."""

    path: bytes | None = None
    link_path: bytes | None = None
    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    atime_ns: int | None = None
    ctime_ns: int | None = None
    xattrs: Records = ()


NO_OVERRIDES = PaxOverrides()


def parse_records(raw: bytes, report: Report, offset: int) -> Records:
    """Return the records of one PAX header in their order; stops, with an anomaly, where they make no sense."""
    records = []
    position = 0
    while position < len(raw):
        match = _LENGTH.match(raw, position)
        end = position + int(match[1]) if match else 0
        start = match.end() if match else 0
        key, equals, value = raw[start : end - 1].partition(b"=") if end > start else (b"", b"", b"")
        if not equals or end > len(raw) or raw[end - 1] != ord("\n") or not key:
            if raw[position:].strip(b"\0"):
                report(Anomaly("bad-pax-record", "a PAX record has a wrong length or no key", offset + position))
            break
        records.append((key, value))
        position = end
    return tuple(records)


def parse_overrides(records: Records, limits: Limits, report: Report, offset: int) -> PaxOverrides:
    """Return what *records* override; a value that is no number or no name is reported and left out."""
    values: dict[bytes, bytes] = {}
    xattrs: dict[bytes, bytes] = {}
    kept_bytes = 0
    for key, value in records:
        if not key.startswith(_XATTR_PREFIX):
            values[key] = value
            continue
        kept_bytes += len(key) + len(value)
        if kept_bytes <= limits.max_xattr_bytes:
            xattrs[key[len(_XATTR_PREFIX) :]] = value
        else:
            report(Anomaly("xattrs-too-large", "extended attributes beyond the cap are left out", offset))
    field = _FieldReader(values, report, offset)
    return PaxOverrides(
        path=field.name(b"GNU.sparse.name") or field.name(b"path"),
        link_path=field.name(b"linkpath"),
        size=field.integer(b"size"),
        uid=field.integer(b"uid"),
        gid=field.integer(b"gid"),
        mtime_ns=field.time(b"mtime"),
        atime_ns=field.time(b"atime"),
        ctime_ns=field.time(b"ctime"),
        xattrs=tuple(sorted(xattrs.items())),
    )


class _FieldReader:
    """Reads typed values out of PAX records; an empty value means "not set" (POSIX)."""

    def __init__(self, values: dict[bytes, bytes], report: Report, offset: int) -> None:
        self._values = values
        self._report = report
        self._offset = offset

    def name(self, key: bytes) -> bytes | None:
        value = self._values.get(key)
        if value and b"\0" in value:
            self._complain(key, value)
            value = value.partition(b"\0")[0]
        return value or None

    def integer(self, key: bytes) -> int | None:
        value = self._values.get(key)
        if not value:
            return None
        if _INTEGER.match(value) and int(value) < _INT64:
            return int(value)
        self._complain(key, value)
        return None

    def time(self, key: bytes) -> int | None:
        value = self._values.get(key)
        if not value:
            return None
        match = _TIME.match(value)
        if not match:
            self._complain(key, value)
            return None
        fraction = int((match[3] or b"").ljust(9, b"0")[:9])
        nanoseconds = int(match[2]) * 1_000_000_000 + fraction
        return -nanoseconds if match[1] else nanoseconds

    def _complain(self, key: bytes, value: bytes) -> None:
        message = f"the PAX record {show(key)} has the impossible value {show(value, 60)}"
        self._report(Anomaly("bad-field", message, self._offset))
