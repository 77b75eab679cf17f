"""Keeps the evidence: holds the container still, and sees that the engine does not start it by itself; and undoes it.

Looks at the real state first, so that doing it twice changes nothing more. No process of the container is ended here.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from forensics.containment.actions import NOTHING, NotApplicableError
from forensics.engine.base import EngineAnswerError
from forensics.errors import EngineError

if TYPE_CHECKING:
    from forensics.containment.actions import Action
    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import Container
    from forensics.engine.footprint import Footprint

_CONFLICT = 409
_UNKNOWN_CALL = frozenset({404, 405, 501})
_WITHOUT_PROCESSES = frozenset({"created", "dead", "exited", "restarting"})
_HARMLESS_SIGNAL = "URG"
"""Ignored unless a process asks for it (signal(7)); for one that was started between the look and the call."""
_SETTLE_SECONDS = 10.0
_ENDING_SECONDS = 2.0
_CANNOT_CHANGE_POLICY = (
    "this engine cannot change a restart policy; frozen, the container cannot end, and so is not started again"
)
_POLL_SECONDS = 0.01


def freeze(_: Action, engine: ContainmentEngine, container: Container, __: Footprint) -> str:
    """Freeze every process, and return what was found instead where there was nothing to freeze.

    Raises:
        EngineError: the engine refused.
    """
    try:
        engine.pause(container)
    except EngineAnswerError as error:
        status = engine.find_container(container.id).status
        if status in _WITHOUT_PROCESSES:
            return f"{NOTHING}freeze: it is {status}"
        if error.status != _CONFLICT or status != "paused":
            raise
        return "was frozen already"
    return ""


def unfreeze(_: Action, engine: ContainmentEngine, container: Container, __: Footprint) -> str:
    """Let the processes go on.

    Raises:
        EngineError: the engine refused.
    """
    if engine.find_container(container.id).status != "paused":
        return "was not frozen any more"
    engine.unpause(container)
    return ""


def drop_restart_policy(_: Action, engine: ContainmentEngine, container: Container, __: Footprint) -> str:
    """Set the restart policy to *no*.

    Raises:
        NotApplicableError: the engine knows no such call (Podman 4.3).
        EngineError: the engine refused.
    """
    deadline = time.monotonic() + _ENDING_SECONDS
    while True:
        try:
            return _set_restart_policy(engine, container, "no", 0)
        except EngineAnswerError as error:  # Docker refuses it of a container that ends at this moment
            if error.status in _UNKNOWN_CALL:
                engine.find_container(container.id)  # it is the call that is unknown, not the container
                raise NotApplicableError(_CANNOT_CHANGE_POLICY) from error
            if time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def end_loop(_: Action, engine: ContainmentEngine, container: Container, __: Footprint) -> str:
    """Take back the start that the engine has scheduled, and wait until it no longer means to start the container.

    It does so when it is asked to signal what does not run (moby, daemon/kill.go); nothing receives the signal then.

    Raises:
        EngineError: it still means to start it after ten seconds.
    """
    fresh = engine.find_container(container.id)
    if fresh.status == "restarting":
        signal = str((fresh.raw.get("Config") or {}).get("StopSignal") or _HARMLESS_SIGNAL)
        with contextlib.suppress(EngineAnswerError):  # it ended, or was started; the next look tells
            engine.kill(fresh, signal)
    deadline = time.monotonic() + _SETTLE_SECONDS
    while fresh.status == "restarting":
        if time.monotonic() > deadline:
            raise EngineError("the engine still means to start it again", hint="run 'ir isolate' once more")
        time.sleep(_POLL_SECONDS)
        fresh = engine.find_container(container.id)
    return f"it is {fresh.status} now"


def resume_loop(_: Action, engine: ContainmentEngine, container: Container, __: Footprint) -> str:
    """Start the container again; its restart policy is the old one by now.

    Raises:
        EngineError: the engine refused.
    """
    if engine.find_container(container.id).status not in {"created", "exited"}:
        return "was started already"
    engine.start(container)
    return ""


def restore_restart_policy(action: Action, engine: ContainmentEngine, container: Container, _: Footprint) -> str:
    """Set the restart policy to what it was.

    Raises:
        EngineError: the engine refused.
    """
    return _set_restart_policy(
        engine, container, str(action.parameters["name"]), int(action.parameters["maximum_retries"])
    )


def _set_restart_policy(engine: ContainmentEngine, container: Container, name: str, retries: int) -> str:
    policy = (engine.find_container(container.id).raw.get("HostConfig") or {}).get("RestartPolicy") or {}
    if (str(policy.get("Name") or "no"), int(policy.get("MaximumRetryCount") or 0)) == (name, retries):
        return "was so already"
    engine.update_restart_policy(container, name, retries)
    return ""
