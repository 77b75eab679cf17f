"""The engine's nouns and its interface. Knows no engine library; never does input or output.

Everything in :class:`Container` comes from the engine's inspect document, in which the attacker chose names, labels,
commands and environment: show it through :mod:`forensics.text` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from forensics.errors import EngineError
from forensics.frozen import dataclass, field
from forensics.model import ChangeKind, JsonObject

_SHORT_ID = 12


class EngineAnswerError(EngineError):
    """The engine answered with an error; ``status`` is its HTTP status (404 gone, 409 conflict, 500 failed)."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        """Keep the sentence, the hint and the HTTP status."""
        super().__init__(message, hint=hint)
        self.status = status


@dataclass(frozen=True, slots=True)
class Mount:
    """One mount of a container as inspect tells it; ``type`` is bind, volume, tmpfs or npipe."""

    type: str
    source: str
    destination: str
    name: str = ""
    mode: str = ""
    rw: bool = True
    driver: str = ""
    propagation: str = ""


@dataclass(frozen=True, slots=True)
class NetworkAttachment:
    """One network that a container is attached to.

    ``ipv4`` and ``ipv6`` are what it has now; ``ipam_ipv4`` and ``ipam_ipv6`` are what was asked for (static).
    """

    name: str
    network_id: str = ""
    aliases: tuple[str, ...] = ()
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""
    links: tuple[str, ...] = ()
    driver_opts: tuple[tuple[str, str], ...] = ()
    ipam_ipv4: str = ""
    ipam_ipv6: str = ""


@dataclass(frozen=True, slots=True)
class Container:
    """A container as the engine sees it at one moment; ``raw`` is the full inspect document."""

    id: str
    name: str
    image: str
    image_id: str
    pid: int
    status: str
    started_at: str
    labels: tuple[tuple[str, str], ...] = ()
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)

    @property
    def short_id(self) -> str:
        """The first twelve digits, as the engine's own listings show them."""
        return self.id[:_SHORT_ID]

    @property
    def is_running(self) -> bool:
        """Whether it has processes now (a paused one has)."""
        return self.status in {"running", "paused"} and self.pid > 0

    @property
    def mounts(self) -> tuple[Mount, ...]:
        """The mounts of the inspect document, sorted by destination."""
        return tuple(sorted(map(parse_mount, self.raw.get("Mounts") or []), key=lambda mount: mount.destination))

    @property
    def networks(self) -> tuple[NetworkAttachment, ...]:
        """The network attachments of the inspect document, in its order."""
        attached = (self.raw.get("NetworkSettings") or {}).get("Networks") or {}
        return tuple(parse_attachment(name, endpoint or {}) for name, endpoint in attached.items())

    @property
    def network_mode(self) -> str:
        """``bridge``, ``host``, ``none``, ``container:<id>`` or the name of a network."""
        return str((self.raw.get("HostConfig") or {}).get("NetworkMode") or "")


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What engine this is, and whether its processes are on this very host."""

    name: str
    version: str
    api_version: str
    id: str
    os: str
    kernel: str
    storage_driver: str
    cgroup_version: str
    root_dir: str
    security_options: tuple[str, ...]
    is_local: bool
    raw: JsonObject = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container to create, for drills and tests; what is left out is the engine's default.

    ``tmpfs`` holds (path, options); ``ports`` holds (container port with protocol, host address, host port).
    ``host_config`` and ``config`` are merged last, for anything that has no name here.
    """

    image: str
    name: str = ""
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    environment: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    tmpfs: tuple[tuple[str, str], ...] = ()
    network: str = ""
    attachment: NetworkAttachment | None = None
    ports: tuple[tuple[str, str, str], ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    privileged: bool = False
    read_only: bool = False
    auto_remove: bool = False
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    pid_mode: str = ""
    ipc_mode: str = ""
    restart: str = ""
    memory_bytes: int = 0
    pids_limit: int = 0
    host_config: JsonObject = field(default_factory=dict)
    config: JsonObject = field(default_factory=dict)


class Engine(Protocol):
    """What the other rooms need of a container engine.

    Every method raises :class:`forensics.errors.EngineError` (one sentence and a hint) and nothing else. Streams are
    iterators of chunks that are never held as a whole; a stream that ends early raises, it never just stops.
    """

    @property
    def url(self) -> str:
        """The address that answers."""

    def info(self, witness: Container | None = None) -> EngineInfo:
        """Return what engine this is; *witness* is one of its containers, if one is known already."""

    def list_containers(self, *, all: bool = False) -> tuple[Container, ...]:  # noqa: A002 - the engine's word
        """Return the running containers, or all of them."""

    def find_container(self, ref: str) -> Container:
        """Return the one container with this name, id or id prefix."""

    def inspect_image(self, ref: str) -> JsonObject:
        """Return the inspect document of an image."""

    def image_history(self, ref: str) -> list[JsonObject]:
        """Return the build history of an image, newest first."""

    def inspect_network(self, ref: str) -> JsonObject:
        """Return the inspect document of a network."""

    def inspect_volume(self, name: str) -> JsonObject:
        """Return the inspect document of a volume."""

    def logs(self, container: Container) -> Iterator[bytes]:
        """Stream both outputs with the engine's timestamps."""

    def top(self, container: Container) -> JsonObject:
        """Return the engine's own process list (``Titles``, ``Processes``)."""

    def diff(self, container: Container) -> tuple[tuple[str, ChangeKind], ...]:
        """Return the engine's own list of changed paths."""

    def iterate_diff(self, container: Container) -> Iterator[tuple[str, ChangeKind]]:
        """Yield the same, one after the other."""

    def events(self, since: str, until: str, container: Container | None = None) -> Iterator[JsonObject]:
        """Yield recorded events between two times (UNIX seconds)."""

    def commit(self, container: Container, *, pause: bool, ref: str = "") -> str:
        """Snapshot the container and return the new image's id."""

    def save(self, image_id: str) -> Iterator[bytes]:
        """Stream an image as the engine's tar."""

    def export(self, container: Container) -> Iterator[bytes]:
        """Stream the container's root file system as tar, without volumes."""

    def remove_image(self, ref: str) -> None:
        """Remove one image, and none of its parents."""

    def pause(self, container: Container) -> None:
        """Freeze all processes."""

    def unpause(self, container: Container) -> None:
        """Let all processes go on."""

    def connect_network(self, container: Container, attachment: NetworkAttachment) -> None:
        """Attach the container to a network with the aliases, addresses and options given."""

    def disconnect_network(self, container: Container, network: str) -> None:
        """Detach the container from a network. The engine's success is no proof that no packet flows."""

    def update_restart_policy(self, container: Container, name: str, maximum_retries: int = 0) -> None:
        """Replace the restart policy."""

    def stop(self, container: Container, timeout_seconds: int = 10) -> None:
        """Stop with the container's own signal, then kill."""

    def kill(self, container: Container, signal: str = "KILL") -> None:
        """Send a signal to the container's first process."""

    def remove_container(self, container: Container, *, force: bool = False, volumes: bool = False) -> None:
        """Remove the container."""

    def create_container(self, spec: ContainerSpec) -> Container:
        """Create a container without starting it."""

    def start(self, container: Container) -> Container:
        """Start a container and return it as it is then."""

    def import_image(self, chunks: Iterable[bytes], ref: str, changes: tuple[str, ...] = ()) -> str:
        """Make an image from a root file system's tar and return its id."""


def parse_container(raw: JsonObject) -> Container:
    """Return the container of an inspect document; missing keys become empty, never an exception."""
    state = raw.get("State") or {}
    config = raw.get("Config") or {}
    status = "paused" if state.get("Paused") else str(state.get("Status") or "")
    return Container(
        id=str(raw.get("Id") or ""),
        name=str(raw.get("Name") or "").lstrip("/"),
        image=str(config.get("Image") or raw.get("ImageName") or ""),
        image_id=str(raw.get("Image") or ""),
        pid=int(state.get("Pid") or 0),
        status=status,
        started_at=str(state.get("StartedAt") or ""),
        labels=tuple(sorted((str(key), str(value)) for key, value in (config.get("Labels") or {}).items())),
        raw=raw,
    )


def parse_mount(raw: JsonObject) -> Mount:
    """Return one mount of ``Mounts`` in an inspect document."""
    return Mount(
        type=str(raw.get("Type") or ""),
        source=str(raw.get("Source") or ""),
        destination=str(raw.get("Destination") or ""),
        name=str(raw.get("Name") or ""),
        mode=str(raw.get("Mode") or ""),
        rw=bool(raw.get("RW", True)),
        driver=str(raw.get("Driver") or ""),
        propagation=str(raw.get("Propagation") or ""),
    )


def parse_attachment(name: str, endpoint: JsonObject) -> NetworkAttachment:
    """Return one entry of ``NetworkSettings.Networks`` in an inspect document."""
    ipam = endpoint.get("IPAMConfig") or {}
    return NetworkAttachment(
        name=name,
        network_id=str(endpoint.get("NetworkID") or ""),
        aliases=tuple(endpoint.get("Aliases") or ()),
        ipv4=str(endpoint.get("IPAddress") or ""),
        ipv6=str(endpoint.get("GlobalIPv6Address") or ""),
        mac=str(endpoint.get("MacAddress") or ""),
        links=tuple(endpoint.get("Links") or ()),
        driver_opts=tuple(sorted((endpoint.get("DriverOpts") or {}).items())),
        ipam_ipv4=str(ipam.get("IPv4Address") or ""),
        ipam_ipv6=str(ipam.get("IPv6Address") or ""),
    )
