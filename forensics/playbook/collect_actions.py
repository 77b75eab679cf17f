"""The actions that collect: one for each collector, one for all of them, one for what is left.

``volatility`` follows the lines of RFC 3227 section 2.1, finer where it matters: collections of the same volatility may
stand in any order and run beside each other, all others only as the table orders them.
"""

from __future__ import annotations

from forensics.playbook.action import Action, Parameter

_STEPS = "forensics.playbook.steps"
_DISK, _CONFIGURATION = 70, 100
_EVIDENCE = frozenset({"evidence"})
_BUDGET = Parameter(
    "budget_bytes", "integer", "most content to take; the rest is listed (4 GiB unless said)", minimum=0
)
_SECONDS = Parameter("budget_seconds", "number", "begin no further collector after so many seconds", minimum=0)


def _collector(name: str, volatility: int, help_text: str, *produces: str, budget: bool = False) -> Action:
    return Action(
        f"collect.{name}",
        f"{_STEPS}:collect_one",
        "read",
        help_text,
        (_BUDGET,) if budget else (),
        produces or (name,),
        volatility,
        writes=_EVIDENCE,
    )


_SINGLE = (
    _collector("clock", 0, "Clocks of host and engine."),
    _collector("sockets", 10, "Connections, listeners, interfaces, routes, neighbours."),
    _collector("packet-filter", 15, "Packet filter rules of its network namespace."),
    _collector("processes", 20, "The process table as the host sees it."),
    _collector("engine-top", 25, "The process table as the engine tells it."),
    _collector("maps", 28, "What is mapped where in every process."),
    _collector("executables", 30, "What runs, deleted and memory-only files included.", "executable"),
    _collector("deleted-files", 35, "Files without a name that are still held.", "deleted-file"),
    _collector("memory", 40, "Present pages of every process.", budget=True),
    _collector("mounts", 50, "Mount tables, and the engine's own files in the container."),
    _collector("tmpfs", 55, "Content of tmpfs, /dev/shm included.", budget=True),
    _collector("changes", 60, "Changed paths with digests, before the snapshot.", "engine-diff"),
    _collector("snapshot", _DISK, "Commit and save of the file system.", "image"),
    _collector("volumes", _DISK, "Volumes and bind mounts.", "volume", budget=True),
    _collector("logs", 90, "Output of the container, and the log files."),
    _collector("inspect", _CONFIGURATION, "What the engine says of container, image, networks and volumes."),
    _collector("events", _CONFIGURATION, "The engine's events of this container."),
    _collector("blast-radius", _CONFIGURATION, "Other containers that share something with it."),
    _collector("engine", _CONFIGURATION, "Engine version and settings.", "engine-info", "engine-version"),
    _collector("host", _CONFIGURATION, "Kernel, security modules, who reaches the socket."),
)
COLLECTED = {action.name.removeprefix("collect."): action for action in _SINGLE}
"""Every single collector by name, most volatile first."""
ALL_PRODUCE = ("clock", "sockets", "processes", "executable", "tmpfs", "image", "volume", "logs", "inspect")
COLLECT_ACTIONS = (
    Action(
        "collect.all",
        f"{_STEPS}:collect_all",
        "read",
        "Collect everything the container was, in order of volatility.",
        (
            Parameter("memory", "boolean", "also read process memory", default=False),
            Parameter("skip", "list", "collectors to leave out; the ledger names them", default=()),
            _BUDGET,
            _SECONDS,
        ),
        ALL_PRODUCE,
        0,
        writes=_EVIDENCE,
        spans=True,
    ),
    *_SINGLE,
    Action(
        "collect.rest",
        f"{_STEPS}:collect_rest",
        "read",
        "Collect everything that no step before it has collected, in order of volatility.",
        (
            Parameter("memory", "boolean", "also read process memory", default=False),
            Parameter("until", "string", "stop after this collector", default="host", choices=tuple(COLLECTED)),
            _BUDGET,
            _SECONDS,
        ),
        ALL_PRODUCE,
        0,
        writes=_EVIDENCE,
        spans=True,
    ),
)


def list_until(last: str, *, memory: bool) -> list[str]:
    """Return the collectors down to *last*, most volatile first; memory only where it is asked for."""
    names = list(COLLECTED)
    return [name for name in names[: names.index(last) + 1] if memory or name != "memory"]
