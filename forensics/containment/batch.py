"""Contains many at once: every one is cut by the host before the engine is asked to disconnect the first.

The engine disconnects one container after the other, each with several waits for the disk; fifty take it fifteen times
as long as one. So that nobody waits for that, the host takes down the engine's ends of their interfaces first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from forensics.containment.isolate import ContainmentResult, Isolation, preview
from forensics.containment.scene import read_scene
from forensics.errors import IrError

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.containment.actions import IsolationOptions
    from forensics.containment.plan import Scene
    from forensics.containment.port import ContainmentEngine
    from forensics.containment.release import ReleaseResult
    from forensics.evidence.case import Case

_AT_ONCE = 16


class Cut(NamedTuple):
    """How far the host's own cut went: seconds since the beginning, and who is not certain to be cut yet, and why."""

    seconds: float
    cut: tuple[str, ...]
    uncertain: tuple[tuple[str, str], ...]


class Batch(NamedTuple):
    """What became of each; ``failed`` holds reference and error of those that could not be contained at all."""

    results: tuple[ContainmentResult, ...]
    failed: tuple[tuple[str, IrError], ...]
    cut: Cut


class _Member:
    """One container on its way; an error of its own ends its way and nobody else's."""

    def __init__(self, ref: str) -> None:
        self.ref = ref
        self.error: IrError | None = None
        self.uncertain = ""
        self.result: ContainmentResult | None = None
        self._isolation: Isolation | None = None
        self._held = contextlib.ExitStack()

    def begin(self, engine: ContainmentEngine, open_case: Callable[[Scene], Case], options: IsolationOptions) -> None:
        with self._guarded():
            scene = read_scene(engine, self.ref)
            preview(scene, options)
            case = self._held.enter_context(open_case(scene))
            self._isolation = self._held.enter_context(contextlib.closing(Isolation(engine, scene, case, options)))
            self.uncertain = self._isolation.begin()

    def finish(self) -> None:
        if self._isolation and not self.error:
            with self._guarded():
                self.result = self._isolation.finish()
        with self._guarded():
            self._held.close()

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except IrError as error:
            self.error = self.error or error


class Released(NamedTuple):
    """What became of each release; ``failed`` holds id and error of those that could not be begun."""

    results: tuple[ReleaseResult, ...]
    failed: tuple[tuple[str, IrError], ...]


def release_many(
    engine: ContainmentEngine, targets: tuple[tuple[str, Path], ...], open_case: Callable[[Path], Case]
) -> Released:
    """Release every container of *targets* (id and case) in their order, and prove each.

    One after the other: an engine gives out the lowest free address, so that those who get theirs from it have it again
    only in the order of their addresses. One that fails does not stop the others.
    """
    from forensics.containment.release import release  # noqa: PLC0415 - not needed to isolate

    results: list[ReleaseResult] = []
    failed: list[tuple[str, IrError]] = []
    for container_id, root in targets:
        try:
            with open_case(root) as case:
                results.append(release(engine, container_id, case))
        except IrError as error:
            failed.append((container_id, error))
    return Released(tuple(results), tuple(failed))


def isolate_many(
    engine: ContainmentEngine,
    refs: tuple[str, ...],
    open_case: Callable[[Scene], Case],
    options: IsolationOptions,
    tell: Callable[[Cut], None],
) -> Batch:
    """Contain every container of *refs* and return how each went; *tell* is called once all are cut by the host."""
    started = time.monotonic()
    members = [_Member(ref) for ref in refs]
    options = options._replace(host_first=True)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda member: member.begin(engine, open_case, options), members))
        cut = Cut(
            time.monotonic() - started,
            tuple(member.ref for member in members if not (member.error or member.uncertain)),
            tuple((member.ref, member.uncertain) for member in members if member.uncertain and not member.error),
        )
        tell(cut)
        list(pool.map(_Member.finish, members))
    return Batch(
        tuple(member.result for member in members if member.result),
        tuple((member.ref, member.error) for member in members if member.error),
        cut,
    )
