"""Every action a playbook may call: one explicit table. Nothing registers itself.

``target`` names the function as ``module:function``; it is imported when its step runs. ``volatility`` is the place in
the order of RFC 3227 section 2.1 (0 goes first); the linter refuses a collection that goes backwards.
"""

from __future__ import annotations

from dataclasses import dataclass

_STEPS = "forensics.playbook.steps"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of an action; ``type`` is string, integer, number or boolean."""

    name: str
    type: str
    help: str
    default: str | int | float | bool | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a step can do; ``effects`` is the worst it does to the suspect."""

    name: str
    target: str
    effects: str
    help: str
    parameters: tuple[Parameter, ...] = ()
    produces: tuple[str, ...] = ()
    volatility: int | None = None

    def find_parameter(self, name: str) -> Parameter | None:
        """Return the parameter called *name*, None where there is none."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)


def _collector(name: str, volatility: int, help_text: str, *produces: str) -> Action:
    return Action(f"collect.{name}", f"{_STEPS}:collect_one", "read", help_text, (), produces or (name,), volatility)


_ACTIONS = (
    Action(
        "contain.isolate",
        f"{_STEPS}:isolate",
        "contain",
        "Freeze the container, cut every network, and prove from outside that no packet passes.",
        (
            Parameter("freeze", "boolean", "pause all processes before the cut", default=True),
            Parameter("reason", "string", "why, for the custody log", default=""),
            Parameter("cut_sharing", "boolean", "also cut containers that share its network", default=False),
        ),
        ("containment",),
    ),
    Action("contain.release", f"{_STEPS}:release", "contain", "Undo containment exactly, and prove it."),
    Action(
        "collect.all",
        f"{_STEPS}:collect_all",
        "read",
        "Collect everything the container was, in order of volatility.",
        (Parameter("memory", "boolean", "also read process memory", default=False),),
        ("clock", "sockets", "processes", "executable", "tmpfs", "image", "volume", "logs", "inspect"),
        0,
    ),
    _collector("clock", 0, "Clocks of host and engine."),
    _collector("sockets", 10, "Connections, listeners, interfaces, routes, neighbours."),
    _collector("packet-filter", 15, "Packet filter rules of its network namespace."),
    _collector("processes", 20, "The process table as the host sees it."),
    _collector("engine-top", 25, "The process table as the engine tells it."),
    _collector("maps", 28, "What is mapped where in every process."),
    _collector("executables", 30, "What runs, deleted and memory-only files included.", "executable"),
    _collector("deleted-files", 35, "Files without a name that are still held.", "deleted-file"),
    _collector("memory", 40, "Present pages of every process."),
    _collector("mounts", 50, "Mount tables, and the engine's own files in the container."),
    _collector("tmpfs", 55, "Content of tmpfs, /dev/shm included."),
    _collector("changes", 60, "Changed paths with digests, before the snapshot.", "engine-diff"),
    _collector("snapshot", 70, "Commit and save of the file system.", "image"),
    _collector("volumes", 80, "Volumes and bind mounts.", "volume"),
    _collector("logs", 90, "Output of the container, and the log files."),
    _collector("inspect", 100, "What the engine says of container, image, networks and volumes."),
    _collector("events", 105, "The engine's events of this container."),
    _collector("blast-radius", 110, "Other containers that share something with it."),
    _collector("engine", 115, "Engine version and settings.", "engine-info", "engine-version"),
    _collector("host", 120, "Kernel, security modules, who reaches the socket."),
    Action("analyze.findings", f"{_STEPS}:analyze", "read", "Derive findings, changes and a verdict from the case."),
    Action(
        "report.render",
        f"{_STEPS}:render_report",
        "read",
        "Write the evidence report into the case.",
        (
            Parameter("format", "string", "which report", default="html", choices=("html", "json")),
            Parameter("lang", "string", "language of the report", default="en", choices=("en",)),
        ),
    ),
    Action(
        "case.seal",
        f"{_STEPS}:seal",
        "read",
        "Seal the case: manifests, and a signature with the configured key or this installation's own.",
    ),
    Action(
        "remediate.stop",
        f"{_STEPS}:remediate",
        "destroy",
        "Stop the container; one that is frozen is killed, so that nothing of it runs again.",
        (Parameter("timeout_s", "integer", "how long it may take to stop by itself", default=10),),
    ),
    Action("remediate.kill", f"{_STEPS}:remediate", "destroy", "Kill every process of the container at once."),
    Action("remediate.remove", f"{_STEPS}:remediate", "destroy", "Remove the container, not its volumes."),
    Action(
        "remediate.block-image",
        f"{_STEPS}:remediate",
        "destroy",
        "Take every name off its image but one in quarantine, so that nothing starts it by its old ones.",
    ),
    Action(
        "remediate.quarantine-volume",
        f"{_STEPS}:remediate",
        "destroy",
        "Set the content of one of its volumes aside, unchanged, so that nothing can be started with it.",
        (Parameter("volume", "string", "the volume's name"),),
    ),
    Action(
        "remediate.revoke",
        f"{_STEPS}:remediate",
        "destroy",
        "Run a command of yours outside the container that withdraws its credentials.",
        (
            Parameter("command", "string", "absolute path of the program, and its arguments; no shell reads it"),
            Parameter("timeout_s", "integer", "how long it may take", default=60),
        ),
    ),
    Action("case.verify", f"{_STEPS}:verify", "read", "Check that the case is exactly what was recorded."),
)

ACTIONS: dict[str, Action] = {action.name: action for action in _ACTIONS}
"""Name to action."""
