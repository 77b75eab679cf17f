"""Runs several drills beside each other, each in a process of its own: a step's time-out needs the main thread.

A drill that breaks off becomes a result that has not passed; the others go on.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from forensics.drill.result import make_broken_document
from forensics.model import JsonObject
from forensics.text import show

_PARENT = "IR_DRILL_PARENT"
_PR_SET_PDEATHSIG = 1
LANES = 2
"""Two: while one drill waits for the engine, the other computes. More only queue at the engine."""


@dataclass(frozen=True, slots=True)
class Order:
    """One drill to run: the scenario's id, and what comes behind ``ir drill run`` to run it."""

    scenario: str
    arguments: tuple[str, ...]


def run_lanes(orders: tuple[Order, ...], lanes: int, tell: Callable[[str], None]) -> tuple[JsonObject, ...]:
    """Return the entries of ``ir.drills/1`` in the order of *orders*; interrupted, they clear their stages."""
    done: dict[str, JsonObject] = {}
    for order, document in _run_all(orders, lanes):
        done[order.scenario] = document
        tell(f"{len(done)} of {len(orders)}: {order.scenario} {'passed' if document['passed'] else 'FAILED'}")
    return tuple(done[order.scenario] for order in orders)


def follow_parent() -> None:
    """Ask the kernel for SIGTERM when the process that runs the lanes dies: no lane goes on alone (prctl(2))."""
    parent = os.environ.pop(_PARENT, "")
    if parent:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if str(os.getppid()) != parent:
            raise KeyboardInterrupt


def _run_all(orders: tuple[Order, ...], lanes: int) -> Iterator[tuple[Order, JsonObject]]:
    running: set[subprocess.Popen[bytes]] = set()
    pool = ThreadPoolExecutor(lanes)
    try:
        futures = {pool.submit(_run_one, order, running): order for order in orders}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in tuple(running):
            process.send_signal(signal.SIGINT)
        raise
    finally:
        pool.shutdown()


def _run_one(order: Order, running: set[subprocess.Popen[bytes]]) -> JsonObject:
    command = [sys.executable, "-P", "-m", "forensics", "drill", "run", *order.arguments, "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), _PARENT: str(os.getpid())}
    process = subprocess.Popen(  # a session of its own: Ctrl-C reaches it once, from us
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    running.add(process)
    try:
        stdout, stderr = process.communicate()
    finally:
        running.discard(process)
    return _parse(order, stdout, stderr)


def _parse(order: Order, stdout: bytes, stderr: bytes) -> JsonObject:
    try:
        answer = json.loads(stdout)
        if answer["schema"] == "ir.drills/1":
            document: JsonObject = answer["drills"][0]
            return document
        return make_broken_document(order.scenario, f"{answer['error']} ({answer['hint']})")
    except (ValueError, KeyError, IndexError, TypeError):
        words = stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return make_broken_document(order.scenario, f"it broke off: {show(words, 200) or 'without a word'}")
