"""What would be started again or loaded without being asked: cron, services, shell start-up, loader, PAM, hooks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.analyze.behaviour import find_behaviours
from forensics.analyze.configuration import Area, Configured, read_configured
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.file_types import list_paths
from forensics.analyze.places import in_hidden_place, in_temp
from forensics.analyze.rule import Rule
from forensics.analyze.start_up import ATTACK, area_rule, judge_start_up
from forensics.model import Confidence, EntryType, EvidenceRef, Finding, Severity
from forensics.text import to_bytes

_JUDGED = tuple(ATTACK)
_NEW_RUNTIME = {Area.CRON: Severity.MEDIUM, Area.SYSTEMD: Severity.MEDIUM, Area.INIT: Severity.MEDIUM}
_NEXT = "Read the file; follow what it starts. Search other containers of the same image for it."
_NOT_TELLING = frozenset({"engine-api", "install-persistence"})

PRELOAD = Rule(
    "persistence.ld-so-preload",
    "A library is loaded into every program through ld.so.preload",
    Severity.CRITICAL,
    ("T1574.006", "T1014"),
    "No distribution ships this file; user-space rootkits use it to hide files, processes and connections.",
    "Some hardened allocators and tracing agents are installed this way, from system folders.",
    "Extract the library and examine it; do not trust any listing made inside the container.",
)
PAM = Rule(
    "persistence.pam",
    "The log-in stack was changed so that programs run or everybody is let in",
    Severity.HIGH,
    ("T1556.003",),
    "A PAM rule that runs a program or always permits gives a lasting back door and sees every password.",
    "Site-specific log-in policies.",
    _NEXT,
)
_PAM_BAD = re.compile(
    r"pam_exec\.so|^\s*auth\s+sufficient\s+(?:\S*/)?pam_permit\.so|pam_\w+\.so\S*\s.*(?:/tmp/|/dev/shm/)"
    r"|^\s*\w+\s+\S+\s+/(?:tmp|dev/shm|var/tmp|opt|root|home)/\S+\.so",
    re.MULTILINE,
)
_PAM_PERMITS = re.compile(r"^\s*auth\s+required\s+(?:\S*/)?pam_permit\.so", re.MULTILINE)
_PAM_ASKS = re.compile(r"^\s*auth\s.*pam_(?!permit|env|nologin)\w+\.so", re.MULTILINE)
_HOOK_BAD = re.compile(
    r"auto_(?:prepend|append)_file\s*=?\s*[\"']?(?:/(?:tmp|var/tmp|dev/shm)|data:|https?:|php:|/\S*/\.|\S+\.(?:jpg|png|gif|ico|txt|log)\b)"
    r"|^extension\s*=\s*/(?:tmp|dev/shm|var/tmp)|(?:AddType|SetHandler|AddHandler)\s+\S*php\S*\s+\S*\.?(?:jpe?g|png|gif|ico|txt|css)",
    re.IGNORECASE | re.MULTILINE,
)
_PREPEND = re.compile(
    r"^[ \t]*(?:php_value[ \t]+)?auto_(?:prepend|append)_file[ \t]*[= ][ \t]*[\"']?(?!none\b)[^\s\"';=]+",
    re.IGNORECASE | re.MULTILINE,
)
_PTH_CODE = re.compile(r"^import[ \t]", re.MULTILINE)
_PTH_BAD = re.compile(r"\b(?:exec|eval|subprocess|os\.system|socket|urllib|b64decode|popen|ctypes)\b")
_SSHD_BAD = re.compile(
    r"^\s*(?:PermitRootLogin\s+yes|PermitEmptyPasswords\s+yes|AuthorizedKeysCommand\s+/(?!bin/false)\S+|ForceCommand"
    r"|AuthorizedKeysFile\s+.*/(?:etc|tmp|var|usr)/|PermitUserEnvironment\s+yes)",
    re.IGNORECASE | re.MULTILINE,
)
_LIBRARY_FOLDERS = tuple(
    folder + part
    for folder in (b"lib/", b"usr/lib/", b"lib64/", b"usr/lib64/")
    for part in (b"", b"x86_64-linux-gnu/", b"aarch64-linux-gnu/", b"arm-linux-gnueabihf/")
)
_TRAP_LINE = re.compile(
    r"^\s*(?:alias\s+(sudo|su|ssh|passwd|ls|ps|netstat|ss|top)=(?!['\"]?\1\b)"
    r"|PROMPT_COMMAND=(?!['\"]?history -[anrw]['\"]?\s*$)|export\s+(?:LD_PRELOAD|BASH_ENV)=|trap\s+['\"])",
    re.MULTILINE,
)


def analyze_persistence(view: CaseView) -> Iterator[Finding]:
    """Judge start-up configuration by what it does; by newness alone only in a running container."""
    newcomers: dict[Area, list[Configured]] = {}
    for configured in read_configured(view.files, *_JUDGED):
        if configured.artifact.entry.type is not EntryType.FILE:
            continue
        bad = list(_judge(configured, view))
        yield from bad
        if (
            not bad
            and configured.artifact.is_runtime
            and configured.area in _NEW_RUNTIME
            and _says_something(configured)
        ):
            newcomers.setdefault(configured.area, []).append(configured)
    for area, group in newcomers.items():
        rule = area_rule(area, f"New start-up configuration: {area}", _NEW_RUNTIME[area])
        lines = "; ".join(line.strip() for configured in group for line in configured.added if _is_effective(line))
        matched = f"{list_paths(configured.artifact for configured in group)}: {lines[:300]}"
        yield rule.found(matched, [configured.artifact.reference for configured in group], confidence=Confidence.MEDIUM)


def _says_something(configured: Configured) -> bool:
    return any(_is_effective(line) for line in configured.added)


def _is_effective(line: str) -> bool:
    """Whether a line is neither blank nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith(("#", ";"))


def _judge(configured: Configured, view: CaseView) -> Iterator[Finding]:
    area, text = configured.area, configured.added_text
    hits = [hit for hit in find_behaviours(text) if hit.behaviour.id not in _NOT_TELLING]
    if area in {Area.PYTHON}:
        hits = [hit for hit in hits if hit.behaviour.id != "runs-from-temp"]
    if hits:
        worst = min(hits, key=lambda hit: hit.behaviour.severity.rank)
        title = (
            f"{area[0].upper()}{area[1:]} configuration: {worst.behaviour.title[0].lower()}{worst.behaviour.title[1:]}"
        )
        matched = "; ".join(f"{hit.excerpt}{' [decoded]' if hit.decoded else ''}" for hit in hits[:4])
        yield area_rule(area, title, worst.behaviour.severity).found(matched, [configured.artifact.reference])
        return
    found = list(_judge_by_area(configured, text))
    yield from found or judge_start_up(configured, view)


def _judge_by_area(configured: Configured, text: str) -> Iterator[Finding]:
    area = configured.area
    name = configured.artifact.path.rsplit(b"/", 1)[-1]
    patterns: dict[Area, tuple[re.Pattern[str], str, Severity]] = {
        Area.PHP: (_HOOK_BAD, "PHP is told to run a file that is no program", Severity.HIGH),
        Area.SSHD: (_SSHD_BAD, "The SSH server was opened", Severity.MEDIUM),
        Area.SHELL: (_TRAP_LINE, "Shell start-up redefines commands or hooks every prompt", Severity.MEDIUM),
    }
    match = _PAM_BAD.search(text) or (None if _PAM_ASKS.search(configured.text) else _PAM_PERMITS.search(text))
    if area is Area.PAM and match:
        yield PAM.found(match.group().strip(), [configured.artifact.reference])
    elif area is Area.PYTHON and name.endswith(b".pth") and _PTH_CODE.search(text) and _PTH_BAD.search(text):
        yield area_rule(area, "A Python path file runs code at every start", Severity.HIGH).found(
            text[:300], [configured.artifact.reference]
        )
    elif area is Area.PYTHON and name.endswith(b"customize.py"):
        severity = Severity.HIGH if _PTH_BAD.search(text) else Severity.LOW
        yield area_rule(area, "A Python start-up module runs in every interpreter", severity).found(
            text[:300], [configured.artifact.reference]
        )
    elif area in patterns and (match := patterns[area][0].search(text)):
        _, title, severity = patterns[area]
        yield area_rule(area, title, severity).found(match.group().strip(), [configured.artifact.reference])
    elif area is Area.PHP and (match := _PREPEND.search(text)):
        yield area_rule(area, "PHP runs a file before every request", Severity.MEDIUM).found(
            match.group().strip(), [configured.artifact.reference]
        )


def analyze_preload(view: CaseView) -> Iterator[Finding]:
    """Judge ld.so.preload, and loader folders where everybody may write."""
    for configured in read_configured(view.files, Area.PRELOAD, Area.LOADER):
        lines = [line.split("#")[0].strip() for line in configured.added]
        paths = [part for line in lines for part in re.split(r"[\s:]+", line) if part.startswith("/")]
        if not paths:
            continue
        odd = any(in_temp(to_bytes(path)) or in_hidden_place(to_bytes(path)) for path in paths)
        references = [configured.artifact.reference]
        references += [view.files.reference(to_bytes(path.lstrip("/"))) for path in paths]
        if configured.area is Area.PRELOAD:
            yield PRELOAD.found(" ".join(paths), references)
        elif odd:
            yield area_rule(Area.LOADER, "The loader looks for libraries in a strange place", Severity.HIGH).found(
                " ".join(paths), references
            )
        elif configured.artifact.is_runtime:
            yield from _judge_loader_folder(paths, references, view)


def _judge_loader_folder(paths: list[str], references: list[EvidenceRef], view: CaseView) -> Iterator[Finding]:
    """Weigh a folder that the loader was told of while the container ran: what lies there may stand before its own."""
    folders = tuple(to_bytes(path.strip("/") + "/") for path in paths)
    libraries = [a for a in view.files.candidates if a.is_runtime and a.path.startswith(folders) and b".so" in a.path]
    covering = [artifact for artifact in libraries if _covers_library(artifact.path, view)]
    shown = covering or libraries
    references = [*references, *(artifact.reference for artifact in shown)]
    matched = f"{' '.join(paths)}: {list_paths(shown)}"
    if covering:
        title = "The loader was told of a folder whose libraries stand before the system's own"
        yield area_rule(Area.LOADER, title, Severity.HIGH).found(matched, references)
    elif libraries:
        title = "The loader was told of a folder with new libraries"
        yield area_rule(Area.LOADER, title, Severity.MEDIUM).found(matched, references)


def _covers_library(path: bytes, view: CaseView) -> bool:
    """Whether the image has a library of the same name in a folder that the loader knows by itself."""
    name = path.rsplit(b"/", 1)[-1]
    if view.files.base is None or b".so" not in name:
        return False
    return any(view.files.base.get(folder + name) is not None for folder in _LIBRARY_FOLDERS)
