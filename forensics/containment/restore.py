"""Brings addresses back that the engine chose differently on reconnect, and compares the container with the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forensics.containment.actions import Action, ActionKind
from forensics.engine.base import EngineAnswerError
from forensics.errors import EngineError
from forensics.frozen import replace
from forensics.text import show

if TYPE_CHECKING:
    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import Container, NetworkAttachment

_COMPARED = ("aliases", "ipv4", "ipv6", "mac", "links", "driver_opts", "ipam_ipv4", "ipam_ipv6")
_SETS = frozenset({"aliases", "links", "driver_opts"})


def mend_attachments(engine: ContainmentEngine, container_id: str, wanted: tuple[NetworkAttachment, ...]) -> list[str]:
    """Give each network its old address and hardware address again where the engine gave others; return what it cost.

    An address can only be asked for on a network whose subnet was configured; elsewhere the engine decides.
    """
    notes = []
    for attachment in wanted:
        container = engine.find_container(container_id)
        current = _attachment_of(container, attachment)
        if current is None or not container.is_running:
            continue
        if (attachment.ipv4, attachment.ipv6) != (current.ipv4, current.ipv6):
            notes += _ask_for_address(engine, container, attachment)
            container = engine.find_container(container_id)
            current = _attachment_of(container, attachment) or current
        if attachment.mac and attachment.mac != current.mac:
            notes += _set_mac(container, current, attachment.mac)
    return notes


def compare(
    container: Container, open_actions: tuple[Action, ...], wanted: tuple[NetworkAttachment, ...]
) -> tuple[list[str], list[str]]:
    """Return what is not restored, and what merely differs because the engine decides it."""
    problems, differences = [], []
    for attachment in wanted:
        current = _attachment_of(container, attachment)
        if current is None:
            problems.append(f"it is not connected to network {show(attachment.name)}")
            continue
        differences += _compare_attachment(container, attachment, current)
    policy = (container.raw.get("HostConfig") or {}).get("RestartPolicy") or {}
    for action in open_actions:
        if action.kind is ActionKind.RESTART_POLICY and policy.get("Name") != action.parameters["name"]:
            problems.append(f"its restart policy is {show(str(policy.get('Name')))}")
    if container.status == "paused" and any(action.kind is ActionKind.FREEZE for action in open_actions):
        problems.append("its processes are still frozen")
    return problems, differences


def _compare_attachment(container: Container, old: NetworkAttachment, new: NetworkAttachment) -> list[str]:
    found = []
    for name in _COMPARED:
        before, after = getattr(old, name), getattr(new, name)
        if name in _SETS:
            before, after = set(before) - {container.short_id}, set(after) - {container.short_id}
        comparable = container.is_running or name not in {"ipv4", "ipv6", "mac"}
        if before != after and comparable:
            found.append(f"network {show(old.name)}: {name} was {show(str(before))} and is {show(str(after))}")
    return found


def _attachment_of(container: Container, wanted: NetworkAttachment) -> NetworkAttachment | None:
    return next((item for item in container.networks if item.name == wanted.name), None)


def _ask_for_address(engine: ContainmentEngine, container: Container, wanted: NetworkAttachment) -> list[str]:
    network = wanted.network_id or wanted.name
    fixed = replace(wanted, ipam_ipv4=wanted.ipv4, ipam_ipv6=wanted.ipv6)
    engine.disconnect_network(container, network)
    try:
        engine.connect_network(container, fixed)
    except EngineAnswerError as error:
        engine.connect_network(container, wanted)
        return [f"network {show(wanted.name)}: the old address cannot be asked for ({error.message})"]
    return [f"network {show(wanted.name)}: the old address is now configured as a static one"]


def _set_mac(container: Container, current: NetworkAttachment, mac: str) -> list[str]:
    from forensics.engine.netns import Namespace  # noqa: PLC0415 - only where an address differs

    try:
        with Namespace(f"/proc/{container.pid}/ns/net") as namespace:
            for interface in namespace.read().interfaces:
                if interface.mac == current.mac:
                    namespace.netlink.set_link(interface.ifindex, mac=mac)
                    return [f"network {show(current.name)}: the hardware address was set by the host"]
    except (OSError, EngineError) as error:
        return [f"network {show(current.name)}: the hardware address could not be set ({error})"]
    return [f"network {show(current.name)}: the interface with the hardware address was not found"]
