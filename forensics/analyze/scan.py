"""YARA over a case, a saved image, a directory or a single file: matches, and what could not be scanned."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.analyze.content import Match
from forensics.analyze.examine import Examiner
from forensics.analyze.ioc import Entry, read_ioc_file
from forensics.analyze.ioc_match import Hit, IocIndex, match_files
from forensics.analyze.load import load_files
from forensics.analyze.scanner import Scanner, find_rule_files, open_scanner
from forensics.archive.compression import detect_compression
from forensics.archive.content import BlockSource, MemberContent
from forensics.archive.image import ImageSource, open_image
from forensics.archive.index import Workspace
from forensics.archive.leftovers import read_leftovers
from forensics.archive.limits import DAMAGE
from forensics.archive.tree import Content, read_layer
from forensics.archive.visitor import Visitor, spool_content
from forensics.errors import ArchiveError
from forensics.model import EntryType, EvidenceRef, FileEntry
from forensics.text import from_bytes

if TYPE_CHECKING:
    from forensics.evidence.case import Case

_MEMORY_BYTES = 8 << 20
_HEAD_BYTES = 512
_TAR_MAGIC = slice(257, 262)
_ARCHIVE_NAMES = (".tar", ".tgz", ".tar.gz", ".tzst", ".tar.zst", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")
PLAIN_FILE = "no image; scanned as one plain file"


@dataclass(frozen=True, slots=True)
class FileMatch:
    """One rule that matched one file. ``layer`` is the diff_id, ``item`` the evidence item in a case."""

    path: bytes
    sha256: str
    match: Match
    layer: str | None = None
    item: str = ""


@dataclass
class Scan:
    """A finished scan: only without ``failures`` does an empty ``matches`` mean that nothing matched.

    ``note`` says how it was read, where that is not what one expects of an image.
    """

    rules: int
    scanned: int = 0
    matches: list[FileMatch] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    note: str = ""
    listed: list[Hit] = field(default_factory=list)


def check_lists(iocs: tuple[Path, ...]) -> IocIndex:
    """Read the user's lists of indicators.

    Raises:
        UsageError: one cannot be read, or holds nothing that can be used.
    """
    return IocIndex(tuple(map(read_ioc_file, iocs)))


def check_rules(rules: tuple[Path, ...]) -> None:
    """Compile the shipped rules and the user's.

    Raises:
        RuleError: one does not compile; the message names file and line.
    """
    with open_scanner(find_rule_files(rules)):
        return


def scan_case(case: Case, rules: tuple[Path, ...], *, own: bool = True, iocs: tuple[Path, ...] = ()) -> Scan:
    """Scan every file of every item of *case*, process memory included."""
    index = check_lists(iocs)
    with open_scanner(find_rule_files(rules, own=own)) as scanner:
        examiner = Examiner(scanner, wanted_digests=index.other_digests)
        files = load_files(case, examiner)
        failures = [*scanner.refused, *files.failures, *files.limited]
        scan = Scan(scanner.rule_count, examiner.scanned_files, failures=failures)
    scan.listed += match_files(files, index)
    if not files.artifacts and files.reason:
        scan.failures.append(files.reason)
    for artifact in files.artifacts.telling():
        for match in artifact.facts.matches if artifact.facts else ():
            digest = artifact.entry.sha256 or ""
            scan.matches.append(FileMatch(artifact.path, digest, match, artifact.layer, artifact.item))
    return scan


def scan_path(path: Path, rules: tuple[Path, ...], *, own: bool = True, iocs: tuple[Path, ...] = ()) -> Scan:
    """Scan a saved image, a directory or a single file.

    Raises:
        RuleError: a rule does not compile.
        UsageError: *path* does not exist.
        ArchiveError: it is a damaged or empty image.
    """
    index = check_lists(iocs)
    with open_scanner(find_rule_files(rules, own=own)) as scanner:
        refused = list(scanner.refused)
        try:
            scan = _scan_image(path, scanner, index)
        except ArchiveError as error:
            if not path.is_file() or not path.stat().st_size:
                raise
            unread = error.message
        else:
            scan.failures += refused
            return scan
        scan = _scan_file(path, scanner, index)
    scan.note = PLAIN_FILE
    scan.failures += refused
    if claim := _find_claim(path):
        scan.failures.append(f"{claim}, but cannot be read as an archive ({unread}): what it holds was not scanned")
    return scan


def _find_claim(path: Path) -> str:
    """Return in what way the file says that it is an archive: by its first bytes, or by its name; else nothing."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if kind := detect_compression(head):
        return f"it begins like {kind}"
    if head[_TAR_MAGIC].startswith(b"ustar"):
        return "it begins like tar"
    return "it is named like an archive" if path.name.lower().endswith(_ARCHIVE_NAMES) else ""


def _scan_image(path: Path, scanner: Scanner, index: IocIndex) -> Scan:
    examiner = Examiner(scanner, wanted_digests=index.other_digests)
    places: list[tuple[bytes, str, int]] = []
    named: list[tuple[str, Entry, FileEntry]] = []

    def visit(entry: FileEntry, content: Content) -> None:
        examiner.examine(entry, content, is_new=False)
        facts = examiner.contents.facts_of(content.sha256)
        if facts and facts.matches:
            places.append((entry.path, content.sha256, entry.layer))
        for name, found in index.find_file(entry, _digests_of(content.sha256, examiner)):
            named.append((name, found, entry))

    def collect(layers: Mapping[int, str]) -> None:
        for name, digest, layer in places:
            facts = examiner.contents.facts_of(digest)
            matches = facts.matches if facts else ()
            scan.matches.extend(FileMatch(name, digest, match, layers.get(layer)) for match in matches)
        places.clear()
        for list_name, found, entry in named:
            where = from_bytes(b"/" + entry.path)
            reference = EvidenceRef("", layer=layers.get(entry.layer), path=entry.path)
            scan.listed.append(Hit(list_name, found, where, reference))
        named.clear()

    scan = Scan(scanner.rule_count)
    with open_image(path) as source:
        for layer, members in _read_each_layer(source, visit):
            collect(layer)
            scan.failures += [] if members else ["the image holds nothing at all, not even a folder"]
        for _ in read_leftovers(source, visit):
            collect({})
        collect({})
        scan.failures += [f"archive: {anomaly.message}" for anomaly in source.anomalies if anomaly.code in DAMAGE]
    scan.scanned = examiner.scanned_files
    scan.failures += [*examiner.failures, *examiner.limited]
    return scan


def _read_each_layer(source: ImageSource, visit: Visitor) -> Iterator[tuple[Mapping[int, str], int]]:
    """Read every layer of every image, those that images share once; yield their diff_ids and members by image."""
    known: dict[tuple[str, str, str], int] = {}
    for image in source.images:
        workspace = Workspace(source.limits.memory_entries)
        layers: dict[int, str] = {}
        members = 0
        for layer in image.layers:
            key = (layer.blob, layer.digest, layer.diff_id)
            if key not in known:
                tree = read_layer(source, layer, visit, workspace)
                known[key] = tree.members
                layers[layer.index] = tree.diff_id
            members += known[key]
        yield layers, members


def _digests_of(sha256: str, examiner: Examiner) -> tuple[str, ...]:
    return (sha256, *examiner.digest_hits.get(sha256, ()))


def _scan_file(path: Path, scanner: Scanner, index: IocIndex) -> Scan:
    examiner = Examiner(scanner, wanted_digests=index.other_digests)
    name = os.fsencode(path.absolute()).lstrip(b"/")
    size = path.stat().st_size
    entry = FileEntry(name, EntryType.FILE, 0o755, 0, 0, size, 0)
    with path.open("rb") as file:
        content = spool_content(MemberContent(BlockSource(file), size), _MEMORY_BYTES)
    try:
        examiner.examine(entry, content, is_new=False)
    finally:
        content.close()
    facts = examiner.contents.facts_of(content.sha256)
    matches = [FileMatch(name, content.sha256, match) for match in facts.matches] if facts else []
    listed = [
        Hit(name_, found, from_bytes(b"/" + name), EvidenceRef("", path=name))
        for name_, found in index.find_file(entry, _digests_of(content.sha256, examiner))
    ]
    failures = [*examiner.failures, *examiner.limited]
    return Scan(scanner.rule_count, examiner.scanned_files, matches, failures, listed=listed)
