"""Sets a drill's stage and clears it: image, network, listening peer, suspect, plant. Touches only what it labelled.

The peer stands on a network of documentation addresses (RFC 5737, RFC 3849) that leads nowhere, and counts what reaches
it: that is how packets which escape after containment are counted, from outside and by somebody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forensics.drill.base import COMMAND, READY_LINE, SPOOL, build_base, read_busybox, read_busybox_of
from forensics.drill.clean import clear
from forensics.drill.image import Recipe, RecipeFile, RecipeLayer, build_archive, build_docker_archive
from forensics.drill.own import make_labels, new_run_id, require_own
from forensics.drill.peer import Reading, is_listening, make_peer_spec, read_readings
from forensics.drill.placeholders import PEER, PEER6, Peers
from forensics.drill.scenario import Scenario, join_plants, make_file
from forensics.engine.base import Container, ContainerSpec, EngineAnswerError, Mount
from forensics.errors import IrError

if TYPE_CHECKING:
    from forensics.engine.docker import DockerEngine

_BLOCKS = ("198.51.100", "203.0.113", "192.0.2")
_NETWORKS_PER_BLOCK = 16
_WAIT_S = 30.0
_POLL_S = 0.05
_SETTLE_S = 0.4
_CHUNK = 1 << 20
_SERVICE_PORT = "8080/tcp"
_ENVIRONMENT = (("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),)


@dataclass(frozen=True, slots=True)
class Stage:
    """A running drill: the suspect with its plant, and the peer that listens."""

    run_id: str
    suspect: Container
    peer: Container
    peers: Peers


class DrillError(IrError):
    """The stage could not be set; nothing of it is left behind."""


@contextmanager
def set_stage(
    engine: DockerEngine, scenario: Scenario, tell: Callable[[str], None], image: str = ""
) -> Iterator[Stage]:
    """Build, start and plant; on leaving, remove everything that carries this run's label.

    The busybox that everything is built from is this host's, or the one of *image*.

    Raises:
        DrillError: the plant did not come up in time.
        UsageError: this host has no static busybox.
    """
    run_id = new_run_id()
    try:
        tell("build the image")
        busybox = read_busybox_of(engine, image, make_labels(run_id)) if image else read_busybox()
        yield _build(engine, scenario, run_id, busybox, tell)
    finally:
        clear(engine, run_id)


def _build(engine: DockerEngine, scenario: Scenario, run_id: str, busybox: bytes, tell: Callable[[str], None]) -> Stage:
    labels = make_labels(run_id)
    base, own = build_base(busybox), scenario.layers(busybox)
    image = _load(engine, f"orders-{scenario.id}:{run_id}", (base, *own), labels)
    peer_image = _load(engine, f"drill-peer:{run_id}", (base,), labels) if own else image
    tell("start the peer and the suspect")
    network = _create_network(engine, run_id)
    spec = make_peer_spec(scenario.model.peer_ports, f"drill-peer-{run_id}", peer_image, network, labels)
    peer = engine.run(spec)
    suspect = engine.run(_suspect_spec(engine, scenario, run_id, image, network))
    _wait(lambda: is_listening(engine, peer), "the peer does not listen")
    (attached,) = peer.networks
    stage = Stage(run_id, suspect, peer, Peers(attached.ipv4, attached.ipv6))
    tell("plant")
    _plant(engine, scenario, stage, busybox)
    return stage


def _load(engine: DockerEngine, ref: str, layers: tuple[RecipeLayer, ...], labels: tuple[tuple[str, str], ...]) -> str:
    recipe = Recipe(ref, layers, COMMAND, _ENVIRONMENT, labels, exposed=(_SERVICE_PORT,))
    engine.load_image(_chunks(build_docker_archive(recipe)))
    return ref


def _create_network(engine: DockerEngine, run_id: str) -> str:
    """Create a network on a free block of documentation addresses; with IPv6 where the engine has it."""
    start, name = int(run_id, 16), f"orders-{run_id}"
    six = f"2001:db8:{run_id[:4]}:{run_id[4:]}::/64"
    reason = ""
    for attempt in range(len(_BLOCKS) * _NETWORKS_PER_BLOCK):
        block, part = divmod((start + attempt) % (len(_BLOCKS) * _NETWORKS_PER_BLOCK), _NETWORKS_PER_BLOCK)
        four = f"{_BLOCKS[block]}.{part * 16}/28"
        for subnets in ((four, six), (four,)):
            try:
                engine.create_network(name, subnets=subnets, internal=True, labels=make_labels(run_id))
            except EngineAnswerError as error:
                reason = error.message
                continue
            return name
    raise DrillError(f"no free network for a drill: {reason}", hint="remove old ones with 'ir drill clean'")


def _suspect_spec(engine: DockerEngine, scenario: Scenario, run_id: str, image: str, network: str) -> ContainerSpec:
    wanted = scenario.model.container
    mounts = [Mount("bind", source, target, rw=False) for target, source in wanted.binds.items()]
    for number, target in enumerate(wanted.volumes):
        volume = engine.create_volume(f"orders-{run_id}-{number}", make_labels(run_id))
        mounts.append(Mount("volume", volume.source, target, name=volume.name))
    if wanted.engine_socket:
        mounts.append(Mount("bind", _find_socket(engine.url), wanted.engine_socket, rw=True))
    return ContainerSpec(
        image=image,
        name=f"orders-{scenario.id}-{run_id}",
        command=COMMAND,
        environment=tuple(wanted.environment.items()),
        labels=make_labels(run_id),
        mounts=tuple(mounts),
        tmpfs=tuple((path, "exec") for path in wanted.tmpfs),
        network=network,
        cap_add=tuple(wanted.cap_add),
        security_opt=tuple(wanted.security_opt),
        privileged=wanted.privileged,
    )


def _find_socket(url: str) -> str:
    """Return where the engine's socket lies on its own host; the usual place when it is reached in another way."""
    return url.removeprefix("unix://") if url.startswith("unix://") else "/var/run/docker.sock"


def _plant(engine: DockerEngine, scenario: Scenario, stage: Stage, busybox: bytes) -> None:
    require_own(engine.find_container(stage.suspect.id), stage.run_id)
    files, lines = join_plants(scenario.model.noise, scenario.model.plant)
    now = int(time.time())
    planted = tuple(make_file(file, busybox, stage.peers, now) for file in files)
    order = RecipeFile(f"{SPOOL}/0001.order", stage.peers.put_in(lines).encode(), 0o600, mtime=now)
    if planted:
        engine.put_archive(stage.suspect, "/", _chunks(build_archive(planted)))
    engine.put_archive(stage.suspect, "/", _chunks(build_archive((order,))))
    _wait(lambda: READY_LINE in b"".join(engine.logs(stage.suspect)), "the plant was not worked off")
    if PEER in lines or PEER6 in lines:
        _wait(lambda: bool(read_packets(engine, stage)), "the suspect never reached its peer")
    time.sleep(_SETTLE_S)
    if scenario.model.container.stopped:
        engine.kill(stage.suspect)
        engine.wait(stage.suspect)


def _wait(holds: Callable[[], bool], sentence: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise DrillError(f"{sentence} within {_WAIT_S:g} s", hint="look at the scenario's shell lines")
        time.sleep(_POLL_S)


def read_packets(engine: DockerEngine, stage: Stage) -> tuple[Reading, ...]:
    """Return what the peer has counted up to now."""
    return read_readings(engine, stage.peer)


def _chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]
