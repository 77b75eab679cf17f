r"""Start-up configuration judged by what it starts, loads or trusts, where no command in it gives it away.

Newness counts only where the file came after the image was finished; a package's own files are left out before.
"""

# ruff: noqa: E501 - a pattern stands on one line
from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.analyze.configuration import Area, Configured
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import FileView
from forensics.analyze.loaded_code import find_assigned
from forensics.analyze.places import in_hidden_place, in_temp
from forensics.analyze.rule import Rule
from forensics.analyze.started import SHELL_SERVER, find_started
from forensics.model import Confidence, EntryType, EvidenceRef, Finding, Severity
from forensics.text import to_bytes

ATTACK = {
    Area.CRON: ("T1053.003",),
    Area.SYSTEMD: ("T1543.002", "T1053.006"),
    Area.INIT: ("T1037.004", "T1543"),
    Area.SHELL: ("T1546.004",),
    Area.PAM: ("T1556.003",),
    Area.NSS: ("T1556",),
    Area.HOOK: ("T1546.016", "T1546"),
    Area.INETD: ("T1543",),
    Area.PYTHON: ("T1546.018",),
    Area.PHP: ("T1505.003", "T1546"),
    Area.LOADER: ("T1574.006",),
    Area.SSHD: ("T1098.004", "T1556"),
    Area.HOSTS: ("T1565.001", "T1685"),
    Area.REPOSITORY: ("T1195.001",),
    Area.TRUST: ("T1553.004",),
    Area.CLUSTER: ("T1543.005", "T1610"),
}
_NEXT = "Read the file; follow what it starts. Search other containers of the same image for it."
_STARTED = (Area.HOOK, Area.INETD, Area.SHELL, Area.SSHD)
_UDEV = re.compile(rb"(?:.*/)?udev/rules\.d/")
_KNOWN_NSS = frozenset(
    {"files", "compat", "db", "dns", "nis", "nisplus", "hesiod", "systemd", "resolve", "myhostname", "mymachines", "sss",
     "winbind", "wins", "ldap", "mdns", "mdns4", "mdns4_minimal", "mdns6", "mdns6_minimal", "mdns_minimal", "extrausers",
     "cache_oslogin", "oslogin", "ato", "altfiles", "libvirt", "libvirt_guest", "gw_name"}
)  # fmt: skip
_NSS_WORD = re.compile(r"(?<!\[)\b([a-z][a-z0-9_]+)\b(?![^\[]*\])")
_PAM_MODULE = re.compile(r"(?m)^\s*(?:-?\w+)\s+(?:\[[^\]]*\]|\w+)\s+(\S+\.so)\b")
_BAD_REPOSITORY = re.compile(
    r"(?m)^\s*((?:index-url|extra-index-url|find-links|trusted-host|registry|proxy)\s*=\s*[^\n]+|deb\s+(?:\[[^\]\n]*trusted=yes[^\]\n]*\]|http://(?:\d{1,3}\.){3}\d)[^\n]*|http://(?:\d{1,3}\.){3}\d[^\n]*|[^\n]*gpgcheck\s*=\s*0[^\n]*)",
    re.IGNORECASE,
)
_HOST_LINE = re.compile(r"(?m)^\s*([0-9a-fA-F.:]{2,45})\s+([^\n#]+)")
_OWN_NAMES = re.compile(r"^(?:localhost\S*|ip6-\S+|broadcasthost|[\w-]+)$")
_SINK = re.compile(r"^(?:0\.0\.0\.0|127\.|::1?$)")
_CGI = re.compile(
    r"(?im)^\s*(?:AddHandler\s+(?:cgi-script|\S*php\S*|server-parsed)\s+\.?(?:jpe?g|png|gif|ico|txt|css|js|html?|svg)\b|SetHandler\s+(?:cgi-script|\S*php)|Options\s+[^\n]*\+?ExecCGI)[^\n]*"
)


def area_rule(area: Area, title: str, severity: Severity, attack: tuple[str, ...] = ()) -> Rule:
    """Return the rule of an area of configuration."""
    return Rule(
        f"persistence.{area.name.lower()}",
        title,
        severity,
        attack or ATTACK[area],
        f"What stands in {area} configuration is started, loaded or trusted again without anybody asking for it.",
        "The image's own maintenance jobs; a package's post-installation script; an administrator's change.",
        _NEXT,
    )


def judge_start_up(configured: Configured, view: CaseView) -> Iterator[Finding]:
    """Judge what a configuration loads and starts; nothing for what was built into the image, unless it is strange."""
    found = list(_judge_loading(configured, view.files)) or list(_judge_area(configured, view.files))
    if not found and configured.artifact.is_runtime and configured.area in _STARTED:
        found = list(_judge_started(configured, view.files))
    yield from found


def _judge_loading(configured: Configured, files: FileView) -> Iterator[Finding]:
    """Report variables that load code: grave when strange, or when what they name came while the container ran."""
    if configured.area not in {Area.SHELL, Area.SYSTEMD, Area.INIT, Area.PAM, Area.CRON, Area.SSHD}:
        return
    runtime = configured.artifact.is_runtime
    loads = [load for load in find_assigned(configured.added_text) if load.is_strange or (runtime and load.is_strong)]
    if not loads:
        return
    fresh = any(load.is_strange or any(files.is_newcomer(to_bytes(path)) for path in load.paths) for load in loads)
    preload = any(load.name in {"LD_PRELOAD", "LD_AUDIT"} for load in loads)
    severity = Severity.HIGH if fresh or preload else Severity.MEDIUM
    attack = ("T1574.006",) if preload else (*ATTACK[configured.area], "T1574")
    rule = area_rule(configured.area, "A variable has code loaded into every program of its kind", severity, attack)
    references = [configured.artifact.reference, *_find_files([p for load in loads for p in load.paths], files)]
    yield rule.found("; ".join(load.shown for load in loads[:6]), references)


def _judge_area(configured: Configured, files: FileView) -> Iterator[Finding]:
    judges = {
        Area.NSS: _judge_nss,
        Area.PAM: _judge_pam,
        Area.HOSTS: _judge_hosts,
        Area.REPOSITORY: _judge_repository,
        Area.TRUST: _judge_trust,
        Area.CLUSTER: _judge_cluster,
        Area.PHP: _judge_handlers,
    }
    judge = judges.get(configured.area)
    return judge(configured, files) if judge else iter(())


def _judge_nss(configured: Configured, files: FileView) -> Iterator[Finding]:
    words = {
        word for line in configured.added if ":" in line and not line.lstrip().startswith("#")
        for word in _NSS_WORD.findall(line.partition(":")[2].split("#")[0])
    }  # fmt: skip
    unknown = sorted(words - _KNOWN_NSS)
    if unknown:
        fresh = [path for path in _fresh_libraries(files) if any(f"libnss_{word}.so" in path for word in unknown)]
        severity = Severity.HIGH if fresh or configured.artifact.is_runtime else Severity.MEDIUM
        rule = area_rule(configured.area, "Names are looked up through a library that nobody knows", severity)
        references = [configured.artifact.reference, *_find_files(fresh, files)]
        yield rule.found(", ".join(unknown), references)


def _judge_pam(configured: Configured, files: FileView) -> Iterator[Finding]:
    names = [name.rpartition("/")[2] for name in _PAM_MODULE.findall(configured.added_text)]
    fresh = [path for path in _fresh_libraries(files) if path.rpartition("/")[2] in names]
    if fresh:
        rule = area_rule(
            configured.area, "Log-ins pass through a module that came with nobody's package", Severity.HIGH
        )
        yield rule.found(", ".join(fresh), [configured.artifact.reference, *_find_files(fresh, files)])


def _fresh_libraries(files: FileView) -> list[str]:
    """Return the shared libraries that came while the container ran and belong to no package."""
    if not files.baseline.is_runtime:
        return []
    return [
        "/" + change.path.decode("utf-8", "replace")
        for change in files.changes
        if b".so" in change.path.rpartition(b"/")[2] and files.is_newcomer(change.path)
    ]


def _judge_hosts(configured: Configured, _files: FileView) -> Iterator[Finding]:
    if not configured.artifact.is_runtime or not configured.artifact.path.endswith(b"hosts"):
        return
    lines = []
    for address, names in _HOST_LINE.findall(configured.added_text):
        foreign = [name for name in names.split() if "." in name and not _OWN_NAMES.match(name)]
        if foreign:
            lines.append(f"{address} {' '.join(foreign[:4])}")
    if lines:
        sunk = any(_SINK.match(line) for line in lines)
        title = "Names were made unreachable" if sunk else "Names were pointed to other addresses"
        rule = area_rule(configured.area, title, Severity.MEDIUM)
        yield rule.found("; ".join(lines[:6]), [configured.artifact.reference], confidence=Confidence.MEDIUM)


def _judge_repository(configured: Configured, _files: FileView) -> Iterator[Finding]:
    match = _BAD_REPOSITORY.search(configured.added_text)
    if match and configured.artifact.is_runtime:
        rule = area_rule(configured.area, "Packages come from another source than before", Severity.MEDIUM)
        yield rule.found(match[1].strip(), [configured.artifact.reference], confidence=Confidence.MEDIUM)


def _judge_trust(configured: Configured, _files: FileView) -> Iterator[Finding]:
    if configured.artifact.is_runtime and "BEGIN" in configured.text:
        rule = area_rule(
            configured.area, "A certificate authority was added to those that are trusted", Severity.MEDIUM
        )
        yield rule.found("new trusted certificate", [configured.artifact.reference], confidence=Confidence.MEDIUM)


def _judge_cluster(configured: Configured, _files: FileView) -> Iterator[Finding]:
    if configured.artifact.is_runtime and configured.added_text.strip():
        rule = area_rule(configured.area, "A pod that the node starts by itself was put down", Severity.HIGH)
        yield rule.found(configured.added_text[:300], [configured.artifact.reference])


def _judge_handlers(configured: Configured, _files: FileView) -> Iterator[Finding]:
    match = _CGI.search(configured.added_text)
    if match and configured.artifact.path.endswith(b".htaccess"):
        severity = Severity.MEDIUM if match[0].lstrip().lower().startswith("options") else Severity.HIGH
        rule = area_rule(configured.area, "The web server is told to execute data files", severity, ("T1505.003",))
        yield rule.found(match[0].strip(), [configured.artifact.reference])


def _judge_started(configured: Configured, files: FileView) -> Iterator[Finding]:
    """Report what new hooks start: grave for shells that listen, udev, and programs of strange places or newcomers."""
    commands = find_started(configured.area, configured.artifact.path, configured.added)
    if not commands:
        return
    paths = [word.strip("\"'") for command in commands for word in command.replace("=", " ").split() if "/" in word]
    odd = any(in_temp(to_bytes(path)) or in_hidden_place(to_bytes(path)) for path in paths)
    fresh = [path for path in paths if path.startswith("/") and files.is_newcomer(to_bytes(path))]
    served = configured.area is Area.INETD and any(SHELL_SERVER.search(command) for command in commands)
    host = any(command.startswith("kernel") for command in commands)
    severity = Severity.HIGH if odd or fresh or served or host else Severity.MEDIUM
    attack = ("T1611",) if host else ("T1546.017",) if _UDEV.match(configured.artifact.path) else ()
    rule = area_rule(configured.area, "A new start-up configuration starts a program", severity, attack)
    references = [configured.artifact.reference, *_find_files(fresh, files)]
    yield rule.found(
        "; ".join(commands)[:400], references, confidence=None if severity is Severity.HIGH else Confidence.MEDIUM
    )


def _find_files(paths: list[str], files: FileView) -> Iterator[EvidenceRef]:
    """Yield references to those of *paths* that exist in the container."""
    for path in dict.fromkeys(paths):
        resolved = files.resolve(to_bytes(path))
        entry = files.final.get(resolved) if resolved and files.final else None
        if resolved and entry and entry.type is EntryType.FILE:
            yield files.reference(resolved)
