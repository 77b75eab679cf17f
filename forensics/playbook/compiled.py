"""The way every command gets its playbook: a validated JSON form, cached by the digest of the file.

Checking a playbook costs 80 ms of imports, and `ir isolate` has less than that in all. A cached form is keyed by the
digest of the file *and* by the checking code itself, lies in a folder only its owner may enter, and is written only
after the whole check has passed; on a hit nothing but json and hashlib is imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from pathlib import Path

from forensics import __version__
from forensics.errors import PlaybookError
from forensics.folders import cache_dir
from forensics.model import JsonObject
from forensics.playbook.plan import Playbook, parse_playbook
from forensics.resources import find_resource_dir
from forensics.text import show

_MAX_BYTES = 1 << 20
_CHECKERS = (
    *("action.py", "actions.py", "catalogue.py", "collect_actions.py", "condition.py", "explain.py", "lint.py"),
    *("lint_order.py", "loader.py", "plan.py", "schema.py", "validate.py"),
)


def read_playbook(ref: str = "default") -> Playbook:
    """Return the playbook called *ref*: a shipped one by name, or the path of a file.

    Raises:
        PlaybookError: there is none, or it does not validate (file, line, column, suggestion).
    """
    path = find_playbook(ref)
    raw = read_limited(path)
    digest = hashlib.sha256(raw).hexdigest()
    cached = _cache_path(digest)
    document = _read_cache(cached)
    if document is None:
        from forensics.playbook.validate import validate_playbook  # noqa: PLC0415 - pydantic and yaml, on a miss only

        document = validate_playbook(raw, str(path))
        if not _uses_own_actions(document):  # what they are may change while the playbook does not
            _write_cache(cached, document)
    return parse_playbook(document, digest=digest, source=str(path))


def list_playbooks() -> tuple[Path, ...]:
    """Return the files of the shipped playbooks, by name."""
    return tuple(sorted(find_resource_dir("playbooks").glob("*.yaml")))


def find_playbook(ref: str) -> Path:
    """Return the file of *ref*: a path if it has a slash or ends in .yaml, else a shipped name, else a file here.

    Raises:
        PlaybookError: there is no such playbook; the hint names near ones.
    """
    if "/" in ref or ref.endswith((".yaml", ".yml")):
        path = Path(ref)
        if path.is_file():
            return path
        raise PlaybookError(f"no playbook file at {show(ref)}", hint="check the path")
    shipped = {path.stem: path for path in list_playbooks()}
    if ref in shipped:
        return shipped[ref]
    if Path(ref).is_file():
        return Path(ref)
    from difflib import get_close_matches  # noqa: PLC0415 - only for a wrong name

    close = get_close_matches(ref, shipped, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(shipped)}"
    raise PlaybookError(f"no playbook is called '{show(ref, 60)}'", hint=hint)


def read_limited(path: Path) -> bytes:
    """Return the bytes of a playbook or scenario file, never more than just over 1 MiB.

    Raises:
        PlaybookError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise PlaybookError(
            f"{show(str(path))} cannot be read: {error.strerror}", hint="check its permissions"
        ) from error


def _uses_own_actions(document: JsonObject) -> bool:
    from forensics.playbook.actions import ACTIONS  # noqa: PLC0415 - on a miss only

    steps = [*document["steps"], *document["finally"]]
    calls = [*steps, *(step["rollback"] for step in steps if step["rollback"])]
    return any(call["uses"] not in ACTIONS for call in calls)


def _cache_path(digest: str) -> Path:
    key = hashlib.sha256(f"{__version__} {digest}".encode())
    for name in _CHECKERS:
        info = (Path(__file__).parent / name).stat()
        key.update(f" {info.st_size} {info.st_mtime_ns}".encode())
    return cache_dir() / f"playbook-{key.hexdigest()}.json"


def _read_cache(path: Path) -> JsonObject | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        info = os.fstat(file.fileno())
        if info.st_uid != os.geteuid() or info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return None
        try:
            document: JsonObject = json.load(file)
        except ValueError:
            return None
    return document


def _write_cache(path: Path, document: JsonObject) -> None:
    """Keep the form for next time; a home that cannot be written only makes the next start slower."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(document, file)
        temporary.rename(path)
