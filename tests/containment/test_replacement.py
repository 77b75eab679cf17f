"""An orchestrator that starts the suspect anew while it is cut off: found within the run, with what stops it."""

from __future__ import annotations

import dataclasses

import pytest
from containment_rig import Box, Lab

from forensics.containment.replacement import find_replacements
from forensics.engine.base import Container
from forensics.engine.wire import WireEngine

COMPOSE = ("com.docker.compose.project=shop", "com.docker.compose.service=web")


class Racing(WireEngine):
    """An engine beside which an orchestrator answers the freeze with a new container."""

    box: Box
    labels: tuple[str, ...]

    def pause(self, container: Container) -> None:
        super().pause(container)
        self.box.run("again", *(word for label in self.labels for word in ("--label", label)))


@pytest.mark.docker
@pytest.mark.parametrize("labels", [COMPOSE, ("app=shop",)])
def test_a_container_that_is_created_anew_meanwhile_is_reported(box: Box, lab: Lab, labels: tuple[str, ...]) -> None:
    suspect = box.run("suspect", *(word for label in labels for word in ("--label", label)))
    engine = Racing(lab.engine.url.removeprefix("unix://"))
    engine.box, engine.labels = box, labels
    lab.engine = engine
    result = lab.isolate(suspect)
    again = box.find(box.name("again"))
    assert result.proved, result.proof.reasons
    assert not result.is_done
    (found,) = result.to_document()["replacements"]
    assert (found["id"], found["name"]) == (again.id, again.name)
    command = "docker compose -p shop stop web" if labels == COMPOSE else f"docker stop {again.short_id}"
    assert found["command"] == command
    assert result.proof.document["replacements"] == [found]


@pytest.mark.docker
def test_what_ran_before_or_does_other_work_is_no_replacement(box: Box, lab: Lab) -> None:
    labels = [word for label in COMPOSE for word in ("--label", label)]
    box.run("replica", *labels)
    suspect = box.run("suspect", *labels)
    engine = Racing(lab.engine.url.removeprefix("unix://"))
    engine.box, engine.labels = box, ("com.docker.compose.project=shop", "com.docker.compose.service=db")
    lab.engine = engine
    result = lab.isolate(suspect)
    assert result.is_done, result.to_document()


def noun(number: int, name: str, **labels: str) -> Container:
    return Container(
        id=f"{number:064x}", name=name, image="i", image_id="s", pid=1, status="running", started_at="",
        labels=tuple(labels.items()), raw={},
    )  # fmt: skip


def test_a_new_container_under_the_old_name_is_a_replacement() -> None:
    (found,) = find_replacements(noun(1, "web"), (noun(1, "web"),), (noun(2, "web"),))
    assert found.why == "it has the same name"


def test_no_hostile_label_is_offered_as_a_command() -> None:
    hostile = {"com.docker.compose.project": "$(reboot)", "com.docker.compose.service": "web"}
    suspect = dataclasses.replace(noun(1, "a"), labels=tuple(hostile.items()))
    other = dataclasses.replace(noun(2, "b"), labels=tuple(hostile.items()))
    assert find_replacements(suspect, (), (other,))[0].command == f"docker stop {other.short_id}"
