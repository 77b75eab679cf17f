"""The table of actions names real functions and real collectors."""

import importlib
import inspect

from forensics.collect import COLLECTORS
from forensics.playbook.actions import ACTIONS


def test_every_action_has_its_function() -> None:
    for action in ACTIONS.values():
        module, _, name = action.target.partition(":")
        function = getattr(importlib.import_module(module), name)
        assert next(iter(inspect.signature(function).parameters)) == "context", action.name
        assert action.help


def test_every_collector_is_an_action_of_the_same_volatility() -> None:
    ranks = {
        name.removeprefix("collect."): action.volatility for name, action in ACTIONS.items() if name[:8] == "collect."
    }
    del ranks["all"]
    assert ranks == {collector.name: collector.rank for collector in COLLECTORS}
