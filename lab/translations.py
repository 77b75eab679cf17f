"""Keeps the report's catalogues: `update` writes every sentence into the PO file, `compile` makes the MO file of it.

    .venv/bin/python lab/translations.py update     # after a change of templates, rules, playbooks
    .venv/bin/python lab/translations.py missing    # what has no translation yet
    .venv/bin/python lab/translations.py compile    # what the report reads

Sentences come from the templates (Babel's extractor), from the tables of rules, playbooks and ATT&CK, and out of the
source of the rooms whose words reach the report: there an f-string is a sentence with gaps.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import yaml
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from words import NOT_SHOWN, WORDS

import forensics.analyze
from forensics.analyze.inline_code import Deed
from forensics.analyze.rule import Rule
from forensics.analyze.table import ANALYZERS
from forensics.collect.table import COLLECTORS
from forensics.model import ChangeKind, Confidence, EntryType, Outcome, Severity
from forensics.report.attack import TACTICS, TECHNIQUES
from forensics.report.html import DEEDS
from forensics.resources import find_resource_dir, find_rules_dir

ROOT = Path(__file__).resolve().parent.parent
LANG = find_resource_dir("templates") / "lang"
ROOMS = (
    "analyze/*", "collect/*", "containment/*", "risk/*", "report/settings", "report/exposure", "report/runtime",
    "report/record", "report/cut", "report/fields", "report/masking", "playbook/gate", "playbook/steps",
    "playbook/timeout", "engine/footprint", "engine/held", "engine/host_net", "engine/namespace_search", "archive/*",
    "evidence/activity", "evidence/case", "evidence/door",
)  # fmt: skip
_DEEPEST = 4
_SPOKEN = ("title", "why", "benign", "next")
_YARA = re.compile(r'^\s*(?:title|why|benign|next) = "((?:[^"\\]|\\.)*)"', re.MULTILINE)
_SENTENCE = re.compile(r"[a-z]{2,} [a-z({]|\} [a-z]{2}|[a-z]: ?\{")
_NO_SENTENCE = re.compile(r"SELECT|CREATE|INSERT|\\[sbdS]|\(\?|^[A-Z ]+$|\n")


def list_sentences() -> dict[str, str]:
    """Return every sentence that the report can say, to where it comes from."""
    found: dict[str, str] = {}
    for origin, sentence in (*_from_templates(), *_from_tables(), *_from_rules(), *_from_playbooks(), *_from_source()):
        if sentence and sentence not in NOT_SHOWN:
            found.setdefault(sentence, origin)
    return found


def _from_templates() -> Iterator[tuple[str, str]]:
    for path in sorted(find_resource_dir("templates").glob("*.j2")):
        for _, message, _, _ in extract_from_file("jinja2.ext:babel_extract", path, keywords={"_": None}):
            yield f"templates/{path.name}", str(message)


def _from_tables() -> Iterator[tuple[str, str]]:
    for module in pkgutil.iter_modules(forensics.analyze.__path__):
        loaded = importlib.import_module(f"forensics.analyze.{module.name}")
        for value in vars(loaded).values():
            for sentence in _read_table(value, 0):
                yield f"analyze/{module.name}", sentence
    for words in (Severity, Confidence, Outcome, ChangeKind, EntryType):
        for word in words:
            yield "model", word.value
    yield from (("report/attack_table", tactic[1]) for tactic in TACTICS.values())
    yield from (("report/attack_table", technique[0]) for technique in TECHNIQUES.values())
    yield from (("report/html", word) for word in DEEDS.values())
    yield from (("collect/table", text) for row in COLLECTORS for text in (row.name, row.summary, row.disturbs))
    yield from (("analyze/table", row.name) for row in ANALYZERS)
    yield from (("words", word) for word in WORDS)


def _read_table(value: object, depth: int) -> Iterator[str]:
    if isinstance(value, str) or depth > _DEEPEST:
        return
    if is_dataclass(value) and not isinstance(value, type):
        is_spoken = isinstance(value, (Rule, Deed)) or type(value).__name__ == "Behaviour"
        for field in fields(value):
            inner = getattr(value, field.name, None)
            if is_spoken and field.name in _SPOKEN and isinstance(inner, str):
                yield inner
            yield from _read_table(inner, depth + 1)
    elif isinstance(value, (tuple, list, set, frozenset)):
        for member in value:
            yield from _read_table(member, depth + 1)
    elif isinstance(value, dict):
        for member in value.values():
            yield from _read_table(member, depth + 1)


def _from_rules() -> Iterator[tuple[str, str]]:
    for path in sorted(find_rules_dir().glob("*.yar")):
        for sentence in _YARA.findall(path.read_text("utf-8")):
            yield f"rules/{path.name}", sentence.replace('\\"', '"').replace("\\\\", "\\")


def _from_playbooks() -> Iterator[tuple[str, str]]:
    for path in sorted(find_resource_dir("playbooks").glob("*.yaml")):
        document = yaml.safe_load(path.read_text("utf-8"))
        steps = (*document.get("steps", ()), *document.get("finally", ()))
        texts = [document["name"], document["description"], *(step.get("description", "") for step in steps)]
        yield from ((f"playbooks/{path.name}", " ".join(text.split())) for text in texts)


def _from_source() -> Iterator[tuple[str, str]]:
    for room in ROOMS:
        for path in sorted((ROOT / "forensics").glob(f"{room}.py")):
            for sentence in dict.fromkeys(_read_source(path)):
                yield str(path.relative_to(ROOT / "forensics")), sentence


def _read_source(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    left_out = {id(inner) for node in ast.walk(tree) for inner in _list_unspoken(node)}
    for node in ast.walk(tree):
        if id(node) not in left_out:
            sentence = _spell(node)
            if sentence and _SENTENCE.search(sentence) and not _NO_SENTENCE.search(sentence):
                yield sentence


def _list_unspoken(node: ast.AST) -> Iterator[ast.AST]:
    """Docstrings, parts of f-strings, exceptions, regular expressions: no sentences of the report."""
    if isinstance(node, ast.Expr):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield from node.values
    elif isinstance(node, ast.Raise):
        yield from ast.walk(node)
    elif isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in {"compile", "field"}:
            yield from ast.walk(node)


def _spell(node: ast.AST) -> str:
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if not isinstance(node, ast.JoinedStr):
        return ""
    parts, names = [], set()
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(str(value.value))
        elif isinstance(value, ast.FormattedValue):
            name = _name_gap(value.value)
            while name in names:
                name += "2"
            names.add(name)
            parts.append("{" + name + "}")
    return "".join(parts)


def _name_gap(node: ast.expr) -> str:
    """Name a gap after the value in it; a length is a number."""
    if isinstance(node, ast.BinOp) and any(getattr(inner, "id", "") == "len" for inner in ast.walk(node)):
        return "n"
    while isinstance(node, ast.Call):
        if getattr(node.func, "id", "") == "len":
            return "n"
        if not node.args:
            return "x"
        node = node.args[0]
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else "x"
    return name.strip("_").lower() or "x"


def update(language: str) -> Catalog:
    """Write the PO file anew: every sentence, with what was translated already."""
    path = LANG / f"{language}.po"
    known = _read(language) if path.is_file() else Catalog(locale=language)
    catalog = Catalog(locale=language, project="ir", version="1", charset="utf-8", fuzzy=False)
    for sentence, origin in list_sentences().items():
        held = known.get(sentence)
        catalog.add(sentence, held.string if held else "", auto_comments=[origin])
    catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    catalog.last_translator, catalog.language_team = "the maintainers", "the maintainers"
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as stream:
        write_po(stream, catalog, width=0, sort_output=False, include_previous=False, no_location=True)
    return catalog


def compile_catalogue(language: str) -> bytes:
    """Return the MO file of the PO file."""
    stream = BytesIO()
    write_mo(stream, _read(language))
    return stream.getvalue()


def list_missing(language: str) -> list[str]:
    """Return the sentences that have no translation."""
    known = _read(language)
    return [sentence for sentence in list_sentences() if not ((held := known.get(sentence)) and held.string)]


def _read(language: str) -> Catalog:
    with (LANG / f"{language}.po").open("rb") as stream:
        return read_po(stream, locale=language)


def main() -> None:
    """Do what is asked for every language that has a PO file."""
    for language in sorted(path.stem for path in LANG.glob("*.po")):
        if sys.argv[1:] == ["update"]:
            update(language)
        elif sys.argv[1:] == ["compile"]:
            (LANG / f"{language}.mo").write_bytes(compile_catalogue(language))
        missing = list_missing(language)
        print(*missing, f"{language}: {len(missing)} missing", sep="\n")


if __name__ == "__main__":
    main()
