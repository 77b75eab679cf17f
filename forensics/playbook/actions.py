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
        ("clock", "sockets", "processes", "executable", "image", "logs", "inspect"),
        0,
    ),
    _collector("clock", 0, "How far this host's clock is off."),
    _collector("sockets", 1, "Connections, routes and neighbours of its network namespace."),
    _collector("processes", 2, "The process table as the host sees it."),
    _collector("inspect", 9, "What the engine says of the container."),
    Action("analyze.findings", f"{_STEPS}:analyze", "read", "Derive findings, changes and a verdict from the case."),
    Action(
        "report.render",
        f"{_STEPS}:render_report",
        "read",
        "Write the evidence report into the case.",
        (
            Parameter("format", "string", "which report", default="html", choices=("html", "json")),
            Parameter("lang", "string", "language of the report", default="en", choices=("en", "ja")),
        ),
    ),
    Action(
        "case.seal", f"{_STEPS}:seal", "read", "Seal the case: manifests, and a signature where a key is configured."
    ),
    Action("case.verify", f"{_STEPS}:verify", "read", "Check that the case is exactly what was recorded."),
)

ACTIONS: dict[str, Action] = {action.name: action for action in _ACTIONS}
"""Name to action."""
