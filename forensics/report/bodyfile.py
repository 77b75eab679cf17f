"""Changed and recovered files as a body file for The Sleuth Kit's ``mactime`` (TSK 3 format, eleven fields).

MD5|name|inode|mode_as_string|UID|GID|size|atime|mtime|ctime|crtime; unknown times are 0. Source: TSK wiki, "Body file".
"""

from __future__ import annotations

from collections.abc import Iterator

from forensics.model import Change, ChangeKind, EntryType, FileEntry, RecoveredFile
from forensics.report.document import Report
from forensics.text import bodyfile_cell, show_path

_NANO = 1_000_000_000
_LETTERS = {
    EntryType.FILE: "r",
    EntryType.DIRECTORY: "d",
    EntryType.SYMLINK: "l",
    EntryType.CHAR_DEVICE: "c",
    EntryType.BLOCK_DEVICE: "b",
    EntryType.FIFO: "p",
    EntryType.SOCKET: "h",
}
_SPECIAL = ((0o4000, 2, "s", "S"), (0o2000, 5, "s", "S"), (0o1000, 8, "t", "T"))


def render_bodyfile(report: Report) -> str:
    """Return one line for each changed path and each recovered file."""
    return "".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    for change in report.analysis.changes:
        entry = change.after or change.before
        if entry:
            yield _line(entry, _note(change))
    for row in report.analysis.recovered:
        yield _line(row.entry, _note(row))


def _note(row: Change | RecoveredFile) -> str:
    if isinstance(row, RecoveredFile):
        return f" (recovered from layer {row.entry.layer})"
    return " (deleted)" if row.kind is ChangeKind.DELETED else f" ({row.kind.value})"


def _line(entry: FileEntry, note: str) -> str:
    letter = _LETTERS[entry.type]
    target = f" -> {bodyfile_cell(entry.link_target)}" if entry.link_target is not None else ""
    name = show_path(entry.path).replace("|", "\\x7c") + target + note
    times = "|".join(str((value or 0) // _NANO) for value in (entry.atime_ns, entry.mtime_ns, entry.ctime_ns, 0))
    return f"0|{name}|0|{letter}/{letter}{_mode(entry.mode)}|{entry.uid}|{entry.gid}|{entry.size_bytes}|{times}\n"


def _mode(mode: int) -> str:
    letters = ["rwx"[place % 3] if mode & (0o400 >> place) else "-" for place in range(9)]
    for bit, place, lower, upper in _SPECIAL:
        if mode & bit:
            letters[place] = lower if letters[place] == "x" else upper
    return "".join(letters)
