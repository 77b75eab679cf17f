"""Views of the same thing that disagree: process lists by different ways, and files by engine and by snapshot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import Process, number_of, object_of, text_of, texts_of
from forensics.model import Confidence, EvidenceRef, Finding, Severity

HIDDEN = Rule(
    "views.process-in-one-view-only",
    "A process shows in one way of looking and not in another",
    Severity.MEDIUM,
    ("T1014", "T1564", "T1611"),
    "A process that left the container's namespace or control group, or that a list leaves out, is hiding or escaping.",
    "Processes that began or ended between two looks; programs entered from outside (engine exec).",
    "Look at the namespaces and the start time of the process.",
    Confidence.MEDIUM,
)
ESCAPED = Rule(
    "views.process-left-namespace",
    "A process of the container's control group lives in another process namespace",
    Severity.HIGH,
    ("T1611",),
    "It was started from the container but sees the host's or another container's processes.",
    "Containers that share the host's process namespace by their settings.",
    "Look at its namespaces; treat the host as reached.",
    Confidence.MEDIUM,
)


def analyze_views(view: CaseView) -> Iterator[Finding]:
    """Compare the pids by control group, by pid namespace and by the engine's own list."""
    documents = view.documents("processes")
    if not documents:
        return
    item, document = documents[0]
    views = object_of(object_of(document).get("views"))
    cgroup, namespace = _pids(views.get("cgroup")), _pids(views.get("pid_namespace"))
    shared = text_of(object_of(view.inspect.get("HostConfig")).get("PidMode"))
    by_pid = {process.pid: process for process in view.processes}
    if cgroup and namespace and not shared:
        for pid in sorted(cgroup - namespace):
            yield ESCAPED.found(_describe(pid, by_pid), [EvidenceRef(item.id, pid=pid)])
        for pid in sorted(namespace - cgroup):
            yield HIDDEN.found(
                f"{_describe(pid, by_pid)}: not in the container's control group", [EvidenceRef(item.id, pid=pid)]
            )
    if namespace and not cgroup and not shared:
        shown = "; ".join(_describe(pid, by_pid) for pid in sorted(namespace)[:5])
        references = [EvidenceRef(item.id, pid=pid) for pid in sorted(namespace)]
        yield HIDDEN.found(f"{shown}: none is in the container's control group", references)
    top = _top_pids(view)
    missing = (
        sorted(pid for pid in (cgroup or namespace) - top if pid in by_pid)
        if top and not top.isdisjoint(cgroup)
        else []
    )
    if missing:
        shown = "; ".join(_describe(pid, by_pid) for pid in missing[:5])
        references = [EvidenceRef(item.id, pid=pid) for pid in missing]
        yield HIDDEN.found(f"{shown}: not in the engine's list", references, severity=Severity.LOW)


def _pids(value: object) -> set[int]:
    return {number_of(pid) for pid in value} - {0} if isinstance(value, list) else set()


def _top_pids(view: CaseView) -> set[int]:
    for _, document in view.documents("engine-top"):
        titles = texts_of(object_of(document).get("Titles"))
        rows = object_of(document).get("Processes")
        if "PID" in titles and isinstance(rows, list):
            column = titles.index("HPID" if "HPID" in titles else "PID")  # Podman's PID is the container's
            return {number_of(row[column]) for row in rows if isinstance(row, list) and len(row) > column} - {0}
    return set()


def _describe(pid: int, by_pid: Mapping[int, Process]) -> str:
    process = by_pid.get(pid)
    return f"pid {pid}: {process.command if process else 'unknown'}"
