"""What the network shows: services nobody published, metadata and engine access, peers of strange programs."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.places import in_hidden_place, in_temp
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import (
    NET_TOOLS,
    Process,
    Socket,
    is_external,
    is_loopback,
    object_of,
    program_in,
    text_of,
)
from forensics.model import Confidence, EvidenceRef, Finding, Severity
from forensics.text import to_bytes

METADATA = Rule(
    "network.metadata-service",
    "The container talks to the cloud's metadata service",
    Severity.HIGH,
    ("T1552.005",),
    "The metadata service hands out the machine's cloud credentials to whoever asks.",
    "Cloud agents and software development kits that fetch their own role's credentials.",
    "Rotate the credentials of the machine's role; check the cloud's audit log for their use.",
)
ENGINE_PORT = Rule(
    "network.engine-api",
    "The container talks to a container engine or an orchestrator's node agent",
    Severity.HIGH,
    ("T1609", "T1610"),
    "Who reaches the engine's interface starts containers with any right on the host.",
    "Build agents and monitoring that are meant to drive the engine.",
    "Check what was created through it; look at the engine's own log.",
)
ENGINE_SOCKET = Rule(
    "network.engine-socket-in-use",
    "A process holds the container engine's socket",
    Severity.CRITICAL,
    ("T1611", "T1610"),
    "Through the engine's socket a container is root on the host.",
    "Reverse proxies and build agents that are given the socket on purpose.",
    "Check the engine's events for containers that were created from here.",
)
UNPUBLISHED = Rule(
    "network.unpublished-listener",
    "A program listens on a port that the image and the container do not declare",
    Severity.LOW,
    ("T1571", "T1205"),
    "A back door waits for its master on a port that nobody published.",
    "Internal ports of an application (metrics, cluster traffic) that the image does not declare.",
    "Look at the program that listens.",
    Confidence.MEDIUM,
)
BACKDOOR = Rule(
    "network.backdoor-listener",
    "A shell, a network tool or a program from a strange place listens for connections",
    Severity.HIGH,
    ("T1571", "T1059.004"),
    "What listens is not a service of the image.",
    "A debugging session with netcat or a script.",
    "Examine the program; look for peers in the connection table.",
)
STRANGE_PEER = Rule(
    "network.strange-program-connected",
    "A program that does not belong to the image has a connection to an outside address",
    Severity.HIGH,
    ("T1071", "T1105"),
    "Programs dropped by an intruder call home, mine or scan.",
    "An updater or agent installed by hand into a running container.",
    "Block the peer; examine the executable kept in evidence.",
)
RAW = Rule(
    "network.raw-socket",
    "A process holds a raw or packet socket",
    Severity.MEDIUM,
    ("T1040", "T1205.002"),
    "Raw sockets read other programs' traffic or wait for magic packets.",
    "ping, DHCP clients, packet capture by the operator.",
    "Look at the program that holds it.",
)
_METADATA = frozenset({"169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200", "fd20:ce::254"})
_ENGINE_PORTS = frozenset({2375, 2376, 10250})
_ENGINE_SOCKETS = ("docker.sock", "containerd.sock", "crio.sock", "podman.sock", "cri-dockerd.sock")
_ENGINE_DNS = "127.0.0.11"


def analyze_network(view: CaseView) -> Iterator[Finding]:
    """Judge every socket, together with the process that holds it."""
    owners = _owners(view.processes)
    declared = _declared_ports(view)
    for socket in view.sockets:
        owner = owners.get(socket.inode) or next((p for p in view.processes if p.pid == socket.pid), None)
        references = [socket.reference, *([owner.reference] if owner else [])]
        yield from _judge_peer(socket, owner, references, view)
        if socket.is_listening and not is_loopback(socket.local_addr) and socket.local_addr != _ENGINE_DNS:
            yield from _judge_listener(socket, owner, references, declared, view)
        if socket.proto.startswith(("raw", "packet")) or socket.proto.startswith("icmp"):
            yield RAW.found(f"{socket.proto} {_who(owner)}", references)


def _judge_peer(
    socket: Socket, owner: Process | None, references: list[EvidenceRef], view: CaseView
) -> Iterator[Finding]:
    if socket.proto.startswith("unix") and socket.path.endswith(_ENGINE_SOCKETS):
        yield ENGINE_SOCKET.found(f"{socket.path} {_who(owner)}", references)
        return
    address = socket.remote_addr.removeprefix("::ffff:")
    if address in _METADATA:
        yield METADATA.found(f"{socket.peer} {socket.state} {_who(owner)}", references)
    elif socket.remote_port in _ENGINE_PORTS and socket.is_connected:
        yield ENGINE_PORT.found(f"{socket.peer} {_who(owner)}", references)
    elif owner and socket.is_connected and not is_loopback(address) and is_foreign(owner, view):
        inside = not is_external(address)
        yield STRANGE_PEER.found(
            f"{socket.peer} {_who(owner)}", references, confidence=Confidence.MEDIUM if inside else None
        )


def _judge_listener(
    socket: Socket, owner: Process | None, references: list[EvidenceRef], declared: frozenset[str], view: CaseView
) -> Iterator[Finding]:
    port = f"{socket.local_port}/{socket.proto[:3]}"
    where = f"{socket.local_addr}:{port} {_who(owner)}"
    if owner and (is_foreign(owner, view) or owner.is_shell() or program_in(owner, NET_TOOLS)):
        yield BACKDOOR.found(where, references)
    elif port not in declared and not view.shares_host_network and not _is_ephemeral_udp(socket):
        yield UNPUBLISHED.found(where, references)


def _is_ephemeral_udp(socket: Socket) -> bool:
    return socket.proto.startswith("udp") and socket.local_port >= 32768  # noqa: PLR2004 - ip_local_port_range


def is_foreign(process: Process, view: CaseView) -> bool:
    """Whether the program was not part of the image: gone, in memory, in a temporary or hidden place, or a newcomer."""
    path = to_bytes(process.exe.removesuffix(" (deleted)"))
    if process.exe_memfd or process.exe_deleted or in_temp(path) or in_hidden_place(path):
        return True
    return view.files.is_newcomer(path)


def _who(owner: Process | None) -> str:
    return f"by pid {owner.pid}: {owner.command}" if owner else "by an unknown process"


def _owners(processes: tuple[Process, ...]) -> dict[int, Process]:
    owners: dict[int, Process] = {}
    for process in processes:
        for _, target in process.fds:
            inode = target.removeprefix("socket:[").rstrip("]") if target.startswith("socket:[") else ""
            if inode.isdecimal():
                owners.setdefault(int(inode), process)
    return owners


def _declared_ports(view: CaseView) -> frozenset[str]:
    settings = object_of(view.inspect.get("NetworkSettings"))
    exposed = object_of(object_of(view.inspect.get("Config")).get("ExposedPorts"))
    image = object_of(object_of(view.image_inspect.get("Config")).get("ExposedPorts"))
    return frozenset(map(text_of, [*object_of(settings.get("Ports")), *exposed, *image]))
