"""Collection after `ir isolate`: the engine knows of no network any more, the case does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_command_collect import ir

from forensics.engine.base import Container
from forensics.engine.docker import DockerEngine
from forensics.model import Outcome

if TYPE_CHECKING:
    from conftest import Collected

pytestmark = pytest.mark.docker
Make = Callable[..., Container]
Run = Callable[..., "Collected"]


@pytest.fixture
def network(engine: DockerEngine) -> Iterator[str]:
    name = f"collect-net-{time.monotonic_ns()}"
    engine.create_network(name)
    yield name
    engine.remove_network(name)


@pytest.fixture
def suspect_and_neighbour(network: str, make_container: Make) -> tuple[Container, Container]:
    return make_container("sleep", "1000", network=network), make_container("sleep", "1000", network=network)


def test_cut_networks_and_who_is_on_them_are_still_found(
    suspect_and_neighbour: tuple[Container, Container],
    network: str,
    engine: DockerEngine,
    run_collection: Run,
    own_folders: Path,
) -> None:
    suspect, neighbour = suspect_and_neighbour
    case = own_folders / "contained"
    done = ir("isolate", suspect.name, "--case", str(case), "--json")
    assert json.loads(done.stdout)["proved"] is True, done.stderr
    assert engine.find_container(suspect.id).networks == ()
    found = run_collection(suspect, root=case, only={"inspect", "blast-radius"})
    ir("release", suspect.name)
    line = found.line(f"network-inspect {network}")
    assert (line.outcome, line.reason) == (Outcome.COLLECTED, "containment cut it; known from its plan")
    assert neighbour.id in found.document("network-inspect")["Containers"]
    shares = {entry["id"]: entry["shares"] for entry in found.document("neighbours-containers")["containers"]}
    assert {"kind": "network", "value": network} in shares[neighbour.id]


def test_after_a_release_each_network_is_collected_once(
    suspect_and_neighbour: tuple[Container, Container], network: str, run_collection: Run, own_folders: Path
) -> None:
    suspect = suspect_and_neighbour[0]
    case = own_folders / "contained"
    ir("isolate", suspect.name, "--case", str(case))
    ir("release", suspect.name)
    found = run_collection(suspect, root=case, only={"inspect"})
    lines = [line for line in found.lines if line.artefact.startswith("network-inspect")]
    assert [(line.artefact, line.reason) for line in lines] == [(f"network-inspect {network}", "")]


def test_the_shared_cgroup_namespace_of_cgroup_v1_is_no_connection(
    make_container: Make, run_collection: Run, engine: DockerEngine
) -> None:
    subject, other = make_container("sleep", "1000"), make_container("sleep", "1000", network="none")
    found = run_collection(subject, only={"blast-radius"})
    shares = {entry["id"]: entry["shares"] for entry in found.document("neighbours-containers")["containers"]}
    namespaces = {share["value"] for share in shares[other.id] if share["kind"] == "host namespace"}
    assert ("cgroup" in namespaces) is (engine.info().cgroup_version == "2" and _joins_host_cgroup(subject))


def _joins_host_cgroup(container: Container) -> bool:
    return container.raw["HostConfig"].get("CgroupnsMode") == "host"


def test_without_a_case_it_is_the_one_that_contains_the_container(make_container: Make, own_folders: Path) -> None:
    suspect, case = make_container("sleep", "1000"), own_folders / "contained"
    ir("isolate", suspect.name, "--case", str(case))
    collected = json.loads(ir("collect", suspect.name, "--only", "clock", "--json").stdout)
    assert collected["case"] == str(case)
    assert ir("seal", str(case)).returncode == 0
    collected = json.loads(ir("collect", suspect.name, "--only", "clock", "--json").stdout)
    assert collected["case"].startswith(f"{own_folders}/ir_cases/")
    assert ir("release", suspect.name).returncode == 0
    collected = json.loads(ir("collect", suspect.name, "--only", "clock", "--json").stdout)
    assert collected["case"] != str(case)
