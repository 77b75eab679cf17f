"""What a report costs that has to tell of 200,000 changed files and 20,000 findings: time, memory, size.

The limits are those of the product: under 10 s, 300 MB resident, a page under 15 MB. Whole commands are measured, from
the shell's point of view: start of the interpreter, reading the stored analysis, rendering, writing, the custody entry.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forensics.analyze.store import write_analysis
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import (
    Analysis,
    Change,
    ChangeKind,
    Confidence,
    EntryType,
    EvidenceRef,
    FileEntry,
    Finding,
    Severity,
    Subject,
    TimelineEvent,
    Verdict,
)

CHANGES, FINDINGS, EVENTS = 200_000, 20_000, 40_000
LIMITS = {"seconds": 10.0, "rss_mb": 300.0, "page_mb": 15.0}
_SEVERITIES = tuple(Severity)


def build_analysis() -> Analysis:
    """Return an analysis as large as the limits are meant for."""
    return Analysis(
        verdict=Verdict.COMPROMISED,
        reasons=("A program is hidden (high): /usr/lib/.x",),
        findings=tuple(map(_make_finding, range(FINDINGS))),
        changes=tuple(map(_make_change, range(CHANGES))),
        recovered=(),
        layers=(),
        timeline=tuple(map(_make_event, range(EVENTS))),
        indicators=(),
        ledger=(),
    )


def _make_change(number: int) -> Change:
    path = b"usr/share/d%d/e%d/file-%d.txt" % (number % 300, number % 7, number)
    entry = FileEntry(path, EntryType.FILE, 0o644, 0, 0, number, 1_773_456_069_000_000_000, 3, sha256=f"{number:064x}")
    return Change(ChangeKind.ADDED, path, None, entry)


def _make_finding(number: int) -> Finding:
    path = b"usr/share/d%d/e%d/file-%d.txt" % (number % 300, number % 7, number)
    return Finding(
        rule=f"bench.rule-{number % 60}",
        title=f"A program is hidden, kind {number % 60}",
        severity=_SEVERITIES[number % len(_SEVERITIES)],
        confidence=Confidence.HIGH,
        attack=("T1564.001",),
        matched=f"pid {number}: /{path.decode()} " + "x" * 200,
        evidence=(EvidenceRef("E0001", path=path),),
        why="A name that begins with a dot keeps it out of ordinary listings.",
        benign="Tools that keep helper programs in their own hidden folder.",
        next="Examine the executable and how it came there.",
    )


def _make_event(number: int) -> TimelineEvent:
    seconds = number // 12
    at = f"2026-03-14T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{number % 1000000:06d}Z"
    return TimelineEvent(at, "file", f"/usr/share/d{number % 300}/file-{number}.txt: content changed")


@contextmanager
def make_case(folder: Path) -> Iterator[Path]:
    """Write a case with that analysis below *folder*."""
    root = folder / "case"
    subject = Subject(kind="container", name="bench", id="ab" * 32)
    with Case.create(root, subject=subject, actor=Actor(name="bench")) as case:
        write_analysis(case, build_analysis())
    yield root


def measure(case: Path, form: str, lang: str = "en") -> dict[str, float]:
    """Run `ir report` once and return what it cost."""
    target = case.parent / f"out.{form}.{lang}"
    command = [sys.executable, "-m", "forensics", "report", str(case)]
    command += ["--format", form, "--lang", lang, "--output", str(target)]
    started = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"ir report --format {form} ended with {child.returncode}")
    seconds = time.perf_counter() - started
    size_mb = target.stat().st_size / 1e6
    return {"seconds": round(seconds, 2), "rss_mb": round(usage.ru_maxrss / 1e3, 1), "page_mb": round(size_mb, 2)}


def main() -> int:
    """Print what each format costs; 1 where a limit does not hold for the page."""
    with tempfile.TemporaryDirectory() as place, make_case(Path(place)) as case:
        results = {f"{form} {lang}": measure(case, form, lang) for form, lang in (("html", "en"), ("html", "ja"))}
        results |= {form: measure(case, form) for form in ("json", "timesketch", "bodyfile", "csv", "sarif")}
    held = all(results["html en"][name] < limit for name, limit in LIMITS.items())
    print(json.dumps({"report": results, "limits": LIMITS, "held": held}, indent=1))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
