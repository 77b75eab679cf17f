"""Indicators of compromise in evidence: addresses, domains, URLs, wallets, digests. Pure text work, bounded."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator

from forensics.analyze.behaviour import decode_blobs
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import Artifact
from forensics.analyze.ioc import refang
from forensics.analyze.runtime import is_external
from forensics.model import EvidenceRef, Finding, Indicator, Severity
from forensics.text import from_bytes

_URL = re.compile(r"\b(?:https?|ftp|stratum\+\w{2,4}|wss?|ldap|rmi)://[\w.\-\[\]:@%/?&=+~#,;!$*]{4,300}", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
_DEV_TCP = re.compile(r"/dev/(?:tcp|udp)/([\w.-]{3,100})/")
_WALLET = re.compile(
    r"(?<!\w)(?:[48][0-9AB][1-9A-HJ-NP-Za-km-z]{93}|0x[0-9a-fA-F]{40}|bc1[0-9a-z]{25,62}|[13][1-9A-HJ-NP-Za-km-z]{32,33})(?!\w)"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,60}@(?:[\w-]{1,60}\.){1,4}[a-z]{2,12}(?![\w.])")
_ONION = re.compile(r"\b[a-z2-7]{56}\.onion\b")
_HOST = re.compile(r"^[\w+.-]+://(?:[^/@]*@)?(\[[^\]]+\]|[^/:?#]+)")
_MARK = re.compile(rb"://|/dev/tcp/|\.onion")
_TAIL = re.compile(rb"[\x20-\x7e]*\Z")
_HEAD = re.compile(rb"[\x20-\x7e]*")
_DEFANGED = re.compile(r"\[(?:\.|dot|:|at|@)\]|\((?:\.|dot)\)|\bh[xX]{2}ps?:", re.IGNORECASE)
_AROUND = 80
_MOST_MARKS = 500
_MOST_EACH = 60
_MOST_ALL = 2000
_ORDINARY = re.compile(
    r"(?:^|\.)(?:debian\.org|ubuntu\.com|gnu\.org|kernel\.org|python\.org|w3\.org|example\.(?:com|org)|localhost|schemas\.\S+"
    r"|github\.com|gitlab\.com|launchpad\.net|sourceforge\.net|bugs\.\S+|apache\.org|mozilla\.org|freedesktop\.org|ietf\.org|busybox\.net|alpinelinux\.org|openssl\.org|golang\.org|php\.net)$",
    re.IGNORECASE,
)


def find_in_text(text: str, *, decode: bool = True) -> tuple[tuple[str, str], ...]:
    """Return (type, value) pairs in the order of appearance, each once; base64 is decoded one level down."""
    found: dict[tuple[str, str], None] = {}
    text = refang(text) if _DEFANGED.search(text) else text
    for piece in [text, *(decode_blobs(text) if decode else ())]:
        for pair in _find(piece):
            found.setdefault(pair)
            if len(found) >= _MOST_EACH:
                return tuple(found)
    return tuple(found)


def find_in_bytes(data: bytes) -> tuple[tuple[str, str], ...]:
    """Return what addresses the printable strings of a binary hold."""
    telling = []
    for count, match in enumerate(_MARK.finditer(data)):
        if count >= _MOST_MARKS:
            break
        before = _TAIL.search(data, max(0, match.start() - _AROUND), match.start())
        after = _HEAD.match(data, match.start(), match.start() + 300)
        telling.append((before.group() if before else b"") + (after.group() if after else b""))
    return find_in_text(b"\n".join(telling).decode("ascii"), decode=False)


def _find(text: str) -> Iterator[tuple[str, str]]:
    for match in _URL.finditer(text):
        url = match.group().rstrip(".,;)'\"")
        host = _HOST.match(url)
        name = host.group(1).strip("[]") if host else ""
        if _ORDINARY.search(name):
            continue
        yield "url", url
        yield from _host(name)
    for match in _DEV_TCP.finditer(text):
        yield from _host(match.group(1))
    for match in _IPV4.finditer(text):
        if is_external(match.group()):
            yield "ipv4", match.group()
    for pattern, kind in ((_WALLET, "wallet"), (_ONION, "domain"), (_EMAIL, "email")):
        for match in pattern.finditer(text):
            yield kind, match.group()


def _host(name: str) -> Iterator[tuple[str, str]]:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        if "." in name and not name.startswith((".", "$")):
            yield "domain", name.lower()
        return
    if not address.is_loopback and not address.is_unspecified:
        yield f"ipv{address.version}", str(address)


def collect_indicators(view: CaseView, findings: Iterable[Finding]) -> tuple[Indicator, ...]:
    """Return the indicators in findings of medium severity or worse, and in their evidence."""
    found: dict[tuple[str, str], list[EvidenceRef]] = {}
    processes = {process.pid: process for process in view.processes}
    for finding in findings:
        if finding.severity.rank > Severity.MEDIUM.rank or finding.rule.startswith(("posture.", "image.archive")):
            continue
        for pair in find_in_text(finding.matched):
            found.setdefault(pair, []).extend(finding.evidence[:1])
        for reference in finding.evidence[:40]:
            artifact = _look_up(view, reference)
            for pair in _of_artifact(artifact, view) if artifact else ():
                found.setdefault(pair, []).append(reference)
            process = processes.get(reference.pid or -1)
            for pair in find_in_text(process.command) if process else ():
                found.setdefault(pair, []).append(reference)
    pairs = sorted(found)[:_MOST_ALL]
    return tuple(Indicator(kind, value, tuple(dict.fromkeys(found[kind, value]))[:20]) for kind, value in pairs)


def _look_up(view: CaseView, reference: EvidenceRef) -> Artifact | None:
    found = [item for item in view.files.artifacts.find(reference.path or b"") if item.item == reference.item]
    return found[-1] if found else None


def _of_artifact(artifact: Artifact, view: CaseView) -> Iterator[tuple[str, str]]:
    yield "path", from_bytes(b"/" + artifact.path)
    if artifact.entry.sha256 and artifact.entry.size_bytes:
        yield "sha256", artifact.entry.sha256
    for pair in artifact.facts.extra.get("indicators", ()) if artifact.facts else ():
        if isinstance(pair, tuple):
            yield str(pair[0]), str(pair[1])
    text = view.files.texts.get(artifact.entry.sha256 or "")
    yield from find_in_text(from_bytes(text[:200_000])) if text else ()
