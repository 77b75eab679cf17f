"""Dangerous settings of the container, and secrets that lie open: mapped from the risk signals of `ir ps`."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import object_of, objects_of, text_of
from forensics.model import Confidence, Finding, Severity
from forensics.risk import RiskSignal, assess_risk, choose_level, list_violations

_ATTACK = {
    "risk.privileged": ("T1611",),
    "risk.engine-socket": ("T1611", "T1610", "T1609", "T1552.007"),
    "risk.mount": ("T1611",),
    "risk.host": ("T1611",),
    "risk.capability": ("T1611", "T1548"),
    "risk.secret": ("T1552.007", "T1552.001"),
    "risk.no-seccomp": ("T1611",),
}
_BENIGN = {
    "risk.secret": "Official images are configured that way; the value is still readable by many.",
}
_SOCKET_NAMES = ("docker.sock", "containerd.sock", "crio.sock", "podman.sock", "buildkitd.sock", "dockershim.sock")
ENGINE_SOCKET = Rule(
    "posture.engine-socket",
    "The container engine's socket is inside the container",
    Severity.CRITICAL,
    ("T1611", "T1610", "T1609", "T1552.007"),
    "Whoever reaches the socket starts containers with any right: root on the host.",
    "Build agents, reverse proxies and monitors that are given the socket on purpose.",
    "Treat the host as reached; look in the engine's events for containers made from here.",
)
POD_SECURITY = Rule(
    "posture.pod-security",
    "What a Kubernetes cluster would have to allow for this container",
    Severity.INFO,
    ("T1610",),
    "The Pod Security Standards say which settings open the way to the host; the level is the least that admits it.",
    "Every container that is not hardened on purpose violates 'restricted'.",
    "Start the next container so that a stricter level admits it.",
)


def analyze_posture(view: CaseView) -> Iterator[Finding]:
    """Report every risk signal; those that are low are one finding for each rule."""
    history = [step for _, document in view.documents("image-history") for step in _steps(document)]
    if not view.inspect:
        return
    signals = assess_risk(view.inspect, view.image_inspect or None, history, engine_socket=view.engine_url)
    yield from _find_renamed_sockets(view, signals)
    groups: dict[tuple[str, Severity], list[RiskSignal]] = {}
    for signal in signals:
        groups.setdefault((signal.rule, signal.severity), []).append(signal)
    for (name, severity), group in groups.items():
        yield _rule(name, severity, group[0]).found(
            "; ".join(dict.fromkeys(signal.matched for signal in group)), [view.reference("inspect")]
        )
    violations = list(list_violations(view.inspect, signals))
    if violations:
        told = "; ".join(f"{level}: {control}" for level, control in violations)
        level = choose_level(violations)
        yield POD_SECURITY.found(
            f"runs only where the level {level} is allowed; violates {told}", [view.reference("inspect")]
        )


def _find_renamed_sockets(view: CaseView, signals: tuple[RiskSignal, ...]) -> Iterator[Finding]:
    """Find the engine's socket under any name: by where it is mounted, or by the engine's own address."""
    if any("socket" in signal.rule for signal in signals):
        return
    hosts = [object_of(object_of(document).get("engine_socket")) for _, document in view.documents("host")]
    own = {text_of(host.get("path")) for host in hosts} - {""}
    for mount in objects_of(view.inspect.get("Mounts")):
        source, destination = text_of(mount.get("Source")), text_of(mount.get("Destination"))
        if destination.endswith(_SOCKET_NAMES) or source.endswith(_SOCKET_NAMES) or source in own:
            yield ENGINE_SOCKET.found(f"{source} at {destination}", [view.reference("inspect")])


def _steps(document: object) -> tuple[dict[str, object], ...]:
    if isinstance(document, dict):
        return objects_of(document.get("history"))
    return objects_of(document)


def _rule(name: str, severity: Severity, signal: RiskSignal) -> Rule:
    attack = next((ids for prefix, ids in _ATTACK.items() if name.startswith(prefix)), ())
    benign = next(
        (text for prefix, text in _BENIGN.items() if name.startswith(prefix)), "Some services need the setting."
    )
    level, control = signal.pod_security
    asked = [f"CIS Docker Benchmark {signal.cis}"] if signal.cis else []
    asked += [f"Pod Security Standards: violates {level}, {control}"] if level else []
    standards = f" ({'; '.join(asked)})" if asked else ""
    return Rule(
        f"posture.{name.removeprefix('risk.')}",
        signal.title[0].upper() + signal.title[1:],
        severity,
        attack,
        signal.why[0].upper() + signal.why[1:] + standards,
        benign,
        "Start the next container without it; if it was needed, treat what it opens as reached by the intruder.",
        Confidence.HIGH,
    )
