"""The report for people: one self-contained HTML page. Reads the frozen report only; loads nothing, asks nobody.

The page carries a Content-Security-Policy that allows our own style and script by their hashes and nothing else, so
that even markup that slipped through could run nothing and fetch nothing (CSP Level 3, hash-source).
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined, TemplateError, TemplateNotFound
from markupsafe import Markup

from forensics import __version__
from forensics.analyze.verdict import is_deed
from forensics.errors import UsageError
from forensics.model import LedgerLine, Outcome, Severity
from forensics.report.attack import ATTACK_VERSION, name_technique
from forensics.report.change_tree import cite_paths, grow_tree
from forensics.report.document import Report
from forensics.report.language import make_translator
from forensics.report.markup import FILTERS, guard
from forensics.report.timeline import draw_timeline
from forensics.resources import find_resource_dir

PAGE = "page.html.j2"
DEEDS = {
    "discover": "discovery",
    "acquire": "collection",
    "verify": "verification",
    "copy": "copy made",
    "access": "case opened",
    "analyze": "analysis",
    "transfer_out": "handed over",
    "transfer_in": "received",
    "store": "stored",
    "seal": "seal",
    "containment": "containment",
    "approve": "approval",
    "deny": "refusal",
    "error": "error",
    "playbook": "playbook",
    "step": "playbook step",
    "report": "report",
    "note": "note",
    "remediate": "remediation",
}
"""What a reader calls the actions of the custody log."""
_GAP = "could not be examined: "
"""How the verdict begins a reason that is a gap; the page lists gaps beside the reasons, from the ledger."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many rows of each table the page shows; what is left out is counted, and in the JSON report."""

    findings: int = 400
    rows: int = 300
    custody: int = 400
    refs: int = 12


def render_html(report: Report, lang: str = "en", *, templates: Path | None = None, scripted: bool = True) -> str:
    """Return the page. *templates* is a folder whose files replace the shipped ones of the same name.

    Without *scripted* the page has no script at all: what it says is the same, unfiltered.

    Raises:
        UsageError: there is no such language, or a replaced template is broken.
    """
    folders = (*([_check(templates)] if templates else []), find_resource_dir("templates"))
    environment = _make_environment(folders, lang)
    style, script = _read_asset(environment, "report.css"), ""
    if scripted:
        script = _read_asset(environment, "report.js")
    try:
        return _render(environment, report, lang, style, script)
    except TemplateError as error:
        where = f"{getattr(error, 'filename', None) or 'a template'}, line {getattr(error, 'lineno', '?')}"
        raise UsageError(
            f"a report template does not work: {error} ({where})", hint="correct it, or leave it out"
        ) from error


def _check(templates: Path) -> Path:
    """Return the folder of a team's own templates, which must replace at least one: another is a mistake."""
    shipped = {"lang", *(path.name for path in find_resource_dir("templates").iterdir())}
    if not any(path.name in shipped for path in templates.iterdir()):
        hint = f"name a file as one of {find_resource_dir('templates')}"
        raise UsageError(f"the folder {templates} replaces no template", hint=hint)
    return templates


def _render(environment: Environment, report: Report, lang: str, style: str, script: str) -> str:
    return environment.get_template(PAGE).render(
        lang=lang,
        style=Markup(style),  # noqa: S704 - our own file, never evidence
        script=Markup(script),  # noqa: S704 - our own file, never evidence
        policy=_make_policy(style, script),
        limits=Limits(),
        **_make_context(report),
    )


@lru_cache(maxsize=8)
def _make_environment(folders: tuple[Path, ...], lang: str) -> Environment:
    """Return the templates of *folders*; kept, because compiling them costs more than rendering (changes reload)."""
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in folders]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=guard,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["_"] = make_translator(lang, folders)
    return environment


def _read_asset(environment: Environment, name: str) -> str:
    """Return a style or script as it will stand in the page (the HTML parser turns CRLF into LF before hashing)."""
    try:
        source, _, _ = environment.loader.get_source(environment, name)  # type: ignore[union-attr] # set above
    except TemplateNotFound as error:
        raise UsageError(f"the template {name} is missing", hint="reinstall the package") from error
    return source.replace("\r\n", "\n")


def _make_policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "img-src 'none'; base-uri 'none'; form-action 'none'"
    )


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"


def _make_context(report: Report) -> dict[str, object]:
    analysis = report.analysis
    severities = Counter(finding.severity for finding in analysis.findings)
    return {
        "report": report,
        "analysis": analysis,
        "subject": report.subject,
        "severities": [(severity, severities[severity]) for severity in Severity],
        "reasons": [reason for reason in analysis.reasons if not reason.startswith(_GAP)],
        "failed": [line for line in report.gaps if line.outcome is Outcome.FAILED],
        "not_applicable": [line for line in report.gaps if line.outcome is Outcome.NOT_APPLICABLE],
        "next_steps": _choose_next_steps(report),
        "chart": draw_timeline(analysis.timeline),
        "tree": grow_tree(analysis.changes, cite_paths(analysis.findings)),
        "outcomes": Counter(line.outcome.value for line in report.ledger),
        "collected": frozenset(item.kind for item in report.items).intersection,
        "deeds": DEEDS,
        "explain": _make_explainer(report.gaps),
        "technique": name_technique,
        "item_ids": frozenset(item.id for item in report.items),
        "version": __version__,
        "attack_version": ATTACK_VERSION,
    }


def _choose_next_steps(report: Report) -> tuple[str, ...]:
    """Return what the findings that count ask for, worst first, each once, at most four; deeds before settings."""
    telling = [each for each in report.analysis.findings if each.next and each.severity.rank <= Severity.MEDIUM.rank]
    deeds = [each for each in telling if is_deed(each)] or telling
    return tuple(dict.fromkeys(each.next for each in deeds))[:4]


def _make_explainer(gaps: tuple[LedgerLine, ...]) -> Callable[..., list[LedgerLine]]:
    """Return the function by which an empty section says why: the ledger's lines about what was not examined."""

    def explain(*words: str) -> list[LedgerLine]:
        return [line for line in gaps if any(word in line.artefact.lower() for word in words)]

    return explain
