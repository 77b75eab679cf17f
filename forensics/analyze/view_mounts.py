"""The mounts that processes see against those that the engine says it made. Reads evidence only.

Who may mount can lay a folder over a program, a file or a process's place in /proc, and whoever looks from inside sees
the cover. What the engine makes itself is known from inspect and from the OCI runtime's defaults.
"""

from __future__ import annotations

from collections.abc import Iterator

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import object_of, objects_of, text_of, texts_of
from forensics.model import Confidence, EntryType, EvidenceRef, Finding, JsonObject, Severity
from forensics.text import from_bytes, to_bytes

UNKNOWN = Rule(
    "views.mount-not-in-inspect",
    "Something is mounted in the container that the engine did not mount",
    Severity.MEDIUM,
    ("T1564", "T1611"),
    "Who mounts inside a container hides what lies below, or reaches what he was not given.",
    "Containers that run an engine, an init system or backups of their own mount file systems.",
    "Look at what is mounted, and at what it covers: the snapshot shows what lies below.",
    Confidence.MEDIUM,
)
COVERED_PROCESS = Rule(
    "views.process-covered",
    "A mount covers a process's place in /proc",
    Severity.HIGH,
    ("T1564", "T1014"),
    "A mount on /proc or a folder in it hides processes from every list that is made inside the container.",
    "None known.",
    "Look at the process table that was taken on the host.",
)
MISSING = Rule(
    "views.mount-missing",
    "A mount that the engine made is not there any more",
    Severity.MEDIUM,
    ("T1564",),
    "Who may mount can also unmount: what the container shows at that path is not what the engine gave it.",
    "Programs that take their volumes off before they end.",
    "Compare what lies at that path in the snapshot with the volume.",
    Confidence.MEDIUM,
)
_DEFAULT = frozenset(
    {
        *("/", "/proc", "/dev", "/dev/pts", "/dev/mqueue", "/dev/shm", "/dev/console", "/sys"),  # noqa: S108 - paths in the container
        *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sbin/docker-init", "/dev/init"),
        *("/run/.containerenv", "/run/secrets", "/etc/mtab", "/proc/kcore", "/proc/sys", "/proc/bus", "/proc/fs"),
    }
)
_USUAL_LINKS = (("/var/run/", "/run/"), ("/var/lock/", "/run/lock/"))
_MOST_STEPS = 64
_DEFAULT_BELOW = ("/sys/", "/run/secrets/", "/dev/")


def analyze_mounts(view: CaseView) -> Iterator[Finding]:
    """Compare every mount namespace's table with inspect."""
    documents = view.documents("mounts")
    if not documents or not view.inspect:
        return
    item, document = documents[0]
    engine = {text_of(mount.get("Destination")) for mount in objects_of(view.inspect.get("Mounts"))}
    host_config = object_of(view.inspect.get("HostConfig"))
    engine |= set(object_of(host_config.get("Tmpfs")))
    given = texts_of(host_config.get("MaskedPaths")) + texts_of(host_config.get("ReadonlyPaths"))
    reference = EvidenceRef(item.id)
    for number, namespace in enumerate(objects_of(object_of(document).get("namespaces"))):
        mounts = objects_of(namespace.get("mounts"))
        if number == 0:
            engine = {_follow(path, mounts, view) for path in engine}
        windows = tuple(f"{path.rstrip('/')}/" for path in engine)
        yield from _judge(mounts, engine | set(given) | _DEFAULT, windows, reference)
        there = {text_of(mount.get("path")) for mount in mounts}
        for path in sorted(engine - there) if number == 0 else ():
            yield MISSING.found(f"{path}: in inspect, not in the container", [reference])


def _follow(path: str, mounts: tuple[JsonObject, ...], view: CaseView) -> str:
    """Return where the engine really mounted *path*: it follows links of the root, ``/var/run`` before all."""
    there = {text_of(mount.get("path")) for mount in mounts}
    if path in there:
        return path
    resolved = _resolve(path, view)
    for old, new in _USUAL_LINKS:
        if resolved not in there and path.startswith(old):
            resolved = new + path.removeprefix(old)
    return resolved if resolved in there else path


def _resolve(path: str, view: CaseView) -> str:
    """Follow links of folders in the collected file system; bounded, and never out of its root."""
    if view.files.final is None:
        return path
    todo, done = [part for part in path.split("/") if part][::-1], list[str]()
    for _ in range(_MOST_STEPS):
        if not todo:
            break
        part = todo.pop()
        if part == "..":
            done = done[:-1]
            continue
        entry = view.files.final.get(to_bytes("/".join([*done, part])))
        if entry is None or entry.type is not EntryType.SYMLINK or not entry.link_target:
            done += [part] if part != "." else []
            continue
        target = from_bytes(entry.link_target)
        done = [] if target.startswith("/") else done
        todo += [step for step in target.split("/") if step][::-1]
    return "/" + "/".join([*done, *todo[::-1]])


def _judge(
    mounts: tuple[JsonObject, ...], known: set[str], windows: tuple[str, ...], reference: EvidenceRef
) -> Iterator[Finding]:
    """Report what nobody gave; the first mount on a known path is the engine's, a second one lies on top of it."""
    seen: set[str] = set()
    unknown = []
    for mount in mounts:
        path = text_of(mount.get("path"))
        is_second = path in seen
        seen.add(path)
        if path.startswith("/proc") and (is_second or path not in known) and not _is_harmless(mount):
            yield COVERED_PROCESS.found(_describe(mount), [reference])
        elif is_second and path in known and path not in {"/dev/shm"}:  # noqa: S108 - a path in the container
            unknown.append(f"{_describe(mount)}, on top of what the engine mounted there")
        elif path not in known and not path.startswith((*_DEFAULT_BELOW, *windows)):
            unknown.append(_describe(mount))
    if unknown:
        yield UNKNOWN.found("; ".join(unknown), [reference])


def _is_harmless(mount: JsonObject) -> bool:
    """Tell the runtime's own covers in /proc, which are parts of proc itself or empty, on names that are no pid."""
    name = text_of(mount.get("path")).removeprefix("/proc").strip("/").partition("/")[0]
    return bool(name) and not name.isdecimal() and name != "self" and text_of(mount.get("type")) in {"proc", "tmpfs"}


def _describe(mount: JsonObject) -> str:
    source, root = text_of(mount.get("source")), text_of(mount.get("root"))
    return f"{text_of(mount.get('path'))}: {text_of(mount.get('type'))} from {source} {root}"
