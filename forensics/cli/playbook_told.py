"""What a run tells a person while it goes on, and how it asks for an approval at the terminal."""

from __future__ import annotations

import json
import select
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cli.frame import say
from forensics.model import LedgerLine, Outcome, StepResult
from forensics.playbook.approval import Teller
from forensics.playbook.context import Request, Silence
from forensics.text import show

if TYPE_CHECKING:
    from forensics.playbook.plan import Step


class Told(Silence):
    """Progress on stderr: one line as a step begins, one as it ends."""

    def begin(self, step: Step) -> None:
        """Say what is being done now."""
        say(f"… {step.id}: {step.description or step.call.uses}", err=True)

    def end(self, result: StepResult) -> None:
        """Say how it ended."""
        reason = f": {show(result.reason)}" if result.reason else ""
        say(f"  {result.step} {result.outcome}, {result.seconds:.2f} s{reason}", err=True)

    def done(self, line: LedgerLine) -> None:
        """Name what could not be collected as soon as that is known."""
        if line.outcome is Outcome.FAILED:
            say(f"    not collected: {show(line.artefact)}: {show(line.reason)}", err=True)

    def say(self, text: str) -> None:
        """Say what a drill does around the playbook."""
        say(f"… {show(text)}", err=True)


def is_told() -> bool:
    """Whether progress goes to somebody who reads it."""
    return sys.stderr.isatty()


class Asker(Teller):
    """Shows on stderr what is to be approved, and reads the answer where a terminal is."""

    def __init__(self, case: Path) -> None:
        """Take the case, for the command that signs."""
        self._case = case

    @property
    def is_terminal(self) -> bool:  # type: ignore[override]  # it depends on where we run
        """Whether somebody can type an answer."""
        return sys.stdin is not None and sys.stdin.isatty()

    def show_request(self, request: Request, path: Path | None) -> None:
        """Show exactly what would be done, and how to approve it."""
        until = time.strftime("%H:%M:%S UTC", time.gmtime(request.expires_at))
        say(f"The step '{request.step.id}' waits for an approval; at {until} it is denied.", err=True)
        show_statement(json.loads(request.statement), err=True)
        if path:
            say(f"  sign it with: ir approve {show(str(self._case))} {request.step.id} --key KEY", err=True)
        if self.is_terminal:
            say("Type yes to approve, anything else to deny: ", err=True)

    def read_answer(self, seconds: float) -> str | None:
        """Return the line that was typed within *seconds*; the end of the input is a denial."""
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        return sys.stdin.readline() if ready else None

    def show_refusal(self, why: str) -> None:
        """Say why something that was offered approves nothing."""
        say(f"  not approved: {why}", err=True)


def show_statement(document: dict[str, object], *, err: bool) -> None:
    """Show every field of a statement, hostile text made safe."""
    names = ("playbook", "playbook_sha256", "step", "action", "effects", "arguments", "inputs", "container")
    for name in (*names, "case", "run", "approvers", "expires"):
        value = document.get(name)
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=True, sort_keys=True)
        say(f"  {name:<16} {show(text)}", err=err)
