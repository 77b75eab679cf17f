"""Sets a run going from the command line, or goes on with one, and shows how it ended."""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cli import session
from forensics.cli.frame import emit_json, say
from forensics.cli.playbook_told import Asker, Told, is_told
from forensics.cli.settings import Settings, read_settings
from forensics.errors import UsageError
from forensics.model import Analysis, JsonObject, StepOutcome, StepResult
from forensics.playbook import resume
from forensics.playbook.approval import Approvals
from forensics.playbook.context import RunContext, Silence
from forensics.playbook.facts import find_verdict
from forensics.playbook.run import plan_run, run_playbook, to_document
from forensics.text import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.engine.docker import DockerEngine
    from forensics.evidence.case import Case
    from forensics.playbook.plan import Playbook

_DENIED = 5
_WHOLE = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Asking:
    """How approvals are obtained: what the command line says."""

    yes: bool = False
    approvers: Path | None = None
    given: tuple[Path, ...] = ()


def parse_inputs(playbook: Playbook, container: str, given: tuple[str, ...]) -> JsonObject:
    """Return the inputs of a command line, each as the type that the playbook declares.

    Raises:
        UsageError: not NAME=VALUE, or not of its type.
        PlaybookError: the playbook has no such input, or a required one is missing.
    """
    types = {item.name: item.type for item in playbook.inputs}
    values: JsonObject = {name: container for name, kind in types.items() if kind == "container"}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--input {show(pair, 60)} is not NAME=VALUE", hint="write --input reason='alert 4711'")
        values[name] = _parse_value(name, text, types.get(name, "string"))
    plan_run(playbook, values)
    return values


def _parse_value(name: str, text: str, kind: str) -> str | int | bool:
    if kind == "boolean" and text in {"true", "false"}:
        return text == "true"
    if kind == "integer" and _WHOLE.fullmatch(text):
        return int(text)
    if kind in {"boolean", "integer"}:
        example = "true or false" if kind == "boolean" else "a whole number"
        raise UsageError(f"--input {show(name, 60)} is no {kind}", hint=f"write {example}")
    return text


def run_on_container(  # noqa: PLR0913 - what the command line says
    playbook: Playbook, ref: str, case_dir: Path | None, inputs: JsonObject, asking: Asking, *, as_json: bool
) -> int:
    """Run *playbook* and show how it ended; return the exit code."""
    from forensics.collect import open_case_for  # noqa: PLC0415 - a dry run needs no case

    settings = read_settings()
    started = time.monotonic()
    with session.open_engine(settings) as engine:
        container = engine.find_container(ref)
        root = case_dir or session.default_case_dir(settings, container.name)
        with open_case_for(container, root, engine.info(), engine.url, session.read_actor(settings)) as case:
            context = _make_context(case, container.id, lambda: engine, settings, asking, as_json=as_json)
            context.inputs = inputs
            if is_told() and not as_json:
                say(f"… should this be interrupted: ir playbook resume {show(str(root))}", err=True)
            results = run_playbook(playbook, context)
    return _show_run(playbook, context, results, time.monotonic() - started, as_json=as_json)


def resume_case(root: Path, named: str, asking: Asking, *, dry_run: bool, as_json: bool) -> int:
    """Go on with the last run of the case, or show what that means; return the exit code."""
    settings, started = read_settings(), time.monotonic()
    with ExitStack() as stack:
        case = stack.enter_context(session.open_case(root))
        record = resume.find_last_run(case)
        playbook = resume.find_same_playbook(record, named)
        plan = resume.plan_rest(playbook, record)
        if dry_run:
            return _show_rest(playbook, resume.describe_rest(plan, record), as_json=as_json)
        context = _make_context(
            case,
            record.container,
            lambda: stack.enter_context(session.open_engine(settings)),
            settings,
            asking,
            as_json=as_json,
        )
        context.inputs = record.inputs
        resume.restore_objects(context, plan, record)
        if record.is_over:
            results = resume.list_results(plan, record)
            context.results |= {result.step: result for result in results}
            say(f"the run of '{playbook.id}' has ended; nothing is left to do", err=True)
        else:
            results = run_playbook(playbook, context, record=record)
        context.playbook = playbook
        return _show_run(playbook, context, results, time.monotonic() - started, as_json=as_json)


def _make_context(  # noqa: PLR0913 - what a run needs
    case: Case,
    container: str,
    open_engine: Callable[[], DockerEngine],
    settings: Settings,
    asking: Asking,
    *,
    as_json: bool,
) -> RunContext:
    approvers = asking.approvers or (Path(settings.approvers).expanduser() if settings.approvers else None)
    return RunContext(
        case=case,
        container=container,
        open_engine=open_engine,
        watcher=Told() if is_told() and not as_json else Silence(),
        approve=Approvals(case, settings.operator, approvers, asking.given, asking.yes, Asker(case.root)),
        signing_key=settings.signing_key,
        tsa=settings.tsa,
    )


def _show_rest(playbook: Playbook, rest: tuple[tuple[str, str], ...], *, as_json: bool) -> int:
    if as_json:
        steps = [{"step": name, "state": state} for name, state in rest]
        emit_json({"schema": "ir.resume-plan/1", "playbook": playbook.id, "steps": steps})
        return 0
    for name, state in rest:
        say(f"{name:<12} {state}")
    return 0


def _show_run(
    playbook: Playbook, context: RunContext, results: tuple[StepResult, ...], seconds: float, *, as_json: bool
) -> int:
    report = context.objects.get("report")
    analysis = context.objects.get("analysis")
    verdict = analysis.verdict.value if isinstance(analysis, Analysis) else find_verdict(playbook, results)
    if as_json:
        document = {
            "schema": "ir.run/1",
            "playbook": playbook.id,
            "playbook_sha256": playbook.digest,
            "container": context.container,
            "case": str(context.case.root),
            "report": str(report) if report else None,
            "verdict": verdict or None,
            "seconds": round(seconds, 3),
            "steps": to_document(results),
        }
        emit_json(document)
    else:
        _say_run(context, results, verdict, seconds)
    if any(result.outcome is StepOutcome.DENIED for result in results):
        return _DENIED
    return 1 if any(r.outcome in {StepOutcome.FAILED, StepOutcome.PARTIAL} for r in results) else 0


def _say_run(context: RunContext, results: tuple[StepResult, ...], verdict: str, seconds: float) -> None:
    width = max((len(result.step) for result in results), default=0)
    for result in results:
        reason = f"  {show(result.reason, 200)}" if result.reason else ""
        say(f"{result.outcome:<8} {result.step:<{width}} {result.seconds:7.2f} s{reason}")
    say(f"verdict  {verdict or 'not analysed'} ({seconds:.1f} s in all)")
    if context.objects.get("report"):
        say(f"report   {show(str(context.objects['report']))}")
    case = show(str(context.case.root))
    say(f"case     {case}\ncheck    ir verify {case}\nundo     ir release {case}")
