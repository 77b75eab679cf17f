"""What a verification found: problems, unfinished acts, remarks; and the one line that sums it up."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from forensics.errors import VerificationError
from forensics.model import JsonObject
from forensics.text import show

INTACT, INCOMPLETE, FAILED = 0, 1, 3


@dataclass(slots=True)
class Findings:
    """Collects while the steps of a verification run. Every text is safe to show."""

    problems: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def bad(self, problem: str) -> None:
        """Something is not what was recorded."""
        self.problems.append(show(problem))

    def open(self, act: str) -> None:
        """Something was begun and has no end on record."""
        self.unfinished.append(show(act))

    def remark(self, note: str) -> None:
        """Something that a reader should know and that is no problem."""
        self.notes.append(show(note))


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed the last seal: the key, and the name that the allowed signers give it (empty: no anchor given)."""

    fingerprint: str = ""
    principal: str = ""
    timestamp: str = "no timestamp"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result. ``complete`` is False where a sealed case holds acts without an end."""

    root: Path
    case_id: str
    sealed: bool
    seals: int
    entries: int
    items: int
    problems: tuple[str, ...]
    unfinished: tuple[str, ...]
    notes: tuple[str, ...]
    signature: Signature = Signature()
    complete: bool = True

    @property
    def exit_code(self) -> int:
        """0 intact, 1 sealed although something had no end, 3 not what was recorded."""
        if self.problems:
            return FAILED
        return INTACT if self.complete or not self.sealed else INCOMPLETE

    @property
    def headline(self) -> str:
        """One line; *verified* only where the signer is known from outside."""
        signed = self.signature
        if self.problems:
            return f"not what was recorded: {len(self.problems)} problem{'s' if len(self.problems) > 1 else ''}"
        if not self.sealed:
            return "intact so far, unsealed"
        if not self.complete:
            return f"intact but incomplete: acts without an end were sealed; signer {signed.fingerprint}"
        if not signed.principal:
            return f"intact, signer unknown: {signed.fingerprint}, {signed.timestamp}"
        who = f"{show(signed.principal)} {signed.fingerprint}"
        return f"verified: {self.seals} seals, signer {who}, {signed.timestamp}"

    def raise_problems(self) -> None:
        """Raise VerificationError naming every problem; return nothing where there is none."""
        if self.problems:
            raise VerificationError(
                f"the case {show(os.fsencode(self.root))} is {self.headline}: {'; '.join(self.problems)}",
                hint="keep the case as it is, and compare it with another copy",
            )

    def to_document(self) -> JsonObject:
        """Return the machine form, ``ir.verification/1``."""
        return {
            "schema": "ir.verification/1",
            "case": str(self.root),
            "case_id": self.case_id,
            "intact": not self.problems,
            "sealed": self.sealed,
            "complete": self.complete and not self.unfinished,
            "seals": self.seals,
            "custody_entries": self.entries,
            "items": self.items,
            "signer": self.signature.fingerprint or None,
            "principal": self.signature.principal or None,
            "timestamp": self.signature.timestamp if self.sealed else None,
            "headline": self.headline,
            "problems": list(self.problems),
            "unfinished": list(self.unfinished),
            "notes": list(self.notes),
        }
