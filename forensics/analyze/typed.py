"""What people and programs wrote down: shell histories, logs, scripts that were brought in, engine events."""

# ruff: noqa: E501 - a pattern stands on one line
from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.analyze.behaviour import Hit, find_behaviours
from forensics.analyze.configuration import Area, area_of, read_configured
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import Artifact
from forensics.analyze.inline_code import Deed
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import object_of, objects_of, text_of
from forensics.model import Confidence, EvidenceRef, Finding, Severity
from forensics.text import from_bytes, show_path

_LOG_BYTES = 8 << 20
_JUDGED_ELSEWHERE = frozenset(Area) - {Area.SECRET, Area.HOSTS, Area.REPOSITORY}
_LOG_PIECE = 200_000
_NOT_IN_SCRIPTS = frozenset(
    {"runs-from-temp", "anti-forensics", "network-scan", "defense-evasion", "install-persistence"}
)
_MILD_ALONE = frozenset({"download-and-run", "exfiltration", "engine-api", "account-manipulation"})
_LOG_ATTACKS = (
    ("log.web-command-injection", "A request in the log carries a command", Severity.MEDIUM, ("T1190",),
     re.compile(r"(?:\"(?:GET|POST|PUT)\s|[?&]\w{1,20}=)[^\n\"]{0,300}(?:%3B|;|%7C|\||%60|`|\$\(|%24%28)\s*(?:\+|%20)*(?:id|whoami|uname|cat(?:\+|%20)|wget|curl|nc(?:\+|%20)|bash|sh(?:\+|%20)|python)", re.IGNORECASE)),
    ("log.web-shell-use", "A request in the log drives a web shell", Severity.MEDIUM, ("T1505.003",),
     re.compile(r"\.(?:php\d?|jsp|phtml|aspx?|cgi)\?[^\s\"]{0,100}(?:cmd|exec|command|c|shell|q|x)=(?:id|whoami|uname|ls|cat|wget|curl|nc|bash|sh|pwd|ps)\b", re.IGNORECASE)),
    ("log.jndi-injection", "A log line carries a JNDI look-up", Severity.MEDIUM, ("T1190",),
     re.compile(r"\$\{(?:[^}\n]{0,40}\$\{)?[^}\n]{0,40}j[^\n]{0,40}n[^\n]{0,20}d[^\n]{0,20}i[^\n]{0,20}:(?:ldap|rmi|dns)", re.IGNORECASE)),
    ("log.path-traversal", "A request in the log climbs out of the web root", Severity.LOW, ("T1190",),
     re.compile(r"(?:GET|POST)\s[^\s\"]{0,200}(?:\.\./|%2e%2e%2f|%252e|\.%2e/){2,}[^\s\"]{0,100}(?:etc/passwd|bin/sh|proc/self)", re.IGNORECASE)),
    ("log.miner-output", "The log shows a miner at work", Severity.HIGH, ("T1496.001",),
     re.compile(r"stratum\+\w+://|\bspeed 10s/60s/15m\b|accepted\s*\(\d+/\d+\)\s*diff|\bnew job from \S+:\d+ diff\b|\bhashrate\b[^\n]{0,60}\b[KMG]?H/s", re.IGNORECASE)),
    ("log.encryption", "The log shows files being encrypted", Severity.MEDIUM, ("T1486",),
     re.compile(r"\b(?:your files (?:have been|are) encrypted|encrypted \d+ files)\b", re.IGNORECASE)),
)  # fmt: skip


def _rule(prefix: str, where: str, hit: Hit, severity: Severity | None = None) -> Rule:
    title = hit.behaviour.title
    return Rule(
        f"{prefix}.{hit.behaviour.id}",
        f"{where}: {title[0].lower()}{title[1:]}",
        severity or hit.behaviour.severity,
        hit.behaviour.attack,
        "The text says what was done, or is meant to be done, in the container.",
        "Administrators and installers use similar commands; read the whole text.",
        "Read the file; follow the addresses and files that it names.",
        Confidence.MEDIUM,
    )


def analyze_histories_text(view: CaseView) -> Iterator[Finding]:
    """Judge what was typed: the new lines of command histories."""
    for configured in read_configured(view.files, Area.HISTORY):
        for hit in find_behaviours(configured.added_text, script=False):
            path = show_path(configured.artifact.path)
            yield _rule("history", "Typed in a shell", hit).found(
                f"{path}: {hit.excerpt}", [configured.artifact.reference]
            )


def analyze_scripts(view: CaseView) -> Iterator[Finding]:
    """Judge scripts that came after the baseline; one finding for each behaviour, with all scripts that show it."""
    found: dict[str, list[tuple[Artifact, Hit]]] = {}
    for artifact in view.files.artifacts.telling_candidates():
        if area_of(artifact.path) in _JUDGED_ELSEWHERE:
            continue
        hits = [hit for hit in _hits(artifact) if hit.behaviour.id not in _NOT_IN_SCRIPTS]
        alone = len(hits) == 1 and not artifact.is_runtime
        for hit in hits:
            key = f"{hit.behaviour.id}{'.mild' if alone and hit.behaviour.id in _MILD_ALONE else ''}"
            found.setdefault(key, []).append((artifact, hit))
    for key, places in found.items():
        hit = places[0][1]
        matched = f"{', '.join(show_path(artifact.path) for artifact, _ in places[:6])}: {hit.excerpt}"
        rule = _rule("script", "A script", hit, Severity.LOW if key.endswith(".mild") else None)
        yield rule.found(
            f"{matched}{' [decoded]' if hit.decoded else ''}", [artifact.reference for artifact, _ in places]
        )


def analyze_code(view: CaseView) -> Iterator[Finding]:
    """Judge code in files by what it does: connects out or waits, and hands over a shell or runs what it receives."""
    found: dict[tuple[str, bool], list[tuple[Artifact, Deed]]] = {}
    for artifact in view.files.artifacts.telling_candidates():
        deeds = artifact.facts.extra.get("deed", ()) if artifact.facts else ()
        for deed in deeds:
            if isinstance(deed, Deed) and (artifact.is_runtime or deed.id != "remote-code"):
                found.setdefault((deed.id, artifact.is_runtime), []).append((artifact, deed))
    for (name, runtime), places in sorted(found.items()):
        deed = places[0][1]
        grave = Severity.HIGH if name == "remote-code" else deed.severity
        yield Rule(
            f"script.code.{name}", f"A script {deed.title}", grave if runtime else Severity.MEDIUM, deed.attack,
            "The code opens a connection and gives the other side a shell, or runs what it sends.",
            "Remote administration and test tools written in a script language.",
            "Read the file; follow the addresses that it names.", Confidence.MEDIUM,
        ).found(
            ", ".join(show_path(artifact.path) for artifact, _ in places[:6]),
            [artifact.reference for artifact, _ in places],
        )  # fmt: skip


def _hits(artifact: Artifact) -> tuple[Hit, ...]:
    hits = artifact.facts.extra.get("hits", ()) if artifact.facts else ()
    return tuple(hit for hit in hits if isinstance(hit, Hit))


def analyze_logs(view: CaseView) -> Iterator[Finding]:
    """Judge the container's own output for attacks and for malware that reports its work."""
    for item in view.find("logs"):
        text = from_bytes(view.read(item, _LOG_BYTES))
        for rule, title, severity, attack, pattern in _LOG_ATTACKS:
            matches = [match for piece in _pieces(text) if (match := pattern.search(piece))]
            if matches:
                yield Rule(
                    rule, title, severity, attack,
                    "The log tells when and from where it began.",
                    "Scanners send such requests to every public service; one alone does not show that it worked.",
                    "Look at the source address and at what happened next.",
                    Confidence.MEDIUM,
                ).found(matches[0].group()[:300], [EvidenceRef(item.id, offset=text.find(matches[0].group()))])  # fmt: skip
        for hit in find_behaviours(text[:_LOG_PIECE], script=False):
            if hit.behaviour.id in {"reverse-shell", "mining", "download-and-run", "decode-and-run"}:
                yield _rule("log", "The container's output", hit, Severity.MEDIUM).found(
                    hit.excerpt, [EvidenceRef(item.id)]
                )


def _pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), _LOG_PIECE):
        yield text[start : start + _LOG_PIECE]


def analyze_events(view: CaseView) -> Iterator[Finding]:
    """Judge commands that the engine was asked to run inside the container."""
    for item, document in view.documents("events"):
        commands = [
            text_of(event.get("Action") or event.get("status"))
            for event in objects_of(object_of(document).get("events"))
        ]
        commands = [command for command in commands if command.startswith(("exec_create:", "exec_start:"))]
        reported: set[str] = set()
        for command in commands:
            for hit in find_behaviours(command.partition(": ")[2], script=False):
                if hit.behaviour.id not in reported:
                    reported.add(hit.behaviour.id)
                    rule = _rule("engine.exec", "Executed through the engine", hit)
                    yield rule.found(hit.excerpt, [EvidenceRef(item.id)])
        if commands:
            shown = "; ".join(
                dict.fromkeys(command.partition(": ")[2] for command in commands if command.startswith("exec_c"))
            )
            yield Rule(
                "engine.exec-used", "Commands were run in the container through the engine", Severity.LOW,
                ("T1609",), "Who may use the engine can enter any container.",
                "Health checks and administrators do it every day.", "Ask who did it; compare with the engine's log.",
                Confidence.MEDIUM,
            ).found(shown[:500], [EvidenceRef(item.id)])  # fmt: skip
