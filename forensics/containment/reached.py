"""Proves after a release that others reach the container again, by address and by name, and that it reaches others.

Asked from the engine's side, from a peer's and from its own: every packet is sent by this process, nothing in a
container is run. What answered before the cut must answer again; what did not is not held against the release.
"""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from forensics.containment.beside import Beside
from forensics.containment.names import RESOLVER, resolve
from forensics.containment.probe import EchoProbe, find_gateways
from forensics.containment.scene import find_engine_namespace
from forensics.engine.locality import is_local_container
from forensics.errors import EngineError
from forensics.text import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import Container, NetworkAttachment
    from forensics.model import JsonObject

_WITHOUT_NAMES = frozenset({"bridge", "podman", "none", "host"})
_PATIENCE_SECONDS = 12.0
"""A new IPv6 address answers after a second only (RFC 4862, 5.4), and somebody whom an attacker taught another hardware
address believes that for eight seconds more: five of delay, three questions (arp(7))."""
_HOPE_SECONDS = 4.0
"""For an address that could not answer before the cut: it may after a second, and lost questions are repeated."""
_ROUND_SECONDS = 0.3
_MOST_NAMES = 8
_MOST_PEERS = 3


class Asked(NamedTuple):
    """What was asked from one place: addresses or names, and what answered; ``problem`` says why nobody could be."""

    place: str
    asked: tuple[str, ...]
    answered: tuple[str, ...]
    problem: str = ""


class Reached(NamedTuple):
    """Everything that was asked after the release."""

    inward: tuple[Asked, ...] = ()
    outward: Asked = Asked("its own namespace", (), ())
    names: tuple[Asked, ...] = ()

    def to_document(self) -> JsonObject:
        """Return the JSON form, for the case and the machine output."""
        return {
            "inward": [item._asdict() for item in self.inward],
            "outward": self.outward._asdict(),
            "names": [item._asdict() for item in self.names],
        }


def reach(engine: ContainmentEngine, container: Container, before: JsonObject) -> Reached:
    """Ask from everywhere; *before* is the probe's document from before the cut, which tells what is worth waiting for.

    Raises:
        EngineError: the engine does not answer.
    """
    addresses = tuple(value for item in container.networks for value in (item.ipv4, item.ipv6) if value)
    wanted = set(before.get("answered_before") or ()) & set(addresses)
    outward = set(before.get("reached_before") or ())
    hoped = set(before.get("unsettled") or ()) & set(addresses)
    asking = [Beside(partial(_echo, "the engine's side", find_engine_namespace(engine.url), addresses, wanted, hoped))]
    names = []
    for item in container.networks:
        peers = _list_peers(engine, container, item)
        of_network = tuple(filter(None, (item.ipv4, item.ipv6)))
        for peer in peers[:1]:
            place = f"peer {show(peer.name)}"
            theirs, perhaps = wanted & set(of_network), hoped & set(of_network)
            asking.append(Beside(partial(_echo, place, _path(peer), of_network, theirs, perhaps)))
        if item.name not in _WITHOUT_NAMES:
            names.append(_ask_names(container, item, peers))
    own = _echo("its own namespace", _path(container), find_gateways(container), outward, set())
    return Reached(tuple(one.result() for one in asking), own, tuple(names))


def judge(reached: Reached, before: JsonObject) -> Iterator[str]:
    """Say what does not answer although it did before the cut, and which names are unknown or lead elsewhere."""
    wanted = set(before.get("answered_before") or ())
    for item in reached.inward:
        for address in sorted(wanted & set(item.asked) - set(item.answered)):
            yield f"{item.place} does not reach it at {address}, where it answered before the cut"
    for address in sorted(set(before.get("reached_before") or ()) & set(reached.outward.asked)):
        if address not in reached.outward.answered:
            yield f"it does not reach {address}, which it reached before the cut"
    for item in reached.names:
        for name in sorted(set(item.asked) - set(item.answered)):
            yield f"its name {show(name)} does not lead to it, as asked from {item.place}"


def _list_peers(engine: ContainmentEngine, container: Container, item: NetworkAttachment) -> list[Container]:
    """The running containers of this host on the same network."""
    try:
        listed = (engine.inspect_network(item.network_id or item.name).get("Containers") or {}).keys()
        found = [engine.find_container(ref) for ref in sorted(set(listed) - {container.id})[:_MOST_PEERS]]
    except EngineError:
        return []
    return [peer for peer in found if peer.is_running and is_local_container(peer)]


def _ask_names(container: Container, item: NetworkAttachment, peers: list[Container]) -> Asked:
    """Ask in a peer's namespace where there is one, else in its own, where the same resolver answers.

    Whoever shares several networks with it may be told any of its addresses.
    """
    asker = peers[0] if peers else container
    place = f"peer {show(asker.name)}" if peers else "its own namespace"
    names = tuple(dict.fromkeys((container.name, *item.aliases)))[:_MOST_NAMES]
    own = {value for one in container.networks for value in (one.ipv4, one.ipv6) if value}
    gateways = find_gateways(container)
    try:
        for server in (RESOLVER, *gateways):
            first = resolve(_path(asker), server, names[0])
            if first is not None:
                found = {names[0]: first} | {name: resolve(_path(asker), server, name) for name in names[1:]}
                return _sort_names(asker, place, found, own)
    except (OSError, EngineError) as error:
        return Asked(place, (), (), f"no resolver could be asked ({error})")
    return Asked(place, (), (), "no resolver answers there")


def _sort_names(asker: Container, place: str, found: dict[str, set[str] | None], own: set[str]) -> Asked:
    """A name that another container has too, on another network of whoever asks, may rightly lead there."""
    elsewhere = {name for name, answer in found.items() if answer and not own & answer and len(asker.networks) > 1}
    asked = tuple(name for name in found if name not in elsewhere)
    answered = tuple(name for name in asked if own & (found[name] or set()))
    problem = f"{', '.join(map(show, sorted(elsewhere)))} is a name on another network of it too" if elsewhere else ""
    return Asked(place, asked, answered, problem)


def _echo(place: str, path: str, addresses: tuple[str, ...], wanted: set[str], hoped: set[str]) -> Asked:
    """Ask until everything in *wanted* and *hoped* has answered, or the patience for it is at its end."""
    if not path or not addresses:
        return Asked(place, (), (), "" if path else "its network namespace cannot be looked at")
    started = time.monotonic()
    answered: set[str] = set()
    with contextlib.closing(EchoProbe(path)) as probe:
        while not probe.problem:
            probe.send(tuple(set(addresses) - answered))
            answered |= set(probe.collect(_ROUND_SECONDS))
            passed = time.monotonic() - started
            if not (wanted | hoped) - answered or passed > (_PATIENCE_SECONDS if wanted - answered else _HOPE_SECONDS):
                break
        return Asked(place, addresses, tuple(sorted(answered)), probe.problem)


def _path(container: Container) -> str:
    return f"/proc/{container.pid}/ns/net" if container.is_running and is_local_container(container) else ""
