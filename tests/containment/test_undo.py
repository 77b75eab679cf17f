"""Undo works from the log alone: after SIGKILL at every journal point, and for random network set-ups."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from containment_rig import Box, Lab

from forensics.containment.journal import Journal
from forensics.containment.release import release
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor

pytestmark = pytest.mark.docker

LANES, ROUNDS_OF_A_LANE = (5, 10) if os.environ.get("CI") else (1, 3)
KILLED = -9

ISOLATE_AND_DIE = """
import os, signal, sys
from pathlib import Path
from forensics.containment.actions import IsolationOptions
from forensics.containment.isolate import isolate
from forensics.containment.scene import read_scene
from forensics.engine.wire import WireEngine
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import Subject

socket, name, root, fatal = sys.argv[1], sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
written, record = 0, Case.record

def record_and_die(self, *arguments, **details):
    global written
    entry = record(self, *arguments, **details)
    written += 1
    if written == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return entry

Case.record = record_and_die
engine = WireEngine(socket)
scene = read_scene(engine, name)
case = Case.create(root, subject=Subject("container", name, scene.container.id), actor=Actor(name="tester"))
isolate(engine, scene, case, IsolationOptions(host_first=True))
"""


def facts(box: Box, name: str) -> tuple[object, ...]:
    """Everything of a container that isolation touches."""
    container = box.find(name)
    policy = box.inspect(name)["HostConfig"]["RestartPolicy"]
    return container.status, sorted(container.networks, key=lambda item: item.name), policy


def test_release_works_after_a_kill_at_every_point_of_the_journal(box: Box, own_folders: Path) -> None:
    network = box.network("n", "--subnet", "10.182.1.0/24")
    suspect = box.run("suspect", "--network", network, "--ip", "10.182.1.5", "--restart", "always")
    box.docker("network", "connect", box.network("m"), suspect)
    before = facts(box, suspect)
    fatal = 0
    while True:
        fatal += 1
        root = own_folders / f"case-{fatal}"
        script = [sys.executable, "-c", ISOLATE_AND_DIE, box.engine.url.removeprefix("unix://"), suspect, str(root)]
        done = subprocess.run([*script, str(fatal)], capture_output=True, text=True, check=False)
        with Case.open(root, actor=Actor(name="tester")) as case:
            result = release(box.engine, box.find(suspect).id, case)
            assert Journal(case, box.find(suspect).id).read_open() == ()
        assert result.restored, (fatal, result.reasons)
        assert facts(box, suspect) == before, fatal
        if done.returncode == 0:
            break
        assert done.returncode == KILLED, done.stderr
    assert fatal >= 2 * 5 + 3, "a plan, a begin and an end of every action, the cut"


def test_release_works_when_it_was_killed_half_way_itself(box: Box, lab: Lab) -> None:
    network = box.network("n")
    suspect = box.run("suspect", "--network", network)
    before = facts(box, suspect)
    result = lab.isolate(suspect)
    with Case.open(result.case, actor=Actor(name="tester")) as case:
        journal = Journal(case, result.container_id)
        undone = next(action for action in journal.read_open() if action.kind == "disconnect")
        box.docker("network", "connect", network, suspect)
        journal._record("undo", result="begin", action=undone.to_document())
    released = lab.release(result)
    assert released.restored, released.reasons
    assert "was connected already" in [done.note for done in released.performed]
    assert facts(box, suspect) == before


def test_a_network_that_was_removed_meanwhile_stays_open_and_is_named(box: Box, lab: Lab) -> None:
    network = box.network("n", "--subnet", "10.182.3.0/24")
    suspect = box.run("suspect", "--network", network)
    result = lab.isolate(suspect)
    box.docker("network", "rm", network)
    released = lab.release(result)
    assert not released.restored
    assert "no longer exists" in released.reasons[0]
    assert box.find(suspect).status == "running"


def test_release_of_isolate_changes_nothing(box: Box, lab: Lab) -> None:
    """Rounds of a lane share networks, which take long to make; lanes run beside each other and share nothing."""
    with ThreadPoolExecutor(LANES) as pool:
        for done in [pool.submit(play_lane, box, lab, lane) for lane in range(LANES)]:
            done.result()


def play_lane(box: Box, lab: Lab, lane: int) -> None:
    chance = random.Random(lane)  # noqa: S311 - set-ups, not secrets
    made = [make_network(box, chance, 3 * lane + number) for number in range(3)]
    for member in range(ROUNDS_OF_A_LANE):
        networks = chance.sample(made, chance.randint(1, 3))
        suspect = attach_somehow(box, chance, networks, f"{lane}-{member}", member)
        before = facts(box, suspect)
        result = lab.isolate(suspect, freeze=chance.random() < 0.7)
        assert result.proved, (lane, member, result.proof.reasons)
        released = lab.release(result)
        assert released.restored, (lane, member, released.reasons)
        assert facts(box, suspect) == before, (lane, member, released.differences)


def attach_somehow(
    box: Box, chance: random.Random, networks: list[tuple[str, str, str]], label: str, member: int
) -> str:
    """Start a container with a random restart policy on *networks*; sometimes it is frozen already."""
    first, *rest = networks
    policy = chance.choice(["no", "always", "on-failure:3", "unless-stopped", "--rm"])
    options = ["--rm"] if policy == "--rm" else ["--restart", policy]
    suspect = box.run(label, "--network", first[0], *attach_options(chance, first, member), *options)
    for network in rest:
        box.docker("network", "connect", *connect_options(chance, network, member), network[0], suspect)
    if chance.random() < 0.3:
        box.docker("pause", suspect)
    return suspect


def make_network(box: Box, chance: random.Random, number: int) -> tuple[str, str, str]:
    """Return name, IPv4 prefix and IPv6 prefix; empty where the engine chooses."""
    options, v4, v6 = [], "", ""
    if chance.random() < 0.6:
        v4 = f"10.183.{number}."
        options += ["--subnet", f"{v4}0/24"]
        if chance.random() < 0.5:
            v6 = f"fd00:183:{number}::"
            options += ["--ipv6", "--subnet", f"{v6}/64"]
    if chance.random() < 0.3:
        options.append("--internal")
    return box.network(f"n{number}", *options), v4, v6


def connect_options(chance: random.Random, network: tuple[str, str, str], member: int) -> list[str]:
    _, v4, v6 = network
    options = []
    for number in range(chance.randint(0, 2)):
        options += ["--alias", f"alias{number}"]
    if v4 and chance.random() < 0.5:
        options += ["--ip", f"{v4}{20 + member * 20 + chance.randint(0, 19)}"]
    if v6 and chance.random() < 0.5:
        options += ["--ip6", f"{v6}{20 + member * 20 + chance.randint(0, 19):x}"]
    return options


def attach_options(chance: random.Random, network: tuple[str, str, str], member: int) -> list[str]:
    return [option.replace("--alias", "--network-alias") for option in connect_options(chance, network, member)]
