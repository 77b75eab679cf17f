"""What an analyzer says when it sees something: the fixed part of a finding, written once in each analyzer's table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forensics.model import Confidence, EvidenceRef, Finding, Severity
from forensics.risk import mask_secrets

ATTACK_VERSION = "19.2"
"""The release of MITRE ATT&CK that technique ids are taken from (matrices Containers and Linux)."""

_MOST_REFERENCES = 200
_MOST_MATCHED = 2000
_MOST_MASKED = 4 * _MOST_MATCHED
"""Cut before it is masked, so that masking takes no time, and again after, so that no half of a secret is left."""
_MOST_DETAILS = 40


@dataclass(frozen=True, slots=True)
class Rule:
    """The part of a finding that does not depend on the case."""

    id: str
    title: str
    severity: Severity
    attack: tuple[str, ...]
    why: str
    benign: str
    next: str
    confidence: Confidence = Confidence.HIGH

    def found(  # noqa: PLR0913 - all but the first two are exceptions from the rule, by name
        self,
        matched: str,
        evidence: Iterable[EvidenceRef],
        *,
        severity: Severity | None = None,
        confidence: Confidence | None = None,
        title: str = "",
        details: Iterable[str] = (),
    ) -> Finding:
        """Return the finding: what was seen (hostile text, kept raw but for secrets) and where; a cut list says so."""
        references = tuple(dict.fromkeys(evidence))
        matched = mask_secrets(matched[:_MOST_MASKED])
        if len(references) > _MOST_REFERENCES:
            matched = f"{len(references)} places, the first {_MOST_REFERENCES} are listed; {matched}"
        return Finding(
            rule=self.id,
            title=title or self.title,
            severity=severity or self.severity,
            confidence=confidence or self.confidence,
            attack=self.attack,
            matched=matched if len(matched) <= _MOST_MATCHED else matched[:_MOST_MATCHED] + " [cut]",
            evidence=references[:_MOST_REFERENCES],
            why=self.why,
            benign=self.benign,
            next=self.next,
            details=tuple(details)[:_MOST_DETAILS],
        )
