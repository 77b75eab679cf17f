"""Collects everything a container was, in order of volatility, without touching it.

Nothing here executes anything in a container, imports containment, or talks to a person. One collector lives in each
file; the table below is the whole list.
"""

from __future__ import annotations

from forensics.collect.context import CollectOptions, Collector, Need, Progress, Silence, make_options
from forensics.collect.run import collect, find_obstacle, plan
from forensics.collect.subject import describe_engine, describe_line, describe_subject, open_case_for, to_document
from forensics.collect.table import COLLECTORS

__all__ = [
    "COLLECTORS",
    "CollectOptions",
    "Collector",
    "Need",
    "Progress",
    "Silence",
    "collect",
    "describe_engine",
    "describe_line",
    "describe_subject",
    "find_obstacle",
    "make_options",
    "open_case_for",
    "plan",
    "to_document",
]
