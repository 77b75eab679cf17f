"""What most commands begin with: who works here, which engine, which case. Heavy imports stay inside the functions."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.cli.settings import Settings, read_settings
from forensics.errors import RefusedError

if TYPE_CHECKING:
    from forensics.engine.docker import DockerEngine
    from forensics.evidence.case import Case
    from forensics.evidence.custody import Actor
    from forensics.evidence.installation import SigningKey

_LABEL_LENGTH = 40


def open_engine(settings: Settings | None = None) -> DockerEngine:
    """Connect to the configured engine (`engine` of the settings, else DOCKER_HOST, Docker contexts, the usual socket).

    Raises:
        EngineUnavailableError: none answers there; the hint says what to do.
    """
    from forensics.engine.docker import connect  # noqa: PLC0415 - docker-py takes 130 ms to import

    return connect((settings or read_settings()).engine)


def open_case(path: Path, *, output: Path | None = None) -> Case:
    """Open the case at *path* for writing, as the configured operator; every entry of its log will name them.

    With *output* the case itself stays untouched, and what is written goes there.

    Raises:
        CaseError: the folder is not a case.
        RefusedError: another process writes to it.
    """
    from forensics.evidence.case import Case  # noqa: PLC0415 - not needed by `ir --help`

    return Case.open(path, actor=read_actor(read_settings()), output=output)


def read_case(path: Path, purpose: str) -> Case:
    """Open the case at *path* for reading; the access stands in its log first, unless it cannot be written now.

    It cannot on a read-only medium, and while another process writes to the case.

    Raises:
        CaseError: the folder is not a case.
    """
    from forensics.evidence.case import Case  # noqa: PLC0415 - not needed by `ir --help`
    from forensics.evidence.lock import find_holder  # noqa: PLC0415 - as above

    case = Case.open(path, read_only=True)
    if os.access(path, os.W_OK) and find_holder(path / "custody.jsonl") is None:
        with suppress(RefusedError), open_case(path) as opened:  # somebody may have begun to write just now
            opened.record("access", purpose=purpose)
    return case


def find_signer(key: Path | None) -> SigningKey:
    """Return the key that signs: *key*, else the configured one, else this installation's own.

    Raises:
        StorageError: the file is no key that ssh-keygen can read.
    """
    from forensics.evidence.installation import find_key  # noqa: PLC0415 - not needed by `ir --help`

    configured = read_settings().signing_key
    return find_key(key or (Path(configured) if configured else None))


def read_actor(settings: Settings) -> Actor:
    """Return who is acting, for the custody log."""
    from forensics.evidence.custody import Actor  # noqa: PLC0415 - not needed by `ir --help`

    return Actor(
        name=settings.operator,
        title=settings.title,
        org=settings.organization,
        contact=settings.contact,
        os_uid=os.getuid(),
        key_fpr=None,
    )


def default_case_dir(settings: Settings, subject: str) -> Path:
    """Return a new folder below the cases folder: UTC time, then the subject's name reduced to safe ASCII."""
    label = re.sub(r"[^A-Za-z0-9_.-]+", "-", subject).strip("-.")[:_LABEL_LENGTH] or "case"
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    folder = settings.cases_dir / f"{stamp}-{label}"
    number = 1
    while folder.exists():
        number += 1
        folder = settings.cases_dir / f"{stamp}-{label}-{number}"
    return folder
