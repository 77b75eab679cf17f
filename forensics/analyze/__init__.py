"""Evidence in, findings out: pure, offline, repeatable. Asks no engine and never changes evidence.

`analyze` runs every analyzer of :data:`forensics.analyze.table.ANALYZERS`; one that fails is a line in the ledger with
its reason, and the verdict names it. The result is derived: it can be thrown away and built again from the case.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.analyze.store import has_analysis, read_analysis, write_analysis
from forensics.errors import IrError
from forensics.model import Analysis, Finding, LedgerLine, Outcome

if TYPE_CHECKING:
    from forensics.analyze.evidence_view import CaseView
    from forensics.analyze.files import FileView
    from forensics.analyze.ioc_match import IocIndex
    from forensics.analyze.table import Analyzer
    from forensics.evidence.case import Case

__all__ = ["analyze", "build_analysis", "has_analysis", "read_analysis", "read_or_analyze"]

_ANALYZER_FAILURES = (
    ArithmeticError, AttributeError, IrError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError,
)  # fmt: skip
"""What hostile evidence can provoke in an analyzer: the analyzer fails, by name; the others still run."""
_MOST_FAILURES = 100


def analyze(  # noqa: PLR0913 - what a user may choose, by name
    case: Case,
    *,
    rules: tuple[Path, ...] = (),
    base: Path | None = None,
    yara: bool = True,
    image_key: Path | None = None,
    iocs: tuple[Path, ...] = (),
) -> Analysis:
    """Examine *case*, write the result below its ``analysis/``, put the digest of each file on record; return it.

    Raises:
        RuleError: a rule does not compile.
        UsageError: *base* or a list of *iocs* cannot be read.
    """
    analysis = build_analysis(case, rules=rules, base=base, yara=yara, image_key=image_key, iocs=iocs)
    write_analysis(case, analysis)
    return analysis


def read_or_analyze(case: Case) -> Analysis:
    """Return the stored analysis of *case*; where there is none, make it.

    Raises:
        VerificationError: the stored one is not what was recorded when it was made.
    """
    return read_analysis(case) if has_analysis(case) else analyze(case)


def build_analysis(  # noqa: PLR0913 - as above
    case: Case,
    *,
    rules: tuple[Path, ...] = (),
    base: Path | None = None,
    yara: bool = True,
    image_key: Path | None = None,
    iocs: tuple[Path, ...] = (),
) -> Analysis:
    """Examine *case* and return the result; writes nothing. *image_key* is a public key (PEM) of the image's signer."""
    from forensics.analyze.evidence_view import CaseView  # noqa: PLC0415 - reading a stored analysis needs none of it
    from forensics.analyze.image_identity import name_absences  # noqa: PLC0415 - as above
    from forensics.analyze.indicators import collect_indicators  # noqa: PLC0415 - as above
    from forensics.analyze.inventory import list_packages  # noqa: PLC0415 - as above
    from forensics.analyze.ioc import read_ioc_file  # noqa: PLC0415 - as above
    from forensics.analyze.ioc_match import IocIndex  # noqa: PLC0415 - as above
    from forensics.analyze.table import ANALYZERS, LISTS  # noqa: PLC0415 - as above
    from forensics.analyze.timeline import build_timeline, describe_dwell  # noqa: PLC0415 - as above
    from forensics.analyze.verdict import find_damage, find_gaps, judge  # noqa: PLC0415 - as above

    index = IocIndex(tuple(map(read_ioc_file, iocs)))
    files = replace(_load(case, rules, base, yara=yara, wanted=index.other_digests), image_key=image_key)
    view = CaseView(case, files, index)
    findings: list[Finding] = []
    collection = case.ledger()
    ledger = [*_describe_absence(case, files, collection), *_describe_files(files, yara=yara)]
    ledger += _describe_lists(index)
    for analyzer in (*ANALYZERS, *([LISTS] if iocs else [])):
        found, line = _run(analyzer, view)
        findings.extend(found)
        ledger.append(line)
    findings.sort(key=lambda finding: finding.severity.rank)
    verdict, reasons = judge(findings, find_gaps(collection, ledger), find_damage(collection, ledger))
    timeline = build_timeline(view, findings)
    ledger += describe_dwell(view, findings, timeline)
    return Analysis(
        verdict=verdict,
        reasons=reasons,
        findings=tuple(findings),
        changes=files.changes,
        recovered=files.recovered,
        layers=files.layers,
        timeline=timeline,
        indicators=collect_indicators(view, findings),
        ledger=tuple(ledger),
        warnings=(*files.warnings, *name_absences(view)),
        packages=list_packages(files),
    )


def _load(case: Case, rules: tuple[Path, ...], base: Path | None, *, yara: bool, wanted: frozenset[str]) -> FileView:
    from forensics.analyze.examine import Examiner  # noqa: PLC0415 - as above
    from forensics.analyze.load import load_files  # noqa: PLC0415 - as above
    from forensics.analyze.scanner import find_rule_files, open_scanner  # noqa: PLC0415 - as above

    with ExitStack() as stack:
        scanner = stack.enter_context(open_scanner(find_rule_files(rules))) if yara else None
        return load_files(case, Examiner(scanner, wanted_digests=wanted), base)


def _describe_absence(case: Case, files: FileView, collection: tuple[LedgerLine, ...]) -> Iterator[LedgerLine]:
    """Yield why there is no file system at all, where neither the collection nor the reader says it."""
    from forensics.analyze.verdict import FILE_SYSTEM  # noqa: PLC0415 - as above

    if files.final or files.failures or any(line.artefact == "snapshot" for line in collection):
        return
    if any(name.startswith("collect") for name in case.open_activities()):
        yield LedgerLine(FILE_SYSTEM, Outcome.FAILED, "the collection was interrupted before the snapshot")
    else:
        yield LedgerLine(FILE_SYSTEM, Outcome.NOT_APPLICABLE, files.reason)


def _describe_files(files: FileView, *, yara: bool) -> Iterator[LedgerLine]:
    """Yield what became of reading and scanning the files themselves."""
    from forensics.analyze.verdict import CONTENT, LIMITED, RULES, YARA_SCAN  # noqa: PLC0415 - as above

    for failure in files.failures[:_MOST_FAILURES]:
        yield LedgerLine(CONTENT, Outcome.FAILED, failure)
    if len(files.failures) > _MOST_FAILURES:
        yield LedgerLine(CONTENT, Outcome.FAILED, f"{len(files.failures) - _MOST_FAILURES} more failures of this kind")
    for name in files.limited[:_MOST_FAILURES]:
        yield LedgerLine(LIMITED, Outcome.FAILED, name)
    if len(files.limited) > _MOST_FAILURES:
        yield LedgerLine(LIMITED, Outcome.FAILED, f"{len(files.limited) - _MOST_FAILURES} more of this kind")
    for sentence in files.refused_rules[:_MOST_FAILURES]:
        yield LedgerLine(RULES, Outcome.FAILED, sentence)
    if len(files.refused_rules) > _MOST_FAILURES:
        yield LedgerLine(RULES, Outcome.FAILED, f"{len(files.refused_rules) - _MOST_FAILURES} more rules are not used")
    if not yara:
        yield LedgerLine(YARA_SCAN, Outcome.NOT_APPLICABLE, "switched off")


def _describe_lists(index: IocIndex) -> Iterator[LedgerLine]:
    """Yield what of the user's lists is compared, and what is not."""
    for ioc_list in index.lists:
        count, left_out = len(ioc_list.entries), ioc_list.unused_count
        more = f", {left_out} not used: {'; '.join(ioc_list.unused[:3])}" if left_out else ""
        shown = f"{count} indicators of {ioc_list.name} (sha256 {ioc_list.sha256[:16]}){more}"
        yield LedgerLine("list of indicators", Outcome.COLLECTED, shown)


def _run(analyzer: Analyzer, view: CaseView) -> tuple[list[Finding], LedgerLine]:
    name = f"analysis: {analyzer.name}"
    missing = _missing(analyzer, view)
    if missing:
        return [], LedgerLine(name, Outcome.NOT_APPLICABLE, missing)
    found: list[Finding] = []
    try:
        found.extend(analyzer.analyze(view))
    except _ANALYZER_FAILURES as error:
        return found, LedgerLine(name, Outcome.FAILED, f"{type(error).__name__}: {error}")
    if not found:
        return found, LedgerLine(name, Outcome.EMPTY, "nothing found")
    return found, LedgerLine(name, Outcome.COLLECTED, f"{len(found)} findings")


def _missing(analyzer: Analyzer, view: CaseView) -> str:
    from forensics.analyze.table import FILES  # noqa: PLC0415 - loaded already

    if not analyzer.needs:
        return ""
    if analyzer.needs != FILES:
        return "" if view.find(analyzer.needs) else f"no {analyzer.needs} in this case"
    return "" if view.files.final or view.files.artifacts else view.files.reason
