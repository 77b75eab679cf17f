"""Processes that are not what they say: deleted or in-memory programs, false names, strange places, preloads."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from forensics.analyze.behaviour import find_behaviours
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.identity import describe_identity, identify
from forensics.analyze.inline_code import find_code
from forensics.analyze.places import in_hidden_place, in_temp
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import Process, number_of
from forensics.model import Confidence, Finding, Severity
from forensics.text import from_bytes, to_bytes

MEMFD = Rule(
    "process.memfd-executable",
    "A program runs from memory and was never a file",
    Severity.CRITICAL,
    ("T1620", "T1027.011"),
    "Running a program from an anonymous memory file leaves nothing on disk; it is how fileless malware works.",
    "Some container runtimes copy themselves into memory for a moment while a container starts.",
    "Examine the executable kept in evidence and what started it.",
)
DELETED = Rule(
    "process.deleted-executable",
    "A program runs whose file was deleted",
    Severity.HIGH,
    ("T1070.004",),
    "Intruders delete their tools after starting them, so that the file cannot be found.",
    "A package upgrade replaces the file of a daemon that still runs.",
    "Examine the executable kept in evidence; compare it with the image's file of the same name.",
)
FALSE_KERNEL = Rule(
    "process.false-kernel-thread",
    "A program passes itself off as a kernel thread",
    Severity.HIGH,
    ("T1036.004",),
    "Kernel threads never run in a container; a program with such a name hides from whoever reads the list.",
    "None known.",
    "Examine the executable and its connections.",
)
FALSE_NAME = Rule(
    "process.false-name",
    "A program carries the name of another one",
    Severity.HIGH,
    ("T1036.005", "T1036.011"),
    "A program chooses the name in process lists; this one claims to be a well-known service but runs another file.",
    "Programs that are installed under several names; wrappers that set a title.",
    "Examine the executable; ask who starts it.",
    Confidence.MEDIUM,
)
STRANGE_PLACE = Rule(
    "process.runs-from-temporary-place",
    "A program runs from a temporary or hidden place",
    Severity.HIGH,
    ("T1036.005", "T1564.001"),
    "Programs of an image run from system folders; what was brought in later lands where everybody may write.",
    "Build tools and installers that unpack themselves into /tmp.",
    "Examine the executable and how it came there.",
)
PRELOAD = Rule(
    "process.preloaded-library",
    "A process has a foreign library loaded into it",
    Severity.HIGH,
    ("T1574.006",),
    "LD_PRELOAD and LD_AUDIT put code into every program that is started; user-space rootkits hide that way.",
    "Allocators (jemalloc, tcmalloc) and tracing agents are preloaded by some images from system folders.",
    "Examine the library named.",
)
MAPPED = Rule(
    "process.deleted-library",
    "A process has a deleted library from a temporary place in memory",
    Severity.HIGH,
    ("T1055", "T1070.004"),
    "The code still runs although its file is gone.",
    "Just-in-time compilers map anonymous files; an upgrade replaces libraries in system folders.",
    "Dump the mapping, or collect again with memory.",
    Confidence.MEDIUM,
)
GONE = Rule(
    "process.deleted-folder",
    "A process works in a folder that was deleted",
    Severity.MEDIUM,
    ("T1070.004",),
    "Intruders unpack their tools into a temporary folder, start them and delete it; the process keeps the folder.",
    "Build tools and installers that clean up below a program that still runs; releases that are replaced.",
    "Look for deleted files that the process holds open, and at what started it.",
    Confidence.MEDIUM,
)
TRACED = Rule(
    "process.traced",
    "A process is being traced by another one",
    Severity.MEDIUM,
    ("T1055.008",),
    "ptrace reads and changes another program's memory: code injection, credential theft.",
    "A developer's debugger or strace.",
    "Look at the tracer.",
)

_KERNEL_NAMES = re.compile(
    r"^\[?(?:kworker|ksoftirqd|kthreadd|kswapd|migration|rcu_\w+|khugepaged|kdevtmpfs|watchdog|jbd2|scsi_\w+|kblockd"
    r"|ksmd|kauditd|kintegrityd|kthrotld|irq/\d|cpuhp|netns|md\b|bioset|crypto)\b[/:\w.+-]*\]?$"
)
_BRACKETED = re.compile(r"^\[[^\]]{1,60}\]$")
_SERVICES = frozenset(
    [
        "systemd",
        "sshd",
        "cron",
        "crond",
        "nginx",
        "apache2",
        "httpd",
        "dbus-daemon",
        "rsyslogd",
        "mysqld",
        "mariadbd",
        "postgres",
        "redis-server",
        "mongod",
        "dockerd",
        "containerd",
        "kubelet",
        "agetty",
        "getty",
        "udevd",
        "systemd-journald",
        "auditd",
        "bash",
        "sh",
        "ps",
        "top",
        "java",
        "php-fpm",
        "snmpd",
        "ntpd",
        "chronyd",
        "haproxy",
        "memcached",
        "named",
        "postfix",
        "master",
        "exim4",
    ]
)
_SEARCH_PATH = (b"usr/sbin/", b"usr/bin/", b"sbin/", b"bin/", b"usr/local/sbin/", b"usr/local/bin/")
_ALIASES = {"mysqld": "mariadbd", "mysqld_safe": "mariadbd-safe", "sh": "dash"}
_GONE = " (deleted)"
_RUNTIME = re.compile(r"runc_cloned:|^runc:\[")
_TEMP_LIBRARY = re.compile(r"^(?:/tmp/|/var/tmp/|/dev/shm/|/memfd:(?!doublemapper|jit|v8|node|pulse|xshmfence))")


def analyze_processes(view: CaseView) -> Iterator[Finding]:
    """Judge each process by what the host saw of it."""
    identities = identify(view)
    for process in view.processes:
        yield from _judge_executable(process, view)
        yield from describe_identity(process, identities.get(process.pid))
        yield from _judge_folders(process)
        yield from _judge_name(process, view)
        yield from _judge_environment(process)
        yield from _judge_memory(process)


def _judge_executable(process: Process, view: CaseView) -> Iterator[Finding]:
    where = f"pid {process.pid}: {process.exe} ({process.command})"
    if process.exe_memfd:
        runtime = bool(_RUNTIME.search(process.exe) or _RUNTIME.search(process.comm))
        yield MEMFD.found(where, [process.reference], severity=Severity.LOW if runtime else None)
    elif process.exe_deleted:
        replaced = view.files.is_packaged_path(to_bytes(process.exe.removesuffix(" (deleted)")))
        yield DELETED.found(where, [process.reference], severity=Severity.LOW if replaced else None)
    path = to_bytes(process.exe.removesuffix(" (deleted)"))
    if path.startswith(b"/") and not process.exe_memfd and (in_temp(path) or in_hidden_place(path)):
        yield STRANGE_PLACE.found(where, [process.reference])
    elif process.is_shell() or process.is_interpreter():
        script = next((part for part in process.argv[1:4] if part.startswith("/")), "")
        if script and (in_temp(to_bytes(script)) or in_hidden_place(to_bytes(script))):
            yield STRANGE_PLACE.found(where, [process.reference], confidence=Confidence.MEDIUM)


def _judge_folders(process: Process) -> Iterator[Finding]:
    """Report a working folder or a root that is gone; outside temporary places it is mostly a replaced release."""
    for what, shown in (("works in", process.cwd), ("has as its root", process.root)):
        if not shown.endswith(_GONE):
            continue
        path = to_bytes(shown.removesuffix(_GONE))
        strange = in_temp(path) or in_hidden_place(path) or in_temp(to_bytes(process.exe))
        yield GONE.found(
            f"pid {process.pid} ({process.command}) {what} {shown}",
            [process.reference],
            severity=None if strange else Severity.LOW,
        )


def _judge_name(process: Process, view: CaseView) -> Iterator[Finding]:
    if not process.exe or _RUNTIME.search(process.comm):
        return
    shown = process.argv[0] if process.argv else ""
    where = f"pid {process.pid} calls itself {shown or process.comm!r}, runs {process.exe}"
    if _BRACKETED.match(shown) or _KERNEL_NAMES.match(shown) or _KERNEL_NAMES.match(process.comm):
        yield FALSE_KERNEL.found(where, [process.reference])
    elif shown and _claims_another(shown, process, view):
        yield FALSE_NAME.found(where, [process.reference])


def _claims_another(shown: str, process: Process, view: CaseView) -> bool:
    first = shown.partition(" ")[0]
    claimed = posixpath.basename(first.partition(":")[0].lstrip("-"))
    program = process.program
    if claimed not in _SERVICES or program in {"busybox", "toybox"} or _are_related(claimed, program):
        return False
    path = to_bytes(first.partition(":")[0])
    places = [path] if path.startswith(b"/") else [folder + path for folder in _SEARCH_PATH]
    targets = [target for place in places if (target := view.files.resolve(place))]
    exe = to_bytes(process.exe.removesuffix(" (deleted)")).lstrip(b"/")
    return exe not in targets and not any(_are_related(from_bytes(posixpath.basename(t)), program) for t in targets)


def _are_related(first: str, second: str) -> bool:
    first, second = _ALIASES.get(first, first), _ALIASES.get(second, second)
    return first.startswith(second) or second.startswith(first)


def _judge_environment(process: Process) -> Iterator[Finding]:
    for variable in process.environ:
        name, _, value = variable.partition("=")
        if name not in {"LD_PRELOAD", "LD_AUDIT"} or not value.strip():
            continue
        paths = [to_bytes(part) for part in re.split(r"[:\s]+", value) if part.startswith("/")]
        bad = any(in_temp(path) or in_hidden_place(path) for path in paths)
        yield PRELOAD.found(
            f"pid {process.pid} ({process.program}): {variable}",
            [process.reference],
            severity=None if bad else Severity.LOW,
        )


def _judge_memory(process: Process) -> Iterator[Finding]:
    mapped = [path for path in process.maps_deleted if _TEMP_LIBRARY.match(path) and not path.startswith(process.exe)]
    if mapped and not _RUNTIME.search(" ".join(mapped)):
        yield MAPPED.found(f"pid {process.pid} ({process.program}): {', '.join(mapped[:5])}", [process.reference])
    if number_of(process.tracer_pid):
        yield TRACED.found(f"pid {process.pid} ({process.program}) by pid {process.tracer_pid}", [process.reference])


def analyze_commands(view: CaseView) -> Iterator[Finding]:
    """Judge command lines by what they do."""
    for process in view.processes:
        hits = [hit for hit in find_behaviours(process.command, script=False) if hit.behaviour.id != "runs-from-temp"]
        if not any(hit.behaviour.id == "reverse-shell" for hit in hits):
            yield from find_code(process)
        for hit in hits:
            yield Rule(
                f"process.command.{hit.behaviour.id}",
                f"A running command: {hit.behaviour.title[0].lower()}{hit.behaviour.title[1:]}",
                hit.behaviour.severity,
                hit.behaviour.attack,
                "The command line itself says what the process does.",
                "An administrator's own diagnostic command.",
                "Find out who started it (its parents) and what it reached.",
            ).found(f"pid {process.pid}: {hit.excerpt}{' [decoded]' if hit.decoded else ''}", [process.reference])
