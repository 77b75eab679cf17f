"""One word for the whole case, with its strongest reasons and what could not be examined. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from forensics.model import Confidence, Finding, LedgerLine, Outcome, Severity, Verdict
from forensics.text import show, show_path

_MOST_REASONS = 3
_MOST_GAPS = 6
_SHOWN = 160
_SNAPSHOT = "snapshot"
CONTENT = "file content"
LIMITED = "file content beyond the limits"
"""The ledger's name of what a limit of ours kept out: a gap, but nothing that failed."""
FILE_SYSTEM = "file system"
YARA_SCAN = "yara scan"
RULES = "yara rules"
"""The ledger's name of rules of the user's that are not used: a gap, but no sign of damage."""
_LEFT_OUT = frozenset({_SNAPSHOT, FILE_SYSTEM, YARA_SCAN})
_NO_DEED = (
    "posture.",
    "image.archive-anomaly",
    "engine.exec-used",
    "secret.",
    "layer.secret",
    "image.start-command-changed",
)


def is_deed(finding: Finding) -> bool:
    """Whether the finding says that somebody did something, rather than that somebody could."""
    return not finding.rule.startswith(_NO_DEED)


def judge(
    findings: Sequence[Finding], gaps: Sequence[str], damage: Sequence[str] = ()
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict and its reasons: the three strongest, then what could not be examined.

    Compromised: one critical deed, or two different high ones, that are at least of medium confidence. Suspicious: any
    deed of medium severity or worse, a setting that hands over the host, or *damage*: the file system could not be
    examined as a whole, because something failed. Else there is no evidence of compromise, which is never the same as
    clean.
    """
    ranked = sorted(findings, key=_strength)
    deeds = [finding for finding in ranked if is_deed(finding) and finding.confidence is not Confidence.LOW]
    critical = [finding for finding in deeds if finding.severity is Severity.CRITICAL]
    high = {finding.rule for finding in deeds if finding.severity is Severity.HIGH}
    grave = [finding for finding in ranked if finding.severity.rank <= Severity.HIGH.rank]
    medium = [finding for finding in deeds if finding.severity is Severity.MEDIUM]
    if critical or len(high) > 1:
        verdict = Verdict.COMPROMISED
    elif grave or medium:
        verdict = Verdict.SUSPICIOUS
    else:
        verdict = Verdict.NO_EVIDENCE
    reasons = []
    if verdict is Verdict.NO_EVIDENCE and damage:
        verdict = Verdict.SUSPICIOUS
        reasons.append(_describe_damage(damage))
    reasons += [describe(finding) for finding in _strongest(ranked, verdict)]
    if verdict is Verdict.NO_EVIDENCE:
        reasons.append(
            "no evidence of compromise was found in what could be examined; that is not proof of its absence"
        )
    return verdict, (*reasons, *_describe_gaps(gaps))


def _strongest(ranked: Iterable[Finding], verdict: Verdict) -> list[Finding]:
    if verdict is Verdict.NO_EVIDENCE:
        return []
    chosen: dict[str, Finding] = {}
    for finding in ranked:
        if finding.severity.rank <= Severity.MEDIUM.rank:
            chosen.setdefault(finding.rule, finding)
    return list(chosen.values())[:_MOST_REASONS]


def _strength(finding: Finding) -> tuple[int, bool, int]:
    return finding.severity.rank, not is_deed(finding), list(Confidence).index(finding.confidence)


def describe(finding: Finding) -> str:
    """Return the finding in one safe line: what it is and where; the match itself stands in the finding."""
    paths = [reference.path for reference in finding.evidence if reference.path is not None]
    where = show_path(paths[0]) if paths else show(finding.matched, _SHOWN)
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{finding.title} ({finding.severity}): {where}{more}"


def _describe_gaps(gaps: Sequence[str]) -> list[str]:
    shown = [f"could not be examined: {show(gap, _SHOWN)}" for gap in gaps[:_MOST_GAPS]]
    if len(gaps) > _MOST_GAPS:
        shown.append(f"could not be examined: {len(gaps) - _MOST_GAPS} more, listed in the ledger")
    return shown


def _describe_damage(damage: Sequence[str]) -> str:
    more = f"; {len(damage) - 1} more" if len(damage) > 1 else ""
    return f"not to be taken as clean: the image could not be examined as a whole ({show(damage[0], _SHOWN)}{more})"


def find_gaps(collection: Iterable[LedgerLine], analysis: Iterable[LedgerLine]) -> list[str]:
    """Return what failed, of the collection and of the analysis, and what part of the files was left out on purpose."""
    lines = [line for line in (*collection, *analysis) if line.outcome is Outcome.FAILED or _is_left_out(line)]
    return list(dict.fromkeys(f"{line.artefact}: {line.reason}" for line in lines))


def _is_left_out(line: LedgerLine) -> bool:
    return line.outcome is Outcome.NOT_APPLICABLE and line.artefact in _LEFT_OUT


def find_damage(collection: Iterable[LedgerLine], analysis: Iterable[LedgerLine]) -> list[str]:
    """Return why the file system could not be examined as a whole: what failed, not what a limit or a person left out.

    Of the collection only the snapshot counts: a process that ended early says nothing of the files.
    """
    lines = [line for line in collection if line.artefact == _SNAPSHOT]
    lines += [line for line in analysis if line.artefact not in {LIMITED, RULES}]
    failed = [line for line in lines if line.outcome is Outcome.FAILED]
    named = (line.reason if line.artefact == CONTENT else f"{line.artefact}: {line.reason}" for line in failed)
    return list(dict.fromkeys(named))
