"""What makes a container dangerous if its attacker is good: read off its inspect document alone.

Pure: documents in, signals out; used on the live engine by `ir ps` and offline on a case by the analysis. Names,
values and paths in :attr:`RiskSignal.matched` are the attacker's: show them through :mod:`forensics.text`.
"""

from __future__ import annotations

from collections.abc import Sequence

from forensics.model import JsonObject
from forensics.risk.isolation import find_isolation_risks
from forensics.risk.limits import find_limit_risks
from forensics.risk.mounts import find_mount_risks
from forensics.risk.pod_security import choose_level, list_violations
from forensics.risk.secrets import find_secret_risks, mask_secrets, name_secrets
from forensics.risk.signal import RiskSignal

__all__ = [
    "RiskSignal",
    "assess_risk",
    "choose_level",
    "list_violations",
    "mask_secrets",
    "name_secrets",
    "total_score",
]


def assess_risk(
    inspect: JsonObject,
    image: JsonObject | None = None,
    history: Sequence[JsonObject] = (),
    *,
    engine_socket: str = "",
) -> tuple[RiskSignal, ...]:
    """Return every risk signal, worst first.

    *inspect* is the engine's document of the container, *image* that of its image and *history* the image's build
    history; without the last two, secrets in the image are not looked for. *engine_socket* is where the engine
    listens, so that a mount of it is known under any name.
    """
    signals = [
        *find_isolation_risks(inspect),
        *find_mount_risks(inspect, engine_socket),
        *find_secret_risks(inspect, image, history),
        *find_limit_risks(inspect),
    ]
    return tuple(sorted(signals, key=lambda signal: (-signal.score, signal.rule, signal.matched)))


def total_score(signals: Sequence[RiskSignal]) -> int:
    """Return the sum that `ir ps` ranks by; it has no upper bound and no unit."""
    return sum(signal.score for signal in signals)
