"""Everything dated in one ordered stream: image, files, processes, engine events, log lines. Marks doubtful times."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from forensics.analyze.dwell import find_dwell, list_own_acts
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import Artifact, Origin
from forensics.analyze.runtime import number_of, object_of, objects_of, text_of
from forensics.model import ChangeKind, EvidenceRef, Finding, LedgerLine, Outcome, Severity, TimelineEvent
from forensics.text import from_bytes, show, show_path

_MOST_FILES = 4000
_MOST_LINES = 1000
_MOST_DIGITS = 6
_FRACTION = re.compile(r"(\.\d{1,6})\d*")
_LOG_LINE = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) (.*)$")
_LOG_BYTES = 4 << 20
_ZERO = "0001-01-01"
_TELLING = re.compile(r"error|warn|fail|denied|accepted|login|POST |wget|curl|/bin/|exec|exploit|shell", re.IGNORECASE)


def parse_time(text: str) -> str:
    """Return *text* (RFC 3339, any precision and zone) as UTC with microseconds, or an empty string."""
    if not text or text.startswith(_ZERO):
        return ""
    try:
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text.replace("Z", "+00:00")))
    except ValueError:
        return ""
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _format(moment.astimezone(UTC))


def from_nanoseconds(value: int) -> str:
    """Return a time of the Unix epoch as UTC with microseconds, or an empty string where none can be."""
    try:
        return _format(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=value // 1000))
    except OverflowError:
        return ""


def _format(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def build_timeline(view: CaseView, findings: Iterable[Finding]) -> tuple[TimelineEvent, ...]:
    """Return all events in order of time."""
    newest = max((parse_time(item.ended_at) for item in view.items), default="")
    parts = [*_image(view), *_container(view), *_processes(view), *_events(view), *_logs(view)]
    parts += [*_files(view, findings), *_date(list_own_acts(view))]
    born = parse_time(text_of(view.inspect.get("Created")))
    dated = [_doubt(event, newest, born) for event in parts if event.at]
    return tuple(sorted(dict.fromkeys(dated), key=lambda event: (event.at, event.kind, event.description)))


def describe_dwell(
    view: CaseView, findings: Iterable[Finding], timeline: Iterable[TimelineEvent]
) -> Iterator[LedgerLine]:
    """Yield how long the intruder was there, as far as the case can tell; nothing where no deed has a time."""
    born = parse_time(text_of(view.inspect.get("Created"))) or parse_time(text_of(view.image_inspect.get("Created")))
    dwell = find_dwell(view, findings, timeline, born)
    if dwell:
        yield LedgerLine("dwell time", Outcome.COLLECTED, dwell.shown)


def _date(events: Iterable[TimelineEvent]) -> Iterator[TimelineEvent]:
    for event in events:
        yield TimelineEvent(parse_time(event.at), event.kind, event.description, event.evidence)


def _doubt(event: TimelineEvent, newest: str, born: str) -> TimelineEvent:
    if newest and event.at > newest and event.kind != "own act":
        return TimelineEvent(
            event.at, event.kind, event.description, event.evidence, "later than the collection itself"
        )
    if event.kind in {"process", "log"} and born and event.at < born:
        return TimelineEvent(event.at, event.kind, event.description, event.evidence, "before the container was made")
    if event.kind == "file" and event.at < "1991":
        return TimelineEvent(event.at, event.kind, event.description, event.evidence, "older than Linux")
    return event


def _image(view: CaseView) -> Iterator[TimelineEvent]:
    for line in objects_of(view.files.image_config.get("history")):
        created = parse_time(text_of(line.get("created")))
        yield TimelineEvent(
            created, "image", f"layer: {show(text_of(line.get('created_by')), 200)}", EvidenceRef(view.files.item)
        )
    original = parse_time(text_of(view.image_inspect.get("Created")))
    yield TimelineEvent(original, "image", "the image was finished", view.reference("image-inspect"))


def _container(view: CaseView) -> Iterator[TimelineEvent]:
    state = object_of(view.inspect.get("State"))
    reference = view.reference("inspect")
    yield TimelineEvent(
        parse_time(text_of(view.inspect.get("Created"))), "container", "the container was created", reference
    )
    yield TimelineEvent(
        parse_time(text_of(state.get("StartedAt"))), "container", "the container was started", reference
    )
    yield TimelineEvent(parse_time(text_of(state.get("FinishedAt"))), "container", "the container had ended", reference)


def _processes(view: CaseView) -> Iterator[TimelineEvent]:
    for process in view.processes:
        description = f"pid {process.pid} started: {show(process.command, 200)}"
        yield TimelineEvent(parse_time(process.start_time_utc), "process", description, process.reference)


def _events(view: CaseView) -> Iterator[TimelineEvent]:
    for item, document in view.documents("events"):
        for event in objects_of(object_of(document).get("events"))[:_MOST_LINES]:
            nanoseconds = number_of(event.get("timeNano")) or number_of(event.get("time")) * 10**9
            action = text_of(event.get("Action")) or text_of(event.get("status"))
            kind = text_of(event.get("Type")) or "engine"
            yield TimelineEvent(
                from_nanoseconds(nanoseconds), "engine", f"{show(kind)}: {show(action, 200)}", EvidenceRef(item.id)
            )


def _logs(view: CaseView) -> Iterator[TimelineEvent]:
    for item in view.find("logs"):
        lines = from_bytes(view.read(item, _LOG_BYTES)).splitlines()
        dated = [match for match in map(_LOG_LINE.match, lines) if match]
        telling = [match for match in dated if _TELLING.search(match.group(2))]
        for match in dict.fromkeys([*dated[:20], *telling[:_MOST_LINES], *dated[-20:]]):
            yield TimelineEvent(parse_time(match.group(1)), "log", show(match.group(2), 200), EvidenceRef(item.id))


def _files(view: CaseView, findings: Iterable[Finding]) -> Iterator[TimelineEvent]:
    """Yield newcomers' times: those of findings first, then the others up to a bound."""
    telling = {
        ref.path for finding in findings if finding.severity.rank <= Severity.MEDIUM.rank for ref in finding.evidence
    }
    newcomers = (
        a for a in view.files.artifacts if a.origin is not Origin.EXECUTABLE and (a.is_runtime or a.path in telling)
    )
    chosen = heapq.nsmallest(_MOST_FILES, newcomers, key=lambda a: (a.path not in telling, a.is_packaged, a.path))
    for artifact in chosen:
        yield from _times(artifact)
    for change in view.files.changes[:_MOST_FILES]:
        if change.kind is ChangeKind.DELETED and change.path in telling and change.before:
            at = from_nanoseconds(change.before.mtime_ns)
            yield TimelineEvent(
                at, "file", f"last change of the deleted {show_path(change.path)}", view.files.reference(change.path)
            )


def _times(artifact: Artifact) -> Iterator[TimelineEvent]:
    where = show_path(artifact.path)
    entry = artifact.entry
    named = (("content changed", entry.mtime_ns), ("inode changed", entry.ctime_ns), ("read", entry.atime_ns))
    for what, value in named:
        if value:
            yield TimelineEvent(from_nanoseconds(value), "file", f"{where}: {what}", artifact.reference)
