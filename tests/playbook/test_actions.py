"""The table of actions names real functions and real collectors."""

import importlib
import inspect

from forensics.collect import COLLECTORS
from forensics.playbook.actions import ACTIONS
from forensics.playbook.collect_actions import COLLECTED


def test_every_action_has_its_function() -> None:
    for action in ACTIONS.values():
        module, _, name = action.target.partition(":")
        function = getattr(importlib.import_module(module), name)
        assert next(iter(inspect.signature(function).parameters)) == "context", action.name
        assert action.help


def test_every_collector_is_an_action_in_the_order_of_the_collectors() -> None:
    assert list(COLLECTED) == [collector.name for collector in COLLECTORS]
    ranks = [action.volatility for action in COLLECTED.values()]
    assert ranks == sorted(ranks)
    live = {collector.name for collector in COLLECTORS if collector.rank < 60}
    assert len({COLLECTED[name].volatility for name in live}) == len(live)
