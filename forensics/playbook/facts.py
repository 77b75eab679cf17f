"""What conditions may ask about, as plain JSON, bounded. Reads the run; changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from forensics.model import Analysis, StepResult
from forensics.playbook.context import RunContext, fill_inputs
from forensics.playbook.plan import Playbook
from forensics.playbook.steps import read_last_analysis

_MAX_FINDINGS = 2000
"""Worst first, so a condition about the worst is right however many there are."""


def read_facts(playbook: Playbook, context: RunContext) -> dict[str, Any]:
    """Return the values of :data:`forensics.playbook.condition.NAMES`."""
    analysis = _find_analysis(context)
    findings = analysis.findings if analysis else ()
    worst = sorted(findings, key=lambda finding: finding.severity.rank)[:_MAX_FINDINGS]
    return {
        "case": {"id": context.case.id, "items": [item.kind for item in context.case.items()]},
        "container": asdict(context.case.subject),
        "findings": [
            {
                "rule": finding.rule,
                "title": finding.title,
                "severity": finding.severity.value,
                "confidence": finding.confidence.value,
                "attack": list(finding.attack),
            }
            for finding in worst
        ],
        "inputs": fill_inputs(playbook, context.inputs),
        "steps": {
            name: {"outcome": result.outcome.value, "reason": result.reason, "value": result.value}
            for name, result in context.results.items()
        },
        "verdict": analysis.verdict.value if analysis else "",
    }


def _find_analysis(context: RunContext) -> Analysis | None:
    """Return the analysis of this run, from the case where an interruption lies between; none of another run."""
    known = context.objects.get("analysis")
    if isinstance(known, Analysis):
        return known
    steps = (context.playbook.steps + context.playbook.finally_steps) if context.playbook else ()
    analysts = {step.id for step in steps if step.call.uses == "analyze.findings"}
    done = any(context.results[name].value for name in analysts & set(context.results))
    return read_last_analysis(context) if done else None


def find_verdict(playbook: Playbook, results: Iterable[StepResult]) -> str:
    """Return the verdict that the last analysis of a run answered; empty where there was none."""
    analysts = {step.id for step in playbook.steps + playbook.finally_steps if step.call.uses == "analyze.findings"}
    verdicts = [str(result.value.get("verdict") or "") for result in results if result.step in analysts]
    return verdicts[-1] if verdicts else ""
