"""Writes a rendered report and puts its digest into the custody log: the one way by which a report leaves a case."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from forensics.evidence.case import Case
from forensics.model import Analysis
from forensics.report.build import build
from forensics.report.formats import FORMATS, render


@dataclass(frozen=True, slots=True)
class Published:
    """A report as it was written; ``path`` is None where it only went to standard output."""

    content: bytes
    sha256: str
    path: Path | None


def publish(  # noqa: PLR0913 - the choices of a report, all by name
    case: Case,
    analysis: Analysis,
    form: str = "html",
    *,
    lang: str = "en",
    templates: Path | None = None,
    output: Path | None = None,
    to_stdout: bool = False,
) -> Published:
    """Render *form* of :data:`forensics.report.formats.FORMATS`, write it, and record its digest.

    It goes to *output*, or into the case's ``report/``, or nowhere when the caller prints it.

    Raises:
        UsageError: the language or a replaced template is not usable.
        RefusedError: the case is open for reading only.
    """
    content = render(build(case, analysis), form, lang=lang, templates=templates)
    digest = hashlib.sha256(content).hexdigest()
    if not to_stdout and output is None:
        return Published(content, digest, case.write_report(FORMATS[form].filename, content, {"format": form}))
    path = None if to_stdout else output
    if path:
        path.write_bytes(content)
    where = str(path.absolute()) if path else "standard output"
    case.record("report", hash_after=f"sha256:{digest}", details={"format": form, "path": where})
    return Published(content, digest, path)
