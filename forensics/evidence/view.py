"""What can be read from a case: items, ledger, custody log. Writes nothing and trusts nothing it reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from forensics.errors import CaseError, NotACaseError
from forensics.evidence import files
from forensics.evidence.activity import find_open
from forensics.evidence.custody import LOG_NAME, Authority, CustodyEntry, parse_line, read_raw_lines
from forensics.evidence.items import read_items, read_ledger
from forensics.evidence.ledger import settle
from forensics.model import EvidenceItem, JsonObject, LedgerLine, Subject

CASE_SCHEMA = "ir.case/1"
_DOCUMENT_LIMIT = 64 << 20
_READ_LIMIT = 256 << 20
_CHUNK_BYTES = 1 << 20


class CaseView:
    """The readable side of a case."""

    def __init__(self, root: Path, document: JsonObject) -> None:
        """Take the folder and the content of its ``data/case.json``."""
        self.root = root
        self.document = document
        try:
            self.id = str(document["id"])
            self.subject = Subject(**document["subject"])
        except (KeyError, TypeError) as error:
            raise CaseError(
                f"{files.shown(root)}/data/case.json is incomplete", hint="run 'ir verify' on the case"
            ) from error

    def items(self) -> tuple[EvidenceItem, ...]:
        """Return every item in the order of its acquisition."""
        return read_items(self.root / "data")

    def find(self, kind: str) -> tuple[EvidenceItem, ...]:
        """Return the items of one kind; those whose acquisition failed half-way are among them (see ``outcome``)."""
        return tuple(item for item in self.items() if item.kind == kind)

    def path_of(self, item: EvidenceItem) -> Path:
        """Return where the item's bytes are: a file, or a folder for an image."""
        return self.root / item.path

    def read(self, item: EvidenceItem, limit: int = _READ_LIMIT) -> bytes:
        """Return the whole content of an item.

        Raises:
            CaseError: it is larger than *limit* bytes; nothing is cut silently.
        """
        return files.read_file(self.path_of(item), limit)

    def stream(self, item: EvidenceItem) -> Iterator[bytes]:
        """Yield the content of an item in chunks, however large it is."""
        with files.open_file(self.path_of(item)) as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    def read_json(self, item: EvidenceItem) -> JsonObject:
        """Return the JSON object that an item holds.

        Raises:
            CaseError: it holds none.
        """
        return parse_document(self.read(item), item.path)

    def ledger(self) -> tuple[LedgerLine, ...]:
        """Return the completeness ledger as it stands after all runs: of several words on one thing, the last."""
        return settle(self.ledger_history())

    def ledger_history(self) -> tuple[LedgerLine, ...]:
        """Return every line that was ever written into the ledger."""
        return read_ledger(self.root / "data")

    def custody(self) -> tuple[CustodyEntry, ...]:
        """Return the custody log."""
        return tuple(map(parse_line, read_raw_lines(self.root / LOG_NAME)))

    def open_activities(self) -> dict[str, JsonObject]:
        """Return the acts that were not carried through, by name, each with the details of its begin."""
        found = find_open((entry.result, entry.details, entry.ts_utc, entry.error) for entry in self.custody())
        return {name: act.details for name, act in found.items()}

    @property
    def sealed(self) -> bool:
        """Whether the data folder is closed: a seal exists or has been begun."""
        return (self.root / "seals").exists() or (self.root / "manifest-sha256.txt").exists()


def require_folder(root: Path) -> None:
    """Say so when *root* cannot be a case because it is no folder.

    Raises:
        NotACaseError: it does not exist, or it is a file, such as a saved image.
    """
    if root.is_dir():
        return
    if root.exists():
        raise NotACaseError(
            f"{files.shown(root)} is a file, not a case", hint="a saved image is analysed by 'ir examine'"
        )
    raise NotACaseError(
        f"{files.shown(root)} is not a case: no such folder", hint="give the folder that holds custody.jsonl"
    )


def read_document(root: Path) -> JsonObject:
    """Return the content of a case's ``data/case.json``.

    Raises:
        NotACaseError: there is no case at *root*.
        CaseError: it cannot be read.
    """
    require_folder(root)
    path = root / "data" / "case.json"
    if not path.is_file() or not (root / LOG_NAME).is_file() or not (root / LOG_NAME).stat().st_size:
        raise NotACaseError(
            f"{files.shown(root)} is not a case, or its making was interrupted", hint="a case holds data/case.json"
        )
    document = parse_document(files.read_file(path, _DOCUMENT_LIMIT), "data/case.json")
    if document.get("schema") != CASE_SCHEMA:
        raise CaseError(
            f"{files.shown(root)} is a case of an unknown format", hint="use the version of ir that made it, or newer"
        )
    return document


def read_context(document: JsonObject) -> tuple[JsonObject, Authority]:
    """Return engine and authority of a case's document.

    Raises:
        CaseError: they are not what a case holds.
    """
    engine = document.get("engine") or {}
    try:
        authority = Authority(**(document.get("authority") or {}))
    except TypeError as error:
        raise CaseError("data/case.json names an authority of no known form", hint="run 'ir verify'") from error
    if not isinstance(engine, dict):
        raise CaseError("data/case.json holds no engine of a known form", hint="run 'ir verify'")
    return engine, authority


def parse_document(content: bytes, name: str) -> JsonObject:
    """Return the JSON object in *content*; *name* is for the error.

    Raises:
        CaseError: there is none.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"{name} is no JSON document", hint="run 'ir verify' on the case") from error
    if not isinstance(document, dict):
        raise CaseError(f"{name} holds no JSON object", hint="run 'ir verify' on the case")
    return document
