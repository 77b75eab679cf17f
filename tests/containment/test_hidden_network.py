"""An attacker whose network namespace has no process: only a socket, a socket on its way, or one thread holds it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from containment_rig import Box, Lab, Sniffer, wait_until

from forensics.containment import cutting
from forensics.containment.scene import find_engine_namespace

pytestmark = pytest.mark.docker

SOURCE = Path(__file__).parent / "programs" / "hide.c"
OTHER_MAC = "02:00:00:aa:bb:cc"
RESOLVER = ("its processes could lift the block of the engine's resolver (NET_ADMIN); freeze the container",)
CAPABILITIES = ("--cap-add", "NET_ADMIN", "--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined")


@pytest.fixture(scope="session")
def hide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("gcc"):
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("programs") / "hide"
    subprocess.run(["gcc", "-static", "-w", "-pthread", "-o", program, SOURCE], check=True)
    return program


def answers(box: Box, address: str) -> bool:
    home = find_engine_namespace(box.engine.url).split("/")[2]
    ping = ["nsenter", "-t", home, "-n", "busybox", "ping", "-c", "1", "-W", "1", address]
    return subprocess.run(ping, capture_output=True, check=False).returncode == 0


class Attack:
    """A container that hid its interface, and the count of what it still sends."""

    def __init__(self, box: Box, hide: Path, how: str, mac: str = "", label: str = "suspect") -> None:
        self.box = box
        self.name = box.run(label, "--network", box.shared_network(), *CAPABILITIES)
        found = box.find(self.name).networks[0]
        self.mac, self.address = mac or found.mac, found.ipv4
        box.docker("cp", str(hide), f"{self.name}:/bin/hide")
        (endpoint,) = box.inspect(self.name)["NetworkSettings"]["Networks"].values()
        gateway = endpoint["Gateway"]
        words = [how, self.address, gateway, *([mac] if mac else [])]
        box.docker("exec", "-d", self.name, "/bin/hide", *words)
        wait_until(self.is_hidden)

    def is_hidden(self) -> bool:
        inside = self.box.enter(self.name, "ip", "link")
        return "eth0" not in inside and self.answers()

    def answers(self) -> bool:
        return answers(self.box, self.address)


@pytest.fixture
def attack(box: Box, hide: Path) -> Callable[..., Attack]:
    return lambda how, mac="", label="suspect": Attack(box, hide, how, mac, label)


@pytest.mark.parametrize(
    ("how", "mac", "freeze"),
    [
        ("socket", "", True),
        ("socket", OTHER_MAC, False),
        ("flight", "", True),
        ("flight", OTHER_MAC, False),
        ("thread", "", False),
        ("thread", OTHER_MAC, True),
        ("files", OTHER_MAC, False),
    ],
)
def test_an_interface_in_a_namespace_without_a_process_is_cut(
    attack: Callable[..., Attack], lab: Lab, sniff: Callable[[str], Sniffer], how: str, mac: str, freeze: bool
) -> None:
    suspect = attack(how, mac)
    sniffer = sniff(suspect.mac)
    if how != "flight":
        wait_until(lambda: sniffer.count(0.3) > 0)
    result = lab.isolate(suspect.name, freeze=freeze)
    assert sniffer.count(1.0) == 0
    assert not suspect.answers()
    assert result.proof.reasons == (() if freeze else RESOLVER)
    kinds = [str(done.action.kind) for done in result.performed]
    assert ("remove-far-end" if how == "flight" else "remove-interface") in kinds
    released = lab.release(result)
    assert released.restored, released.reasons


def test_an_interface_that_may_be_of_another_container_is_left_and_nothing_is_called_proved(
    attack: Callable[..., Attack], lab: Lab
) -> None:
    suspect = attack("flight", "02:00:00:aa:bb:01")
    other = attack("flight", "02:00:00:aa:bb:02", "other")
    result = lab.isolate(suspect.name)
    assert not result.proved
    assert any("nobody on this host can name" in reason for reason in result.proof.reasons)
    assert other.answers()
    assert "remove-far-end" not in [str(done.action.kind) for done in result.performed]


@pytest.mark.parametrize("capable", [True, False])
def test_where_the_engines_side_cannot_be_seen_only_a_container_that_could_hide_nothing_is_proved(
    box: Box, lab: Lab, monkeypatch: pytest.MonkeyPatch, capable: bool
) -> None:
    monkeypatch.setattr(cutting, "find_engine_namespace", lambda _: "")
    suspect = box.run("suspect", *(CAPABILITIES if capable else ()))
    result = lab.isolate(suspect)
    assert result.proved is not capable, result.proof.reasons
    assert result.proof.document["engine_side"]["problem"].startswith("the engine's network namespace cannot be")
    assert any("engine's network namespace" in reason for reason in result.proof.reasons) is capable


def test_containing_such_a_container_once_more_proves_it_again(attack: Callable[..., Attack], lab: Lab) -> None:
    suspect = attack("flight")
    first = lab.isolate(suspect.name)
    again = lab.isolate(suspect.name, root=first.case)
    assert again.proved, again.proof.reasons
    assert again.performed == ()


BIND = """
unshare -n sh -c 'touch /tmp/ns; mount --bind /proc/self/ns/net /tmp/ns; echo $$ > /tmp/pid;
while ! ip link set eth0 up 2>/dev/null; do sleep 0.05; done; ip addr add {address}/16 dev eth0' &
while ! [ -s /tmp/pid ]; do sleep 0.05; done
ip link set eth0 netns $(cat /tmp/pid)
wait
"""


def test_an_interface_in_a_namespace_that_only_a_file_in_the_container_holds_is_cut(box: Box, lab: Lab) -> None:
    name = box.run("suspect", "--network", box.shared_network(), *CAPABILITIES)
    address = box.find(name).networks[0].ipv4
    box.docker("exec", name, "/bin/busybox", "sh", "-c", BIND.format(address=address))
    assert answers(box, address), "the kernel answers there though nobody stands in it"
    result = lab.isolate(name)
    assert not answers(box, address)
    assert "remove-far-end" in [str(done.action.kind) for done in result.performed]
    assert any("is bound to a file of process" in reason for reason in result.proof.reasons), result.proof.reasons
    released = lab.release(result)
    assert released.restored, released.reasons
