"""How long the intruder was there: from the first dated sign that is the intruder's to the proved cut. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.runtime import object_of, text_of
from forensics.analyze.verdict import is_deed
from forensics.model import Confidence, EvidenceRef, Finding, Severity, TimelineEvent
from forensics.text import show

_OWN_ACTS = frozenset({"discover", "acquire", "containment", "approve", "deny", "seal", "transfer_out", "transfer_in"})
_CUTS = ("cut", "proof")
_SIGNS = frozenset({"process", "file", "engine", "log"})
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Dwell:
    """The first sign, the end, and what the end is: the cut, or the end of the collection where nothing was cut."""

    first: TimelineEvent
    until: str
    is_contained: bool

    @property
    def seconds(self) -> float:
        """The time between, never less than 0."""
        between = datetime.fromisoformat(self.until) - datetime.fromisoformat(self.first.at)
        return max(between.total_seconds(), 0.0)

    @property
    def shown(self) -> str:
        """The dwell time in words."""
        end = "contained" if self.is_contained else "not contained; until the collection ended"
        span = f"{_words(self.seconds)}, from {self.first.at} to {self.until} ({end})"
        return f"{span}; first sign: {self.first.description}"


def list_own_acts(view: CaseView) -> Iterator[TimelineEvent]:
    """Yield what we did ourselves, out of the custody log; analysis and reading leave no mark on the subject."""
    for entry in view.custody:
        if entry.action not in _OWN_ACTS or entry.result == "begin":
            continue
        event = text_of(object_of(entry.details).get("event"))
        what = " ".join(part for part in (entry.action, event, *entry.evidence_ids[:3]) if part)
        why = f": {show(entry.purpose, _SHOWN)}" if entry.purpose else ""
        failed = f" ({entry.result})" if entry.result not in {"ok", ""} else ""
        item = entry.evidence_ids[0] if entry.evidence_ids else "case"
        yield TimelineEvent(entry.ts_utc, "own act", f"{what}{failed}{why}", EvidenceRef(item))


def find_containment(view: CaseView) -> str:
    """Return when the container was first cut off for certain, or an empty string."""
    for entry in view.custody:
        event = text_of(object_of(entry.details).get("event"))
        if entry.action == "containment" and event in _CUTS and entry.result == "ok":
            return entry.ts_utc
    return ""


def find_dwell(
    view: CaseView, findings: Iterable[Finding], timeline: Iterable[TimelineEvent], born: str
) -> Dwell | None:
    """Return the dwell time, or None where no deed has a time that can be true; *born*: when the container was made."""
    keys: set[object] = set()
    for finding in findings:
        if (
            is_deed(finding)
            and finding.severity.rank <= Severity.HIGH.rank
            and finding.confidence is not Confidence.LOW
        ):
            keys.update(key for reference in finding.evidence for key in _keys(reference))
    signs = [event for event in timeline if event.kind in _SIGNS and not event.doubt and event.at >= born]
    signs = [event for event in signs if event.evidence and not keys.isdisjoint(_keys(event.evidence))]
    if not signs:
        return None
    cut = find_containment(view)
    ended = max((item.ended_at for item in view.items), default="")
    first = min(signs, key=lambda event: (event.at, event.kind, event.description))
    return Dwell(first, cut or ended, bool(cut)) if cut or ended else None


def _keys(reference: EvidenceRef) -> Iterator[object]:
    if reference.pid is not None:
        yield reference.pid
    if reference.path:
        yield reference.path.lstrip(b"/")


def _words(seconds: float) -> str:
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours >= 48:  # noqa: PLR2004 - from two days on
        return f"{hours // 24} days {hours % 24} hours"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {int(seconds % 60)} s"
