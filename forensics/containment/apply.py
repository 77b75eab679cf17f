"""Carries out the actions of a plan and their inverses, one at a time; what to do is decided elsewhere.

Each change looks at the real state first, so doing it twice, or after a crash, changes nothing more.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.containment.actions import Action, ActionKind, parse_recorded_attachment
from forensics.containment.guard import (
    drop_restart_policy,
    end_loop,
    freeze,
    restore_restart_policy,
    resume_loop,
    unfreeze,
)
from forensics.engine.base import EngineAnswerError
from forensics.errors import EngineError
from forensics.text import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from forensics.containment.port import ContainmentEngine
    from forensics.engine.base import Container, NetworkAttachment
    from forensics.engine.footprint import Footprint
    from forensics.engine.netlink import Netlink, RawSocket

_NOT_FOUND = 404


def apply_action(action: Action, engine: ContainmentEngine, container: Container, footprint: Footprint) -> str:
    """Do one action and return a note about what was found, if anything is worth one.

    Raises:
        NotApplicableError: this engine knows no such change.
        EngineError: the engine or the kernel refused.
    """
    return _APPLY[action.kind](action, engine, container, footprint)


def undo_action(action: Action, engine: ContainmentEngine, container: Container, footprint: Footprint) -> str:
    """Undo one action as far as it was done, and return a note.

    Raises:
        EngineError: the engine or the kernel refused.
    """
    undo = _UNDO.get(action.kind)
    return undo(action, engine, container, footprint) if undo else "nothing to undo"


def destroy_connections(footprint: Footprint) -> int:
    """Abort the TCP connections of the container to anyone else, and return how many.

    In a namespace that others use too, only sockets that the container's processes hold are touched.

    Raises:
        EngineError: the kernel cannot (CONFIG_INET_DIAG_DESTROY).
    """
    from forensics.engine.namespace_search import read_socket_owners  # noqa: PLC0415 - only where sockets are destroyed
    from forensics.engine.net_facts import is_foreign_connection  # noqa: PLC0415 - only there too
    from forensics.engine.netns import open_one  # noqa: PLC0415 - only there too

    destroyed = 0
    owners = read_socket_owners(footprint.members)
    for use in footprint.namespaces:
        with open_one(use.inode, use.paths) as namespace:
            for found in _tcp_sockets(namespace.netlink):
                if is_foreign_connection(found) and (use.is_exclusive or found.inode in owners):
                    namespace.netlink.destroy(found)
                    destroyed += 1
    return destroyed


def _tcp_sockets(netlink: Netlink) -> list[RawSocket]:
    import socket  # noqa: PLC0415 - loaded already by the netlink module

    return [
        found for family in (socket.AF_INET, socket.AF_INET6) for found in netlink.sockets(family, socket.IPPROTO_TCP)
    ]


def _filter(action: Action, _: ContainmentEngine, __: Container, footprint: Footprint) -> str:
    from forensics.engine.cgroup_filter import attach_drop  # noqa: PLC0415 - only for shared networks

    group = footprint.group or Path(action.parameters["group"])
    try:
        attach_drop(group)
    except EngineError as error:
        from forensics.engine import nft_filter  # noqa: PLC0415 - only where the kernel refuses the better way

        nft_filter.attach_drop(group, footprint.shared_paths)
        return f"with nftables, because {error.message}"
    return ""


def _unfilter(action: Action, engine: ContainmentEngine, _: Container, footprint: Footprint) -> str:
    from forensics.containment.scene import find_engine_namespace  # noqa: PLC0415 - only for shared networks
    from forensics.engine import nft_filter  # noqa: PLC0415 - only for shared networks
    from forensics.engine.cgroup_filter import FilterUnsupportedError, detach_drop  # noqa: PLC0415 - only for shared networks

    group = Path(action.parameters["group"])
    home = find_engine_namespace(engine.url)
    nft_filter.detach_drop(group, (*footprint.shared_paths, *([home] if home else [])))
    if not group.is_dir():
        return "the control group is gone, and the filter with it"
    with contextlib.suppress(FilterUnsupportedError):
        for folder in {group, footprint.group or group}:
            detach_drop(folder)
    return ""


def _block(action: Action, _: ContainmentEngine, __: Container, footprint: Footprint) -> str:
    return _on_own_namespaces(footprint, lambda netlink: netlink.block_address(str(action.parameters["address"])))


def _unblock(action: Action, _: ContainmentEngine, __: Container, footprint: Footprint) -> str:
    return _on_own_namespaces(footprint, lambda netlink: netlink.unblock_address(str(action.parameters["address"])))


def _on_own_namespaces(footprint: Footprint, change: Callable[[Netlink], None]) -> str:
    from forensics.engine.netns import open_one  # noqa: PLC0415 - only where an address is blocked

    own = [use for use in footprint.namespaces if use.is_exclusive]
    for use in own:
        with open_one(use.inode, use.paths) as namespace:
            change(namespace.netlink)
    return "" if own else "it has no network namespace of its own any more"


def _disconnect(action: Action, engine: ContainmentEngine, container: Container, _: Footprint) -> str:
    attachment = parse_recorded_attachment(action.parameters["attachment"])
    try:
        engine.disconnect_network(container, attachment.network_id or attachment.name)
    except EngineAnswerError:
        if _is_attached(engine.find_container(container.id), attachment):
            raise
        return "was not connected any more"
    return ""


def _connect(action: Action, engine: ContainmentEngine, container: Container, _: Footprint) -> str:
    attachment = parse_recorded_attachment(action.parameters["attachment"])
    if _is_attached(engine.find_container(container.id), attachment):
        return "was connected already"
    try:
        engine.connect_network(container, attachment)
    except EngineAnswerError as error:
        if error.status != _NOT_FOUND:
            raise
        raise EngineError(
            f"network {show(attachment.name)} no longer exists",
            hint="make it again with the same subnet, then run 'ir release' again",
        ) from error
    return ""


def _is_attached(container: Container, attachment: NetworkAttachment) -> bool:
    return any(
        attachment.network_id in {"", found.network_id} and attachment.name == found.name
        for found in container.networks
    )


def _remove_interface(action: Action, _: ContainmentEngine, __: Container, footprint: Footprint) -> str:
    return _on_link(action, footprint, lambda netlink, index: netlink.delete_link(index))


def _remove_far_end(action: Action, engine: ContainmentEngine, _: Container, __: Footprint) -> str:
    from forensics.containment.scene import find_engine_namespace  # noqa: PLC0415 - only where an end was left behind
    from forensics.engine.far_ends import read_far_end  # noqa: PLC0415 - only there too
    from forensics.engine.netns import Namespace  # noqa: PLC0415 - only there too

    wanted = (action.parameters["name"], action.parameters["mac"])
    try:
        with Namespace(find_engine_namespace(engine.url)) as namespace:
            end = read_far_end(namespace, int(action.parameters["ifindex"]))
            if end is None or (end.name, end.mac) != wanted:
                return "it is gone"
            namespace.netlink.delete_link(end.ifindex)
    except OSError as error:
        raise EngineError(f"the engine's network namespace cannot be used ({error})") from error
    return ""


def _lower_far_ends(action: Action, engine: ContainmentEngine, _: Container, __: Footprint) -> str:
    return _set_far_ends(action, engine, up=False)


def _raise_far_ends(action: Action, engine: ContainmentEngine, _: Container, __: Footprint) -> str:
    return _set_far_ends(action, engine, up=True)


def _set_far_ends(action: Action, engine: ContainmentEngine, *, up: bool) -> str:
    from forensics.containment.scene import find_engine_namespace  # noqa: PLC0415 - only where many are cut at once
    from forensics.engine.far_ends import FarEnd, set_far_end  # noqa: PLC0415 - only there too
    from forensics.engine.netns import Namespace  # noqa: PLC0415 - only there too

    ends = [FarEnd(**end) for end in action.parameters.get("ends", ())]
    if not ends:
        return "none was found"
    try:
        with Namespace(find_engine_namespace(engine.url)) as namespace:
            done = sum(set_far_end(namespace, end, up=up) for end in ends)
    except OSError as error:
        raise EngineError(f"the engine's network namespace cannot be used ({error})") from error
    return "" if done == len(ends) else f"{len(ends) - done} of {len(ends)} are gone"


def _lower_interface(action: Action, _: ContainmentEngine, __: Container, footprint: Footprint) -> str:
    return _on_link(action, footprint, lambda netlink, index: netlink.set_link(index, up=False))


def _raise_interface(action: Action, _: ContainmentEngine, __: Container, footprint: Footprint) -> str:
    return _on_link(action, footprint, lambda netlink, index: netlink.set_link(index, up=True))


def _on_link(action: Action, footprint: Footprint, change: Callable[[Netlink, int], None]) -> str:
    from forensics.engine.netns import open_one  # noqa: PLC0415 - only where an interface was left behind

    wanted, index, mac = (action.parameters[name] for name in ("namespace", "index", "mac"))
    for use in footprint.namespaces:
        if use.inode != wanted or not use.is_exclusive:
            continue
        with open_one(use.inode, use.paths) as namespace:
            if any(link.ifindex == index and link.mac == mac for link in namespace.read().interfaces):
                change(namespace.netlink, int(index))
                return ""
    return "the interface is gone"


def _destroy_sockets(_: Action, __: ContainmentEngine, ___: Container, footprint: Footprint) -> str:
    return f"{destroy_connections(footprint)} connections aborted"


_APPLY = {
    ActionKind.FREEZE: freeze,
    ActionKind.RESTART_POLICY: drop_restart_policy,
    ActionKind.END_LOOP: end_loop,
    ActionKind.FILTER: _filter,
    ActionKind.BLOCK_ADDRESS: _block,
    ActionKind.DISCONNECT: _disconnect,
    ActionKind.LOWER_FAR_ENDS: _lower_far_ends,
    ActionKind.REMOVE_INTERFACE: _remove_interface,
    ActionKind.LOWER_INTERFACE: _lower_interface,
    ActionKind.REMOVE_FAR_END: _remove_far_end,
    ActionKind.DESTROY_SOCKETS: _destroy_sockets,
}
_UNDO = {
    ActionKind.FREEZE: unfreeze,
    ActionKind.RESTART_POLICY: restore_restart_policy,
    ActionKind.END_LOOP: resume_loop,
    ActionKind.FILTER: _unfilter,
    ActionKind.BLOCK_ADDRESS: _unblock,
    ActionKind.DISCONNECT: _connect,
    ActionKind.LOWER_FAR_ENDS: _raise_far_ends,
    ActionKind.LOWER_INTERFACE: _raise_interface,
}
