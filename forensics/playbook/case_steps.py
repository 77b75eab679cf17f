"""The actions that close a case and pass it on: notes, seals, timestamps, verification, export, hand-over."""

from __future__ import annotations

from pathlib import Path

from forensics.model import JsonObject
from forensics.playbook.context import Done, RunContext

# ruff: noqa: PLC0415 - every room is imported when its step runs: containment must not wait for them


def note(context: RunContext, arguments: JsonObject) -> Done:
    """Put a sentence into the custody log."""
    entry = context.case.record("note", purpose=str(arguments["text"]))
    return Done({"entry": entry.seq})


def seal(context: RunContext, arguments: JsonObject) -> Done:
    """Seal the case with the named key, the configured one, or this installation's own."""
    from forensics.evidence.installation import find_key
    from forensics.evidence.seal import seal_case

    named = str(arguments["key"]) or context.signing_key
    key = find_key(Path(named) if named else None)
    result = seal_case(context.case, key, tsa=str(arguments["tsa"]) or context.tsa)
    failures: tuple[str, ...] = (f"no timestamp: {result.problem}",) if result.problem else ()
    if not result.complete:
        failures += ("the case holds acts without an end",)
    return Done({"seal": result.number, "signer": result.signer, "timestamp": result.timestamp}, failures)


def timestamp(context: RunContext, arguments: JsonObject) -> Done:
    """Fetch the timestamps that are pending."""
    from forensics.errors import UsageError
    from forensics.evidence.seal import complete_timestamps

    address = str(arguments["tsa"]) or context.tsa
    if not address:
        raise UsageError("no time-stamp authority is named", hint="give 'tsa' in the step, or configure one")
    return Done({"seals": list(complete_timestamps(context.case, address))})


def verify(context: RunContext, arguments: JsonObject) -> Done:
    """Check the case; a problem is an exception."""
    from forensics.evidence.verify import verify_case

    signers = str(arguments["allowed_signers"])
    verify_case(context.case.root, allowed_signers=Path(signers) if signers else None)
    return Done({"verified": True})


def export(context: RunContext, arguments: JsonObject) -> Done:
    """Pack the sealed case into one file."""
    from forensics.evidence.export import export_case

    output, recipients = Path(str(arguments["output"])), tuple(map(str, arguments["recipients"]))
    digest = export_case(context.case.root, output, recipients)
    details = {"file": output.name, "encrypted_to": list(recipients)}
    context.case.record("copy", purpose="packed into one file", hash_after=f"sha256:{digest}", details=details)
    return Done({"file": str(output), "sha256": digest})


def transfer(context: RunContext, arguments: JsonObject) -> Done:
    """Sign the receipt of a hand-over."""
    from forensics.evidence.installation import find_key
    from forensics.evidence.transfer import hand_over

    named = str(arguments["key"]) or context.signing_key
    key = find_key(Path(named) if named else None)
    made = hand_over(context.case, key, to=str(arguments["to"]), purpose=str(arguments["purpose"]))
    return Done({"transfer": made.number, "statement": str(made.statement), "signer": made.signer})
