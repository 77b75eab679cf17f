"""Decides what to do to cut a container off. Pure: facts in, a plan out; nothing is touched here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from forensics.containment.actions import Action, ActionKind, IsolationOptions, Plan, attachment_to_document
from forensics.engine.base import Container, NetworkAttachment
from forensics.errors import RefusedError
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.footprint import Footprint, NamespaceUse
    from forensics.engine.net_facts import Interface, Snapshot

_UNCUTTABLE = frozenset({"none", "host"})
_WITHOUT_RESOLVER = frozenset({"bridge", "host", "none", "podman"})
_ORCHESTRATORS = (
    ("com.docker.swarm.service.name", "swarm service", "docker service scale {}=0"),
    ("io.kubernetes.pod.name", "Kubernetes pod", "kubectl label pod {} quarantine=true --overwrite"),
    ("com.docker.compose.project", "compose project", "docker compose -p {} stop"),
)
_RESOLVER = "127.0.0.11"
"""Where Docker's resolver answers on every network but the default bridge (libnetwork, resolver.go)."""
_ENGINE_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock", "crio.sock")
_REMOVABLE = frozenset({"veth", "macvlan", "ipvlan"})


class Scene(NamedTuple):
    """What the host and the engine say of the container before anything is changed.

    ``services`` are addresses within its own namespace where a process from outside answers, and may ask others;
    ``doors`` are sockets of the host that are mounted into it.
    """

    container: Container
    footprint: Footprint
    snapshots: tuple[tuple[NamespaceUse, Snapshot], ...] = ()
    sharing: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    doors: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[tuple[NamespaceUse, Snapshot], ...]:
        """The namespaces that nobody else uses."""
        return tuple((use, snapshot) for use, snapshot in self.snapshots if use.is_exclusive)

    @property
    def is_frozen(self) -> bool:
        """Whether it is paused by the engine's word and every process of it by the kernel's."""
        return self.container.status == "paused" and not self.footprint.awake

    @property
    def shares_network(self) -> bool:
        """Whether some process of it stands in a namespace that others use too (host network, ``container:X``)."""
        mode = self.container.network_mode
        return (
            mode == "host"
            or mode.startswith("container:")
            or not all(use.is_exclusive for use in self.footprint.namespaces)
        )


def plan_isolation(scene: Scene, options: IsolationOptions) -> Plan:
    """Return the plan that cuts the container off, in the order in which it is carried out.

    Raises:
        RefusedError: it cannot be cut without cutting others, and nobody agreed to that.
    """
    actions = [
        *_guard(scene.container, options),
        *_plan_filter(scene, options),
        *_plan_blocks(scene, options),
        *_plan_far_ends(scene, options),
        *plan_disconnects(scene, options),
    ]
    container = scene.container
    return Plan(container.id, container.name, number_actions(actions), tuple(_warn(scene, options)))


def number_actions(actions: Iterable[Action], start: int = 1) -> tuple[Action, ...]:
    """Give the actions their ids, ``A01`` onwards."""
    return tuple(action._replace(id=f"A{number:02d}") for number, action in enumerate(actions, start))


def order_attachments(scene: Scene) -> tuple[NetworkAttachment, ...]:
    """Return the attachments in the order in which the container got them, told by the interface indexes."""
    index_of = {
        key: interface.ifindex
        for _, snapshot in scene.snapshots
        for interface in snapshot.interfaces
        for key in (interface.mac, *(address.partition("/")[0] for address in interface.addresses))
    }

    def age(attachment: NetworkAttachment) -> int:
        return index_of.get(attachment.ipv4, index_of.get(attachment.ipv6, index_of.get(attachment.mac, 0)))

    return tuple(sorted(scene.container.networks, key=age))


def plan_leftovers(scene: Scene, attachments: tuple[NetworkAttachment, ...]) -> list[Action]:
    """Return what cuts the interfaces that are still there although the engine says that it disconnected.

    An interface of the engine's own making (known by its addresses) is removed: the engine makes it anew. Any other
    one is lowered, which loses nothing.
    """
    known = {value for attachment in attachments for value in (attachment.mac, attachment.ipv4, attachment.ipv6)}
    known.discard("")
    return [
        _cut_interface(use, interface, known)
        for use, snapshot in scene.own
        for interface in snapshot.uplinks
        if interface.is_up or _is_engines(interface, known)
    ]


def plan_freeze(container: Container, options: IsolationOptions) -> Iterator[Action]:
    """Yield what freezes it, if that is wanted and it runs."""
    if options.freeze and container.status == "running":
        yield Action(
            "",
            ActionKind.FREEZE,
            effect="freeze every process of the container",
            inverse="let the processes go on",
            precondition="the container is running",
        )


def _guard(container: Container, options: IsolationOptions) -> Iterator[Action]:
    yield from plan_freeze(container, options)
    policy = (container.raw.get("HostConfig") or {}).get("RestartPolicy") or {}
    name, retries = str(policy.get("Name") or "no"), int(policy.get("MaximumRetryCount") or 0)
    if name != "no":
        yield Action(
            "",
            ActionKind.RESTART_POLICY,
            effect=f"set the restart policy from {show(name)} to no",
            inverse=f"set the restart policy back to {show(name)}",
            precondition="the engine keeps the container (no --rm)",
            parameters={"name": name, "maximum_retries": retries},
        )
    yield from plan_end_of_loop(container)


def plan_end_of_loop(container: Container, *, was_seen: bool = False) -> Iterator[Action]:
    """Yield what takes back the start that the engine has scheduled: a changed policy alone does not.

    With *was_seen* also for one that was between two tries a moment ago, so that the undo resumes the loop.
    """
    if was_seen or container.status == "restarting":
        yield Action(
            "",
            ActionKind.END_LOOP,
            effect="take back the engine's next start of the container, which would connect it again",
            inverse="start the container, and with it the loop",
            precondition="nothing of the container runs: the engine waits between two tries",
        )


def _plan_filter(scene: Scene, options: IsolationOptions) -> Iterator[Action]:
    container = scene.container
    if not container.is_running or not (scene.shares_network or container.network_mode == "host"):
        return
    if not scene.footprint.is_visible or (scene.footprint.group is None and not options.freeze):
        raise RefusedError(
            f"{show(container.name)} uses a network together with others and cannot be cut off alone from here: "
            + (scene.footprint.reason or "this host has no cgroup2 hierarchy"),
            hint="run it as root on the engine's host, or freeze the container",
        )
    if scene.footprint.group is None:
        return
    yield Action(
        "",
        ActionKind.FILTER,
        effect="drop every packet to and from the processes of the container's control group",
        inverse="take the packet filter off the control group",
        precondition="the kernel lets a packet filter be attached to a cgroup2 group",
        parameters={"group": str(scene.footprint.group)},
    )


def _plan_blocks(scene: Scene, options: IsolationOptions) -> Iterator[Action]:
    """Docker's resolver asks the engine's own name servers, whether the container has a network or not."""
    container = scene.container
    named = any(item.name not in _WITHOUT_RESOLVER for item in container.networks)
    runs_on = container.is_running and container.status != "paused" and not options.freeze
    if runs_on and scene.footprint.is_visible and not scene.shares_network:
        addresses = {*scene.services, *([_RESOLVER] if named else [])}
        yield from map(plan_block, sorted(addresses))


def plan_block(address: str) -> Action:
    """Return what keeps the container from a service of an outside process within its own namespace."""
    return Action(
        "",
        ActionKind.BLOCK_ADDRESS,
        effect=f"let no packet go to {address}, where the engine's resolver answers and asks name servers outside",
        inverse=f"let packets go to {address} again",
        precondition="the network namespace is the container's own",
        parameters={"address": address},
    )


def _plan_far_ends(scene: Scene, options: IsolationOptions) -> Iterator[Action]:
    if not options.host_first or scene.shares_network or not scene.footprint.is_visible:
        return
    if scene.container.is_running and any(item.name not in _UNCUTTABLE for item in scene.container.networks):
        yield Action(
            "",
            ActionKind.LOWER_FAR_ENDS,
            effect="take down the engine's end of each of its interfaces: that cuts it off before the engine is asked",
            inverse="raise those ends that are still there",
            precondition="its interfaces are pairs whose other ends are in the engine's network namespace",
        )


def plan_disconnects(scene: Scene, options: IsolationOptions) -> Iterator[Action]:
    """Yield the engine's disconnects, the newest network first."""
    if scene.sharing and not options.cut_sharing:
        return
    for order, attachment in reversed(tuple(enumerate(order_attachments(scene)))):
        if attachment.name in _UNCUTTABLE:
            continue
        yield Action(
            "",
            ActionKind.DISCONNECT,
            effect=f"disconnect from network {show(attachment.name)} ({_describe_addresses(attachment)})",
            inverse=f"connect to network {show(attachment.name)} with the same aliases, addresses and options",
            precondition="the container is attached to the network",
            affects=scene.sharing,
            parameters={
                "order": order,
                "attachment": attachment_to_document(attachment),
                "endpoint_id": _find_endpoint(scene.container, attachment.name),
            },
        )


def _find_endpoint(container: Container, network: str) -> str:
    attached = (container.raw.get("NetworkSettings") or {}).get("Networks") or {}
    return str((attached.get(network) or {}).get("EndpointID") or "")


def _cut_interface(use: NamespaceUse, interface: Interface, known: set[str]) -> Action:
    parameters = {
        "namespace": use.inode,
        "index": interface.ifindex,
        "name": interface.name,
        "mac": interface.mac,
        "interface_kind": interface.kind,
        "addresses": list(interface.addresses),
    }
    shown = f"interface {show(interface.name)} of network namespace {use.inode}"
    if _is_engines(interface, known):
        return Action(
            "",
            ActionKind.REMOVE_INTERFACE,
            effect=f"remove {shown}, which the engine left behind although it reported the disconnect as done",
            inverse="none needed: the engine makes a new interface when it connects the network again",
            precondition="the engine's disconnect returned and the interface is still there",
            parameters=parameters,
        )
    return Action(
        "",
        ActionKind.LOWER_INTERFACE,
        effect=f"take down {shown}, which the engine knows nothing of",
        inverse=f"raise {shown} again",
        precondition="the interface is up",
        parameters=parameters,
    )


def _is_engines(interface: Interface, known: set[str]) -> bool:
    values = {interface.mac, *(address.partition("/")[0] for address in interface.addresses)}
    return interface.kind in _REMOVABLE and bool(values & known)


def _warn(scene: Scene, options: IsolationOptions) -> Iterator[str]:
    container = scene.container
    labels = dict(container.labels)
    for label, what, command in _ORCHESTRATORS:
        if label in labels:
            name = show(labels[label])
            yield f"it belongs to {what} {name}, which may start a replacement; to stop that: {command.format(name)}"
    if scene.sharing and not options.cut_sharing:
        yield f"its network namespace is shared with {', '.join(map(show, scene.sharing))}; only this container is cut"
    elif scene.sharing:
        yield f"these containers share its network and are cut off too: {', '.join(map(show, scene.sharing))}"
    if container.status == "restarting":
        yield "the engine started it again and again; that is ended, and nothing of it runs until it is released"
    frozen = options.freeze or container.status == "paused"
    for mount in container.mounts:
        if mount.source.endswith(_ENGINE_SOCKETS) and mount.source not in scene.doors and not frozen:
            yield f"it holds the engine's own socket {show(mount.source)}, which no network cut closes; freeze it"
    for door in scene.doors if not frozen else ():
        yield f"it can still reach the host's socket {show(door)}, which no network cut closes; freeze it"
    named = any(item.name not in _WITHOUT_RESOLVER for item in container.networks)
    if not frozen and named and not scene.footprint.is_visible:
        yield "the engine's resolver (127.0.0.11) still answers a running container and may ask outside; freeze it"
    if scene.footprint.outsiders:
        pids = ", ".join(map(str, scene.footprint.outsiders))
        yield f"processes {pids} live in its pid namespace but outside its control group; freezing does not stop them"
    if scene.footprint.reason:
        yield f"nothing can be proved from here: {scene.footprint.reason}"


def _describe_addresses(attachment: NetworkAttachment) -> str:
    return ", ".join(filter(None, map(show, (attachment.ipv4, attachment.ipv6)))) or "no address"
