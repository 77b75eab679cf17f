"""What belongs to which drill: two labels, and the refusal to touch anything else.

Everything that a drill makes carries its run's id and who runs it: boot, process namespace, process and its start. That
tells a drill that is still going on from one that was killed, whoever asks on this host.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import RefusedError
from forensics.text import show

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forensics.engine.base import Container

LABEL = "ir.drill"
"""The label of everything that a drill makes; its value is the run's id."""
RUNNER = "ir.drill.runner"
"""The label that says which process made it."""
TEMPORARY = "ir-drill-"
"""How the name of a drill's temporary folder begins; the runner's process id follows."""
_START_TIME = 19
"""The place of `starttime` in /proc/PID/stat, counted behind the name (proc(5))."""


def new_run_id() -> str:
    """Return a new id: eight hexadecimal digits."""
    return os.urandom(4).hex()


def make_labels(run_id: str) -> tuple[tuple[str, str], ...]:
    """Return the labels of everything that this run makes."""
    return ((LABEL, run_id), (RUNNER, describe_runner(os.getpid())))


def describe_runner(pid: int) -> str:
    """Return which process this is, on which boot of which host and in which process namespace; empty if it is gone."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
        behind = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return f"{boot}/{namespace}/{pid}/{behind[_START_TIME].decode('ascii')}"
    except (OSError, IndexError, ValueError):
        return ""


def is_over(labels: Mapping[str, str]) -> bool | None:
    """Return whether the run that made this is over; None when this process cannot know: another host or namespace."""
    parts = labels.get(RUNNER, "").split("/")
    own = describe_runner(os.getpid()).split("/")
    if len(parts) != len(own) or parts[:2] != own[:2] or not parts[2].isdecimal():
        return None
    return describe_runner(int(parts[2])) != labels[RUNNER]


def require_own(container: Container, run_id: str = "") -> None:
    """Refuse a container that no drill made (or not this one).

    Raises:
        RefusedError: it does not carry the label, or that of another run.
    """
    found = dict(container.labels).get(LABEL)
    if found is None or (run_id and found != run_id):
        owner = "a drill" if found is None else "this drill"
        raise RefusedError(
            f"the container {show(container.name)} does not carry the label of {owner}, so it is not touched",
            hint="drills run on containers that they made themselves; 'ir run' works on others",
        )
