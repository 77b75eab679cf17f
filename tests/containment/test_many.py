"""Many at once: the host cuts them all before the engine disconnects the first, and nothing escapes from then on."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from containment_rig import Box, Lab, Sniffer, wait_until

from forensics.containment.actions import IsolationOptions
from forensics.containment.batch import Cut, isolate_many
from forensics.containment.scene import find_engine_namespace
from forensics.engine.base import Container
from forensics.engine.wire import WireEngine
from forensics.errors import ContainerNotFoundError

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("own_folders")]

BEACON = "while :; do ping -c 1 -W 1 {gateway} >/dev/null 2>&1; sleep 0.02; done"
MAIN = "import sys; from forensics.cli import main; sys.argv[0] = 'ir'; main()"


@pytest.fixture
def crowd(box: Box) -> list[str]:
    """Containers of one network and one label, each sending all the time."""
    network = box.network("n", "--subnet", "10.186.1.0/24")
    beacon = BEACON.format(gateway="10.186.1.1")
    return [box.run(f"s{number}", "--network", network, "--label", "ir-crowd=1", command=beacon) for number in range(4)]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read_until_cut(job: subprocess.Popen[str]) -> str:
    assert job.stderr
    for line in job.stderr:
        if line.startswith("CUT "):
            return line
    pytest.fail("it never said that they are cut")


@pytest.mark.parametrize(("by", "freeze"), [("network", "--no-freeze"), ("label", "--freeze")])
def test_no_packet_escapes_from_the_moment_all_are_said_to_be_cut(
    box: Box, crowd: list[str], sniff: Callable[[str], Sniffer], by: str, freeze: str
) -> None:
    before = {name: box.find(name).networks for name in crowd}
    sniffers = listen(box, crowd, sniff)
    chosen = ("--all-of-network", box.name("n")) if by == "network" else ("--label", "ir-crowd=1")
    job = start("isolate", *chosen, freeze, "--json")
    line = read_until_cut(job)
    for sniffer in sniffers:
        sniffer.escaped(0.0)  # what was on its way before the line was read
    assert line.startswith("CUT  4 of 4:")
    told, _ = job.communicate(timeout=60)
    assert [sniffer.escaped(0.3) for sniffer in sniffers] == [0, 0, 0, 0]
    assert job.returncode == 0, told
    document = json.loads(told)
    assert sorted(document["cut"]["containers"]) == sorted(box.find(name).id for name in crowd)
    assert [item["proved"] for item in document["containments"]] == [True] * 4
    assert len({item["case"] for item in document["containments"]}) == 4
    kinds = [[action["kind"] for action in item["actions"]] for item in document["containments"]]
    assert all(found.index("lower-far-ends") < found.index("disconnect") for found in kinds)
    assert all(box.find(name).networks == () for name in crowd)
    job = start("release", *chosen, "--json")
    told, _ = job.communicate(timeout=60)
    assert job.returncode == 0, told
    assert [item["proved"] for item in json.loads(told)["releases"]] == [True] * 4
    for name in crowd:
        assert box.find(name).networks == before[name]
        assert box.find(name).status == "running"
    assert start("release", *chosen).wait(30) == 2, "nothing is contained any more"


def listen(box: Box, names: list[str], sniff: Callable[[str], Sniffer]) -> list[Sniffer]:
    """Return what hears each of them; all of them are heard by now."""
    sniffers = [sniff(box.find(name).networks[0].mac) for name in names]
    for sniffer in sniffers:
        wait_until(lambda sniffer=sniffer: sniffer.count(0.1), 10)
    return sniffers


class Listening(WireEngine):
    """An engine beside which somebody counts packets before each disconnect."""

    seen: Callable[[], int]

    def disconnect_network(self, container: Container, network: str) -> None:
        assert self.seen() == 0
        super().disconnect_network(container, network)


def test_the_host_cuts_all_before_the_engine_is_asked_to_disconnect_one(
    box: Box, lab: Lab, crowd: list[str], sniff: Callable[[str], Sniffer]
) -> None:
    engine = Listening(lab.engine.url.removeprefix("unix://"))
    sniffers = listen(box, crowd, sniff)
    engine.seen = lambda: sum(sniffer.escaped(0.05) for sniffer in sniffers)
    told: list[Cut] = []

    def hear(cut: Cut) -> None:
        told.append(cut)
        for sniffer in sniffers:
            sniffer.escaped(0.0)  # what it sent until now

    batch = isolate_many(
        engine, (*crowd, box.name("nobody")), lambda scene: lab.open_case(scene.container),
        IsolationOptions(freeze=False), hear,
    )  # fmt: skip
    assert sorted(told[0].cut) == sorted(crowd)
    assert told[0].uncertain == ()
    assert all(result.is_done for result in batch.results), [result.proof.reasons for result in batch.results]
    ((ref, error),) = batch.failed
    assert ref == box.name("nobody")
    assert isinstance(error, ContainerNotFoundError)


def test_what_the_host_alone_cannot_cut_is_named_and_proved_at_the_end(box: Box, lab: Lab) -> None:
    hosted, tunnelled = box.run("hosted", "--network", "host"), box.run("tunnelled")
    words = ("ip", "link", "add", "vx0", "up", "type", "vxlan", "id", "9", "remote", "172.17.0.1", "dstport", "4789")
    box.enter(tunnelled, *words)
    told: list[Cut] = []
    batch = isolate_many(
        lab.engine, (hosted, tunnelled), lambda scene: lab.open_case(scene.container), IsolationOptions(), told.append
    )
    assert told[0].cut == ()
    assert dict(told[0].uncertain) == {
        hosted: "the host alone cannot cut it",
        tunnelled: "interface vx0 has no end in the engine's network namespace",
    }
    assert all(result.is_done for result in batch.results), [result.proof.reasons for result in batch.results]


@pytest.fixture
def deaf(box: Box, monkeypatch: pytest.MonkeyPatch) -> str:
    """A container that the kernel refuses to cut on the host's side."""
    from forensics.containment import far_side

    monkeypatch.setattr(far_side, "is_down", lambda *_: False)
    return box.run("deaf")


def test_an_end_that_stays_up_is_not_said_to_be_cut(lab: Lab, deaf: str) -> None:
    told: list[Cut] = []
    isolate_many(lab.engine, (deaf,), lambda scene: lab.open_case(scene.container), IsolationOptions(), told.append)
    ((_, reason),) = told[0].uncertain
    assert reason.endswith("is still up")


def test_a_release_between_the_hosts_cut_and_the_engines_raises_the_ends_again(box: Box, lab: Lab) -> None:
    from forensics.containment.isolate import Isolation
    from forensics.containment.release import release
    from forensics.containment.scene import read_scene

    suspect = box.run("suspect")
    before = box.find(suspect)

    def answers() -> bool:
        home = find_engine_namespace(box.engine.url).split("/")[2]
        ping = ["nsenter", "-t", home, "-n", "busybox", "ping", "-c", "1", "-W", "1", before.networks[0].ipv4]
        return subprocess.run(ping, capture_output=True, check=False).returncode == 0

    assert answers()
    scene = read_scene(lab.engine, suspect)
    with lab.open_case(scene.container) as case:
        isolation = Isolation(lab.engine, scene, case, IsolationOptions(host_first=True))
        assert isolation.begin() == ""
        isolation.close()
        assert box.find(suspect).networks == before.networks, "the engine was not asked for anything"
        assert not answers()
        released = release(lab.engine, before.id, case)
    assert released.restored, released.reasons
    assert box.find(suspect).networks == before.networks
    end = time.monotonic() + 5
    while not answers():
        assert time.monotonic() < end
