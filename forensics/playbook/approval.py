"""Obtains approvals: by SSH signature over exactly what would be done, at the terminal, or not at all.

The approvers' public keys come from outside the case. A statement names playbook, inputs, step, container, case and
run; one that was signed beforehand is good once, for one step of one playbook with one set of inputs, until it expires.
Whatever is not approved in time is denied. `--yes` answers for steps that do not destroy, and for no other.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import RefusedError, UsageError
from forensics.folders import state_dir
from forensics.model import JsonObject
from forensics.playbook.context import Answer, Request
from forensics.playbook.signature import find_approver
from forensics.playbook.statement import encode_statement
from forensics.text import show

if TYPE_CHECKING:
    from forensics.evidence.case import Case

_MAX_BYTES = 1 << 20
_POLL_SECONDS = 0.5
_BOUND = frozenset({"container", "case", "run", "expires", "nonce"})
"""What a statement says of the run; all else says what would be done."""
ANY = "any"


class Teller:
    """Told what an approval waits for, and asked at the terminal. This one tells nobody, and nobody answers."""

    is_terminal = False

    def show_request(self, request: Request, path: Path | None) -> None:
        """Show what is to be approved; *path* is where a signature is waited for."""

    def read_answer(self, seconds: float) -> str | None:
        """Return what was typed within *seconds*, None where nothing was."""

    def show_refusal(self, why: str) -> None:
        """Say why something that was offered approves nothing."""


@dataclass
class Approvals:
    """Answers the requests of one run; call it with a request.

    ``approvers`` is a file as ssh-keygen's allowed_signers, ``given`` are statements that were signed beforehand.
    """

    case: Case
    operator: str
    approvers: Path | None = None
    given: tuple[Path, ...] = ()
    yes: bool = False
    teller: Teller = field(default_factory=Teller)
    sleep: Callable[[float], None] = time.sleep

    def __post_init__(self) -> None:
        """Refuse approvers' keys that come from the case, or that others can change."""
        if self.approvers:
            check_approvers(self.approvers, self.case.root)
        elif self.given:
            raise UsageError("an approval needs the approvers' keys", hint="give them with --approvers FILE")

    def __call__(self, request: Request) -> Answer | None:
        """Return who approved, None when nobody did until the request expired."""
        if self.yes and request.step.effects != "destroy":
            return Answer(self.operator, "--yes")
        return self._find_given(request) or self._wait(request)

    def _find_given(self, request: Request) -> Answer | None:
        for path in self.given:
            answer, problem = self._check_given(path, request)
            if answer:
                return answer
            self.teller.show_refusal(f"{show(str(path))} approves nothing here: {problem}")
        return None

    def _check_given(self, path: Path, request: Request) -> tuple[Answer | None, str]:
        statement, signature = read_bounded(path), read_bounded(Path(f"{path}.sig"))
        problem = find_mismatch(statement, request.statement)
        if problem:
            return None, problem
        document = json.loads(statement)
        approver = self._verify(statement, signature, request)
        if not approver:
            return None, "its signature is none of an approver that the step names"
        if self._is_used(str(document["nonce"])) or not claim_nonce(str(document["nonce"])):
            return None, "it has been used before"
        text, armor = statement.decode("ascii"), signature.decode("ascii", "replace")
        return Answer(approver, "signature", text, armor, str(document["nonce"])), ""

    def _is_used(self, nonce: str) -> bool:
        entries = self.case.custody()
        return any(entry.action == "approve" and (entry.details or {}).get("nonce") == nonce for entry in entries)

    def _verify(self, statement: bytes, signature: bytes, request: Request) -> str:
        approval = request.step.approval
        if self.approvers is None or approval is None:
            return ""
        return find_approver(statement, signature, self.approvers, approval.approvers)

    def _wait(self, request: Request) -> Answer | None:
        path = request_path(self.case.id, request.step.id) if self.approvers else None
        if path is None and not self.teller.is_terminal:
            return None
        try:
            if path:
                place_request(path, request.statement)
            self.teller.show_request(request, path)
            return self._poll(request, path)
        finally:
            if path:
                remove_request(path)

    def _poll(self, request: Request, path: Path | None) -> Answer | None:
        refused = b""
        while time.time() < request.expires_at:
            signature = read_bounded(Path(f"{path}.sig")) if path else b""
            if signature and signature != refused:
                approver = self._verify(request.statement, signature, request)
                if approver:
                    text, armor = request.statement.decode("ascii"), signature.decode("ascii", "replace")
                    return Answer(approver, "signature", text, armor, str(json.loads(text)["nonce"]))
                refused = signature
                self.teller.show_refusal("that signature is none of an approver that the step names, over this request")
            seconds = min(_POLL_SECONDS, max(0.0, request.expires_at - time.time()))
            if not self.teller.is_terminal:
                self.sleep(seconds)
                continue
            typed = self.teller.read_answer(seconds)
            if typed is not None:
                approved = typed.strip().casefold() in {"y", "yes"}
                return Answer(self.operator, "terminal", request.statement.decode("ascii")) if approved else None
        return None


def find_mismatch(statement: bytes, wanted: bytes) -> str:
    """Return why a statement that was signed beforehand is not about what *wanted* asks; empty where it is."""
    try:
        document = json.loads(statement)
    except (ValueError, RecursionError):
        return "it is no statement" if statement else "it, or its .sig, is missing or too large"
    asked = json.loads(wanted)
    if not isinstance(document, dict) or encode_statement(document) != statement or set(document) != set(asked):
        return "it is no statement in the form that 'ir playbook approve' makes"
    differing = [name for name in sorted(set(asked) - _BOUND) if document[name] != asked[name]]
    if differing:
        return f"it is about another {differing[0].replace('_', ' ')}"
    for name in ("container", "case", "run"):
        if document[name] not in {ANY, asked[name]}:
            return f"it is about another {name}"
    try:
        expires = datetime.fromisoformat(str(document["expires"]))
    except ValueError:
        return "it does not say when it expires"
    return "it has expired" if expires.tzinfo is None or expires <= datetime.now(UTC) else ""


def check_approvers(path: Path, case_root: Path) -> None:
    """Check that the approvers' keys are an anchor from outside.

    Raises:
        UsageError: there is no such file.
        RefusedError: it lies in the case, or others may change it.
    """
    if not path.is_file():
        raise UsageError(f"there is no file of approvers at {show(str(path))}", hint="one line a key: NAME KEYTYPE KEY")
    if path.resolve().is_relative_to(case_root.resolve()):
        raise RefusedError("the approvers' keys come from the case itself", hint="give a file from outside it")
    found = path.stat()
    if found.st_uid not in {0, os.geteuid()} or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RefusedError(f"others may change the approvers' keys {show(str(path))}", hint="chown it, and chmod go-w")


def request_path(case_id: str, step: str) -> Path:
    """Return where the request of a waiting step lies, for whoever is to sign it on this host."""
    return state_dir() / "approvals" / case_id / f"{step}.json"


def place_request(path: Path, statement: bytes) -> None:
    """Lay out a request, in place of one that an interrupted run left."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    remove_request(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(statement)


def remove_request(path: Path) -> None:
    """Take a request and what was signed for it away."""
    for name in (path, Path(f"{path}.sig")):
        name.unlink(missing_ok=True)


def read_bounded(path: Path) -> bytes:
    """Return the bytes of a small regular file, empty where there is none; no link is followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return b""
        content = file.read(_MAX_BYTES + 1)
    return content if len(content) <= _MAX_BYTES else b""


def claim_nonce(nonce: str) -> bool:
    """Note on this host that a statement is used now; False when it was before."""
    folder = state_dir() / "approvals" / "used"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not nonce.isalnum():
        return False
    try:
        os.close(os.open(folder / nonce[:64], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    return True


def read_request(case_id: str, step: str) -> tuple[Path, JsonObject]:
    """Return the request that waits for *step* of the case, and what it says.

    Raises:
        UsageError: nothing waits; the hint names what does.
    """
    path = request_path(case_id, step)
    content = read_bounded(path)
    if not content:
        waiting = sorted(other.stem for other in path.parent.glob("*.json")) if path.parent.is_dir() else []
        hint = f"waiting: {', '.join(waiting)}" if waiting else "a run waits only while it asks, with --approvers"
        raise UsageError(f"no step '{show(step, 60)}' of this case waits for an approval", hint=hint)
    document = json.loads(content)
    if not isinstance(document, dict):
        raise UsageError("the request is no statement", hint="let the run ask again")
    return path, document
