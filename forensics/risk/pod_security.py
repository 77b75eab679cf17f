"""Which level of the Kubernetes Pod Security Standards a container would violate, and by which control.

Source: kubernetes.io, "Pod Security Standards": the levels privileged, baseline and restricted are cumulative; what
violates baseline runs only where the namespace allows *privileged*.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forensics.model import JsonObject
from forensics.risk.signal import BASELINE, RESTRICTED, RiskSignal, as_list, as_object


def list_violations(inspect: JsonObject, signals: Sequence[RiskSignal]) -> Iterator[tuple[str, str]]:
    """Yield (level, control) for everything that the standards forbid, each once, baseline first."""
    found = dict.fromkeys(signal.pod_security for signal in signals if signal.pod_security[0])
    dropped = {
        name.upper().removeprefix("CAP_") for name in as_list(as_object(inspect.get("HostConfig")).get("CapDrop"))
    }
    if "ALL" not in dropped:
        found.setdefault((RESTRICTED, "Capabilities"))
    yield from sorted(found)


def choose_level(violations: Sequence[tuple[str, str]]) -> str:
    """Return the strictest level that would still admit it: restricted, baseline or privileged."""
    levels = {level for level, _ in violations}
    return "privileged" if BASELINE in levels else BASELINE if RESTRICTED in levels else RESTRICTED
