"""Builds the frozen report out of a case and its analysis. Reads evidence, writes nothing, asks no engine or clock."""

from __future__ import annotations

from dataclasses import replace

from forensics import __version__
from forensics.evidence.case import Case
from forensics.model import Analysis, Finding, JsonObject, LedgerLine, Outcome
from forensics.report.attack import ATTACK_VERSION, tell_story
from forensics.report.cut import read_containment
from forensics.report.document import CaseFacts, Fact, Report
from forensics.report.exposure import read_exposures
from forensics.report.fields import EvidenceReader, object_at, text_at
from forensics.report.masking import Masker, find_secrets
from forensics.report.record import read_custody, read_facts, read_steps, settle_log
from forensics.report.runtime import read_connections, read_processes
from forensics.report.settings import read_settings


def build(case: Case, analysis: Analysis) -> Report:
    """Return the report of *case*. Same case, analysis and version: an equal report.

    Credentials are masked here, before any renderer sees them. Evidence that cannot be read becomes a gap.

    Raises:
        CaseError: the case itself cannot be read.
    """
    evidence = EvidenceReader(case)
    secrets, masker = find_secrets(evidence)
    analysis = _settle_analysis(analysis, masker)
    entries = settle_log(case.custody())
    processes = read_processes(evidence, analysis.findings, masker)
    tool = (Fact("ir", __version__), Fact("MITRE ATT&CK", ATTACK_VERSION), *_read_engine(evidence))
    report = Report(
        tool=tool,
        case=_read_case(case),
        subject=case.subject,
        analysis=analysis,
        containment=read_containment(evidence, entries),
        steps=read_steps(entries, masker),
        story=tell_story(analysis.findings, analysis.timeline),
        processes=processes,
        connections=read_connections(evidence, processes),
        settings=read_settings(evidence),
        exposures=read_exposures(evidence),
        secrets=secrets,
        items=tuple(case.items()),
        ledger=(),
        custody=read_custody(entries, case.root, masker),
        gaps=(),
    )
    collected, problems = (
        tuple(_mask_line(each, masker) for each in rows) for rows in (case.ledger(), evidence.problems)
    )
    ledger = (*collected, *analysis.ledger, *problems)
    return replace(report, ledger=ledger, gaps=_find_gaps(ledger))


def _read_case(case: Case) -> CaseFacts:
    document: JsonObject = case.document
    operator = object_at(document, "operator") or object_at(document, "actor")
    return CaseFacts(
        id=case.id,
        created_at=text_at(document, "created_at"),
        operator=text_at(operator, "name"),
        organization=text_at(operator, "org"),
        facts=read_facts(document, "host", "clock", "authority"),
    )


def _read_engine(evidence: EvidenceReader) -> tuple[Fact, ...]:
    _, version = evidence.first("engine-version")
    known = (Fact("engine", text_at(version, "Version")), Fact("kernel", text_at(version, "KernelVersion")))
    return tuple(fact for fact in known if fact.value)


def _settle_analysis(analysis: Analysis, masker: Masker) -> Analysis:
    """Return the analysis ranked worst first and without credentials in any text that a reader sees."""
    findings = tuple(_mask_finding(finding, masker) for finding in sorted(analysis.findings, key=_rank))
    return replace(
        analysis,
        findings=findings,
        reasons=tuple(map(masker.apply, analysis.reasons)),
        warnings=tuple(map(masker.apply, analysis.warnings)),
        recovered=tuple(replace(row, created_by=masker.apply(row.created_by)) for row in analysis.recovered),
        layers=tuple(replace(row, history=masker.apply(row.history)) for row in analysis.layers),
        ledger=tuple(_mask_line(line, masker) for line in analysis.ledger),
        timeline=tuple(replace(row, description=masker.apply(row.description)) for row in analysis.timeline),
    )


def _mask_line(line: LedgerLine, masker: Masker) -> LedgerLine:
    return replace(line, reason=masker.apply(line.reason), disturbed=masker.apply(line.disturbed))


def _mask_finding(finding: Finding, masker: Masker) -> Finding:
    details = tuple(map(masker.apply, finding.details))
    return replace(finding, title=masker.apply(finding.title), matched=masker.apply(finding.matched), details=details)


def _rank(finding: Finding) -> tuple[int, int, str, str]:
    confidence = ("high", "medium", "low").index(finding.confidence.value)
    return (finding.severity.rank, confidence, finding.rule, finding.matched)


def _find_gaps(ledger: tuple[LedgerLine, ...]) -> tuple[LedgerLine, ...]:
    failed = [line for line in ledger if line.outcome is Outcome.FAILED]
    return (*failed, *(line for line in ledger if line.outcome is Outcome.NOT_APPLICABLE))
