"""What is kept in memory and what lies in a file looks the same to those who walk it."""

from __future__ import annotations

from itertools import product

import pytest

from forensics.analyze.artifact import Artifact, Origin, Stage
from forensics.analyze.artifact_table import ArtifactTable
from forensics.analyze.bulk import NamedFailures, keep_or_spool
from forensics.analyze.content import ContentFacts, Kind
from forensics.analyze.contents import ContentTable, Known
from forensics.archive.compare import decode_change, encode_change, make_change
from forensics.model import EntryType, FileEntry

COUNT = 5_000
FIELDS = ("item", "origin", "entry", "facts", "stage", "layer", "before", "pid", "is_packaged", "text", "path", "kind")


def make_entry(number: int, mode: int = 0o644) -> FileEntry:
    digest = f"{number % 50:064x}"
    return FileEntry(b"d/%d\xff" % number, EntryType.FILE, mode, 1, 2, number, -number, number % 3, sha256=digest)


def make_artifact(number: int) -> Artifact:
    entry = make_entry(number)
    origin, stage = list(product(Origin, Stage))[number % (len(Origin) * len(Stage))]
    telling = {"hits": ("x",)} if number % 7 == 0 else {}
    facts = ContentFacts(entry.sha256 or "", 1, Kind.ELF, extra=telling) if number % 5 else None
    before = make_entry(number, 0o600) if number % 2 else None
    return Artifact("E1", origin, entry, facts, stage, "sha256:x", before, number or None, number % 11 == 0, b"text")


@pytest.mark.parametrize("walk", ["__iter__", "candidates", "configured", "telling", "telling_candidates"])
def test_artifacts_out_of_a_file_are_those_that_went_in(walk: str) -> None:
    texts = {f"{number:064x}": b"text" for number in range(50)}
    kept, spooled = (ArtifactTable(lambda path: path.endswith(b"3\xff"), texts, kept=size) for size in (COUNT, 10))
    for table in (kept, spooled):
        table.extend(map(make_artifact, range(COUNT)))
        assert len(table) == COUNT
    expected = [[getattr(artifact, name) for name in FIELDS] for artifact in getattr(kept, walk)()]
    assert [[getattr(artifact, name) for name in FIELDS] for artifact in getattr(spooled, walk)()] == expected
    assert 0 < len(expected) <= COUNT
    for table in (kept, spooled):
        assert [artifact.entry.size_bytes for artifact in table.find(b"d/4321\xff")] == [4321]
        assert not list(table.find(b"absent"))


def test_changes_out_of_a_file_are_those_that_went_in() -> None:
    pairs = [(make_entry(n) if n % 3 else None, make_entry(n, 0o600) if n % 3 < 2 else None) for n in range(COUNT)]
    changes = [change for pair in pairs if (change := make_change(*pair))]
    spooled = keep_or_spool(iter(changes), encode_change, decode_change, kept=10)
    kept = keep_or_spool(iter(changes), encode_change, decode_change, kept=COUNT)
    assert isinstance(kept, tuple)
    names = ("kind", "path", "before", "after", "fields", "layer")
    expected = [[getattr(change, name) for name in names] for change in changes]
    for sequence in (kept, spooled, spooled):
        assert [[getattr(change, name) for name in names] for change in sequence] == expected
    assert [change.path for change in spooled[:3]] == [change.path for change in changes[:3]]
    assert spooled[-1].path == changes[-1].path
    assert len(spooled) == len(changes)


def test_what_is_known_of_a_content_survives_the_move_to_a_file() -> None:
    table = ContentTable(kept=10)
    for number in range(COUNT):
        known = table.add(f"{number:064x}", Known(Kind.TEXT))
        known.is_scanned, known.facts = bool(number % 2), ContentFacts(f"{number:064x}", number)
    for number in range(0, COUNT, 97):
        found = table.find(f"{number:064x}")
        assert found == Known(Kind.TEXT, is_scanned=bool(number % 2), facts=ContentFacts(f"{number:064x}", number))
    assert table.find("f" * 64) is None


def test_failures_beyond_a_thousand_are_counted() -> None:
    failures = NamedFailures([f"file {number}" for number in range(1500)])
    assert [*failures][-1] == "500 more like file 999"
    assert len(failures) == 1500
