"""Ranks containers by their risk signals, worst first. Reads inspect documents and image histories only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from forensics.engine.base import Container, Engine
from forensics.errors import EngineError
from forensics.model import JsonObject
from forensics.risk import RiskSignal, assess_risk, total_score


@dataclass(frozen=True, slots=True)
class RankedContainer:
    """A container with its signals, worst first; ``problems`` says what could not be looked at."""

    container: Container
    signals: tuple[RiskSignal, ...]
    problems: tuple[str, ...] = ()

    @property
    def score(self) -> int:
        """The sum of the signals' scores."""
        return total_score(self.signals)

    def to_document(self) -> JsonObject:
        """Return one entry of the schema ``ir.ps/1``."""
        return {
            "id": self.container.id,
            "name": self.container.name,
            "image": self.container.image,
            "image_id": self.container.image_id,
            "status": self.container.status,
            "pid": self.container.pid,
            "started_at": self.container.started_at,
            "score": self.score,
            "signals": [signal.to_document() for signal in self.signals],
            "problems": list(self.problems),
        }


def rank_containers(engine: Engine, containers: Iterable[Container]) -> list[RankedContainer]:
    """Return *containers* with their signals, highest score first; each image is asked for once.

    An image that cannot be read (removed under a running container) is a problem of its containers, not an error.
    """
    images: dict[str, tuple[JsonObject | None, list[JsonObject], tuple[str, ...]]] = {}
    ranked = []
    for container in containers:
        if container.image_id not in images:
            images[container.image_id] = _read_image(engine, container.image_id)
        image, history, problems = images[container.image_id]
        signals = assess_risk(container.raw, image, history, engine_socket=engine.url)
        ranked.append(RankedContainer(container, signals, problems))
    return sorted(ranked, key=lambda entry: (-entry.score, entry.container.name))


def _read_image(engine: Engine, image_id: str) -> tuple[JsonObject | None, list[JsonObject], tuple[str, ...]]:
    try:
        return engine.inspect_image(image_id), engine.image_history(image_id), ()
    except EngineError as error:
        return None, [], (f"the image and its history ({error.message})",)
