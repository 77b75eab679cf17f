"""Lays out a new case folder. The custody log is made last: a folder without one is no case."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from forensics.errors import CaseExistsError
from forensics.evidence import files
from forensics.evidence.custody import LOG_NAME, Actor, Authority, Clock, format_utc
from forensics.evidence.door import RESERVE_NAME, make_reserve
from forensics.evidence.place import read_host
from forensics.evidence.view import CASE_SCHEMA
from forensics.frozen import to_dict
from forensics.model import JsonObject, Subject

_HALF_MADE = frozenset(
    {
        *("data", "data/case.json", f"data/case.json{files.PARTIAL}", "verify.sh", f"verify.sh{files.PARTIAL}"),
        *(RESERVE_NAME, LOG_NAME),
    }
)
"""All that lies in a case folder before its first custody entry."""
VERIFY_SCRIPT = Path(__file__).with_name("verify.sh")


def make_document(
    subject: Subject, actor: Actor, engine_info: JsonObject | None, authority: Authority, clock: Clock
) -> JsonObject:
    """Return what ``data/case.json`` of a new case holds."""
    return {
        "schema": CASE_SCHEMA,
        "id": f"IR-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(4).hex()}",
        "created_at": format_utc(time.time_ns()),
        "subject": to_dict(subject),
        "engine": engine_info,
        "host": read_host(),
        "clock": to_dict(clock),
        "operator": to_dict(actor),
        "authority": to_dict(authority),
    }


def lay_out(root: Path, document: JsonObject) -> str:
    """Make the folder with ``data/case.json`` and ``verify.sh``; return the digest of the former, ``sha256:…``.

    Where that fails nothing is left behind; what is left of a making that was killed is cleared away by the next.

    Raises:
        CaseExistsError: something is at *root* already.
    """
    _make_root(root)
    try:
        return f"sha256:{_fill(root, document).sha256}"
    except BaseException:
        clear(root)
        raise


def clear(root: Path) -> None:
    """Remove a case folder that was not made to its end; one with a custody entry, or with anything else, stays."""
    if not _is_half_made(root):
        return
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    root.rmdir()


def _fill(root: Path, document: JsonObject) -> files.Written:
    root_fd = files.open_directory(root)
    try:
        data_fd = files.make_directory("data", root_fd)
        try:
            text = json.dumps(document, ensure_ascii=True, sort_keys=True, indent=1) + "\n"
            written = files.write_file("case.json", data_fd, (text.encode("ascii"),))
        finally:
            os.close(data_fd)
        files.write_file("verify.sh", root_fd, (VERIFY_SCRIPT.read_bytes(),))
        make_reserve(root_fd)
        os.close(files.create_file(LOG_NAME, root_fd))
        os.fsync(root_fd)
    finally:
        os.close(root_fd)
    return written


def _make_root(root: Path) -> None:
    name = files.shown(root)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        clear(root)
        root.mkdir(mode=0o700)
        root.chmod(0o700)  # whatever the umask
    except FileExistsError as error:
        if root.is_symlink() or not root.is_dir() or any(root.iterdir()) or root.stat().st_uid != os.getuid():
            raise CaseExistsError(f"{name} exists already", hint="give a new folder with --case") from error
        root.chmod(0o700)
    except NotADirectoryError as error:
        raise CaseExistsError(f"{name} lies below a file", hint="give a new folder with --case") from error


def _is_half_made(root: Path) -> bool:
    """Tell whether *root* is a folder of ours in which a case was begun and nothing was ever recorded."""
    if root.is_symlink() or not root.is_dir() or root.stat().st_uid != os.getuid():
        return False
    inside = {path.relative_to(root).as_posix(): path for path in root.rglob("*")}
    if not inside or not _HALF_MADE.issuperset(inside):
        return False
    if any(path.is_symlink() or path.stat().st_uid != os.getuid() for path in inside.values()):
        return False
    return LOG_NAME not in inside or not inside[LOG_NAME].stat().st_size
