"""Removes what drills left behind, by label only: containers, networks, volumes, images, temporary folders, pointers.

A run that is still going on is left alone, and so is everything that does not carry the label.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.drill.own import LABEL, TEMPORARY, is_over, require_own
from forensics.engine.base import EngineAnswerError
from forensics.errors import EngineError

if TYPE_CHECKING:
    from forensics.engine.base import Container
    from forensics.engine.docker import DockerEngine

_GONE = 404


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was removed, in words, and the runs that were left alone.

    ``alive`` are still going on; of ``unknown`` only the host that they run on could tell.
    """

    removed: tuple[str, ...]
    alive: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def clean(engine: DockerEngine, *, force: bool = False) -> Cleaned:
    """Remove what dead runs left behind; with *force* also what may belong to a run on another host.

    Raises:
        EngineError: something could not be removed; everything else is gone nevertheless.
    """
    alive: set[str] = set()
    unknown: set[str] = set()

    def is_dead(labels: dict[str, str]) -> bool:
        if LABEL not in labels:
            return False
        over = is_over(labels)
        if over is False:
            alive.add(labels[LABEL])
        elif over is None and not force:
            unknown.add(labels[LABEL])
        return over is True or (over is None and force)

    removed = _remove_all(engine, is_dead) + _remove_folders()
    return Cleaned(removed, tuple(sorted(alive)), tuple(sorted(unknown)))


def clean_container(engine: DockerEngine, ref: str) -> Cleaned:
    """Remove one container that a drill left behind.

    Raises:
        RefusedError: it does not carry the label of a drill; nothing was touched.
    """
    container = engine.find_container(ref)
    require_own(container)
    _remove_container(engine, container)
    return Cleaned((f"container {container.name}",))


def clear(engine: DockerEngine, run_id: str) -> int:
    """Remove what this run made; return how many things there were.

    Raises:
        EngineError: something could not be removed; everything else is gone nevertheless.
    """
    return len(_remove_all(engine, lambda labels: labels.get(LABEL) == run_id))


def _remove_all(engine: DockerEngine, wanted: Callable[[dict[str, str]], bool]) -> tuple[str, ...]:
    removals: list[tuple[str, Callable[[], None]]] = [
        (f"container {container.name}", partial(_remove_container, engine, container))
        for container in engine.list_containers(all=True)
        if wanted(dict(container.labels))
    ]
    removed, errors = _try_all(removals)
    later: list[tuple[str, Callable[[], None]]] = []
    for kind, raws, key, remove in (
        ("network", engine.list_networks(), "Id", engine.remove_network),
        ("volume", engine.list_volumes(), "Name", engine.remove_volume),
        ("image", engine.list_images(), "Id", engine.remove_image),
    ):
        for raw in raws:
            if wanted(raw.get("Labels") or {}):
                name = (raw.get("RepoTags") or [raw.get("Name") or raw[key]])[0]
                later.append((f"{kind} {name}", partial(remove, str(raw[key]))))
    more, more_errors = _try_all(later)
    if errors or more_errors:
        raise (errors + more_errors)[0]
    return removed + more


def _try_all(removals: list[tuple[str, Callable[[], None]]]) -> tuple[tuple[str, ...], list[EngineError]]:
    """Call each removal; what is gone already was removed by somebody else, and is no error."""
    removed, errors = [], []
    for what, removal in removals:
        try:
            removal()
        except EngineError as error:
            if not (isinstance(error, EngineAnswerError) and error.status == _GONE):
                errors.append(error)
            continue
        removed.append(what)
    return tuple(removed), errors


def _remove_container(engine: DockerEngine, container: Container) -> None:
    from forensics.containment.pointers import forget  # noqa: PLC0415 - listing drills needs no containment

    require_own(container)
    if container.status == "paused":
        with suppress(EngineError):
            engine.unpause(container)
    engine.remove_container(container, force=True, volumes=True)
    forget(container.id)


def _remove_folders() -> tuple[str, ...]:
    """Remove the temporary folders of dead runs that this user owns; links are never followed."""
    removed = []
    for path in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*"):
        pid = path.name.removeprefix(TEMPORARY).split("-")[0]
        if path.is_symlink() or not path.is_dir() or path.stat().st_uid != os.geteuid() or not pid.isdecimal():
            continue
        if not Path(f"/proc/{pid}").exists():
            shutil.rmtree(path, ignore_errors=True)
            removed.append(f"folder {path}")
    return tuple(removed)
