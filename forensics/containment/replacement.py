"""Sees that an orchestrator starts the suspect anew while it is being cut off, and says how to stop that.

Compares the engine's list from before the freeze with the one at the proof. Changes nothing: whether the replacement
is wanted is the responder's decision.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from forensics.model import JsonObject
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.base import Container

_SAME_WORK = (
    ("com.docker.compose.project", "com.docker.compose.service"),
    ("com.docker.swarm.service.id",),
    ("com.docker.swarm.service.name",),
    ("io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.container.name"),
)
"""Labels that together name the work of a container: who has the same values does the same work."""
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Replacement(NamedTuple):
    """A container that appeared meanwhile and does the suspect's work; ``command`` stops it."""

    id: str
    name: str
    why: str
    command: str

    def to_document(self) -> JsonObject:
        """Return the JSON form."""
        return self._asdict()

    def __str__(self) -> str:
        return f"{show(self.name)} ({self.id[:12]}) was started meanwhile: {self.why}; to stop it: {self.command}"


def find_replacements(
    suspect: Container, before: tuple[Container, ...], after: tuple[Container, ...]
) -> tuple[Replacement, ...]:
    """Return the containers of *after* that are not in *before* and do what the suspect does."""
    known = {container.id for container in before} | {suspect.id}
    return tuple(
        Replacement(other.id, other.name, why, _command(other))
        for other in after
        if other.id not in known and (why := _tell_likeness(suspect, other))
    )


def _tell_likeness(suspect: Container, other: Container) -> str:
    mine, theirs = dict(suspect.labels), dict(other.labels)
    for labels in _SAME_WORK:
        wanted = [mine.get(label) for label in labels]
        if all(wanted) and wanted == [theirs.get(label) for label in labels]:
            return f"it has the same {labels[0].rpartition('.')[0]} labels"
    if other.name == suspect.name:
        return "it has the same name"
    if mine and mine == theirs and suspect.image == other.image:
        return "it has the same image and the same labels"
    return ""


def _command(other: Container) -> str:
    labels = dict(other.labels)
    project, service = (labels.get(f"com.docker.compose.{part}", "") for part in ("project", "service"))
    swarm = labels.get("com.docker.swarm.service.name", "")
    if _are_harmless(swarm):
        return f"docker service scale {swarm}=0"
    if _are_harmless(project, service):
        return f"docker compose -p {project} stop {service}"
    return f"docker stop {other.id[:12]}"


def _are_harmless(*words: str) -> bool:
    """Labels are the attacker's: nothing that a shell would read otherwise is ever offered for copying."""
    return all(_HARMLESS.fullmatch(word) for word in words)
