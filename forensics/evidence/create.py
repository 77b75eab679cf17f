"""Lays out a new case folder. The custody log is made last: a folder without one is no case."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

from forensics.errors import CaseExistsError
from forensics.evidence import files
from forensics.evidence.custody import LOG_NAME, Actor, Authority, Clock, format_utc
from forensics.evidence.door import make_reserve
from forensics.evidence.place import read_host
from forensics.evidence.view import CASE_SCHEMA
from forensics.frozen import to_dict
from forensics.model import JsonObject, Subject

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

    Raises:
        CaseExistsError: something is at *root* already.
    """
    _make_root(root)
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
    finally:
        os.close(root_fd)
    return f"sha256:{written.sha256}"


def _make_root(root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    try:
        root.mkdir(mode=0o700)
    except FileExistsError as error:
        if root.is_symlink() or not root.is_dir() or any(root.iterdir()) or root.stat().st_uid != os.getuid():
            raise CaseExistsError(f"{root} exists already", hint="give a new folder with --case") from error
        root.chmod(0o700)
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            raise CaseExistsError(f"{root} lies below a file", hint="give a new folder with --case") from error
        raise
