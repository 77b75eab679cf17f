"""The program that the container starts with, when somebody changed it while the container ran."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import object_of, text_of, texts_of
from forensics.model import ChangeKind, Finding, Severity
from forensics.text import show_path, to_bytes

CHANGED = Rule(
    "persistence.entry-point",
    "What the container starts with was changed while it ran",
    Severity.HIGH,
    ("T1554", "T1543.005"),
    "The start program and its scripts come with the image; a change to them runs again at every restart.",
    "Entry points that rewrite themselves; development containers.",
    "Compare with the image's file (`ir diff`); rebuild from a trusted image.",
)
_FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def analyze_entry_point(view: CaseView) -> Iterator[Finding]:
    """Report the start program, and files that its arguments name, that are new or changed and no package's."""
    if not view.files.baseline.is_runtime:
        return
    settings = object_of(view.inspect.get("Config")) or object_of(view.files.image_config.get("config"))
    words = (*texts_of(settings.get("Entrypoint")), *texts_of(settings.get("Cmd")))
    folder = text_of(settings.get("WorkingDir")) or "/"
    for word in dict.fromkeys(words):
        for path in _places(word, folder):
            resolved = view.files.resolve(to_bytes(path))
            change = view.files.changed.get(resolved) if resolved else None
            if resolved is None:
                continue
            if change is not None and change.kind is not ChangeKind.DELETED and view.files.is_newcomer(resolved):
                yield CHANGED.found(f"{show_path(resolved)} ({change.kind})", [view.files.reference(resolved)])
            break


def _places(word: str, folder: str) -> Iterator[str]:
    """Yield where a word of the start command may stand for a file."""
    if word.startswith("-") or any(letter in word for letter in " ;|&$\n"):
        return
    if "/" in word:
        yield posixpath.normpath(posixpath.join(folder, word))
        return
    yield from (f"{place}/{word}" for place in _FOLDERS)
    yield f"{folder.rstrip('/')}/{word}"
