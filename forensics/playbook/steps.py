"""The registered actions: each calls one room, and says as data what that room could not do. Holds no logic of its own.

Every room is imported when its step runs: containment must not wait for the analyzers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import RefusedError
from forensics.model import Analysis, JsonObject, LedgerLine, Outcome
from forensics.playbook.context import Done, RunContext

if TYPE_CHECKING:
    from collections.abc import Iterable

# ruff: noqa: PLC0415 - see the module's docstring


def isolate(context: RunContext, arguments: JsonObject) -> Done:
    """Contain the container and prove it."""
    from forensics.containment.actions import IsolationOptions
    from forensics.containment.isolate import isolate as isolate_container
    from forensics.containment.scene import read_scene

    options = IsolationOptions(
        freeze=bool(arguments["freeze"]),
        reason=str(arguments["reason"]),
        cut_sharing=bool(arguments["cut_sharing"]),
    )
    result = isolate_container(context.engine, read_scene(context.engine, context.container), context.case, options)
    context.objects["containment"] = result
    failures = tuple(f"{done.action.effect}: {done.error}" for done in result.performed if done.error)
    if not result.proved:
        failures += tuple(f"not proved: {reason}" for reason in result.proof.reasons)
    return Done({"proved": result.proved, "seconds": result.seconds}, failures)


def release(context: RunContext, _arguments: JsonObject) -> Done:
    """Undo what the case records as contained, and prove the restoration."""
    from forensics.containment.release import release as release_container

    result = release_container(context.engine, context.case.subject.id, context.case)
    return Done({"restored": result.restored}, tuple(result.reasons))


def collect_all(context: RunContext, arguments: JsonObject) -> Done:
    """Collect everything, volatile first."""
    from forensics.collect import CollectOptions, collect

    container = context.engine.find_container(context.container)
    options = CollectOptions(memory=bool(arguments["memory"]))
    return _told(collect(context.case, context.engine, container, options, context.watcher))


def collect_one(context: RunContext, arguments: JsonObject) -> Done:
    """Run the one collector that the action is named after."""
    from forensics.collect import CollectOptions, collect

    container = context.engine.find_container(context.container)
    name = str(arguments["uses"]).removeprefix("collect.")
    lines = collect(context.case, context.engine, container, CollectOptions(only=frozenset({name})), context.watcher)
    return _told(line for line in lines if line.outcome is not Outcome.NOT_APPLICABLE)


def analyze(context: RunContext, _arguments: JsonObject) -> Done:
    """Derive findings and a verdict from the case alone."""
    from forensics.analyze import analyze as analyze_case

    analysis = analyze_case(context.case, rules=context.rules)
    context.objects["analysis"] = analysis
    worst = min((finding.severity for finding in analysis.findings), key=lambda severity: severity.rank, default=None)
    value = {
        "verdict": analysis.verdict.value,
        "findings": len(analysis.findings),
        "worst": worst.value if worst else "",
    }
    return Done(value, _failures(analysis.ledger))


def render_report(context: RunContext, arguments: JsonObject) -> Done:
    """Write the report of the case and of its last analysis, its digest into the custody log."""
    from forensics.report.publish import publish

    analysis = _last_analysis(context)
    published = publish(context.case, analysis, str(arguments["format"]), lang=str(arguments["lang"]))
    context.objects["report"] = published.path
    return Done({"path": str(published.path), "verdict": analysis.verdict.value})


def seal(context: RunContext, _arguments: JsonObject) -> Done:
    """Seal the case with the configured key, or with this installation's own."""
    from pathlib import Path

    from forensics.evidence.installation import find_key
    from forensics.evidence.seal import seal_case

    key = find_key(Path(context.signing_key) if context.signing_key else None)
    result = seal_case(context.case, key, tsa=context.tsa)
    failures: tuple[str, ...] = (f"no timestamp: {result.problem}",) if result.problem else ()
    if not result.complete:
        failures += ("the case holds acts without an end",)
    return Done({"seal": result.number, "signer": result.signer, "timestamp": result.timestamp}, failures)


def verify(context: RunContext, _arguments: JsonObject) -> Done:
    """Check the case; a problem is an exception."""
    from forensics.evidence.verify import verify_case

    verify_case(context.case.root)
    return Done({"verified": True})


def remediate(context: RunContext, arguments: JsonObject) -> Done:
    """End the container or what it could still do; refused unless this very step was approved."""
    from forensics.containment import remediate as room

    _refuse_unapproved(context)
    engine, case = context.engine, context.case
    container = engine.find_container(context.container)
    acts = {
        "stop": lambda: room.stop(engine, container, case, int(arguments["timeout_s"])),
        "kill": lambda: room.kill(engine, container, case),
        "remove": lambda: room.remove(engine, container, case),
        "block-image": lambda: room.block_image(engine, container, case),
        "quarantine-volume": lambda: room.quarantine_volume(engine, container, case, str(arguments["volume"])),
        "revoke": lambda: room.revoke(container, case, str(arguments["command"]), int(arguments["timeout_s"])),
    }
    return Done(acts[str(arguments["uses"]).removeprefix("remediate.")]())


def _refuse_unapproved(context: RunContext) -> None:
    """Raise RefusedError unless the log says who approved the step that has just begun."""
    entries = context.case.custody()
    begun = next((entry for entry in reversed(entries) if entry.result == "begin" and entry.authority.step), None)
    if begun is not None:
        for entry in reversed(entries):
            details = entry.details or {}
            if (entry.purpose, details.get("run")) != (begun.authority.step, begun.authority.run_id):
                continue
            if entry.action == "approve" and details.get("approver"):
                return
    raise RefusedError("it destroys, and nobody approved it", hint="give the step an 'approval:' in the playbook")


def _last_analysis(context: RunContext) -> Analysis:
    known = context.objects.get("analysis")
    if isinstance(known, Analysis):
        return known
    from forensics.analyze import read_analysis

    return read_analysis(context.case)


def _told(lines: Iterable[LedgerLine]) -> Done:
    kept = tuple(lines)
    value = {
        "collected": sum(line.outcome is Outcome.COLLECTED for line in kept),
        "bytes": sum(line.size_bytes for line in kept),
    }
    return Done(value, _failures(kept))


def _failures(lines: Iterable[LedgerLine]) -> tuple[str, ...]:
    return tuple(f"{line.artefact}: {line.reason}" for line in lines if line.outcome is Outcome.FAILED)
