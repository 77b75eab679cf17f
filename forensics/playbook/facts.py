"""What conditions may ask about, as plain JSON, bounded. Reads the run; changes nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from forensics.model import Analysis
from forensics.playbook.context import RunContext, fill_inputs
from forensics.playbook.plan import Playbook

_MAX_FINDINGS = 2000
"""Worst first, so a condition about the worst is right however many there are."""


def read_facts(playbook: Playbook, context: RunContext) -> dict[str, Any]:
    """Return the values of :data:`forensics.playbook.condition.NAMES`."""
    analysis = context.objects.get("analysis")
    findings = analysis.findings if isinstance(analysis, Analysis) else ()
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
        "verdict": analysis.verdict.value if isinstance(analysis, Analysis) else "",
    }
