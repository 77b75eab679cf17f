"""Carries out `ir collect`: asks the engine, opens the case, collects under the playbook step's authority."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cli.collect_first import FirstAnswers
from forensics.cli.collect_view import show_result, tell
from forensics.cli.session import default_case_dir, read_actor
from forensics.cli.settings import read_settings
from forensics.containment.pointers import find_case
from forensics.evidence.case import Case

if TYPE_CHECKING:
    from forensics.cli.default_step import DefaultStep
    from forensics.collect import CollectOptions
    from forensics.engine.base import Container, EngineInfo
    from forensics.engine.docker import DockerEngine


@dataclass(frozen=True, slots=True)
class Suspect:
    """The engine, and what it said first: of the container, and of itself."""

    engine: DockerEngine
    container: Container
    info: EngineInfo


def ask(engine: DockerEngine, ref: str) -> Suspect:
    """Ask the engine for the container and for itself: all that must be known before anything is collected."""
    container = engine.find_container(ref)
    return Suspect(engine, container, engine.info(container))


def collect_into_case(
    suspect: Suspect, case_dir: Path | None, options: CollectOptions, step: DefaultStep, *, as_json: bool
) -> int:
    """Collect into *case_dir*, the case that contains the container, or a new one; show it, return the exit code."""
    from forensics.collect import Silence, collect, open_case_for, to_document  # noqa: PLC0415 - while the engine answers

    engine, container, info = suspect.engine, suspect.container, suspect.info
    started, settings = time.monotonic(), read_settings()
    root = case_dir or _find_containing_case(container.id) or default_case_dir(settings, container.name)
    with (
        open_case_for(container, root, info, engine.url, read_actor(settings)) as case,
        tell(as_json=as_json) as progress,
    ):
        step.authorize(case)
        answers = FirstAnswers(case, progress or Silence(), as_json=as_json, started=started)
        lines = collect(case, engine, container, options, answers, info=info)
        answers.close()
    return show_result(to_document(root, container, lines, time.monotonic() - started), lines, as_json=as_json)


def _find_containing_case(container_id: str) -> Path | None:
    """Return the case of `ir isolate` while the container is contained and evidence can still be added to it."""
    root = find_case(container_id)
    if root is None:
        return None
    with Case.open(root, read_only=True) as case:
        return None if case.sealed or case.subject.id != container_id else root
