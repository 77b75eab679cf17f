"""One run of isolation after the freeze: capture what dies, cut, look again, cut what is left, prove.

Loaded while the engine is busy freezing; nothing here is needed before that.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from forensics.containment.actions import Action, ActionKind, IsolationOptions, Plan, parse_recorded_attachment
from forensics.containment.apply import apply_action
from forensics.containment.beside import Beside
from forensics.containment.far_side import FarSide, FarView, plan_far_end
from forensics.containment.plan import (
    Scene,
    number_actions,
    plan_block,
    plan_disconnects,
    plan_end_of_loop,
    plan_freeze,
    plan_leftovers,
)
from forensics.containment.probe import EchoProbe, find_gateways, find_unsettled
from forensics.containment.prove import Observation, Probes, Proof, prove
from forensics.containment.replacement import Replacement, find_replacements
from forensics.containment.scene import capture, find_engine_namespace, look
from forensics.errors import EngineError

if TYPE_CHECKING:
    from forensics.containment.journal import Journal, Performed
    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import NetworkAttachment
    from forensics.model import JsonObject

_ROUNDS = 6
_TRIES = 3


class Cutting:
    """What was done after the freeze, and what was seen."""

    def __init__(self, engine: ContainmentEngine, scene: Scene, journal: Journal, options: IsolationOptions) -> None:
        """Open the probe; nothing is changed, and nothing is sent yet."""
        self.performed: list[Performed] = []
        self._home = find_engine_namespace(engine.url)
        self._probe = EchoProbe(self._home)
        self._far_side = FarSide(self._home)
        self._far = FarView()
        self._engine = engine
        self._before = scene
        self._journal = journal
        self._options = options
        self._asked: tuple[str, ...] = ()
        self._answered: tuple[str, ...] = ()
        self._reached: tuple[str, ...] = ()
        self._unsettled: tuple[str, ...] = ()
        self._writing: Beside[None] | None = None
        self.replacements: tuple[Replacement, ...] = ()
        self._running = engine.list_containers()

    def close(self) -> None:
        """Close the probe, and see that the capture is in the case."""
        self._probe.close()
        self._far_side.close()
        if self._writing:
            self._writing.result()

    def capture(self, plan: Plan, *, freeze: bool) -> None:
        """Look once more, now that it is frozen, keep what dies with the cut, and see that the probe works.

        *freeze* is whether it must stand still at the proof. What was seen, and the plan, are written to the case while
        the engine disconnects; :meth:`prove` waits for it.
        """
        self._options = self._options._replace(freeze=freeze)
        self._asked = tuple(
            address
            for attachment in self._before.container.networks
            for address in (attachment.ipv4, attachment.ipv6)
            if address
        )
        unsettled = find_unsettled((self._home, f"/proc/{self._before.container.pid}/ns/net"), self._asked)
        self._probe.send(self._asked)
        self._answered = self._probe.calibrate()
        self._unsettled = tuple(address for address in unsettled if address not in self._answered)
        self._before = self._look_again()
        self._far_side.note(self._engine, self._before, self._known_attachments())
        self._writing = Beside(partial(self._write, plan, capture(self._before)))
        self._reached = self._ask_outward(self._before, find_gateways(self._before.container))

    def run(self, actions: list[Action]) -> None:
        """Carry out *actions*; one that fails is a result, and the next one is tried all the same."""
        ends = {"ends": [end._asdict() for end in self._far_side.recorded]}
        known = [
            action._replace(parameters=ends) if action.kind is ActionKind.LOWER_FAR_ENDS else action
            for action in actions
        ]
        self._perform(known, self._before)

    def see_cut(self) -> str:
        """Return why the host's own cut is not certain, empty where it is; whether it is goes on record at once."""
        self._probe.send(self._answered)
        reason = self._far_side.find_open(self._before)
        answered = self._probe.collect(self._probe.wait_seconds) if self._answered else ()
        reason = reason or (f"{answered[0]} still answers" if answered else "")
        document = {
            "ends": [end._asdict() for end in self._far_side.recorded],
            "answered_before": list(self._answered),
            "answered_after": list(answered),
        }
        self._journal.write_cut(document, reason)
        return reason

    def prove(self) -> Proof:
        """Look at what is left, cut that too, and decide."""
        self._probe.send(self._answered)
        if self._writing:
            self._writing.result()
        listing = Beside(self._engine.list_containers)
        after = self._look_again()
        for _ in range(_ROUNDS):
            rest = list(self._plan_rest(after))
            if not rest:
                break
            self._perform(list(number_actions(rest, self._journal.count_actions() + 1)), after)
            self._probe.send(self._answered)
            after = self._look_again()
        proof = prove(self._observe(after))
        proof.document["engine_side"] = self._far_side.describe(self._far)
        self.replacements = find_replacements(self._before.container, self._running, listing.result())
        proof.document["replacements"] = [found.to_document() for found in self.replacements]
        self._journal.write_proof("proof", proof.document, succeeded=proof.proved, reasons=proof.reasons)
        return proof

    def _write(self, plan: Plan, captured: JsonObject) -> None:
        self._journal.write_capture(captured)
        self._journal.keep_plan(plan, self._options.reason)

    def _perform(self, actions: list[Action], scene: Scene) -> None:
        for action in actions:
            change = partial(apply_action, action, self._engine, scene.container, scene.footprint)
            self.performed.append(self._journal.perform(action, change))

    def _look_again(self) -> Scene:
        return look(self._engine, self._engine.find_container(self._before.container.id))

    def _plan_rest(self, after: Scene) -> Iterator[Action]:
        if loop := list(plan_end_of_loop(after.container)):  # it ended meanwhile, and is to be started again
            yield from loop
            return
        yield from plan_freeze(after.container, self._options)  # it was started meanwhile
        again = [action for action in plan_disconnects(after, self._options) if self._count_tries(action) < _TRIES]
        if again:  # it was started, or connected, while it was cut
            yield from again
            return
        leftovers = plan_leftovers(after, self._known_attachments())
        yield from leftovers
        self._far = self._far_side.look(after, self._running)
        if not leftovers:
            yield from map(plan_far_end, self._far.remaining)
        if not after.is_frozen:
            yield from map(plan_block, after.services)
        held = any(snapshot.established for _, snapshot in after.own)
        tried = any(done.action.kind is ActionKind.DESTROY_SOCKETS for done in self.performed)
        if held and not tried and not after.is_frozen:
            yield Action(
                "",
                ActionKind.DESTROY_SOCKETS,
                effect="abort the connections that outlived the cut, so that none resumes",
                inverse="none: both ends have to connect anew",
                precondition="the container is not frozen",
            )

    def _count_tries(self, action: Action) -> int:
        wanted = action.parameters["attachment"]["network_id"]
        return sum(
            done.action.kind is ActionKind.DISCONNECT and done.action.parameters["attachment"]["network_id"] == wanted
            for done in self.performed
        )

    def _known_attachments(self) -> tuple[NetworkAttachment, ...]:
        """Every attachment that was ever cut in this case: an interface of it may turn up late."""
        return self._before.container.networks + tuple(
            parse_recorded_attachment(action.parameters["attachment"])
            for action in self._journal.read_open()
            if action.kind is ActionKind.DISCONNECT
        )

    def _ask_outward(self, scene: Scene, addresses: tuple[str, ...]) -> tuple[str, ...]:
        """Return which addresses answer to this process, standing in the container's own network namespace."""
        path = f"/proc/{scene.container.pid}/ns/net"
        if not addresses or not any(use.path == path for use, _ in scene.own):
            return ()
        with contextlib.closing(EchoProbe(path)) as probe:
            return probe.ask(addresses)

    def _observe(self, after: Scene) -> Observation:
        kinds = {action.kind for action in self._journal.read_open()}
        answered = self._probe.collect(self._probe.wait_seconds) if self._answered else ()
        return Observation(
            before=self._before,
            after=after,
            probes=Probes(
                self._answered,
                answered,
                self._asked,
                self._probe.problem,
                self._reached,
                self._ask_outward(after, self._reached),
                self._unsettled,
            ),
            want_frozen=self._options.freeze,
            far=self._far,
            is_filtered=_is_filtered(after),
            is_disconnected=not after.sharing or self._options.cut_sharing or ActionKind.DISCONNECT in kinds,
        )


def _is_filtered(scene: Scene) -> bool:
    if scene.footprint.group is None or not scene.shares_network:
        return False
    from forensics.engine.cgroup_filter import is_attached  # noqa: PLC0415 - only for shared networks

    try:
        if is_attached(scene.footprint.group):
            return True
    except EngineError:
        pass  # the kernel knows no such programs; the other way is asked next
    from forensics.engine import nft_filter  # noqa: PLC0415 - only where there is no such program

    return nft_filter.is_attached(scene.footprint.group, scene.footprint.shared_paths)
