"""How the image was made: commands in its history, archive defects, programs that the start command names."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.analyze.behaviour import find_behaviours
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.image_steps import FETCHED, find_steps
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import object_of, texts_of
from forensics.archive.limits import DAMAGE
from forensics.model import Confidence, EvidenceRef, Finding, Severity

ANOMALY = Rule(
    "image.archive-anomaly",
    "The image's archive is not what it claims to be",
    Severity.MEDIUM,
    ("T1027", "T1195.002"),
    "Honest tools do not write such archives; different readers see different files in them.",
    "A truncated download; a faulty third-party builder.",
    "Fetch the image again from its registry and compare digests.",
    Confidence.MEDIUM,
)
ENTRY = Rule(
    "image.start-command-changed",
    "The container was started with another command than its image asks for",
    Severity.INFO,
    ("T1610",),
    "A container of a trusted image can be made to run anything by its command.",
    "Very common: arguments after the image's name.",
    "Check the command against the deployment.",
)
_SERIOUS = (
    "mismatch",
    "hidden",
    "bad-checksum",
    "data-after-end",
    "duplicate",
    "traversal",
    "digest",
    "outside",
    "absolute",
)
_DAMAGED = "The image's archive is damaged or incomplete"
_HARMLESS = ("no-end-marker", "global-header", "unreferenced-part")
_HISTORY_SEVERITY = {
    "download-and-run": Severity.MEDIUM,
    "cloud-credentials": Severity.MEDIUM,
    "exfiltration": Severity.MEDIUM,
    "credential-theft": Severity.MEDIUM,
    "account-manipulation": Severity.MEDIUM,
}
_NOT_IN_HISTORY = frozenset({"runs-from-temp", "anti-forensics", "install-persistence", "tunnel"})


def analyze_provenance(view: CaseView) -> Iterator[Finding]:
    """Judge the history line by line, and the start command."""
    for number, line in enumerate(view.image_history):
        hits = find_behaviours(line, script=False)
        for rule, matched in find_steps(line):
            if rule.id != FETCHED.id or not any(hit.behaviour.id == "download-and-run" for hit in hits):
                reference = EvidenceRef(view.files.item or view.reference("image-history").item)
                yield rule.found(f"step {number}: {matched}", [reference])
        for hit in hits:
            if hit.behaviour.id not in _NOT_IN_HISTORY:
                yield _history_rule(
                    hit.behaviour.id, hit.behaviour.title, hit.behaviour.severity, hit.behaviour.attack
                ).found(
                    f"step {number}: {hit.excerpt}{' [decoded]' if hit.decoded else ''}",
                    [EvidenceRef(view.files.item or view.reference("image-history").item)],
                )
    yield from _judge_start(view)


def _history_rule(name: str, title: str, severity: Severity, attack: tuple[str, ...]) -> Rule:
    return Rule(
        f"image.history.{name}",
        f"A build step: {title[0].lower()}{title[1:]}",
        _HISTORY_SEVERITY.get(name, severity),
        (*attack, "T1525"),
        "The command stands in the image's own history; its result is in the image.",
        "Vendors' installation scripts are often piped from their site into a shell.",
        "Ask who built the image; rebuild it from reviewed steps.",
    )


def _judge_start(view: CaseView) -> Iterator[Finding]:
    config = object_of(view.inspect.get("Config"))
    image = object_of(view.image_inspect.get("Config")) or object_of(view.files.image_config.get("config"))
    command = [*texts_of(config.get("Entrypoint")), *texts_of(config.get("Cmd"))]
    original = [*texts_of(image.get("Entrypoint")), *texts_of(image.get("Cmd"))]
    text = " ".join(command or original)
    reference = view.reference("inspect") if command else EvidenceRef(view.files.item)
    hits = [hit for hit in find_behaviours(text, script=False) if hit.behaviour.id != "runs-from-temp"]
    if hits:
        worst = min(hits, key=lambda hit: hit.behaviour.severity.rank)
        yield Rule(
            f"image.start-command.{worst.behaviour.id}",
            f"The start command: {worst.behaviour.title[0].lower()}{worst.behaviour.title[1:]}",
            worst.behaviour.severity,
            (*dict.fromkeys(technique for hit in hits for technique in hit.behaviour.attack), "T1610"),
            "The container itself was created to do this.",
            "An administrator's one-off container.",
            "Find out who created the container (engine events, orchestrator's audit log).",
        ).found("; ".join(hit.excerpt for hit in hits), [reference])
    if command and original and command != original and view.image_inspect:
        yield ENTRY.found(f"{text[:200]} instead of {' '.join(original)[:200]}", [reference])


def analyze_archive(view: CaseView) -> Iterator[Finding]:
    """Report what the reader of archives found wrong, one finding for each kind of defect."""
    by_code: dict[str, list[tuple[str, bytes]]] = {}
    for code, message, path in view.files.anomalies:
        by_code.setdefault(code, []).append((message, path))
    for code, places in sorted(by_code.items()):
        serious = code in DAMAGE or any(mark in code for mark in _SERIOUS)
        damaged = code in DAMAGE and "mismatch" not in code
        severity = Severity.HIGH if "mismatch" in code else Severity.MEDIUM if serious else Severity.LOW
        yield ANOMALY.found(
            f"{code}: {places[0][0]}{f' ({len(places)} times)' if len(places) > 1 else ''}",
            [EvidenceRef(view.files.item, path=path or None) for _, path in places],
            severity=Severity.INFO if code in _HARMLESS else severity,
            title=_DAMAGED if damaged else "",
        )
