"""What the playbook commands show a person or a machine, and how a run is set going from the command line."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict
from pathlib import Path

import click

from forensics.cli import session
from forensics.cli.frame import emit_json, say
from forensics.cli.settings import read_settings
from forensics.errors import PlaybookError, UsageError
from forensics.model import Analysis, JsonObject, LedgerLine, Outcome, StepOutcome, StepResult
from forensics.playbook.actions import ACTIONS
from forensics.playbook.compiled import find_playbook, list_playbooks, read_limited, read_playbook
from forensics.playbook.context import Answer, Request, RunContext, Silence
from forensics.playbook.plan import Playbook, Step
from forensics.playbook.run import PlannedStep, plan_run, run_playbook, to_document
from forensics.text import show

_DENIED = 5


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
    if kind == "integer" and text.lstrip("-").isdecimal():
        return int(text)
    if kind in {"boolean", "integer"}:
        example = "true or false" if kind == "boolean" else "a whole number"
        raise UsageError(f"--input {show(name, 60)} is no {kind}", hint=f"write {example}")
    return text


def run_on_container(playbook: Playbook, ref: str, case_dir: Path | None, inputs: JsonObject, *, as_json: bool) -> int:
    """Run *playbook* and show how it ended; return the exit code."""
    from forensics.collect import open_case_for  # noqa: PLC0415 - a dry run needs no case

    settings = read_settings()
    actor = session.read_actor(settings)
    started = time.monotonic()
    with session.open_engine(settings) as engine:
        container = engine.find_container(ref)
        root = case_dir or session.default_case_dir(settings, container.name)
        with open_case_for(container, root, engine.info(), engine.url, actor) as case:
            context = RunContext(
                case=case,
                container=container.id,
                open_engine=lambda: engine,
                inputs=inputs,
                watcher=Told() if is_told() and not as_json else Silence(),
                approve=_ask,
                signing_key=settings.signing_key,
                tsa=settings.tsa,
            )
            results = run_playbook(playbook, context)
    return _show_run(playbook, context, results, time.monotonic() - started, as_json=as_json)


def _ask(request: Request) -> Answer | None:
    """Ask at the terminal; nobody there, or no answer, is a refusal."""
    step = request.step
    if not sys.stdin.isatty():
        return None
    question = f"Approve the step '{step.id}' ({step.call.uses}), which {step.effects}s?"
    approved = click.confirm(question, default=False, err=True)
    return Answer(read_settings().operator) if approved else None


def _show_run(
    playbook: Playbook, context: RunContext, results: tuple[StepResult, ...], seconds: float, *, as_json: bool
) -> int:
    analysis, report = context.objects.get("analysis"), context.objects.get("report")
    verdict = analysis.verdict.value if isinstance(analysis, Analysis) else ""
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
    for result in results:
        reason = f"  {show(result.reason, 200)}" if result.reason else ""
        say(f"{result.outcome:<8} {result.step:<12} {result.seconds:7.2f} s{reason}")
    say(f"verdict  {verdict or 'not analysed'} ({seconds:.1f} s in all)")
    if context.objects.get("report"):
        say(f"report   {show(str(context.objects['report']))}")
    case = show(str(context.case.root))
    say(f"case     {case}\ncheck    ir verify {case}\nundo     ir release {case}")


def show_plan(playbook: Playbook, inputs: JsonObject, *, as_json: bool) -> int:
    """Show what a run would do, step by step, from the plan that a run would follow."""
    plan = plan_run(playbook, inputs)
    if as_json:
        steps = [{**asdict(planned.step), "arguments": planned.arguments, "last": planned.last} for planned in plan]
        emit_json(
            {"schema": "ir.run-plan/1", "playbook": playbook.id, "playbook_sha256": playbook.digest, "steps": steps}
        )
        return 0
    for planned in plan:
        _say_planned(planned)
    return 0


def _say_planned(planned: PlannedStep) -> None:
    step = planned.step
    arguments = ", ".join(f"{name}={show(str(value))}" for name, value in planned.arguments.items())
    say(
        f"{step.id:<12} {step.call.uses}({arguments})  [{step.effects}]{'  always, at the end' if planned.last else ''}"
    )
    conditions = [
        f"after {', '.join(step.needs)}" if step.needs else "",
        f"when {show(step.when)}" if step.when else "",
    ]
    limits = [f"at most {step.timeout_s:g} s" if step.timeout_s else "", f"on failure: {step.on_failure}"]
    undo = f"undone by {step.rollback.uses}" if step.rollback else ""
    asked = f"needs the approval of {', '.join(step.approval.approvers)}" if step.approval else ""
    say(" " * 13 + "; ".join(part for part in (*conditions, *limits, undo, asked) if part))


def show_list(*, as_json: bool) -> int:
    """Show the shipped playbooks."""
    books = [read_playbook(path.stem) for path in list_playbooks()]
    if as_json:
        rows = [
            {"id": b.id, "name": b.name, "severity": b.severity, "attack": list(b.attack), "sha256": b.digest}
            for b in books
        ]
        emit_json({"schema": "ir.playbooks/1", "playbooks": rows})
        return 0
    for book in books:
        say(f"{book.id:<20} {book.name}")
    return 0


def show_playbook(ref: str, *, as_json: bool) -> int:
    """Print the text of a playbook that validates, or its normalised form."""
    book = read_playbook(ref)
    if as_json:
        emit_json({"schema": "ir.playbook/1", **asdict(book)})
    else:
        click.echo(read_limited(find_playbook(ref)).decode(), nl=False)
    return 0


def lint_playbooks(refs: tuple[str, ...], *, as_json: bool) -> int:
    """Check playbooks and show everything that is wrong; 1 when something is."""
    from forensics.playbook.validate import find_problems  # noqa: PLC0415 - pydantic and yaml

    rows: list[JsonObject] = []
    paths = [find_playbook(ref) for ref in refs] or list_playbooks()
    for path in paths:
        try:
            problems, _ = find_problems(read_limited(path), str(path))
        except PlaybookError as error:
            rows.append({"at": "", "message": error.message, "hint": error.hint, "warning": False})
            continue
        rows += [{"at": f"{show(str(path))}:{p.line}:{p.column}", **_pick(asdict(p))} for p in problems]
    if as_json:
        emit_json({"schema": "ir.lint/1", "problems": rows})
    for row in rows if not as_json else ():
        where = f"{row['at']}: " if row["at"] else ""
        say(
            f"{where}{'warning: ' if row['warning'] else ''}{row['message']}"
            + (f"  ({row['hint']})" if row["hint"] else "")
        )
    if not rows and not as_json:
        say(f"{len(paths)} checked, nothing wrong")
    return 1 if any(not row["warning"] for row in rows) else 0


def _pick(problem: JsonObject) -> JsonObject:
    return {name: problem[name] for name in ("message", "hint", "warning")}


def show_actions(*, as_json: bool) -> int:
    """Show every registered action."""
    if as_json:
        rows = [{k: v for k, v in asdict(action).items() if k != "target"} for action in ACTIONS.values()]
        emit_json({"schema": "ir.actions/1", "actions": rows})
        return 0
    for action in ACTIONS.values():
        say(f"{action.name:<24} [{action.effects}] {action.help}")
        for parameter in action.parameters:
            say(f"{'':<24} {parameter.name}: {parameter.type}, default {parameter.default!r}: {parameter.help}")
    return 0
