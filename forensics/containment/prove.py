"""Decides whether a container is cut off, from what the host saw before and after. Pure; never assumes.

The engine's answer is no proof: Docker reports success for an interface that was renamed in the container, Podman for
one of a paused container. Proved means that every check below held; what could not be checked is a reason against.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from forensics.engine.net_facts import Snapshot, to_document
from forensics.model import JsonObject
from forensics.text import show

if TYPE_CHECKING:
    from forensics.containment.far_side import FarView
    from forensics.containment.plan import Scene
    from forensics.engine.footprint import NamespaceUse

_NO_NETWORK = frozenset({"none"})


class Probes(NamedTuple):
    """Which addresses answered before and after; ``problem`` says why nobody could be asked.

    ``unsettled`` are those that could not answer yet, because an IPv6 address on the way was in its first second.
    ``reached_before`` and ``reached_after`` are gateways that answered when asked from its own namespace.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    problem: str = ""
    reached_before: tuple[str, ...] = ()
    reached_after: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()


class Observation(NamedTuple):
    """Everything that the proof reads."""

    before: Scene
    after: Scene
    probes: Probes
    far: FarView
    want_frozen: bool
    is_filtered: bool
    is_disconnected: bool


class Proof(NamedTuple):
    """The answer, the reasons against, and the observations it rests on."""

    proved: bool
    reasons: tuple[str, ...]
    document: JsonObject


def prove(seen: Observation) -> Proof:
    """Return whether no packet can leave or reach the container, and why not if so.

    (1) the host sees the container's processes; (2) the engine lists no network; (3) none of its own namespaces has an
    interface that is up; (4) none knows a way out; (5) no connection could go on; (6) what it shares with others is
    filtered; (7) nothing answers that answered before, asked from the engine's side or from its own; (8) it is frozen
    if that was asked; (9) on the engine's side nothing is left that leads to it, or may.
    """
    reasons = tuple(dict.fromkeys(_find_reasons(seen)))
    return Proof(not reasons, reasons, _describe(seen, reasons))


def _find_reasons(seen: Observation) -> Iterator[str]:
    after, container = seen.after, seen.after.container
    frozen = after.is_frozen
    if after.footprint.reason:  # (1)
        yield after.footprint.reason
    yield from after.footprint.unreadable
    if seen.is_disconnected:  # (2)
        for attachment in container.networks:
            if attachment.name not in _NO_NETWORK | {"host"}:
                yield f"the engine still lists network {show(attachment.name)}"
    for use, snapshot in after.own:
        yield from _check_own(use, snapshot, frozen=frozen, can_raise=after.footprint.can_change_network)
    if container.is_running and not frozen:
        yield from _check_services(seen)
    if after.shares_network and container.is_running:  # (6)
        yield from _check_shared(seen, frozen=frozen)
    yield from _check_probes(seen)
    if seen.want_frozen and container.is_running and not frozen:  # (8)
        pids = ", ".join(map(str, after.footprint.awake)) or "of it"
        yield f"processes {pids} were to be frozen and are not"
    yield from _check_engine_side(seen.far)
    if after.footprint.outsiders:
        pids = ", ".join(map(str, after.footprint.outsiders))
        yield f"processes {pids} left its control group and are neither frozen nor filtered"


def _check_probes(seen: Observation) -> Iterator[str]:
    for address in seen.probes.after:  # (7)
        if not seen.is_filtered:
            yield f"{address} still answers"
    for address in seen.probes.reached_after:
        yield f"{address} still answers when it is asked from the container's network namespace"


def _check_engine_side(far: FarView) -> Iterator[str]:
    for found in far.remaining:  # (9)
        yield f"interface {show(found.end.name)} of the engine's side still leads to it"
    yield from far.reasons


def _check_own(use: NamespaceUse, snapshot: Snapshot, *, frozen: bool, can_raise: bool) -> Iterator[str]:
    for interface in snapshot.uplinks:
        if interface.is_up:  # (3)
            yield f"interface {show(interface.name)} of network namespace {use.inode} is still up"
        elif can_raise and not frozen:
            yield f"interface {show(interface.name)} is down, but its processes could raise it; freeze the container"
    for address in snapshot.reachable:  # (4)
        yield f"network namespace {use.inode} still has a route to {address}"
    if snapshot.established and not frozen:  # (5)
        yield f"{len(snapshot.established)} connections could go on if it is connected again"


def _check_services(seen: Observation) -> Iterator[str]:
    for address in seen.after.services:
        yield f"a process from outside answers at {address} in its network namespace, and may ask outside"
    if seen.before.services and seen.after.footprint.can_change_network:
        yield "its processes could lift the block of the engine's resolver (NET_ADMIN); freeze the container"


def _check_shared(seen: Observation, *, frozen: bool) -> Iterator[str]:
    if not seen.is_filtered:
        state = "it is frozen, but the kernel still answers for its connections" if frozen else "it goes on running"
        yield f"it shares a network with others and no packet filter holds it; {state}"
    elif not frozen and seen.after.footprint.can_send_raw:
        yield "its processes may open packet sockets (NET_RAW), which the filter does not see; freeze the container"


def _describe(seen: Observation, reasons: tuple[str, ...]) -> JsonObject:
    container = seen.after.container
    return {
        "proved": not reasons,
        "reasons": list(reasons),
        "status": container.status,
        "frozen": seen.after.is_frozen,
        "filtered": seen.is_filtered,
        "engine_networks": [attachment.name for attachment in container.networks],
        "processes": len(seen.after.footprint.members),
        "namespaces_before": [_render(use, snapshot) for use, snapshot in seen.before.own],
        "namespaces_after": [_render(use, snapshot) for use, snapshot in seen.after.own],
        "shared_namespaces": [use.inode for use, _ in seen.after.snapshots if not use.is_exclusive],
        "held_connections": sum(len(snapshot.established) for _, snapshot in seen.after.own),
        "probe": {
            "asked": list(seen.probes.asked),
            "answered_before": list(seen.probes.before),
            "answered_after": list(seen.probes.after),
            "reached_before": list(seen.probes.reached_before),
            "reached_after": list(seen.probes.reached_after),
            "inconclusive": sorted(set(seen.probes.asked) - set(seen.probes.before)),
            "unsettled": list(seen.probes.unsettled),
            "problem": seen.probes.problem or None,
        },
    }


def _render(use: NamespaceUse, snapshot: Snapshot) -> JsonObject:
    document = to_document(snapshot)
    sockets = document.pop("sockets")
    del document["neighbours"]
    return document | {"held_by": use.held_by, "pids": list(use.members), "sockets": len(sockets)}
