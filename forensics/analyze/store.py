"""Analysis on disk: JSON lines below ``analysis/``, and back. The same analysis gives the same bytes.

What is read back must be what the custody log says was written; a file is never read through a link.
"""

from __future__ import annotations

import enum
import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from forensics.analyze.bulk import keep_or_spool
from forensics.analyze.rule import ATTACK_VERSION
from forensics.archive.compare import decode_change, encode_change
from forensics.errors import CaseError, VerificationError
from forensics.evidence.files import open_directory
from forensics.model import (
    Analysis,
    Change,
    ChangeKind,
    Confidence,
    EntryType,
    EvidenceRef,
    FileEntry,
    Finding,
    Indicator,
    JsonObject,
    LayerSummary,
    LedgerLine,
    Outcome,
    Package,
    RecoveredFile,
    Severity,
    TimelineEvent,
    Verdict,
)
from forensics.text import from_bytes, to_bytes

if TYPE_CHECKING:
    from forensics.evidence.case import Case

SCHEMA = "ir.analysis/1"
_Noun = TypeVar("_Noun")
_FOLDER = "analysis"
_SUMMARY = "analysis.json"
_LISTS = ("findings", "changes", "recovered", "layers", "timeline", "indicators", "ledger", "packages")


def to_plain(value: Any) -> Any:  # noqa: ANN401 - any noun
    """Return *value* as JSON values; bytes become text that :func:`forensics.text.to_bytes` turns back."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, bytes):
        return from_bytes(value)
    if isinstance(value, tuple | list):
        return [to_plain(part) for part in value]
    return value


def write_analysis(case: Case, analysis: Analysis) -> None:
    """Write the analysis, replacing an older one; the digest of each file goes on record."""
    case.write_analysis(_render(analysis), "what the analysis found, as it was written")


def _render(analysis: Analysis) -> Iterator[tuple[str, bytes | Iterable[bytes]]]:
    for name in _LISTS:
        yield f"{name}.jsonl", _lines(getattr(analysis, name))
    summary = {
        "schema": SCHEMA,
        "attack": ATTACK_VERSION,
        "verdict": analysis.verdict.value,
        "reasons": list(analysis.reasons),
        "warnings": list(analysis.warnings),
    }
    yield _SUMMARY, json.dumps(summary, ensure_ascii=True, indent=1).encode("ascii") + b"\n"


def _lines(values: Iterable[object]) -> Iterator[bytes]:
    encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
    for value in values:
        plain = _change_to_plain(value) if isinstance(value, Change) else to_plain(value)
        yield encode(plain).encode("ascii") + b"\n"


def _change_to_plain(change: Change) -> JsonObject:
    """Return what :func:`to_plain` gives, for a million changes."""
    return {
        "kind": change.kind.value,
        "path": from_bytes(change.path),
        "before": _entry_to_plain(change.before),
        "after": _entry_to_plain(change.after),
        "fields": list(change.fields),
    }


def _entry_to_plain(entry: FileEntry | None) -> JsonObject | None:
    if entry is None:
        return None
    return {
        "path": from_bytes(entry.path),
        "type": entry.type.value,
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "size_bytes": entry.size_bytes,
        "mtime_ns": entry.mtime_ns,
        "layer": entry.layer,
        "link_target": None if entry.link_target is None else from_bytes(entry.link_target),
        "device": entry.device,
        "sha256": entry.sha256,
        "xattrs": to_plain(entry.xattrs),
        "atime_ns": entry.atime_ns,
        "ctime_ns": entry.ctime_ns,
    }


def has_analysis(case: Case) -> bool:
    """Whether the case was analysed."""
    return (case.root / _FOLDER / _SUMMARY).is_file()


def read_analysis(case: Case) -> Analysis:
    """Return what the last analysis of *case* found.

    Raises:
        CaseError: there is none, or it cannot be read.
        VerificationError: a file is not what the custody log says was written; a case of an older version may have
            no such record.
    """
    try:
        stored = _Stored(case)
        summary = json.loads(stored.read(_SUMMARY))
        return Analysis(
            verdict=Verdict(summary["verdict"]),
            reasons=tuple(summary["reasons"]),
            warnings=tuple(summary["warnings"]),
            findings=_read(stored, "findings", _finding),
            changes=keep_or_spool(_read_changes(stored), encode_change, decode_change),
            recovered=_read(stored, "recovered", _recovered),
            layers=_read(stored, "layers", lambda part: LayerSummary(**part)),
            timeline=_read(stored, "timeline", _event),
            indicators=_read(stored, "indicators", _indicator),
            ledger=_read(stored, "ledger", _ledger),
            packages=_read(stored, "packages", _package) if stored.has("packages") else (),
        )
    except FileNotFoundError as error:
        raise CaseError(f"{case.root} has not been analysed", hint=f"run 'ir analyze {case.root}'") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CaseError(f"the analysis in {case.root} cannot be read", hint=f"run 'ir analyze {case.root}'") from error


class _Stored:
    """The files of a stored analysis, each checked against the custody log before anything of it is believed."""

    def __init__(self, case: Case) -> None:
        self._folder = case.root / _FOLDER
        self._hint = f"run 'ir analyze {case.root}' again"
        self._recorded = find_recorded(case)

    def has(self, name: str) -> bool:
        """Whether the analysis had that list: one of an older version has fewer."""
        return f"{_FOLDER}/{name}.jsonl" in self._recorded

    def read(self, name: str) -> bytes:
        """Return a file as it was recorded; nothing but a regular file is read."""
        return b"".join(self.read_lines(name))

    def read_lines(self, name: str) -> Iterator[bytes]:
        """Yield the lines of a file; raises after the last one where they are not what was recorded."""
        path = f"{_FOLDER}/{name}"
        file = _open_regular(self._folder, name)
        if file is None:
            raise VerificationError(f"{path} is a link or no file", hint=self._hint)
        digest = hashlib.sha256()
        with file:
            for line in file:
                digest.update(line)
                yield line
        if self._recorded.get(path) != (digest.hexdigest() if self._recorded else None):
            raise VerificationError(f"{path} is not what was recorded when it was made", hint=self._hint)


def find_recorded(case: Case) -> dict[str, str]:
    """Return the digests that the last analysis left in the custody log; none for a case of an older version."""
    for entry in reversed(case.custody()):
        details = entry.details if entry.action == "analyze" and isinstance(entry.details, dict) else {}
        found = {name: str(value) for name, value in details.items() if name.startswith(f"{_FOLDER}/")}
        if found:
            return found
    return {}


def _open_regular(folder: Path, name: str) -> BinaryIO | None:
    """Open a regular file, or return None for anything else; follows no link and waits for no pipe."""
    directory = open_directory(folder)
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.fdopen(os.open(name, flags, dir_fd=directory), "rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            return None
        raise
    finally:
        os.close(directory)
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    return None


def _read_changes(stored: _Stored) -> Iterator[Change]:
    """Yield the changes one by one; one that cannot be parsed is blamed on the file where that is not as recorded."""
    lines = stored.read_lines("changes.jsonl")
    for line in lines:
        try:
            change = _change(json.loads(line))
        except (ValueError, KeyError, TypeError):
            for _ in lines:
                pass
            raise
        yield change


def _read(stored: _Stored, name: str, parse: Callable[[dict[str, Any]], _Noun]) -> tuple[_Noun, ...]:
    return tuple(parse(json.loads(line)) for line in stored.read(f"{name}.jsonl").splitlines())


def _bytes(value: str | None) -> bytes | None:
    return None if value is None else to_bytes(value)


def _reference(part: Mapping[str, Any]) -> EvidenceRef:
    return EvidenceRef(part["item"], part["layer"], _bytes(part["path"]), part["pid"], part["offset"])


def _references(parts: Iterable[Mapping[str, Any]]) -> tuple[EvidenceRef, ...]:
    return tuple(map(_reference, parts))


def _finding(part: dict[str, Any]) -> Finding:
    return Finding(
        **{
            **part,
            "severity": Severity(part["severity"]),
            "confidence": Confidence(part["confidence"]),
            "attack": tuple(part["attack"]),
            "evidence": _references(part["evidence"]),
            "details": tuple(part.get("details", ())),
        }
    )


def _entry(part: Mapping[str, Any] | None) -> FileEntry | None:
    if part is None:
        return None
    return FileEntry(
        **{
            **part,
            "path": to_bytes(part["path"]),
            "type": EntryType(part["type"]),
            "link_target": _bytes(part["link_target"]),
            "device": tuple(part["device"]) if part["device"] else None,
            "xattrs": tuple((to_bytes(name), to_bytes(value)) for name, value in part["xattrs"]),
        }
    )


def _change(part: dict[str, Any]) -> Change:
    return Change(
        kind=ChangeKind(part["kind"]),
        path=to_bytes(part["path"]),
        before=_entry(part["before"]),
        after=_entry(part["after"]),
        fields=tuple(part["fields"]),
    )


def _recovered(part: dict[str, Any]) -> RecoveredFile:
    entry = _entry(part["entry"])
    if entry is None:
        raise ValueError("a recovered file without an entry")
    return RecoveredFile(entry, part["deleted_in_layer"], part["layer_diff_id"], part["created_by"])


def _event(part: dict[str, Any]) -> TimelineEvent:
    return TimelineEvent(**{**part, "evidence": _reference(part["evidence"]) if part["evidence"] else None})


def _indicator(part: dict[str, Any]) -> Indicator:
    return Indicator(part["type"], part["value"], _references(part["evidence"]))


def _package(part: dict[str, Any]) -> Package:
    return Package(**{**part, "path": to_bytes(part["path"])})


def _ledger(part: dict[str, Any]) -> LedgerLine:
    return LedgerLine(**{**part, "outcome": Outcome(part["outcome"]), "items": tuple(part["items"])})
