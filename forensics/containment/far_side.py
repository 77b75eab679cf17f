"""Watches the engine's side of a container's networks: no end of a pair that was the container's may stay there.

What a container does with the end in its own hands cannot hide the other one. An end that leads to a network namespace
which nobody on this host can name is removed where it must be this container's, and is a reason against the proof
where it could be. Nothing is changed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from forensics.containment.actions import Action, ActionKind
from forensics.engine.far_ends import (
    FarEnd,
    HiddenEnd,
    find_bridge,
    find_hidden,
    is_down,
    list_far_ends,
    name_namespace,
    read_far_end,
)
from forensics.engine.netns import Namespace
from forensics.errors import EngineError
from forensics.text import show

if TYPE_CHECKING:
    from forensics.containment.plan import Scene
    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import Container, NetworkAttachment
    from forensics.model import JsonObject

_HIDING = frozenset({"ALL", "NET_ADMIN", "SYS_ADMIN", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"})
_NOT_ON_A_BRIDGE = frozenset({"none", "host"})


class FarView(NamedTuple):
    """What still hangs on the engine's side: what must be the container's, and why nothing is certain otherwise."""

    remaining: tuple[HiddenEnd, ...] = ()
    reasons: tuple[str, ...] = ()


class FarSide:
    """The engine's network namespace, kept open from before the cut until the proof."""

    def __init__(self, path: str) -> None:
        """Open the namespace at *path*; :attr:`problem` says why that is not possible."""
        self.problem = ""
        self._namespace: Namespace | None = None
        self._recorded: tuple[FarEnd, ...] = ()
        self._bridges: dict[str, int] = {}
        self._attachments: tuple[NetworkAttachment, ...] = ()
        self._lost: tuple[NetworkAttachment, ...] = ()
        self._may_hide = False
        self._must_search = False
        self._was_frozen = False
        try:
            self._namespace = Namespace(path)
        except (OSError, EngineError) as error:
            self.problem = f"the engine's network namespace cannot be looked at ({error})"

    def close(self) -> None:
        """Let go of the namespace."""
        if self._namespace:
            self._namespace.close()

    def note(self, engine: ContainmentEngine, scene: Scene, attachments: tuple[NetworkAttachment, ...]) -> None:
        """Record, before the cut, the other end of every interface of the container, and what cannot be found of it.

        Raises:
            EngineError: the kernel's answer cannot be read.
        """
        self._may_hide = may_hide(scene)
        self._was_frozen = scene.is_frozen
        self._attachments = tuple(item for item in attachments if item.name not in _NOT_ON_A_BRIDGE)
        known = {
            value
            for _, snapshot in scene.snapshots
            for interface in snapshot.interfaces
            for value in (interface.mac, *(address.partition("/")[0] for address in interface.addresses))
        }
        current = {item.name for item in scene.container.networks} if scene.footprint.is_visible else set()
        self._lost = tuple(item for item in self._attachments if not {item.mac, item.ipv4, item.ipv6} - {""} & known)
        self._must_search = self._may_hide or any(item.name in current for item in self._lost)
        if self._namespace:
            self._recorded = tuple(_record(self._namespace, scene))
            if self._must_search:
                self._bridges = dict(_find_bridges(engine, self._namespace, self._attachments))

    def look(self, after: Scene, others: tuple[Container, ...]) -> FarView:
        """Return what is left after the cut; *others* are the running containers, this one included or not.

        Raises:
            EngineError: the kernel's answer cannot be read.
        """
        if self._namespace is None:
            blind = self._must_search and after.footprint.is_visible
            return FarView(reasons=(self.problem,) if blind else ())
        left = tuple(end for end in self._recorded if self._is_still(end))
        if not self._must_search:
            return FarView(tuple(HiddenEnd(end, "", "") for end in left))
        own = tuple(use.path for use in after.footprint.namespaces)
        ends = list_far_ends(self._namespace)
        hidden = find_hidden(self._namespace, ends, own)
        mine = [found for found in hidden if found.end in left or self._is_own(found, ends, hidden, others, after)]
        mine += [HiddenEnd(end, "", "") for end in left if end not in {found.end for found in mine}]
        unclear = [found for found in hidden if found not in mine]
        return FarView(tuple(mine), (*self._find_unseen(after), *map(self._explain, unclear)))

    @property
    def recorded(self) -> tuple[FarEnd, ...]:
        """The other ends of the container's interfaces, as they were before the cut."""
        return self._recorded

    def find_open(self, before: Scene) -> str:
        """Return why packets may still pass although every recorded end was taken down; empty where none can.

        Raises:
            EngineError: the kernel's answer cannot be read.
        """
        if self._namespace is None:
            return self.problem
        outside = "processes of it left its control group" if before.footprint.outsiders else ""
        for problem in filter(None, (before.footprint.reason, *before.footprint.unreadable, outside)):
            return problem
        if self._must_search and not (self._was_frozen and not self._lost):
            return "its processes may have moved an interface out of sight"
        recorded = {(end.peer_index, end.ifindex) for end in self._recorded}
        for _, snapshot in before.own:
            for interface in snapshot.uplinks:
                if (interface.ifindex, interface.peer_index) not in recorded and interface.is_up:
                    return f"interface {show(interface.name)} has no end in the engine's network namespace"
        still_up = [end for end in self._recorded if not is_down(self._namespace, end)]
        return f"{show(still_up[0].name)} is still up" if still_up else ""

    def describe(self, view: FarView) -> JsonObject:
        """Return what was looked at, for the proof."""
        return {
            "problem": self.problem or None,
            "searched": self._must_search,
            "recorded": [end._asdict() for end in self._recorded],
            "not_found_in_the_container": [item.name for item in self._lost],
            "bridges": self._bridges,
            "remaining": [found.end._asdict() for found in view.remaining],
        }

    def _is_still(self, end: FarEnd) -> bool:
        found = read_far_end(self._namespace, end.ifindex) if self._namespace else None
        return found is not None and (found.name, found.mac) == (end.name, end.mac)

    def _is_own(
        self,
        found: HiddenEnd,
        ends: tuple[FarEnd, ...],
        hidden: tuple[HiddenEnd, ...],
        others: tuple[Container, ...],
        after: Scene,
    ) -> bool:
        """Whether an end that nobody names must be the container's: its hardware address, or no other can lack one."""
        rest = tuple(other for other in others if other.id != after.container.id)
        taken = {item.mac for other in rest for item in other.networks}
        if found.peer_mac in {item.mac for item in self._attachments} - taken - {""}:
            return True
        master = found.end.master
        nameless = {one.end for one in hidden if one.end.master == master}
        named = [end for end in ends if end.master == master and end not in nameless]
        for item in self._lost:
            if master and self._bridges.get(item.network_id) == master and len(nameless) == 1:
                return len(named) >= _count_attached(rest, item)
        return False

    def _find_unseen(self, after: Scene) -> Iterator[str]:
        held_still = self._was_frozen and after.is_frozen
        for item in self._attachments:
            seen = item not in self._lost and held_still
            if item.network_id not in self._bridges and not seen:
                yield (
                    f"the engine's side of network {show(item.name)} was not found, and its processes may have "
                    "moved an interface out of sight"
                )

    def _explain(self, found: HiddenEnd) -> str:
        return (
            f"interface {show(found.end.name)} of the engine's side leads to a network namespace that nobody on this "
            "host can name, and may be this container's"
        )


def may_hide(scene: Scene) -> bool:
    """Whether a process of it may make network namespaces or move interfaces, or was allowed to at its start."""
    host = scene.container.raw.get("HostConfig") or {}
    added = {str(name).upper() for name in host.get("CapAdd") or ()}
    return scene.footprint.can_hide_network or bool(host.get("Privileged")) or bool(added & _HIDING)


def plan_far_end(found: HiddenEnd) -> Action:
    """Return what removes an end on the engine's side that the engine left behind."""
    peer = f" ({show(found.peer_name)} there, {found.peer_mac})" if found.peer_name else ""
    return Action(
        "",
        ActionKind.REMOVE_FAR_END,
        effect=f"remove {show(found.end.name)} on the engine's side, which still leads to the container's interface in "
        f"a network namespace out of sight{peer}",
        inverse="none needed: the engine makes a new interface when it connects the network again",
        precondition="the engine's disconnect returned and its end is still there",
        parameters=found.end._asdict() | {"peer_name": found.peer_name, "peer_mac": found.peer_mac},
    )


def _record(namespace: Namespace, scene: Scene) -> Iterator[FarEnd]:
    for use, snapshot in scene.own:
        for interface in snapshot.uplinks:
            end = read_far_end(namespace, interface.peer_index) if interface.kind == "veth" else None
            if end and end.peer_index == interface.ifindex and end.namespace_id == name_namespace(namespace, use.path):
                yield end


def _count_attached(containers: tuple[Container, ...], network: NetworkAttachment) -> int:
    return sum(any(network.network_id == item.network_id for item in one.networks) for one in containers)


def _find_bridges(
    engine: ContainmentEngine, namespace: Namespace, attachments: tuple[NetworkAttachment, ...]
) -> Iterator[tuple[str, int]]:
    for item in attachments:
        try:
            network = engine.inspect_network(item.network_id or item.name)
        except EngineError:
            continue
        name = str((network.get("Options") or {}).get("com.docker.network.bridge.name") or f"br-{item.network_id[:12]}")
        configured = (network.get("IPAM") or {}).get("Config") or ()
        gateways = {str(one.get("Gateway") or "") for one in configured} - {""}
        if index := find_bridge(namespace, name, gateways):
            yield item.network_id, index
