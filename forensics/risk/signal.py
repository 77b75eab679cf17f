"""The one value type of this room."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from forensics.model import JsonObject, Severity

CIS = "CIS Docker Benchmark 1.6.0"
BASELINE, RESTRICTED = "baseline", "restricted"
_CONTROLS = {
    "risk.privileged": (BASELINE, "Privileged Containers"),
    "risk.host-network": (BASELINE, "Host Namespaces"),
    "risk.host-pid": (BASELINE, "Host Namespaces"),
    "risk.host-ipc": (BASELINE, "Host Namespaces"),
    "risk.capability": (BASELINE, "Capabilities"),
    "risk.host-root": (BASELINE, "HostPath Volumes"),
    "risk.host-mount": (BASELINE, "HostPath Volumes"),
    "risk.engine-socket": (BASELINE, "HostPath Volumes"),
    "risk.exposed-port": (BASELINE, "Host Ports"),
    "risk.no-apparmor": (BASELINE, "AppArmor"),
    "risk.no-selinux": (BASELINE, "SELinux"),
    "risk.unmasked-paths": (BASELINE, "/proc Mount Type"),
    "risk.no-seccomp": (BASELINE, "Seccomp"),
    "risk.sysctl": (BASELINE, "Sysctls"),
    "risk.new-privileges": (RESTRICTED, "Privilege Escalation"),
    "risk.root-user": (RESTRICTED, "Running as Non-root"),
}
"""By rule: the lowest level of the Kubernetes Pod Security Standards that a signal violates, and its control there."""


@dataclass(frozen=True, slots=True)
class RiskSignal:
    """One thing that widens what an attacker in this container can do.

    ``matched`` is what was seen (secrets masked). ``cis`` is the recommendation of the CIS Docker Benchmark 1.6.0
    that asks for the opposite, empty where there is none. ``score`` only ranks.
    """

    rule: str
    title: str
    severity: Severity
    score: int
    matched: str
    why: str
    cis: str = ""

    @property
    def pod_security(self) -> tuple[str, str]:
        """The lowest level of the Pod Security Standards that it violates and the control; empty where none."""
        return _CONTROLS.get(self.rule, ("", ""))

    def to_document(self) -> JsonObject:
        """Return the JSON form."""
        return {**asdict(self), "severity": self.severity.value, "pod_security": self.pod_security[0]}


def as_list(value: object) -> list[str]:
    """Return the strings of a JSON list; anything else is an empty list (the engine writes null for none)."""
    return [str(part) for part in value] if isinstance(value, list) else []


def as_object(value: object) -> JsonObject:
    """Return a JSON object; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def as_objects(value: object) -> list[JsonObject]:
    """Return the objects of a JSON list; everything else in it is left out."""
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []
