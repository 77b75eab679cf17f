"""What ends a container, after everything it was is preserved: each change is on record before it happens.

Nothing here decides that it may be done: whoever calls has the approval. Nothing runs inside the container, and no
shell is ever asked. What can be undone says how in its record.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import EngineError, IrError, RefusedError
from forensics.model import JsonObject
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.base import Container, Mount
    from forensics.engine.docker import DockerEngine
    from forensics.evidence.case import Case

_ACTION = "remediate"
_SET_ASIDE = "_data.ir-quarantine"


def stop(engine: DockerEngine, container: Container, case: Case, timeout_seconds: int = 10) -> JsonObject:
    """Stop the container; its file system stays. A frozen one is killed: thawed for a farewell, it could act first.

    Raises:
        EngineError: the engine refused.
    """
    if container.status == "paused":
        return kill(engine, container, case)
    effect = f"stop the container, and kill it after {timeout_seconds} s"
    return _change(case, container, effect, "docker start", lambda: engine.stop(container, timeout_seconds))


def kill(engine: DockerEngine, container: Container, case: Case) -> JsonObject:
    """Kill every process at once; none of them runs again, a frozen one neither (SIGKILL is pending when it thaws).

    Raises:
        EngineError: the engine refused.
    """
    if not container.is_running:
        return _note(case, container, "kill the container", "it does not run")
    return _change(case, container, "kill the container", "docker start", lambda: engine.kill(container))


def remove(engine: DockerEngine, container: Container, case: Case) -> JsonObject:
    """Remove the container, killing it first; its volumes stay.

    Raises:
        EngineError: the engine refused.
    """
    effect = "remove the container, not its volumes"
    return _change(case, container, effect, "none: it is gone", lambda: engine.remove_container(container, force=True))


def block_image(engine: DockerEngine, container: Container, case: Case) -> JsonObject:
    """Take every name off the container's image but one that nobody starts by accident; no layer is removed.

    A registry that still has it can be pulled from again; the digests to block there are in the record.

    Raises:
        EngineError: the engine refused; the names that were taken off until then are in the record.
    """
    image = engine.inspect_image(container.image_id)
    names = tuple(str(name) for name in image.get("RepoTags") or [] if not str(name).startswith("ir-quarantine/"))
    kept = f"ir-quarantine/{container.image_id.removeprefix('sha256:')[:12]}:{case.id.lower()}"

    def rename() -> None:
        engine.tag_image(container.image_id, kept)
        for name in names:
            engine.remove_image(name)

    inverse = " && ".join(f"docker tag {container.image_id[:19]} {show(name)}" for name in names) or "nothing"
    effect = f"leave the image only the name {kept}, so that nothing starts it by its old ones"
    digests = list(image.get("RepoDigests") or [])
    return _change(case, container, effect, inverse, rename, names=list(names), kept=kept, digests=digests)


def quarantine_volume(engine: DockerEngine, container: Container, case: Case, name: str) -> JsonObject:
    """Set a volume's content aside within its own folder, so that nothing can be started with it; no byte is changed.

    A process that has it mounted keeps its mount: stop the container first.

    Raises:
        RefusedError: the container has no such volume, or its content is not on this host.
        EngineError: the folder could not be renamed.
    """
    folder = Path(_find_volume(container, name).source)
    if not engine.info().is_local:
        raise RefusedError(f"volume {show(name)} is not on this host", hint="run it on the engine's own host")
    users = _name_users(engine, name)
    if users:
        raise RefusedError(
            f"volume {show(name)} is in use by {', '.join(map(show, users))}", hint="stop these containers first"
        )
    aside = folder.with_name(_SET_ASIDE)
    if aside.exists() and not folder.exists():
        return _note(case, container, f"quarantine volume {show(name)}", "it is set aside already")
    if folder.name != "_data" or folder.is_symlink() or not folder.is_dir() or aside.exists():
        raise RefusedError(
            f"the content of volume {show(name)} is not an ordinary folder of this host",
            hint="only volumes of the local driver can be set aside, on the engine's own host",
        )
    effect = f"set the content of volume {show(name)} aside, so that no container can be started with it"
    return _change(case, container, effect, f"mv {aside} {folder}", lambda: _rename(folder, aside), volume=name)


def revoke(container: Container, case: Case, command: str, timeout_seconds: int = 60) -> JsonObject:
    """Run a command of the responder's, outside the container, that withdraws what the container was trusted with.

    It is started without a shell, in a process group that ends with it or with the time-out; what it prints is kept.

    Raises:
        RefusedError: the command is no absolute path of a program that only its owner can change.
        EngineError: it failed or took too long; its output is in the case.
    """
    from forensics.containment.hook import check_hook, run_hook  # noqa: PLC0415 - only where something is revoked

    arguments = check_hook(command)
    facts = {
        "IR_CASE": str(case.root.absolute()),
        "IR_CASE_ID": case.id,
        "IR_CONTAINER_ID": container.id,
        "IR_CONTAINER_NAME": container.name,
        "IR_IMAGE_ID": container.image_id,
    }
    told: list[bytes] = []

    def run() -> None:
        ended = run_hook(arguments, facts, timeout_seconds)
        told.append(ended.output)
        if not case.sealed:
            case.add("hook-output", (ended.output,), source=f"hook {arguments[0]}", method="ir remediate.revoke")
        if ended.problem:
            raise EngineError(f"the hook {show(arguments[0])} {ended.problem}", hint="its output is in the case")

    document = _change(case, container, f"run {show(arguments[0])} outside the container", "the hook's own", run)
    return document | {"output_bytes": len(told[0])}


def _change(
    case: Case, container: Container, effect: str, inverse: str, change: Callable[[], object], /, **details: object
) -> JsonObject:
    known = {"container": container.id, "effect": effect, "inverse": inverse, **details}
    case.record(_ACTION, purpose=effect, result="begin", details=known)
    with _recorded(case, effect, known):
        change()
    return known


@contextlib.contextmanager
def _recorded(case: Case, effect: str, known: JsonObject) -> Iterator[None]:
    try:
        yield
    except IrError as error:
        case.record(_ACTION, purpose=effect, result="failed", error=error.message, details=known)
        raise
    case.record(_ACTION, purpose=effect, details=known)


def _note(case: Case, container: Container, effect: str, note: str) -> JsonObject:
    known = {"container": container.id, "effect": effect, "inverse": "nothing", "note": note}
    case.record(_ACTION, purpose=effect, details=known)
    return known


def _find_volume(container: Container, name: str) -> Mount:
    for mount in container.mounts:
        if mount.type == "volume" and mount.name == name and mount.driver in {"", "local"}:
            return mount
    raise RefusedError(f"the container has no local volume {show(name)}", hint="see the mounts in its inspect document")


def _name_users(engine: DockerEngine, name: str) -> tuple[str, ...]:
    return tuple(
        other.name
        for other in engine.list_containers()
        if other.is_running and any(mount.type == "volume" and mount.name == name for mount in other.mounts)
    )


def _rename(folder: Path, aside: Path) -> None:
    try:
        os.rename(folder, aside)  # noqa: PTH104 - never onto something: checked, and both are the engine's own
    except OSError as error:
        raise EngineError(f"the volume's folder cannot be renamed ({error.strerror})", hint="run it as root") from error
