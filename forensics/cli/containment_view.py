"""What `ir isolate` and `ir release` share: engine, case and settings. Imports only what the fast way needs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cli.output import emit_json, say
from forensics.cli.session import default_case_dir, read_actor
from forensics.cli.settings import read_settings
from forensics.containment.actions import IsolationOptions, Plan
from forensics.containment.engines import describe_engine, open_containment_engine
from forensics.containment.isolate import ContainmentResult, isolate, preview
from forensics.containment.journal import Journal
from forensics.containment.pointers import find_by_name, find_case
from forensics.containment.scene import read_scene
from forensics.errors import ContainerNotFoundError, UsageError
from forensics.evidence.case import Case
from forensics.model import JsonObject, Subject
from forensics.text import show

if TYPE_CHECKING:
    from forensics.cli.settings import Settings
    from forensics.containment.batch import Batch, Cut
    from forensics.containment.plan import Scene
    from forensics.containment.port import ContainmentEngine
    from forensics.containment.release import ReleaseResult


def read_options(*, freeze: bool | None, reason: str, cut_sharing: bool | None) -> IsolationOptions:
    """Return what the contain step of the default playbook says, overridden by what the command line says."""
    step = _read_contain_step()
    return IsolationOptions(
        freeze=bool(step.get("freeze", True)) if freeze is None else freeze,
        reason=reason,
        cut_sharing=bool(step.get("cut_sharing", False)) if cut_sharing is None else cut_sharing,
    )


def choose(container: str | None, network: str | None, label: str | None) -> tuple[str, ...]:
    """Return the containers that are meant: one by name, or all running ones of a network or with a label."""
    if sum(map(bool, (container, network, label))) != 1:
        raise UsageError("name one container, or --all-of-network, or --label", hint="see 'ir isolate --help'")
    if container:
        return (container,)
    with open_containment_engine(read_settings().engine) as engine:
        listed = engine.list_containers()
    key, _, value = (label or "").partition("=")
    found = [
        item.id
        for item in listed
        if (network and network in {attached for one in item.networks for attached in (one.name, one.network_id)})
        or (label and key in dict(item.labels) and value in {"", dict(item.labels)[key]})
    ]
    if not found:
        raise UsageError(f"no running container fits {show(network or label or '')!r}", hint="see 'ir ps'")
    return tuple(found)


def show_plan(refs: tuple[str, ...], options: IsolationOptions, *, as_json: bool) -> int:
    """Print what would be done, with every inverse and everybody who feels it."""
    with open_containment_engine(read_settings().engine) as engine:
        plans = [preview(read_scene(engine, ref), options) for ref in refs]
    if not as_json:
        for plan in plans:
            _say_plan(plan)
    elif len(plans) == 1:
        emit_json({"schema": "ir.containment-plan/1", "dry_run": True, **plans[0].to_document()})
    else:
        emit_json(
            {"schema": "ir.containment-plans/1", "dry_run": True, "plans": [plan.to_document() for plan in plans]}
        )
    return 0


def run_isolations(refs: tuple[str, ...], case_dir: Path | None, options: IsolationOptions) -> Batch:
    """Contain many at once, each in a case of its own below *case_dir*; those that fail do not stop the others."""
    from forensics.containment.batch import isolate_many  # noqa: PLC0415 - only for many

    settings = read_settings()
    with open_containment_engine(settings.engine) as engine:

        def open_case(scene: Scene) -> Case:
            return _open_case(scene, case_dir / scene.container.id[:12] if case_dir else None, engine, settings)

        return isolate_many(engine, refs, open_case, options, _say_cut)


def contain(  # noqa: PLR0913, PLR0917 - what the command line says
    container: str | None,
    network: str | None,
    label: str | None,
    case_dir: Path | None,
    options: IsolationOptions,
    as_json: bool,
) -> int:
    """Contain what is meant and print how that went; 1 when something is not proved."""
    if container and not (network or label):
        result = run_isolation(container, case_dir, options)
        emit_json(result.to_document()) if as_json else show_results((result,))
        return int(not result.is_done)
    started = time.monotonic()
    batch = run_isolations(choose(container, network, label), case_dir, options)
    if as_json:
        emit_json(_render_batch(batch, time.monotonic() - started))
    else:
        show_results(batch.results)
    for ref, error in batch.failed:
        say(f"NOT CONTAINED  {show(ref[:12])}: {error.message}", err=True)
    if not batch.results:
        raise batch.failed[0][1]
    return int(bool(batch.failed) or not all(result.is_done for result in batch.results))


def _render_batch(batch: Batch, seconds: float) -> JsonObject:
    return {
        "schema": "ir.containments/1",
        "containments": [result.to_document() for result in batch.results],
        "failed": [{"container": ref, "error": error.message} for ref, error in batch.failed],
        "cut": {
            "seconds": round(batch.cut.seconds, 3),
            "containers": list(batch.cut.cut),
            "uncertain": [{"container": ref, "reason": reason} for ref, reason in batch.cut.uncertain],
        },
        "seconds": round(seconds, 3),
    }


def _say_cut(cut: Cut) -> None:
    """Say on stderr, before the engine takes its time, who is cut off already."""
    total = len(cut.cut) + len(cut.uncertain)
    say(
        f"CUT  {len(cut.cut)} of {total}: the host lets no packet leave them or reach them ({cut.seconds:.2f} s)",
        err=True,
    )
    for ref, reason in cut.uncertain:
        say(f"     {show(ref[:12])} not yet: {reason}", err=True)
    say("     now the engine disconnects them, and each is looked at again", err=True)


def show_results(results: tuple[ContainmentResult, ...]) -> None:
    """Print for each container what was done, and whether it is proved."""
    for result in results:
        _say_result(result)


def run_isolation(ref: str, case_dir: Path | None, options: IsolationOptions) -> ContainmentResult:
    """Contain the container in the given case, in the case that contains it already, or in a new one."""
    settings = read_settings()
    with open_containment_engine(settings.engine) as engine:
        scene = read_scene(engine, ref)
        preview(scene, options)
        with _open_case(scene, case_dir, engine, settings) as case:
            return isolate(engine, scene, case, options)


def run_release(target: str) -> ReleaseResult:
    """Undo the containment that a case folder records, or the one of a container."""
    from forensics.containment.release import release  # noqa: PLC0415 - not needed to isolate

    settings = read_settings()
    with open_containment_engine(settings.engine) as engine:
        container_id, root = _find_target(target, engine)
        with Case.open(root, actor=read_actor(settings)) as case:
            return release(engine, container_id or case.subject.id, case)


def _read_contain_step() -> JsonObject:
    from forensics.playbook.compiled import read_playbook  # noqa: PLC0415 - not needed by --help

    step = read_playbook("default").find_step("contain.isolate")
    return dict(step.call.arguments) if step else {}


def _find_target(target: str, engine: ContainmentEngine) -> tuple[str, Path]:
    if (Path(target) / "custody.jsonl").is_file():
        return "", Path(target)
    try:
        container = engine.find_container(target)
    except ContainerNotFoundError:
        found = find_by_name(target)
        if found is None and Path(target).is_dir():
            raise UsageError(
                f"'{show(target)}' is neither a case nor a container: the folder holds no custody log",
                hint="give the case folder that 'ir isolate' named, or a container that 'ir ps --all' lists",
            ) from None
        if found is None:
            raise
        return found
    root = find_case(container.id)
    if root is None:
        raise UsageError(
            f"{show(container.name)} is not contained, as far as this host knows",
            hint="give the case folder instead: ir release CASE",
        )
    return container.id, root


def _open_case(scene: Scene, case_dir: Path | None, engine: ContainmentEngine, settings: Settings) -> Case:
    container, actor = scene.container, read_actor(settings)
    contained = find_case(container.id)
    if contained and case_dir and contained.resolve() != case_dir.resolve() and _is_open(contained, container.id):
        raise UsageError(
            f"{show(container.name)} is contained already, in the case {show(str(contained))}",
            hint=f"use --case {show(str(contained))}, or release it first",
        )
    root = case_dir or (contained if contained and _is_open(contained, container.id) else None)
    if root is not None and (root / "data" / "case.json").is_file():
        case = Case.open(root, actor=actor)
        if case.subject.id != container.id:
            case.close()
            raise UsageError(
                f"the case in {show(str(root))} is about {show(case.subject.name)!r}, not {show(container.name)!r}",
                hint="give another --case folder",
            )
        return case
    return Case.create(
        root or default_case_dir(settings, container.name),
        subject=Subject(
            kind="container",
            name=container.name,
            id=container.id,
            image=container.image,
            image_id=container.image_id,
            engine=engine.url,
            started_at=container.started_at,
        ),
        actor=actor,
        engine_info=describe_engine(engine),
        purpose="containment",
    )


def _is_open(root: Path, container_id: str) -> bool:
    with Case.open(root, read_only=True) as case:
        return bool(Journal(case, container_id).read_open())


def _say_plan(plan: Plan) -> None:
    say(f"{show(plan.container_name)}: {len(plan.actions)} actions, none of them carried out")
    for action in plan.actions:
        say(f"{action.id}  {action.effect}\n     undo: {action.inverse}\n     needs: {action.precondition}")
        if action.affects:
            say(f"     also felt by: {', '.join(map(show, action.affects))}")
    for warning in plan.warnings:
        say(f"note {warning}")


def _say_result(result: ContainmentResult) -> None:
    name, case = show(result.container_name), show(str(result.case))
    lines = []
    for done in result.performed:
        remark = f": {show(done.error or done.note)}" if done.error or done.note else ""
        word = {"ok": "done", "not applicable": "skipped"}.get(done.result, done.result)
        lines.append(f"{word:<7} {done.action.effect}{remark}")
    lines += [f"note    {warning}" for warning in result.warnings]
    if result.proved:
        seconds = f"{result.seconds:.2f} s"
        lines.append(f"PROVED  {name} is cut off: seen from the host, nothing leaves it or reaches it ({seconds})")
    lines += [f"REPLACED {replacement}" for replacement in result.replacements]
    lines += [f"NOT PROVED  {reason}" for reason in result.proof.reasons]
    lines += [f"case    {case}", f"next    ir collect {name} --case {case}", f"undo    ir release {name}"]
    for line in lines:
        say(line)
