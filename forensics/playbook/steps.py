"""The registered actions: each calls one room, and says as data what that room could not do. Holds no logic of its own.

Every room is imported when its step runs: containment must not wait for the analyzers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.errors import RefusedError
from forensics.model import Analysis, JsonObject, LedgerLine, Outcome
from forensics.playbook.collect_actions import list_until
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
    failures = tuple(f"{done.action.effect}: {done.error}" for done in result.failed)
    if not result.proved:
        failures += tuple(f"not proved: {reason}" for reason in result.proof.reasons)
    return Done({"proved": result.proved, "seconds": result.seconds}, failures)


def release(context: RunContext, _arguments: JsonObject) -> Done:
    """Undo what the case records as contained, and prove the restoration."""
    from forensics.containment.release import release as release_container

    result = release_container(context.engine, context.case.subject.id, context.case)
    return Done({"restored": result.restored}, tuple(result.reasons))


def collect_all(context: RunContext, arguments: JsonObject) -> Done:
    """Collect everything, volatile first; a second try at an interrupted collection leaves out what it finished."""
    return _told(_collect(context, arguments, resume=context.again))


def collect_rest(context: RunContext, arguments: JsonObject) -> Done:
    """Collect what no step before has collected, down to the collector that is named."""
    last = str(arguments.pop("until"))
    only = list_until(last, memory=bool(arguments["memory"])) if last != "host" else []
    return _told(_collect(context, arguments, resume=True, only=only))


def collect_one(context: RunContext, arguments: JsonObject) -> Done:
    """Run the one collector that the action is named after."""
    name = str(arguments["uses"]).removeprefix("collect.")
    lines = _collect(context, arguments, resume=context.again, only=[name])
    return _told(line for line in lines if line.outcome is not Outcome.NOT_APPLICABLE)


def _collect(
    context: RunContext, arguments: JsonObject, *, resume: bool, only: Iterable[str] = ()
) -> tuple[LedgerLine, ...]:
    from forensics.collect import collect, make_options

    given = {name: value for name, value in arguments.items() if name != "uses" and value is not None}
    options = make_options(**given, resume=resume, only=only)
    container = context.engine.find_container(context.container)
    return collect(context.case, context.engine, container, options, context.watcher)


def analyze(context: RunContext, arguments: JsonObject) -> Done:
    """Derive findings and a verdict from the case alone."""
    from pathlib import Path

    from forensics.analyze import analyze as analyze_case

    rules = (*context.rules, *(Path(path) for path in arguments["rules"]))
    base = Path(str(arguments["base"])) if arguments["base"] else None
    analysis = analyze_case(context.case, rules=rules, base=base, yara=bool(arguments["yara"]))
    context.objects["analysis"] = analysis
    worst = min((finding.severity for finding in analysis.findings), key=lambda severity: severity.rank, default=None)
    value = {
        "verdict": analysis.verdict.value,
        "findings": len(analysis.findings),
        "worst": worst.value if worst else "",
    }
    return Done(value, _failures(analysis.ledger))


def scan(context: RunContext, arguments: JsonObject) -> Done:
    """Scan the files of the case, and say how many match."""
    from pathlib import Path

    from forensics.analyze.scan import scan_case

    rules = tuple(Path(path) for path in arguments["rules"])
    found = scan_case(context.case, rules, own=bool(arguments["shipped"]))
    names = sorted({match.match.rule for match in found.matches})
    value = {"rules": found.rules, "scanned": found.scanned, "matches": len(found.matches), "names": names}
    return Done(value, tuple(found.failures))


def render_report(context: RunContext, arguments: JsonObject) -> Done:
    """Write the report of the case and of its last analysis, its digest into the custody log."""
    from pathlib import Path

    from forensics.report.publish import publish

    analysis = read_last_analysis(context)
    output = Path(str(arguments["output"])) if arguments["output"] else None
    form, lang = str(arguments["format"]), str(arguments["lang"])
    published = publish(context.case, analysis, form, lang=lang, output=output)
    if form == "html" or "report" not in context.objects:
        context.objects["report"] = published.path
    return Done({"path": str(published.path), "verdict": analysis.verdict.value})


def remediate(context: RunContext, arguments: JsonObject) -> Done:
    """End the container or what it could still do; refused unless this very step was approved."""
    from forensics.containment import remediate as room

    if context.grant is None:
        raise RefusedError("it destroys, and nobody approved it", hint="give the step an 'approval:' in the playbook")
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


def read_last_analysis(context: RunContext) -> Analysis:
    """Return the analysis of this run, else the one that the case holds."""
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
