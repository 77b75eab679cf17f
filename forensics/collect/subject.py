"""Says what a case is about, opens the right case for a container, and gives the result its public shape."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import RefusedError, UsageError
from forensics.model import JsonObject, LedgerLine, Subject
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.base import Container, EngineInfo
    from forensics.evidence.case import Case
    from forensics.evidence.custody import Actor

SCHEMA = "ir.collection/1"


def describe_subject(container: Container, engine_url: str) -> Subject:
    """Return the container as the subject of a case."""
    return Subject(
        kind="container",
        name=container.name,
        id=container.id,
        image=container.image,
        image_id=container.image_id,
        engine=engine_url,
        started_at=container.started_at,
    )


def describe_engine(info: EngineInfo, url: str) -> JsonObject:
    """Return what the case's own document says of the engine; the whole is evidence of its own."""
    names = ("id", "name", "version", "api_version", "os", "kernel", "storage_driver", "cgroup_version", "is_local")
    return {"url": url} | {name: getattr(info, name) for name in names}


def open_case_for(container: Container, root: Path, info: EngineInfo, url: str, actor: Actor) -> Case:
    """Open the case in *root* to append to it, or make a new one there.

    Raises:
        UsageError: the case there is about another subject.
        CaseExistsError: something that is no case is there.
        RefusedError: the case is sealed, or another process writes to it.
    """
    from forensics.evidence.case import Case  # noqa: PLC0415 - a dry run needs no case

    if not (root / "data" / "case.json").is_file():
        return Case.create(
            root,
            subject=describe_subject(container, url),
            actor=actor,
            engine_info=describe_engine(info, url),
            purpose="collection",
        )
    case = Case.open(root, actor=actor)
    if case.subject.id != container.id:
        case.close()
        raise UsageError(
            f"the case in {root} is about {show(case.subject.name)!r}, not {show(container.name)!r}",
            hint="give another --case folder",
        )
    if case.sealed:
        case.close()
        raise RefusedError(f"the case in {root} is sealed", hint="collect into a new case")
    return case


def to_document(case: Path, container: Container, lines: tuple[LedgerLine, ...], seconds: float) -> JsonObject:
    """Return the result in the shape ``ir.collection/1``."""
    return {
        "schema": SCHEMA,
        "case": str(case),
        "container": {"id": container.id, "name": container.name},
        "seconds": round(seconds, 3),
        "ledger": [describe_line(line) for line in lines],
    }


def describe_line(line: LedgerLine) -> JsonObject:
    """Return one ledger line in the words of the machine output."""
    return {
        "artefact": line.artefact,
        "outcome": line.outcome.value,
        "reason": line.reason,
        "bytes": line.size_bytes,
        "seconds": line.seconds,
        "disturbed": line.disturbed,
        "items": list(line.items),
    }
