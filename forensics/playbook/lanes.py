"""Runs steps in the caller's thread, or beside each other in threads of their own; ends what does not react.

A thread that a time-out does not reach (it hangs in a system call) is left behind after a grace: its step has failed,
and its mandate is withdrawn, so that nothing more is recorded for it.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forensics.evidence.door import Mandate
from forensics.model import StepOutcome, StepResult
from forensics.playbook.timeout import StepStopped, describe_limit, raise_in

if TYPE_CHECKING:
    from forensics.playbook.context import Answer
    from forensics.playbook.execute import Executor
    from forensics.playbook.journal import Journal
    from forensics.playbook.run import PlannedStep

GRACE_SECONDS = 10.0
"""How long a step whose time is up may take to notice."""
_POLL_SECONDS = 0.2


@dataclass
class _Lane:
    """One step that runs in a thread of its own."""

    planned: PlannedStep
    mandate: Mandate
    started: float = field(default_factory=time.monotonic)
    thread: threading.Thread | None = None

    def is_lost(self) -> bool:
        """Whether all its attempts, their pauses and the grace are over, and it still runs."""
        step = self.planned.step
        if not step.timeout_s:
            return False
        pauses: float = step.delay_s * (2 ** (step.attempts - 1) - 1)
        return time.monotonic() - self.started > step.timeout_s * step.attempts + pauses + GRACE_SECONDS


class Lanes:
    """The steps that run now. ``begun`` numbers every step in the order in which they began."""

    def __init__(self, executor: Executor, journal: Journal) -> None:
        """Take who carries out a step; nothing runs yet."""
        self._executor = executor
        self._journal = journal
        self._lanes: dict[str, _Lane] = {}
        self._ended: queue.SimpleQueue[tuple[_Lane, StepResult | BaseException]] = queue.SimpleQueue()
        self._numbers = itertools.count(1 << 32)
        self.begun: dict[str, int] = {}

    @property
    def busy(self) -> bool:
        """Whether a step runs in a thread of its own."""
        return bool(self._lanes)

    def run_here(self, planned: PlannedStep, grant: Answer | None, *, again: bool) -> StepResult:
        """Take a step in this thread."""
        self.begun[planned.step.id] = next(self._numbers)
        mandate = Mandate(self._journal.authority(planned.step))
        return self._executor.execute(planned, mandate, grant, again=again)

    def start(self, planned: PlannedStep, grant: Answer | None, *, again: bool) -> None:
        """Take a step in a thread of its own; :meth:`wait` says when it has ended."""
        self.begun[planned.step.id] = next(self._numbers)
        lane = _Lane(planned, Mandate(self._journal.authority(planned.step)))

        def work() -> None:
            try:
                result: StepResult | BaseException = self._executor.execute(planned, lane.mandate, grant, again=again)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for this thread
                result = error
            self._ended.put((lane, result))

        lane.thread = threading.Thread(target=work, name=f"ir step {planned.step.id}", daemon=True)
        self._lanes[planned.step.id] = lane
        lane.thread.start()

    def wait(self) -> StepResult:
        """Return the result of the next step that ends; one that does not react to its time-out counts as ended.

        Raises:
            BaseException: what a step was interrupted by.
        """
        while True:
            for lane in self._lanes.values():
                if lane.is_lost():
                    said = describe_limit(lane.planned.step.timeout_s)
                    return self._leave(lane, f"{said}, and does not react; it was left behind")
            try:
                lane, result = self._ended.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                dead = [lane for lane in self._lanes.values() if lane.thread and not lane.thread.is_alive()]
                if dead and self._ended.empty():
                    return self._leave(dead[0], "its thread ended without an answer")
                continue
            if self._lanes.pop(lane.planned.step.id, None) is None:
                continue  # left behind before, and ended after all
            if isinstance(result, BaseException):
                raise result
            return result

    def _leave(self, lane: _Lane, reason: str) -> StepResult:
        step = lane.planned.step
        lane.mandate.withdraw()
        del self._lanes[step.id]
        result = StepResult(step.id, StepOutcome.FAILED, reason, round(time.monotonic() - lane.started, 6))
        self._journal.end(step, step.call, result)
        return result

    def stop(self) -> None:
        """End what still runs, so that its interruption is on record; what does not react is left behind."""
        lanes = list(self._lanes.values())
        for lane in lanes:
            if lane.thread and lane.thread.ident and lane.thread.is_alive():
                raise_in(lane.thread.ident, StepStopped)
        deadline = time.monotonic() + GRACE_SECONDS
        for lane in lanes:
            if lane.thread:
                lane.thread.join(max(0.0, deadline - time.monotonic()))
            lane.mandate.withdraw()
        self._lanes.clear()
