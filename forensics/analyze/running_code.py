"""Code that an interpreter or a shell runs from elsewhere than its command line: a script, standard input, nowhere.

A script is judged by its content where the evidence has it; a process that runs a script which is gone is told.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from forensics.analyze.behaviour import Hit
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import Artifact, Origin
from forensics.analyze.inline_code import Deed
from forensics.analyze.loaded_code import find_in_environment
from forensics.analyze.places import in_hidden_place, in_temp
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import Process, Socket, is_loopback, object_of, objects_of, text_of
from forensics.model import Confidence, Finding, Severity
from forensics.text import show_path, to_bytes

STDIN = Rule(
    "process.code-from-standard-input",
    "An interpreter takes its program from a pipe or a connection",
    Severity.HIGH,
    ("T1059", "T1027.011"),
    "The program was never a file: what was piped in ran and left nothing to examine.",
    "Installers and build steps that pipe a script into an interpreter; they end soon.",
    "Collect the process's memory; look at what started it and at its connections.",
    Confidence.MEDIUM,
)
NOWHERE = Rule(
    "process.script-gone",
    "A process runs a script that is no longer there",
    Severity.HIGH,
    ("T1070.004", "T1059"),
    "The script was deleted after it was started, or was never more than a descriptor.",
    "Scripts on a mount that was not collected; temporary scripts of build tools.",
    "Look for the content in the process's memory and in deleted open files.",
    Confidence.MEDIUM,
)
LOADER = Rule(
    "process.started-by-loader",
    "A program was started through the dynamic loader",
    Severity.MEDIUM,
    ("T1036", "T1574.006"),
    "Calling the loader hides the program's name from process lists and runs files that may not be executed.",
    "Bundles that carry their own C library (some vendors' tools, Nix).",
    "Examine the program that the loader was given.",
    Confidence.MEDIUM,
)
LOADED = Rule(
    "process.code-loaded-by-variable",
    "A variable of a process has foreign code loaded into it",
    Severity.HIGH,
    ("T1574", "T1574.006"),
    "Interpreters run what such variables name before the program itself.",
    "Tracing agents and allocators of the image, from its own folders (left out).",
    "Examine the file named.",
)
_CODE_OPTION = re.compile(r"^-[a-zA-Z]*[ceErpM]$|^--(?:eval|execute|command|run|print)$")
_MODULE = re.compile(r"^-m$|^-jar$|^--?(?:cp|classpath)$")
_VALUE_OPTION = re.compile(r"^-[WXIFCSO]$|^--(?:require|import|loader|rcfile|init-file|rpath)$|^-[or]$|^[+-]o$|^\+O$")
_DESCRIPTOR = re.compile(r"^/(?:dev/fd|proc/(?:self|\d+)/fd)/(\d+)$")
_STDIN_NAMES = frozenset({"-", "/dev/stdin", "/proc/self/fd/0", "/dev/fd/0"})
_LOADER = re.compile(r"^ld(?:-linux[\w.-]*|-musl[\w.-]*|-\d[\w.]*)\.so[\d.]*$|^ld-[\d.]+\.so$")
_DELETED = " (deleted)"


def analyze_running_code(view: CaseView) -> Iterator[Finding]:
    """Judge the scripts and the streams that interpreters and shells run, and what variables load into processes."""
    sockets = {socket.inode: socket for socket in view.sockets if socket.inode}
    mounts = _mounts(view)
    for process in view.processes:
        if process.is_shell() or process.is_interpreter():
            yield from _judge_source(process, view, sockets, mounts)
        yield from _judge_loader(process, view)
        yield from _judge_variables(process, view)


def find_script(argv: tuple[str, ...]) -> str:
    """Return the script that arguments name, ``-`` for standard input, nothing for code in the arguments."""
    rest = iter(argv[1:])
    for word in rest:
        if word == "-s":
            return "-"
        if _CODE_OPTION.match(word) or _MODULE.match(word):
            return ""
        if _VALUE_OPTION.match(word):
            next(rest, None)
        elif word == "-" or not word.startswith(("-", "+")):
            return word
    return ""


def _judge_source(
    process: Process, view: CaseView, sockets: Mapping[int, Socket], mounts: tuple[bytes, ...]
) -> Iterator[Finding]:
    script = find_script(process.argv)
    fds = dict(process.fds)
    descriptor = _DESCRIPTOR.match(script)
    where = f"pid {process.pid}: {process.command}"
    if script in _STDIN_NAMES or (not script and len(process.argv) == 1 and process.is_interpreter()):
        yield from _judge_stdin(process, fds.get(0, ""), sockets)
    elif descriptor:
        target = fds.get(int(descriptor[1]), "")
        if target.endswith(_DELETED) or target.startswith(("/memfd:", "pipe:", "socket:")):
            yield NOWHERE.found(f"{where} runs {target}", [process.reference])
    elif script:
        yield from _judge_script(process, script, view, mounts)


def _judge_stdin(process: Process, stdin: str, sockets: Mapping[int, Socket]) -> Iterator[Finding]:
    held = [sockets.get(int(target[8:-1])) for _, target in process.fds if re.fullmatch(r"socket:\[\d+\]", target)]
    peers = [s for s in held if s is not None and s.is_connected and not is_loopback(s.remote_addr)]
    if stdin.startswith("socket:") or (stdin.startswith("pipe:") and peers):
        shown = f", peer {peers[0].peer}" if peers else ""
        yield STDIN.found(f"pid {process.pid}: {process.command} reads {stdin}{shown}", [process.reference])
    elif stdin.startswith("pipe:") and process.is_interpreter():
        yield STDIN.found(
            f"pid {process.pid}: {process.command} reads {stdin}", [process.reference], severity=Severity.MEDIUM
        )


def _judge_script(process: Process, script: str, view: CaseView, mounts: tuple[bytes, ...]) -> Iterator[Finding]:
    if not script.startswith("/") and not process.cwd:
        return
    path = to_bytes(posixpath.normpath(posixpath.join(process.cwd.removesuffix(_DELETED) or "/", script))).lstrip(b"/")
    artifact = _find_artifact(path, view)
    if artifact is not None:
        yield from _judge_content(process, artifact)
        return
    if view.files.final is None or view.files.resolve(path) is not None or _is_below(path, mounts):
        return
    strange = in_temp(path) or in_hidden_place(path) or process.cwd.endswith(_DELETED)
    yield NOWHERE.found(
        f"pid {process.pid}: {process.command} runs {show_path(path)}",
        [process.reference],
        severity=None if strange else Severity.LOW,
    )


def _find_artifact(path: bytes, view: CaseView) -> Artifact | None:
    """Return the script as it was collected: of tmpfs and volumes first, which lie over the container's own tree."""
    for artifact in view.files.artifacts.telling_candidates():
        if artifact.path == path and artifact.origin in {Origin.TMPFS, Origin.VOLUME}:
            return artifact
    resolved = view.files.resolve(path)
    return view.files.artifact_at(resolved or path)


def _judge_content(process: Process, artifact: Artifact) -> Iterator[Finding]:
    extra = artifact.facts.extra if artifact.facts else {}
    hits = [hit for hit in extra.get("hits", ()) if isinstance(hit, Hit)]
    deeds = [deed for deed in extra.get("deed", ()) if isinstance(deed, Deed)]
    where = f"pid {process.pid}: {process.command} runs {show_path(artifact.path)}"
    references = [process.reference, artifact.reference]
    why = "The running script's own text says what it does."
    benign = "An administrator's or an application's own script; read it whole."
    for deed in deeds[:1]:
        rule_id, title = f"process.script.{deed.id}", f"A running script {deed.title}"
        rule = Rule(rule_id, title, deed.severity, deed.attack, why, benign, "Read the script.", deed.confidence)
        yield rule.found(where, references)
    for hit in hits:
        if hit.behaviour.severity.rank <= Severity.HIGH.rank and not artifact.is_packaged:
            title = f"A running script: {hit.behaviour.title[0].lower()}{hit.behaviour.title[1:]}"
            rule_id = f"process.script.{hit.behaviour.id}"
            severity = hit.behaviour.severity if artifact.is_runtime else Severity.MEDIUM
            rule = Rule(rule_id, title, severity, hit.behaviour.attack, why, benign, "Read the script.")
            yield rule.found(f"{where}: {hit.excerpt}", references, confidence=Confidence.MEDIUM)


def _judge_loader(process: Process, view: CaseView) -> Iterator[Finding]:
    if not _LOADER.match(process.program) or len(process.argv) < 2:  # noqa: PLR2004 - the loader and its program
        return
    target = next((word for word in process.argv[1:] if word.startswith("/") and ".so" not in word), process.argv[-1])
    path = to_bytes(target)
    strange = in_temp(path) or in_hidden_place(path) or view.files.is_newcomer(path)
    yield LOADER.found(
        f"pid {process.pid}: {process.command}", [process.reference], severity=Severity.HIGH if strange else None
    )


def _judge_variables(process: Process, view: CaseView) -> Iterator[Finding]:
    for load in find_in_environment(process.environ):
        if load.name in {"LD_PRELOAD", "LD_AUDIT"}:
            continue
        if load.is_strange or any(view.files.is_newcomer(to_bytes(path)) for path in load.paths):
            yield LOADED.found(
                f"pid {process.pid} ({process.program}): {load.shown}",
                [process.reference],
                severity=None if load.is_strong else Severity.MEDIUM,
            )


def _mounts(view: CaseView) -> tuple[bytes, ...]:
    """Return the places of mounts, whose files the snapshot does not have."""
    places = (text_of(mount.get("Destination")) for mount in objects_of(view.inspect.get("Mounts")))
    tmpfs = object_of(object_of(view.inspect.get("HostConfig")).get("Tmpfs"))
    return tuple(to_bytes(place).strip(b"/") for place in (*places, *tmpfs, "/proc", "/sys", "/dev", "/run") if place)


def _is_below(path: bytes, mounts: tuple[bytes, ...]) -> bool:
    return any(path == place or path.startswith(place + b"/") for place in mounts)
