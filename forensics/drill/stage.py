"""Sets a drill's stage and clears it: image, network, listening peer, suspect, plant. Touches only what it labelled.

The peer stands on a network of documentation addresses (RFC 5737) that leads nowhere, and writes every line it receives
to its own log: that is how packets which escape after containment are counted, from outside and by somebody else.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from forensics.drill.base import COMMAND, READY_LINE, SPOOL, build_base, read_busybox, read_busybox_of
from forensics.drill.image import Recipe, RecipeFile, build_archive, build_docker_archive
from forensics.drill.scenario import PEER, Scenario, join_plants, make_file
from forensics.engine.base import Container, ContainerSpec, EngineAnswerError, Mount
from forensics.errors import EngineError, IrError

if TYPE_CHECKING:
    from forensics.engine.docker import DockerEngine

LABEL = "ir.drill"
_BLOCKS = ("198.51.100", "203.0.113", "192.0.2")
_NETWORKS_PER_BLOCK = 16
_WAIT_S = 20.0
_POLL_S = 0.05
_SETTLE_S = 0.4
_CHUNK = 1 << 20
_SERVICE_PORT = "8080/tcp"
_LISTENING = "listening"
_HELD = "/run/held"
"""A pipe of the peer that never ends: nc hangs up when its own input does."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running drill: the suspect with its plant, and the peer that listens."""

    run_id: str
    suspect: Container
    peer: Container
    peer_address: str
    image: str


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
    run_id = os.urandom(4).hex()
    try:
        tell("build the image")
        busybox = read_busybox_of(engine, image, (LABEL, run_id)) if image else read_busybox()
        yield _build(engine, scenario, run_id, busybox, tell)
    finally:
        clear(engine, run_id)


def _build(engine: DockerEngine, scenario: Scenario, run_id: str, busybox: bytes, tell: Callable[[str], None]) -> Stage:
    labels = ((LABEL, run_id),)
    image = f"orders-{scenario.id}:{run_id}"
    layers = (build_base(busybox), *scenario.layers(busybox))
    environment = (("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),)
    recipe = Recipe(image, layers, COMMAND, environment, labels, exposed=(_SERVICE_PORT,))
    engine.load_image(_chunks(build_docker_archive(recipe)))
    peer_image = f"drill-peer:{run_id}"
    engine.load_image(_chunks(build_docker_archive(Recipe(peer_image, layers[:1], (), environment, labels))))
    tell("start the peer and the suspect")
    network = _create_network(engine, run_id, labels)
    peer = engine.run(_peer_spec(scenario, run_id, peer_image, network))
    _wait(lambda: _LISTENING.encode() in b"".join(engine.logs(peer)), "the peer does not listen")
    address = peer.networks[0].ipv4
    suspect = engine.run(_suspect_spec(engine, scenario, run_id, image, network))
    stage = Stage(run_id, suspect, peer, address, image)
    tell("plant")
    _plant(engine, scenario, stage, busybox)
    return stage


def _create_network(engine: DockerEngine, run_id: str, labels: tuple[tuple[str, str], ...]) -> str:
    """Create a network on a free block of documentation addresses."""
    start = int(run_id, 16)
    for attempt in range(len(_BLOCKS) * _NETWORKS_PER_BLOCK):
        block, part = divmod((start + attempt) % (len(_BLOCKS) * _NETWORKS_PER_BLOCK), _NETWORKS_PER_BLOCK)
        subnet = f"{_BLOCKS[block]}.{part * 16}/28"
        name = f"orders-{run_id}"
        try:
            engine.create_network(name, subnets=(subnet,), internal=True, labels=labels)
        except EngineAnswerError as error:
            last = error
            continue
        return name
    raise DrillError(f"no free network for a drill: {last.message}", hint="remove old ones with 'ir drill clean'")


def _peer_spec(scenario: Scenario, run_id: str, image: str, network: str) -> ContainerSpec:
    ports = " ".join(map(str, scenario.model.peer_ports))
    script = (
        f"mkfifo {_HELD}; for p in {ports}; do (while :; do nc -l -p $p <>{_HELD}; done) & done; "
        f'for p in {ports}; do until netstat -ltn | grep -q ":$p "; do usleep 20000; done; done; '
        f"echo {_LISTENING}; while :; do sleep 3600; done"
    )
    return ContainerSpec(
        image=image,
        name=f"drill-peer-{run_id}",
        command=("/bin/sh", "-c", script),
        labels=((LABEL, run_id),),
        network=network,
    )


def _suspect_spec(engine: DockerEngine, scenario: Scenario, run_id: str, image: str, network: str) -> ContainerSpec:
    wanted = scenario.model.container
    mounts = [Mount("bind", source, target, rw=True) for target, source in wanted.binds.items()]
    for number, target in enumerate(wanted.volumes):
        volume = engine.create_volume(f"orders-{run_id}-{number}", ((LABEL, run_id),))
        mounts.append(Mount("volume", volume.source, target, name=volume.name))
    if wanted.engine_socket:
        mounts.append(Mount("bind", engine.url.removeprefix("unix://"), wanted.engine_socket, rw=True))
    return ContainerSpec(
        image=image,
        name=f"orders-{scenario.id}-{run_id}",
        command=COMMAND,
        environment=tuple(wanted.environment.items()),
        labels=((LABEL, run_id),),
        mounts=tuple(mounts),
        tmpfs=tuple((path, "exec") for path in wanted.tmpfs),
        network=network,
        cap_add=tuple(wanted.cap_add),
        privileged=wanted.privileged,
    )


def _plant(engine: DockerEngine, scenario: Scenario, stage: Stage, busybox: bytes) -> None:
    files, lines = join_plants(scenario.model.noise, scenario.model.plant)
    now = int(time.time())
    planted = tuple(make_file(file, busybox, stage.peer_address, now) for file in files)
    order = RecipeFile(f"{SPOOL}/0001.order", lines.replace(PEER, stage.peer_address).encode(), 0o600, mtime=now)
    if planted:
        engine.put_archive(stage.suspect, "/", _chunks(build_archive(planted)))
    engine.put_archive(stage.suspect, "/", _chunks(build_archive((order,))))
    _wait(lambda: READY_LINE in b"".join(engine.logs(stage.suspect)), "the plant was not worked off")
    if PEER in lines:
        _wait(lambda: count_packets(engine, stage) > 0, "the suspect never reached its peer")
    time.sleep(_SETTLE_S)
    if scenario.model.container.stopped:
        engine.kill(stage.suspect)


def _wait(holds: Callable[[], bool], sentence: str) -> None:
    deadline = time.monotonic() + _WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise DrillError(f"{sentence} within {_WAIT_S:g} s", hint="look at the scenario's shell lines")
        time.sleep(_POLL_S)


def read_packets(engine: DockerEngine, stage: Stage) -> tuple[str, ...]:
    """Return when the peer received each line, as the engine stamped it (RFC 3339 UTC, nanoseconds)."""
    log = b"".join(engine.logs(stage.peer))
    lines = [line.split(b" ", 1) for line in log.splitlines() if line[:2] == b"20"]
    return tuple(parts[0].decode("ascii", "replace") for parts in lines if parts[-1] != _LISTENING.encode())


def count_packets(engine: DockerEngine, stage: Stage) -> int:
    """Return how many lines the peer has received up to now."""
    return len(read_packets(engine, stage))


def clear(engine: DockerEngine, run_id: str = "") -> int:
    """Remove what drills left behind (all runs, or one), by label only; return how many things there were.

    Raises:
        EngineError: something could not be removed; everything else is gone nevertheless.
    """
    removals: list[Callable[[], None]] = [
        partial(_remove_container, engine, container)
        for container in engine.list_containers(all=True)
        if _is_ours(dict(container.labels), run_id)
    ]
    for raws, key, remove in (
        (engine.list_networks(), "Id", engine.remove_network),
        (engine.list_volumes(), "Name", engine.remove_volume),
        (engine.list_images(), "Id", engine.remove_image),
    ):
        removals += [partial(remove, str(raw[key])) for raw in raws if _is_ours(raw.get("Labels") or {}, run_id)]
    errors = []
    for removal in removals:
        try:
            removal()
        except EngineError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return len(removals)


def _remove_container(engine: DockerEngine, container: Container) -> None:
    with suppress(EngineError):
        engine.unpause(container)
    engine.remove_container(container, force=True, volumes=True)


def _is_ours(labels: dict[str, str], run_id: str) -> bool:
    return labels.get(LABEL, "") == run_id if run_id else LABEL in labels


def _chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), _CHUNK):
        yield content[start : start + _CHUNK]
