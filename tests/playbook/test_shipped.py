"""The playbooks that ship: complete for who chooses one at night, each its own way, harmless unless approved."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import yaml

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import DockerEngine, connect
from forensics.playbook.catalogue import find_action
from forensics.playbook.collect_actions import COLLECTED
from forensics.playbook.compiled import list_playbooks, read_playbook
from forensics.playbook.plan import Playbook
from forensics.playbook.run import plan_run
from forensics.playbook.validate import find_problems
from forensics.report.attack import TECHNIQUES, current_technique
from forensics.resources import find_resource_dir

NAMES = (
    *("container-escape", "credential-theft", "cryptominer", "data-destruction", "default", "exposed-engine-api"),
    *("persistence-rootkit", "reverse-shell-c2", "supply-chain-image", "triage-only", "webshell"),
)
EACH = pytest.mark.parametrize("name", NAMES)


def steps_of(playbook: Playbook) -> tuple[str, ...]:
    return tuple(planned.step.call.uses for planned in plan_run(playbook, {"container": "web"}))


def test_these_and_no_others_ship() -> None:
    assert tuple(path.stem for path in list_playbooks()) == NAMES


@EACH
def test_says_what_it_is_for_without_a_warning(name: str) -> None:
    (path,) = [path for path in list_playbooks() if path.stem == name]
    problems, _ = find_problems(path.read_bytes(), str(path))
    assert problems == []
    playbook = read_playbook(name)
    assert playbook.id == name
    assert len(playbook.description) > 80
    assert len(playbook.when_to_use) > 60
    assert len(playbook.references) >= 2
    assert all(re.fullmatch(r"https://[a-z0-9.-]+/\S*", reference) for reference in playbook.references)
    assert all(
        step.description and step.timeout_s
        for step in playbook.steps + playbook.finally_steps
        if step.call.uses != "case.note"
    )
    assert playbook.inputs[0].name == "container"
    assert all(item.description for item in playbook.inputs)


@EACH
def test_names_techniques_that_are_in_force(name: str) -> None:
    attack = read_playbook(name).attack
    assert len(attack) >= 2
    assert [
        (technique, current_technique(technique)) for technique in attack if current_technique(technique) != technique
    ] == []
    assert [technique for technique in attack if technique not in TECHNIQUES] == []


@EACH
def test_ends_with_a_sealed_and_verified_case_whatever_happened(name: str) -> None:
    last = read_playbook(name).finally_steps
    uses = [step.call.uses for step in last]
    assert uses[0] == "case.seal"
    assert uses[-1] == "case.verify"
    assert ("report.render", {}) in [
        (step.call.uses, {k: v for k, v in step.call.arguments.items() if v != "html"}) for step in last
    ]


@EACH
def test_preserves_everything_in_order_or_says_why_not(name: str) -> None:
    collected: set[str] = set()
    for uses in steps_of(read_playbook(name)):
        collected |= set(COLLECTED) if uses in {"collect.all", "collect.rest"} else {uses.removeprefix("collect.")}
    missing = set(COLLECTED) - collected - {"memory"}
    assert missing == ({"snapshot", "tmpfs", "volumes"} if name == "triage-only" else set())


@EACH
def test_contains_first_and_destroys_only_when_asked_and_approved(name: str) -> None:
    playbook = read_playbook(name)
    effects = [step.effects for step in playbook.steps + playbook.finally_steps]
    if name == "triage-only":
        assert set(effects) == {"read"}
        return
    assert playbook.steps[0].call.uses == "contain.isolate"
    assert playbook.steps[0].call.arguments["freeze"] is True
    for step in playbook.steps:
        if step.effects in {"mutate", "destroy"}:
            assert step.approval, step.id
            assert step.when.startswith("inputs."), step.id
            action = find_action(step.call.uses)
            assert action is not None
    assert all(
        item.default in {False, "", None} for item in playbook.inputs if item.name not in {"memory", "container"}
    )


def test_no_two_go_about_it_in_the_same_way() -> None:
    ways = {
        name: tuple((p.step.call.uses, str(p.arguments)) for p in plan_run(read_playbook(name), {"container": "web"}))
        for name in NAMES
    }
    assert len(set(ways.values())) == len(NAMES)
    assert "remediate.block-image" in steps_of(read_playbook("supply-chain-image"))
    order = steps_of(read_playbook("data-destruction"))
    assert order.index("collect.volumes") < order.index("collect.snapshot")


def test_every_one_is_rehearsed_by_a_drill() -> None:
    drills = find_resource_dir("playbooks") / "drills"
    used = {yaml.safe_load(path.read_text()).get("playbook", "default") for path in drills.glob("*.yaml")}
    assert set(NAMES) <= used


@pytest.fixture
def engine(docker_host: str) -> Iterator[DockerEngine]:
    with connect(docker_host) as connected:
        yield connected


@pytest.fixture
def container(engine: DockerEngine, base_image: str) -> Iterator[Container]:
    spec = ContainerSpec(image=base_image, name="playbook-triage", command=("sleep", "600"))
    running = engine.run(spec)
    yield running
    engine.remove_container(running, force=True)


@pytest.mark.docker
@pytest.mark.usefixtures("own_folders")
def test_triage_changes_nothing_of_the_container_and_leaves_nothing_in_the_engine(
    engine: DockerEngine, container: Container
) -> None:
    def look() -> tuple[object, ...]:
        now = engine.find_container(container.id)
        return now.status, now.pid, now.started_at, now.networks, now.raw["State"], sorted(engine.diff(now))

    before = look()
    done = subprocess.run(
        [sys.executable, "-m", "forensics", "run", "triage-only", container.name, "--json"],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    document = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert {step["outcome"] for step in document["steps"]} == {"done"}
    assert look() == before
