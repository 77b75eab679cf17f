"""Compares a case with the user's lists of indicators: digests and paths of files, sockets, processes, texts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import FileView
from forensics.analyze.ioc import Entry, IocList, refang
from forensics.analyze.rule import Rule
from forensics.model import Confidence, EntryType, EvidenceRef, FileEntry, Finding, Severity
from forensics.text import from_bytes, show

_LOG_BYTES = 8 << 20
_MOST_FINDINGS = 500
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>`|]{3,400}|[\w.+-]{1,64}@[\w.-]{3,190}|[\w.:-]{4,253}")
_ADDRESS = re.compile(r"^(?:\d{1,3}\.){3}\d{1,3}$|^[0-9a-fA-F:]*:[0-9a-fA-F:.]+$")
_TECHNIQUE = {"address": ("T1071",), "domain": ("T1071",), "url": ("T1071", "T1105"), "email": ("T1071",)}
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry of a list that was found; ``where`` says in words in what."""

    list_name: str
    entry: Entry
    where: str
    reference: EvidenceRef
    is_weak: bool = False


@dataclass
class IocIndex:
    """All lists, ready to be asked."""

    lists: tuple[IocList, ...]
    exact: dict[tuple[str, str], list[tuple[str, Entry]]] = field(default_factory=dict)
    networks: list[tuple[_Network, str, Entry]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Sort the entries by what they are compared with."""
        for ioc_list in self.lists:
            for entry in ioc_list.entries:
                if entry.kind == "address" and "/" in entry.value:
                    self.networks.append((ipaddress.ip_network(entry.value), ioc_list.name, entry))
                else:
                    self.exact.setdefault((entry.kind, entry.value), []).append((ioc_list.name, entry))

    def wants(self, *kinds: str) -> bool:
        """Whether any list has entries of these kinds."""
        return any(kind in kinds for kind, _ in self.exact) or ("address" in kinds and bool(self.networks))

    @property
    def other_digests(self) -> frozenset[str]:
        """The MD5 and SHA-1 digests asked for."""
        return frozenset(value for kind, value in self.exact if kind in {"md5", "sha1"})

    def find(self, kind: str, value: str) -> list[tuple[str, Entry]]:
        """Return list names and entries that name *value*."""
        return self.exact.get((kind, value), [])

    def find_address(self, text: str) -> list[tuple[str, Entry]]:
        """Return the entries that name an address or a network around it."""
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return []
        mapped = getattr(address, "ipv4_mapped", None)
        address = mapped or address
        found = list(self.find("address", str(address)))
        return found + [(name, entry) for network, name, entry in self.networks if address in network]

    def find_word(self, word: str) -> list[tuple[str, Entry]]:
        """Return the entries that one word of a text names: an address, a URL, a domain or one above it."""
        word = refang(word).rstrip(".,;:)")
        if "://" in word:
            host = re.sub(r"^[^/]*//(?:[^/@]*@)?", "", word).split("/")[0].partition(":")[0]
            return [*self.find("url", word.rstrip("/")), *self.find_word(host)]
        if "@" in word:
            return [*self.find("email", word.lower()), *self.find_word(word.rpartition("@")[2])]
        bare = word.rpartition(":")[0] if word.count(":") == 1 else word
        if _ADDRESS.match(bare):
            return self.find_address(bare)
        parts = bare.lower().strip(".-").split(".")
        names = (".".join(parts[index:]) for index in range(max(len(parts) - 1, 0)))
        return [pair for name in names for pair in self.find("domain", name)]

    def find_in_text(self, text: str) -> Iterator[tuple[str, Entry]]:
        """Yield the entries that a text names, each once."""
        seen: set[tuple[str, Entry]] = set()
        for match in _WORD.finditer(text):
            for pair in self.find_word(match.group()):
                if pair not in seen:
                    seen.add(pair)
                    yield pair

    def find_file(self, entry: FileEntry, digests: Iterable[str]) -> list[tuple[str, Entry]]:
        """Return the entries that name a file by digest, path or name."""
        path = from_bytes(b"/" + entry.path)
        found = list(self.find("path", path))
        found += self.find("name", path.rpartition("/")[2])
        for digest in digests:
            kind = {32: "md5", 40: "sha1", 64: "sha256"}.get(len(digest), "")
            found += self.find(kind, digest)
        return found


def analyze_iocs(view: CaseView) -> Iterator[Finding]:
    """Report each entry of the user's lists that the case shows, with list and line."""
    if not view.iocs.lists:
        return
    hits: dict[tuple[str, Entry], list[Hit]] = {}
    for hit in (*match_files(view.files, view.iocs), *_match_runtime(view), *_match_texts(view)):
        hits.setdefault((hit.list_name, hit.entry), []).append(hit)
    for (name, entry), found in list(hits.items())[:_MOST_FINDINGS]:
        yield _make(name, entry, found)


def _make(name: str, entry: Entry, found: list[Hit]) -> Finding:
    weak = all(hit.is_weak for hit in found)
    label = f", {show(entry.label, 100)}" if entry.label else ""
    rule = Rule(
        f"ioc.{entry.kind}",
        "An indicator of a list of yours was found",
        Severity.MEDIUM if weak or entry.kind == "name" else Severity.HIGH,
        _TECHNIQUE.get(entry.kind, ("T1105",)),
        f"The list {name} names it in line {entry.line}{label}.",
        "Lists age: addresses change owners, and shared hosting serves many.",
        "Ask the list's maker what the indicator stands for; search other hosts for it.",
        Confidence.MEDIUM if weak or entry.kind in {"name", "path", "domain"} else Confidence.HIGH,
    )
    where = "; ".join(dict.fromkeys(hit.where for hit in found))
    return rule.found(f"{entry.value} ({name}:{entry.line}{label}): {where}", [hit.reference for hit in found])


def match_files(files: FileView, index: IocIndex) -> Iterator[Hit]:
    """Yield what the lists say of files: of the container's tree, recovered ones, and those collected beside it."""
    if not index.wants("sha256", "sha1", "md5", "path", "name"):
        return
    layers = files.layers
    for entry in files.final.entries() if files.final else ():
        if entry.type is EntryType.DIRECTORY and not index.wants("path"):
            continue
        layer = layers[entry.layer].diff_id if 0 <= entry.layer < len(layers) else None
        reference = EvidenceRef(files.item, layer=layer, path=entry.path)
        yield from _match_entry(entry, files.other_digests, index, reference)
    for recovered in files.recovered:
        reference = EvidenceRef(files.item, layer=recovered.layer_diff_id, path=recovered.entry.path)
        yield from _match_entry(recovered.entry, files.other_digests, index, reference, " (deleted, recovered)")
    for artifact in files.artifacts:
        if artifact.item != files.item:
            yield from _match_entry(artifact.entry, files.other_digests, index, artifact.reference)


def _match_entry(
    entry: FileEntry, others: Mapping[str, tuple[str, ...]], index: IocIndex, reference: EvidenceRef, note: str = ""
) -> Iterator[Hit]:
    digests = (entry.sha256, *others.get(entry.sha256, ())) if entry.sha256 and entry.size_bytes else ()
    for name, found in index.find_file(entry, digests):
        yield Hit(name, found, from_bytes(b"/" + entry.path) + note, reference)


def _match_runtime(view: CaseView) -> Iterator[Hit]:
    for socket in view.sockets:
        for address in (socket.remote_addr, socket.local_addr):
            for name, entry in view.iocs.find_address(address):
                yield Hit(name, entry, f"{socket.proto} {socket.peer} {socket.state}", socket.reference)
    for process in view.processes:
        where = f"pid {process.pid}: {process.command}"
        for name, entry in view.iocs.find_in_text("\n".join((*process.argv, *process.environ))):
            yield Hit(name, entry, where, process.reference)
        for path in (process.exe.removesuffix(" (deleted)"), *process.argv):
            for name, entry in view.iocs.find("path", path):
                yield Hit(name, entry, where, process.reference)


def _match_texts(view: CaseView) -> Iterator[Hit]:
    """Yield what texts name: configuration, scripts and programs that are new, and the container's output."""
    if not view.iocs.wants("address", "domain", "url", "email"):
        return
    for artifact in view.files.artifacts:
        pairs = artifact.facts.extra.get("indicators", ()) if artifact.facts else ()
        words = [str(pair[1]) for pair in pairs if isinstance(pair, tuple)]
        text = artifact.text or view.files.texts.get(artifact.entry.sha256 or "", b"")
        for name, entry in view.iocs.find_in_text("\n".join([*words, from_bytes(text[:_LOG_BYTES])])):
            yield Hit(name, entry, from_bytes(b"/" + artifact.path), artifact.reference)
    for kind in ("logs", "events"):
        for item in view.find(kind):
            for name, entry in view.iocs.find_in_text(from_bytes(view.read(item, _LOG_BYTES))):
                yield Hit(name, entry, f"{kind} ({item.id})", EvidenceRef(item.id), is_weak=True)
