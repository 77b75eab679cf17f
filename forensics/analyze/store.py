"""Analysis on disk: JSON lines below ``analysis/``, and back. The same analysis gives the same bytes."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from forensics.analyze.rule import ATTACK_VERSION
from forensics.errors import CaseError
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
    LayerSummary,
    LedgerLine,
    Outcome,
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
_LISTS = ("findings", "changes", "recovered", "layers", "timeline", "indicators", "ledger")


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
    """Write the analysis; an older one is replaced."""
    for name in _LISTS:
        case.write_analysis(f"{name}.jsonl", _lines(getattr(analysis, name)))
    summary = {
        "schema": SCHEMA,
        "attack": ATTACK_VERSION,
        "verdict": analysis.verdict.value,
        "reasons": list(analysis.reasons),
        "warnings": list(analysis.warnings),
    }
    case.write_analysis(_SUMMARY, json.dumps(summary, ensure_ascii=True, indent=1).encode("ascii") + b"\n")


def _lines(values: Iterable[object]) -> Iterator[bytes]:
    for value in values:
        yield json.dumps(to_plain(value), ensure_ascii=True, separators=(",", ":")).encode("ascii") + b"\n"


def has_analysis(case: Case) -> bool:
    """Whether the case was analysed."""
    return (case.root / _FOLDER / _SUMMARY).is_file()


def read_analysis(case: Case) -> Analysis:
    """Return what the last analysis of *case* found.

    Raises:
        CaseError: there is none, or it cannot be read.
    """
    folder = case.root / _FOLDER
    try:
        summary = json.loads((folder / _SUMMARY).read_bytes())
        return Analysis(
            verdict=Verdict(summary["verdict"]),
            reasons=tuple(summary["reasons"]),
            warnings=tuple(summary["warnings"]),
            findings=_read(folder, "findings", _finding),
            changes=_read(folder, "changes", _change),
            recovered=_read(folder, "recovered", _recovered),
            layers=_read(folder, "layers", lambda part: LayerSummary(**part)),
            timeline=_read(folder, "timeline", _event),
            indicators=_read(folder, "indicators", _indicator),
            ledger=_read(folder, "ledger", _ledger),
        )
    except FileNotFoundError as error:
        raise CaseError(f"{case.root} has not been analysed", hint=f"run 'ir analyze {case.root}'") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CaseError(f"the analysis in {case.root} cannot be read", hint=f"run 'ir analyze {case.root}'") from error


def _read(folder: Path, name: str, parse: Callable[[dict[str, Any]], _Noun]) -> tuple[_Noun, ...]:
    with (folder / f"{name}.jsonl").open("rb") as file:
        return tuple(parse(json.loads(line)) for line in file)


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


def _ledger(part: dict[str, Any]) -> LedgerLine:
    return LedgerLine(**{**part, "outcome": Outcome(part["outcome"]), "items": tuple(part["items"])})
