"""Signs that somebody removed or falsified traces: histories, logs, file times, deceptive names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime

from forensics.analyze.configuration import Area, area_of
from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.file_types import list_paths
from forensics.analyze.files import Artifact, Origin
from forensics.analyze.places import in_hidden_place, in_system, in_system_bin, in_temp, in_web_root
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import number_of, object_of, objects_of, text_of
from forensics.model import Change, ChangeKind, Confidence, EntryType, EvidenceRef, FileEntry, Finding, Severity
from forensics.text import from_bytes, show_path, to_bytes

HISTORY = Rule(
    "traces.history-disabled",
    "A command history was linked away or switched off",
    Severity.HIGH,
    ("T1070.003", "T1690"),
    "Intruders keep the shell from writing down what they type.",
    "A hardening guide followed to the letter; images that never keep histories.",
    "Look at process start times and file times for what the history would have told.",
)
HISTORY_LOST = Rule(
    "traces.history-emptied",
    "A command history was emptied or deleted in the running container",
    Severity.MEDIUM,
    ("T1070.003",),
    "What was typed before is gone; intruders remove it, services do not.",
    "A clean-up step of an entry point.",
    "The image's layer still holds the older history; look at process start times for the rest.",
)
LOG = Rule(
    "traces.log-emptied",
    "A log was emptied or deleted in the running container",
    Severity.MEDIUM,
    ("T1685.006",),
    "Whoever empties a log knows that something in it tells of them.",
    "Log rotation; a clean-up step of an entry point.",
    "Compare with logs shipped elsewhere and with the engine's own log of the container.",
    Confidence.MEDIUM,
)
LOG_LINKED = Rule(
    "traces.log-linked-away",
    "A log was replaced by a link to nowhere in the running container",
    Severity.HIGH,
    ("T1685.006",),
    "Everything written to it from now on is lost.",
    "Images link logs to /dev/stdout on purpose; to /dev/null is unusual.",
    "Compare with logs shipped elsewhere.",
)
BACKDATED = Rule(
    "traces.time-falsified",
    "A file's time was set back",
    Severity.HIGH,
    ("T1070.006",),
    "The content changed but its time did not, or a newcomer carries exactly the time of a system file.",
    "Unpacking an archive keeps old times; then the name and content are the archive's.",
    "Trust the inode's change time, not the modification time.",
    Confidence.MEDIUM,
)
OLDER = Rule(
    "traces.time-before-image",
    "A newcomer claims to be older than the image",
    Severity.MEDIUM,
    ("T1070.006",),
    "It came while the container ran, but its time is before that of every file of the image: it was set, or kept.",
    "Archives unpacked in the running container keep the times of their makers.",
    "Trust the inode's change time, where the collection has it, and not the modification time.",
    Confidence.LOW,
)
FUTURE = Rule(
    "traces.time-in-future",
    "A file's time lies in the future of its own container",
    Severity.LOW,
    ("T1070.006",),
    "Such a time was set by hand or by a wrong clock.",
    "A clock that was wrong while the image was built.",
    "Trust other times.",
)
DECEPTIVE = Rule(
    "traces.deceptive-name",
    "A file name deceives whoever reads it",
    Severity.HIGH,
    ("T1036.002", "T1036.006"),
    "Invisible, direction-changing or look-alike characters, or trailing blanks, make a name look like another one.",
    "Documents named in other scripts; names damaged by a wrong encoding.",
    "Look at the name byte by byte in the report.",
)
_LOGS = re.compile(
    rb"^var/log/(?:.*/)?[^/]*(?:log|wtmp|btmp|lastlog|messages|secure|syslog|faillog|utmp|access|error|audit|journal)[^/]*$"
)
_BUILD_LOGS = re.compile(
    rb"^var/log/(?:apt/|dpkg\.log|alternatives\.log|bootstrap\.log|fontconfig\.log|unattended|apk|yum|dnf|faillog|lastlog)"
)
_ROTATIONS = (b".1", b".1.gz", b".0", b".old", b".2.gz")
_ROTATED = re.compile(rb"^(.+?)[.-](?:\d{1,3}|\d{8}(?:-?\d{1,10})?|old)(?:\.(?:gz|xz|bz2|zst))?$")
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")
_INVISIBLE = frozenset("\u200b\u200c\u200d\u2060\ufeff\u00ad\u00a0\u3164\u115f\u180e\u2800\u3000\u2003")
_LOOKALIKE_SCRIPTS = (
    "CYRILLIC",
    "GREEK",
    "ARMENIAN",
    "FULLWIDTH",
    "MATHEMATICAL",
    "CHEROKEE",
    "LATIN LETTER SMALL CAPITAL",
    "LISU",
)
_DOTS = re.compile(r"^(?:\.{3,}|\.{1,2}[\s\u00a0]+|\s+|\.\s.*)$")
_WORD = re.compile(r"[^\W\d_]+")
_DAY_NS = 86_400 * 10**9
_CODE = frozenset({Kind.ELF, Kind.SCRIPT, Kind.PHP})


def analyze_histories(view: CaseView) -> Iterator[Finding]:
    """Judge shell histories and logs that lead nowhere or lost their content."""
    for change in view.files.changes:
        path, after = change.path, change.after
        history = area_of(path) is Area.HISTORY
        if after and after.type is EntryType.SYMLINK and (after.link_target or b"").endswith(b"dev/null"):
            if history:
                yield HISTORY.found(f"{show_path(path)} -> /dev/null", [view.files.reference(path)])
            elif _is_log(path) and view.files.baseline.is_runtime:
                yield LOG_LINKED.found(f"{show_path(path)} -> /dev/null", [view.files.reference(path)])
        elif history and after and after.type not in {EntryType.FILE, EntryType.DIRECTORY}:
            yield HISTORY.found(f"{show_path(path)} is a {after.type}", [view.files.reference(path)])
    yield from _judge_lost_histories(view)
    yield from _judge_logs(view)
    for process in view.processes:
        for variable in process.environ:
            if re.match(r"HISTFILE=(?:/dev/null)?$|HIST(?:FILE)?SIZE=0$", variable):
                yield HISTORY.found(f"pid {process.pid}: {variable}", [process.reference], severity=Severity.MEDIUM)


def _judge_lost_histories(view: CaseView) -> Iterator[Finding]:
    """Report histories that had content and have none, or are gone."""
    if not view.files.baseline.is_runtime:
        return
    lost = [c for c in view.files.changes if area_of(c.path) is Area.HISTORY and _lost_content(c)]
    if lost:
        yield HISTORY_LOST.found(
            ", ".join(show_path(change.path) for change in lost[:6]),
            [EvidenceRef(view.files.item, path=change.path) for change in lost],
        )


def _judge_logs(view: CaseView) -> Iterator[Finding]:
    if not view.files.baseline.is_runtime:
        return
    rotated = {
        match[1] for c in view.files.changes if c.after and c.after.size_bytes and (match := _ROTATED.match(c.path))
    }
    emptied = [
        change
        for change in view.files.changes
        if _tells_of_emptying(change) and not _was_rotated(change, rotated, view) and _lost_or_cut(change)
    ]
    if emptied:
        yield LOG.found(
            ", ".join(show_path(change.path) for change in emptied[:6]),
            [EvidenceRef(view.files.item, path=change.path) for change in emptied],
        )


def _is_log(path: bytes) -> bool:
    return bool(_LOGS.match(path)) and not _BUILD_LOGS.match(path)


def _lost_content(change: Change) -> bool:
    before = change.before
    if before is None or before.type is not EntryType.FILE or not before.size_bytes:
        return False
    return change.kind is ChangeKind.DELETED or (change.after is not None and change.after.size_bytes == 0)


def _tells_of_emptying(change: Change) -> bool:
    """Whether its loss tells something: slimmers delete what package managers wrote, they do not empty it in place."""
    return _is_log(change.path) or bool(change.after and _LOGS.match(change.path) and change.after.size_bytes == 0)


def _lost_or_cut(change: Change) -> bool:
    before, after = change.before, change.after
    if _lost_content(change):
        return True
    if before is None or after is None or after.type is not EntryType.FILE or before.type is not EntryType.FILE:
        return False
    return 0 < after.size_bytes < before.size_bytes


def _was_rotated(change: Change, rotated: set[bytes], view: CaseView) -> bool:
    """Whether a copy of it with content stands beside it, or it is itself such a copy that aged out."""
    if view.files.final is None:
        return False
    if change.kind is ChangeKind.DELETED and (match := _ROTATED.match(change.path)):
        return view.files.final.get(match[1]) is not None
    copies = (view.files.final.get(change.path + ending) for ending in _ROTATIONS)
    return change.path in rotated or any(copy is not None and copy.size_bytes for copy in copies)


def analyze_times(view: CaseView) -> Iterator[Finding]:
    """Judge file times: content that changed under an unchanged time, and times copied from a system file."""
    runtime = view.files.baseline.is_runtime
    kept: list[Artifact] = []
    for artifact in view.files.candidates:
        before, entry = artifact.before, artifact.entry
        if artifact.origin is not Origin.LAYER or entry.type is not EntryType.FILE or not artifact.is_runtime:
            continue
        if not _matters(artifact.path):
            continue
        if _kept_time(before, entry) or (before is None and artifact.kind in _CODE and _copies_time(artifact, view)):
            kept.append(artifact)
    kept += list(_changed_later(view, {artifact.path for artifact in kept})) if runtime else []
    if kept:
        yield BACKDATED.found(list_paths(kept), [artifact.reference for artifact in kept])
    old = [artifact for artifact in _older_than_image(view) if artifact not in kept] if runtime else []
    if old:
        yield OLDER.found(list_paths(old), [artifact.reference for artifact in old])
    created = _nanoseconds(view.files.created_at)
    future = [
        a
        for a in view.files.candidates
        if created and a.entry.mtime_ns > created + _DAY_NS and a.origin is Origin.LAYER
    ]
    if future:
        yield FUTURE.found(list_paths(future), [artifact.reference for artifact in future])


def _older_than_image(view: CaseView) -> Iterator[Artifact]:
    """Yield programs that came into the running container but claim to be older than everything in its image."""
    oldest = view.files.oldest_base_time
    for artifact in view.files.candidates:
        place = in_system_bin(artifact.path) or in_system(artifact.path) or in_temp(artifact.path)
        if not place or artifact.before is not None or not artifact.is_runtime or artifact.origin is not Origin.LAYER:
            continue
        if artifact.kind in _CODE and 0 <= artifact.entry.mtime_ns < oldest:
            yield artifact


def _matters(path: bytes) -> bool:
    """Whether a falsified time would serve anybody there: programs, configuration, web roots; no backup copies."""
    if path.endswith((b"-", b"~", b"-old", b".bak", b".old")):
        return False
    place = in_system(path) or in_system_bin(path) or in_temp(path) or in_hidden_place(path) or in_web_root(path)
    return place or path.startswith((b"etc/", b"root/", b"opt/", b"home/"))


def _kept_time(before: FileEntry | None, entry: FileEntry) -> bool:
    """Whether the content changed under an unchanged time."""
    if before is None or before.type is not EntryType.FILE:
        return False
    return before.sha256 != entry.sha256 and before.mtime_ns == entry.mtime_ns


def _copies_time(artifact: Artifact, view: CaseView) -> bool:
    """Whether a newcomer carries the exact time of a program of the image (``touch -r``)."""
    return artifact.entry.mtime_ns > 0 and artifact.entry.mtime_ns in view.files.base_program_times


def _changed_later(view: CaseView, known: set[bytes]) -> Iterator[Artifact]:
    """Yield programs whose inode changed while the container ran but whose time is older than the image."""
    started = _nanoseconds(text_of(view.inspect.get("Created")))
    if not started:
        return
    for _, document in view.documents("changed-files"):
        for part in objects_of(object_of(document).get("entries")):
            path = to_bytes(text_of(part.get("path"))).lstrip(b"/")
            artifact = view.files.artifact_at(path)
            if artifact is None or path in known or artifact.is_packaged or not artifact.is_runtime:
                continue
            late = (
                number_of(part.get("ctime_ns")) > started
                and 0 <= number_of(part.get("mtime_ns")) < started - 30 * _DAY_NS
            )
            suspicious = in_system_bin(path) or in_system(path) or in_temp(path)
            if late and suspicious and artifact.kind in {Kind.ELF, Kind.SCRIPT}:
                yield artifact


def _nanoseconds(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp()) * 10**9 if text else 0
    except ValueError:
        return 0


def analyze_names(view: CaseView) -> Iterator[Finding]:
    """Judge names for characters that deceive; hidden dot-dot-dot folders count, foreign scripts alone do not."""
    for change in view.files.changes:
        if change.kind is ChangeKind.ADDED and (reason := judge_name(change.path)):
            yield DECEPTIVE.found(f"{show_path(change.path)}: {reason}", [view.files.reference(change.path)])
    for artifact in view.files.candidates:
        if (reason := judge_name(artifact.path)) and artifact.path not in view.files.changed:
            yield DECEPTIVE.found(f"{show_path(artifact.path)}: {reason}", [artifact.reference])


def judge_name(path: bytes) -> str:
    """Return what is deceptive in the last part of *path*, or an empty string."""
    raw = path.rsplit(b"/", 1)[-1]
    if raw.isalnum() and raw.isascii():
        return ""
    name = from_bytes(raw)
    reasons = (
        (any(character in _BIDI for character in name), "changes the direction of reading"),
        (any(character in _INVISIBLE for character in name), "holds an invisible character"),
        (bool(_DOTS.match(name)), "looks like the folder itself or its parent"),
        (name != name.strip(), "begins or ends with a blank"),
        (any(unicodedata.category(character) == "Cc" for character in name), "holds a control character"),
    )
    reason = next((reason for is_so, reason in reasons if is_so), "") or _judge_lookalike(name)
    if not reason and (in_system_bin(path) or in_system(path)) and (plain := read_as_latin(name)) and plain != name:
        return f"reads like {plain} in letters of another script"
    return reason


_LATIN = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u0432\u043d\u043a\u043c\u0442\u0433"
    "\u03bf\u03b1\u03bd\u03c1\u03c5\u03b9\u03ba\u03c4\u03c7\u0581\u057d\u0570\u0578\u0585",
    "aeopcyxijshdqwbhkmtr" + "oavpuiktx" + "guhno",
)
"""Cyrillic, Greek and Armenian small letters that look like Latin ones."""


def read_as_latin(name: str) -> str:
    """Return a name of look-alike letters as the Latin letters that it looks like, or nothing where one has none."""
    plain = unicodedata.normalize("NFKC", name).translate(_LATIN)
    return plain if not name.isascii() and plain.isascii() else ""


def _judge_lookalike(name: str) -> str:
    """Judge each word for letters of another script among Latin ones; words wholly in one script are ordinary."""
    for word in _WORD.findall(name):
        foreign = [letter for letter in word if not letter.isascii()]
        strange = any(unicodedata.name(letter, "").startswith(_LOOKALIKE_SCRIPTS) for letter in foreign)
        if strange and len(foreign) < len(word):
            return "mixes look-alike letters of another script"
    return ""
