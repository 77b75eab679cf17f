"""Finds the case of a contained container again: one small pointer file per container in the state folder.

A pointer is a convenience, not evidence: the custody log of the case is what counts.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from forensics.folders import state_dir

_ID_DIGITS = frozenset("0123456789abcdef")


def find_case(container_id: str) -> Path | None:
    """Return the case in which this container is contained, if that is known and the folder is still there."""
    try:
        document = json.loads(_pointer(container_id).read_bytes())
        case = Path(document["case"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return case if (case / "custody.jsonl").is_file() else None


def find_by_name(ref: str) -> tuple[str, Path] | None:
    """Return id and case of a contained container that the engine may no longer know, by name or id prefix."""
    for path in sorted(_folder().glob("*.json")):
        try:
            document = json.loads(path.read_bytes())
            found = str(document["container"]), str(document["name"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if (ref == found[1] or found[0].startswith(ref)) and (case := find_case(found[0])):
            return found[0], case
    return None


def list_contained() -> tuple[tuple[str, Path], ...]:
    """Return id and case of every container that this host remembers as contained, and whose case is still there."""
    ids = [path.stem for path in sorted(_folder().glob("*.json")) if path.stem and not set(path.stem) - _ID_DIGITS]
    return tuple((found, case) for found in ids if (case := find_case(found)))


def remember(container_id: str, name: str, case: Path) -> str:
    """Write the pointer; return what whoever releases must know if it cannot be written, else nothing.

    It replaces an older one at once or not at all. Containment never waits for it: the cut comes first.
    """
    target = _pointer(container_id)
    document = {"container": container_id, "name": name, "case": str(case.absolute())}
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary.write_text(json.dumps(document), "ascii")
        temporary.replace(target)
    except OSError as error:
        return f"the state folder cannot be written ({error.strerror}): release by the case, ir release {case}"
    return ""


def forget(container_id: str) -> None:
    """Remove the pointer; none is fine."""
    with contextlib.suppress(OSError):
        _pointer(container_id).unlink(missing_ok=True)


def _pointer(container_id: str) -> Path:
    if not container_id or set(container_id) - _ID_DIGITS:
        raise ValueError("a container id is hexadecimal")
    return _folder() / f"{container_id}.json"


def _folder() -> Path:
    return state_dir() / "containments"
