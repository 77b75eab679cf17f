"""The nouns of the table of actions: what a step can do, with which typed parameters. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

Default = str | int | float | bool | tuple[str, ...] | None
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
}
"""Every type of a parameter, and the Python types that fit it; a list holds text only."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of an action; ``type`` is one of :data:`TYPES`. A default of None means: not said."""

    name: str
    type: str
    help: str
    default: Default = None
    choices: tuple[str, ...] = ()
    required: bool = False
    minimum: float | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a step can do.

    ``target`` names the function as ``module:function``; it is imported when the step runs. ``effects`` is the worst it
    does to the suspect. ``volatility`` is the place in the order of RFC 3227 section 2.1 (0 goes first); an action that
    ``spans`` has many. ``reads`` and
    ``writes`` name what two actions can get into each other's way over; ``alone`` lets nothing run beside it.
    ``loses`` names the kinds of evidence that are gone afterwards.
    ``declares`` makes a step say itself what its effects are. ``settled_by`` is the custody action that stands in the
    log once it has happened.
    """

    name: str
    target: str
    effects: str
    help: str
    parameters: tuple[Parameter, ...] = ()
    produces: tuple[str, ...] = ()
    volatility: int | None = None
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    alone: bool = False
    loses: tuple[str, ...] = ()
    spans: bool = False
    declares: bool = False
    settled_by: str = ""

    def find_parameter(self, name: str) -> Parameter | None:
        """Return the parameter called *name*, None where there is none."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def is_collector(self) -> bool:
        """Whether it brings evidence from the suspect into the case."""
        return self.volatility is not None
