"""What was done: steps, custody and seals, out of the custody log and the seals folder. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from forensics.evidence.custody import FIRST_PREV, CustodyEntry
from forensics.model import JsonObject
from forensics.report.document import CustodyFacts, CustodyLine, Fact, SealFacts, Step
from forensics.report.fields import object_at, text_at
from forensics.report.masking import Masker

_DERIVED = frozenset({"report", "analyze", "access", "render"})
_ROUTINE = frozenset({"acquire", "store", "discover", "access", "report", "analyze"})
_SEAL_LIMIT = 65536


def settle_log(entries: Sequence[CustodyEntry]) -> tuple[CustodyEntry, ...]:
    """Return the log without its tail of derived work, so that rendering a report does not change the next one."""
    end = len(entries)
    while end and entries[end - 1].action in _DERIVED:
        end -= 1
    return tuple(entries[:end])


def read_steps(entries: Iterable[CustodyEntry], masker: Masker) -> tuple[Step, ...]:
    """Return what was done besides routine reading; a mutation's begin and end are one step."""
    entries = tuple(entries)
    under_way = find_report_step(entries)
    open_steps: dict[str, int] = {}
    steps: list[Step] = []
    for entry in entries:
        key = f"{entry.action}\0{_subject(entry)}"
        is_routine = entry.action in _ROUTINE and entry.result == "ok" and not entry.source_altered
        if is_routine and key not in open_steps:
            continue
        step = _read_step(entry, masker)
        if entry.result == "begin":
            open_steps[key] = len(steps)
            steps.append(replace(step, outcome="under way") if entry.seq in under_way else step)
        elif key in open_steps:
            place = open_steps.pop(key)
            steps[place] = replace(step, at=steps[place].at)
        else:
            steps.append(step)
    return tuple(steps)


def find_report_step(entries: Sequence[CustodyEntry]) -> frozenset[int]:
    """Return the entries that began what this very rendering is a part of: a playbook's report step, and its run."""
    last = entries[-1] if entries else None
    if last is None or last.result != "begin" or text_at(last.details, "uses") != "report.render":
        return frozenset()
    run = text_at(last.details, "run")
    begun = (entry for entry in entries if entry.action == "playbook" and entry.result == "begin")
    return frozenset({last.seq, *(entry.seq for entry in begun if text_at(entry.details, "run") == run)})


def _subject(entry: CustodyEntry) -> str:
    """Return what the begin and the end of one act have in common."""
    return text_at(entry.details, "activity") or text_at(entry.details, "image") or describe(entry)


def _read_step(entry: CustodyEntry, masker: Masker) -> Step:
    detail = describe(entry)
    if entry.error:
        detail = f"{detail}: {entry.error}" if detail else entry.error
    altered = text_at(entry.source_altered, "what") if entry.source_altered else ""
    outcome = "interrupted" if entry.result == "begin" else entry.result
    return Step(entry.seq, entry.ts_utc, entry.action, masker.apply(detail), outcome, entry.actor.name, altered)


def describe(entry: CustodyEntry) -> str:
    """Return what an entry is about in words: its purpose, or the effect of the containment action that it journals."""
    event = text_at(entry.details, "event")
    action = object_at(entry.details, "action")
    if action:
        return text_at(action, "inverse" if event == "undo" else "effect") or text_at(action, "id")
    known = {"plan": "plan with every inverse", "proof": "proof taken from outside", "released": "proof of restoration"}
    return ": ".join(filter(None, (known.get(event, event), entry.purpose)))


def read_custody(entries: Sequence[CustodyEntry], case_root: Path, masker: Masker) -> CustodyFacts:
    """Return the settled chain and the seals."""
    head = entries[-1].sha256 if entries else FIRST_PREV
    lines = tuple(_read_line(entry, masker) for entry in entries)
    return CustodyFacts(len(entries), head, lines, tuple(_read_seals(case_root)))


def _read_line(entry: CustodyEntry, masker: Masker) -> CustodyLine:
    return CustodyLine(
        seq=entry.seq,
        at=entry.ts_utc,
        action=entry.action,
        actor=entry.actor.name,
        evidence=entry.evidence_ids,
        purpose=masker.apply(describe(entry)),
        result=entry.result,
        error=masker.apply(entry.error or ""),
        digest=entry.sha256,
    )


def _read_seals(case_root: Path) -> Iterator[SealFacts]:
    folder = case_root / "seals"
    for seal in sorted(folder.glob("[0-9]*")) if folder.is_dir() else ():
        statement = seal / "seal.txt"
        if not seal.name.isdigit() or not statement.is_file():
            continue
        with statement.open("rb") as stream:
            text = stream.read(_SEAL_LIMIT).decode("utf-8", "surrogateescape")
        pairs = (line.partition(": ") for line in text.splitlines() if ": " in line)
        facts = tuple(Fact(name, value) for name, _, value in pairs)
        signed, stamped = (seal / "seal.txt.sig").is_file(), (seal / "seal.txt.sig.tsr").is_file()
        yield SealFacts(int(seal.name), facts, signed, stamped)


def _flatten(document: JsonObject, prefix: str = "") -> Iterator[Fact]:
    """Yield scalars under readable names; lists of scalars joined, deeper lists counted."""
    for key in document:
        name, value = f"{prefix}{key}".replace("_", " "), document[key]
        if isinstance(value, dict):
            yield from _flatten(value, f"{name}: ")
        elif isinstance(value, list):
            plain = all(isinstance(member, str | int | float) for member in value)
            yield Fact(name, ", ".join(map(str, value)) or "none" if plain else f"{len(value)} entries")
        else:
            yield Fact(name, text_at(document, key) or "none")


def read_facts(document: JsonObject, *keys: str) -> tuple[Fact, ...]:
    """Return the scalars below *keys* of `case.json` under readable names."""
    return tuple(fact for key in keys for fact in _flatten(object_at(document, key), f"{key.replace('_', ' ')}: "))
