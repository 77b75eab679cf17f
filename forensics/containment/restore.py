"""Brings addresses back that the engine chose differently on reconnect, and compares the container with the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.containment.actions import Action, ActionKind
from forensics.engine.base import EngineAnswerError
from forensics.engine.locality import is_local_container
from forensics.errors import EngineError
from forensics.frozen import replace
from forensics.text import show

if TYPE_CHECKING:
    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import Container, NetworkAttachment

_SETS = frozenset({"aliases", "links", "driver_opts"})
_GROUPS = {
    "address": ("ipv4", "ipv6", "ipam_ipv4", "ipam_ipv6"),
    "hardware address": ("mac",),
    "aliases": ("aliases",),
    "links": ("links",),
    "driver options": ("driver_opts",),
}
_LIVE = frozenset({"ipv4", "ipv6", "mac"})
Notes = dict[tuple[str, str], str]
"""What was done about a network's address or hardware address, by the network's name and the group."""


def mend_attachments(engine: ContainmentEngine, container_id: str, wanted: tuple[NetworkAttachment, ...]) -> Notes:
    """Give each network its old address and hardware address again where the engine gave others; return what it cost.

    An address can only be asked for on a network whose subnet was configured; elsewhere the engine decides.
    """
    notes: Notes = {}
    for attachment in wanted:
        container = engine.find_container(container_id)
        current = _attachment_of(container, attachment)
        if current is None or not container.is_running:
            continue
        if (attachment.ipv4, attachment.ipv6) != (current.ipv4, current.ipv6):
            notes[attachment.name, "address"] = _ask_for_address(engine, container, attachment)
            container = engine.find_container(container_id)
            current = _attachment_of(container, attachment) or current
        if attachment.mac and attachment.mac != current.mac:
            notes[attachment.name, "hardware address"] = _set_mac(container, current, attachment.mac)
    return notes


def reattach_missing(engine: ContainmentEngine, container_id: str, wanted: tuple[NetworkAttachment, ...]) -> Notes:
    """Connect once more what the engine says is connected although the container has no such interface.

    Podman makes none for a frozen container, so this comes after its processes go on.
    """
    container = engine.find_container(container_id)
    if not wanted or container.status != "running" or not is_local_container(container):
        return {}
    notes: Notes = {}
    held = _list_addresses(container)
    for attachment in wanted:
        current = _attachment_of(container, attachment)
        if current and held is not None and not held & {current.ipv4, current.ipv6, current.mac}:
            network = attachment.network_id or attachment.name
            engine.disconnect_network(container, network)
            engine.connect_network(container, replace(attachment, ipam_ipv4=attachment.ipv4, ipam_ipv6=attachment.ipv6))
            notes[attachment.name, "address"] = (
                "connected twice, because the engine made no interface while it was frozen"
            )
    return notes


def _list_addresses(container: Container) -> set[str] | None:
    """Every address that its network namespace has; None where that cannot be seen."""
    from forensics.engine.netns import Namespace  # noqa: PLC0415 - not needed to isolate

    try:
        with Namespace(f"/proc/{container.pid}/ns/net") as namespace:
            interfaces = namespace.read().interfaces
    except (OSError, EngineError):
        return None
    return {value for one in interfaces for value in (one.mac, *(a.partition("/")[0] for a in one.addresses))}


def compare(
    container: Container, open_actions: tuple[Action, ...], wanted: tuple[NetworkAttachment, ...], notes: Notes
) -> tuple[list[str], list[str]]:
    """Return what is not restored, and, each once, what differs because the engine decides it."""
    problems, differences = [], []
    for attachment in wanted:
        current = _attachment_of(container, attachment)
        if current is None:
            problems.append(f"it is not connected to network {show(attachment.name)}")
            continue
        differences += _compare_attachment(container, attachment, current, notes)
    differences += _compare_endpoints(container, open_actions)
    policy = (container.raw.get("HostConfig") or {}).get("RestartPolicy") or {}
    for action in open_actions:
        if action.kind is ActionKind.RESTART_POLICY and policy.get("Name") != action.parameters["name"]:
            problems.append(f"its restart policy is {show(str(policy.get('Name')))}")
    if container.status == "paused" and any(action.kind is ActionKind.FREEZE for action in open_actions):
        problems.append("its processes are still frozen")
    return problems, differences


def read_endpoints(container: Container) -> dict[str, str]:
    """Return the engine's endpoint id of each network, by the network's name."""
    attached = (container.raw.get("NetworkSettings") or {}).get("Networks") or {}
    return {str(name): str((endpoint or {}).get("EndpointID") or "") for name, endpoint in attached.items()}


def _compare_endpoints(container: Container, open_actions: tuple[Action, ...]) -> list[str]:
    """An endpoint id is made anew with each connect, and no engine takes one that is asked for."""
    now = read_endpoints(container)
    recorded = {
        str(action.parameters["attachment"]["name"]): str(action.parameters.get("endpoint_id") or "")
        for action in open_actions
        if action.kind is ActionKind.DISCONNECT
    }
    changed = sorted(name for name, before in recorded.items() if before and now.get(name, before) not in {before, ""})
    return [f"the engine gave new endpoint ids (network {', '.join(map(show, changed))})"] if changed else []


def _compare_attachment(
    container: Container, old: NetworkAttachment, new: NetworkAttachment, notes: Notes
) -> list[str]:
    found = []
    for group, names in _GROUPS.items():
        changed = [
            name for name in names if (container.is_running or name not in _LIVE) and _differ(container, old, new, name)
        ]
        note = notes.get((old.name, group), "")
        values = ", ".join(
            f"{name} was {show(str(getattr(old, name)))} and is {show(str(getattr(new, name)))}" for name in changed
        )
        if values and note:
            values = f"{note}; {values}"
        if values or note:
            found.append(f"network {show(old.name)}: {values or note}")
    return found


def _differ(container: Container, old: NetworkAttachment, new: NetworkAttachment, name: str) -> bool:
    before, after = getattr(old, name), getattr(new, name)
    if name in _SETS:
        return set(before) - {container.short_id} != set(after) - {container.short_id}
    return bool(before != after)


def _attachment_of(container: Container, wanted: NetworkAttachment) -> NetworkAttachment | None:
    return next((item for item in container.networks if item.name == wanted.name), None)


def _ask_for_address(engine: ContainmentEngine, container: Container, wanted: NetworkAttachment) -> str:
    network = wanted.network_id or wanted.name
    fixed = replace(wanted, ipam_ipv4=wanted.ipv4, ipam_ipv6=wanted.ipv6)
    engine.disconnect_network(container, network)
    try:
        engine.connect_network(container, fixed)
    except EngineAnswerError as error:
        engine.connect_network(container, wanted)
        return f"the old address cannot be asked for ({error.message})"
    return "the old address is now configured as a static one"


def _set_mac(container: Container, current: NetworkAttachment, mac: str) -> str:
    from forensics.engine.netns import Namespace  # noqa: PLC0415 - only where an address differs

    try:
        with Namespace(f"/proc/{container.pid}/ns/net") as namespace:
            for interface in namespace.read().interfaces:
                if interface.mac == current.mac:
                    namespace.netlink.set_link(interface.ifindex, mac=mac)
                    return "set by the host, the engine names another"
    except (OSError, EngineError) as error:
        return f"it could not be set ({error})"
    return "the interface was not found"
