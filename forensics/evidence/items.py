"""The lines of data/items.jsonl and data/ledger.jsonl: evidence items and the completeness ledger, as JSON.

An item's line starts with id, path and sha256 in this order, so that ``verify.sh`` can read it with sed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from forensics.errors import CaseError
from forensics.evidence.custody import read_raw_lines
from forensics.model import EvidenceItem, JsonObject, LedgerLine, Outcome

ITEMS_NAME = "items.jsonl"
LEDGER_NAME = "ledger.jsonl"
_KIND = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FOLDER = re.compile(r"E(\d{4,})-([a-z0-9-]+)")
_PATH = re.compile(r"data/E\d{4,}-[a-z0-9-]+(?:/[A-Za-z0-9][A-Za-z0-9._-]*)?")
_NAME_LIMIT = 64


def check_kind(kind: str) -> None:
    """Raise ValueError unless *kind* is a name of ours: lower-case ASCII words joined by hyphens."""
    if not _KIND.fullmatch(kind) or len(kind) > _NAME_LIMIT:
        raise ValueError(f"an evidence kind is lower-case ASCII words joined by hyphens, not {kind!r}")


def check_filename(name: str) -> None:
    """Raise ValueError unless *name* is a name of ours: ASCII letters, digits, dot, hyphen, underscore."""
    if not _FILENAME.fullmatch(name) or len(name) > _NAME_LIMIT:
        raise ValueError(f"a file in a case has an ASCII name of ours, not {name!r}")


def parse_folder(name: str) -> tuple[str, str] | None:
    """Return (item id, kind) of the name of an item's folder, or None."""
    match = _FOLDER.fullmatch(name)
    return (f"E{match[1]}", match[2]) if match else None


def item_line(item: EvidenceItem) -> bytes:
    """Return the raw line of an item, without its newline."""
    document = {
        "id": item.id,
        "path": item.path,
        "sha256": item.sha256,
        "size_bytes": item.size_bytes,
        "kind": item.kind,
        "sha512": item.sha512,
        "source": item.source,
        "method": item.method,
        "started_at": item.started_at,
        "ended_at": item.ended_at,
        "outcome": item.outcome.value,
        "reason": item.reason,
        "attributes": item.attributes,
    }
    return _dump(document)


def parse_item(raw: bytes) -> EvidenceItem:
    """Return the item of one raw line.

    Raises:
        CaseError: it is no item, or its path leads out of the data folder.
    """
    document = _load(raw, "items.jsonl")
    try:
        item = EvidenceItem(**{**document, "outcome": Outcome(document["outcome"])})
    except (TypeError, KeyError, ValueError) as error:
        raise CaseError("a line of data/items.jsonl is no evidence item", hint="run 'ir verify'") from error
    if not isinstance(item.path, str) or not _PATH.fullmatch(item.path):
        raise CaseError("an item's path leads out of the case's data folder", hint="run 'ir verify'")
    return item


def ledger_raw(line: LedgerLine) -> bytes:
    """Return the raw line of a ledger line, without its newline."""
    return _dump(
        {
            "artefact": line.artefact,
            "outcome": line.outcome.value,
            "reason": line.reason,
            "size_bytes": line.size_bytes,
            "seconds": line.seconds,
            "disturbed": line.disturbed,
            "items": list(line.items),
            "activity": line.activity,
        }
    )


def parse_ledger(raw: bytes) -> LedgerLine:
    """Return the ledger line of one raw line.

    Raises:
        CaseError: it is none.
    """
    document = _load(raw, "ledger.jsonl")
    try:
        return LedgerLine(
            **{**document, "outcome": Outcome(document["outcome"]), "items": tuple(document.get("items", ()))}
        )
    except (TypeError, KeyError, ValueError) as error:
        raise CaseError("a line of data/ledger.jsonl is no ledger line", hint="run 'ir verify'") from error


def read_items(data: Path) -> tuple[EvidenceItem, ...]:
    """Return the items of a case's data folder, in the order of their acquisition."""
    path = data / ITEMS_NAME
    return tuple(map(parse_item, read_raw_lines(path))) if path.is_file() else ()


def read_ledger(data: Path) -> tuple[LedgerLine, ...]:
    """Return the completeness ledger of a case's data folder."""
    path = data / LEDGER_NAME
    return tuple(map(parse_ledger, read_raw_lines(path))) if path.is_file() else ()


def _dump(document: JsonObject) -> bytes:
    return json.dumps(document, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _load(raw: bytes, name: str) -> JsonObject:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise CaseError(f"a line of data/{name} is no JSON", hint="run 'ir verify' on the case") from error
    if not isinstance(document, dict):
        raise CaseError(f"a line of data/{name} is no object", hint="run 'ir verify' on the case")
    return document
