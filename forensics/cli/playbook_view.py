"""What the playbook commands show a person or a machine: lists, plans, problems, actions. Runs nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from forensics.cli.frame import emit_json, say
from forensics.cli.playbook_told import Told, is_told
from forensics.errors import PlaybookError
from forensics.model import JsonObject
from forensics.playbook.catalogue import list_actions
from forensics.playbook.compiled import find_playbook, list_playbooks, read_limited, read_playbook
from forensics.playbook.run import PlannedStep, digest_plan, plan_run
from forensics.text import show

if TYPE_CHECKING:
    from forensics.playbook.plan import Playbook

__all__ = ["Told", "is_told", "lint_playbooks", "show_actions", "show_list", "show_plan", "show_playbook"]
_INDENT = " " * 13


def show_plan(playbook: Playbook, inputs: JsonObject, *, as_json: bool) -> int:
    """Show what a run would do, step by step, from the plan that a run would follow."""
    plan = plan_run(playbook, inputs)
    digest = digest_plan(plan)
    if as_json:
        steps = [
            {
                **asdict(p.step),
                "arguments": p.full_arguments(),
                "last": p.last,
                "waits": sorted(p.waits),
                "beside": p.beside,
            }
            for p in plan
        ]
        document = {"playbook": playbook.id, "playbook_sha256": playbook.digest, "plan_sha256": digest, "steps": steps}
        emit_json({"schema": "ir.run-plan/1", **document})
        return 0
    for planned in plan:
        _say_planned(planned)
    say(f"playbook {playbook.id} sha256:{playbook.digest}")
    say(f"plan     sha256:{digest}; the custody log of a run names both")
    return 0


def _say_planned(planned: PlannedStep) -> None:
    step = planned.step
    arguments = ", ".join(f"{name}={_write_value(value)}" for name, value in planned.full_arguments().items())
    last = "  always, at the end" if planned.last else ""
    say(f"{step.id:<12} {step.call.uses}({arguments})  [{step.effects}]{last}")
    lines = (
        "; ".join(part for part in (_describe_order(planned), f"when {show(step.when)}" if step.when else "") if part),
        "; ".join(part for part in _describe_limits(planned) if part),
        _describe_approval(planned),
    )
    for line in filter(None, lines):
        say(_INDENT + line)


def _describe_order(planned: PlannedStep) -> str:
    needs = f"needs {', '.join(planned.step.needs)}" if planned.step.needs else ""
    beside = f"beside {', '.join(planned.beside)}" if planned.beside else ""
    return "; ".join(part for part in (needs, beside) if part)


def _describe_limits(planned: PlannedStep) -> tuple[str, ...]:
    step = planned.step
    undo = (
        f"{step.rollback.uses}({', '.join(f'{k}={_write_value(v)}' for k, v in step.rollback.arguments.items())})"
        if step.rollback
        else ""
    )
    return (
        f"at most {step.timeout_s:g} s" if step.timeout_s else "",
        f"tried {step.attempts} times, first after {step.delay_s:g} s" if step.attempts > 1 else "",
        "on failure: continue" if planned.last else f"on failure: {step.on_failure}",
        f"undone by {undo}" if undo else "",
        f"must leave {', '.join(need.kind for need in step.evidence if need.required)}" if step.evidence else "",
    )


def _describe_approval(planned: PlannedStep) -> str:
    step = planned.step
    if step.approval is None:
        return "refused: it destroys, and names nobody who may approve it" if step.effects == "destroy" else ""
    return f"only with the approval of {' or '.join(step.approval.approvers)}, within {step.approval.expires_s:g} s"


def _write_value(value: object) -> str:
    return show(value if isinstance(value, str) and value else json.dumps(value))


def show_list(*, as_json: bool) -> int:
    """Show the shipped playbooks."""
    books = [read_playbook(path.stem) for path in list_playbooks()]
    if as_json:
        rows = [
            {
                "id": b.id,
                "name": b.name,
                "severity": b.severity,
                "attack": list(b.attack),
                "sha256": b.digest,
                "description": b.description,
                "when_to_use": b.when_to_use,
                "references": list(b.references),
            }
            for b in books
        ]
        emit_json({"schema": "ir.playbooks/1", "playbooks": rows})
        return 0
    for book in books:
        say(f"{book.id:<20} {book.name}")
        say(f"{'':<20} {book.when_to_use}")
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
    """Show every registered action, a responder's own included."""
    actions = list_actions()
    if as_json:
        rows = [
            {
                "name": action.name,
                "effects": action.effects,
                "help": action.help,
                "parameters": [asdict(parameter) for parameter in action.parameters],
                "produces": action.produces,
                "volatility": action.volatility,
                "loses": action.loses,
            }
            for action in actions
        ]
        emit_json({"schema": "ir.actions/1", "actions": rows})
        return 0
    for action in actions:
        say(f"{action.name:<28} [{'as the step says' if action.declares else action.effects}] {action.help}")
        for parameter in action.parameters:
            default = "required" if parameter.required else f"default {json.dumps(parameter.default)}"
            choices = f", one of {', '.join(parameter.choices)}" if parameter.choices else ""
            say(f"{'':<28} {parameter.name}: {parameter.type}, {default}{choices}: {parameter.help}")
    return 0
