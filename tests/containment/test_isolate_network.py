"""Real packets: what flows before the cut stops with it, nothing escapes, and everything works again after release."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator

import pytest
from containment_rig import Box, Lab, Sniffer, read_document, wait_until

from forensics.containment.scene import find_engine_namespace
from forensics.evidence.case import Case

pytestmark = pytest.mark.docker

BEACON = "while :; do echo beacon; sleep 0.05; done | nc {peer} 9000"
LISTENER = "while :; do sleep 1000 | nc -l -p 9000; done"
SERVER = "while :; do echo hello | nc -l -p 7000; done"


@pytest.mark.parametrize("freeze", [True, False])
def test_a_live_connection_stops_and_a_fresh_one_works_after_release(
    box: Box, lab: Lab, sniff: Callable[[str], Sniffer], freeze: bool
) -> None:
    network = box.network("n")
    peer = box.run("peer", "--network", network, command=LISTENER)
    suspect = box.run(
        "suspect",
        "--network",
        network,
        "--network-alias",
        "web",
        command=f"({SERVER}) & ({BEACON.format(peer=peer)}) & sleep 1000",
    )
    wait_until(lambda: "beacon" in box.docker("logs", peer))
    before = box.find(suspect).networks[0]
    sniffer = sniff(before.mac)
    assert sniffer.count(0.5) > 0, "the beacon must be on the wire before the cut"

    result = lab.isolate(suspect, freeze=freeze)

    assert sniffer.count(1.0) == 0
    assert result.proved, result.proof.reasons
    assert box.find(suspect).status == ("paused" if freeze else "running")
    document = result.to_document()
    assert document["schema"] == "ir.containment/1"
    assert document["proof"]["probe"]["answered_before"] == [before.ipv4]
    assert document["proof"]["probe"]["answered_after"] == []
    with Case.open(result.case, read_only=True) as case:
        capture = read_document(case, "ir.containment-capture/1")
        established = [found for found in capture["sockets"] if found["state"] == "ESTABLISHED"]
        assert [(found["local_addr"], found["remote_port"]) for found in established] == [(before.ipv4, 9000)]
        assert established[0]["pid"] in {process["pid"] for process in capture["processes"]}
        assert any(process["argv"][:2] == ["nc", peer] for process in capture["processes"])

    released = lab.release(result)

    assert released.restored, released.reasons
    after = box.find(suspect)
    assert after.status == "running"
    assert after.networks[0].ipv4 == before.ipv4
    assert after.networks[0].mac == before.mac
    assert set(after.networks[0].aliases) == set(before.aliases)
    assert ("1 connections of before the cut may go on" in " ".join(released.differences)) is freeze
    for target in ("web", suspect, before.ipv4):
        assert box.sh(peer, f"nc -w 3 {target} 7000 </dev/null") == "hello"


def test_the_default_bridge_and_published_ports(box: Box, lab: Lab) -> None:
    suspect = box.run("suspect", "-p", "127.0.0.1::7000", command=SERVER)
    ports = box.inspect(suspect)["NetworkSettings"]["Ports"]
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    assert box.inspect(suspect)["NetworkSettings"]["Networks"] == {}
    assert lab.release(result).restored
    assert box.inspect(suspect)["NetworkSettings"]["Ports"].keys() == ports.keys()


def test_isolating_again_proves_again_and_releasing_twice_is_a_no_op(box: Box, lab: Lab) -> None:
    suspect = box.run("suspect", "--restart", "always")
    first = lab.isolate(suspect)
    again = lab.isolate(suspect, root=first.case)
    assert (first.proved, again.proved) == (True, True)
    assert again.performed == ()
    assert box.inspect(suspect)["HostConfig"]["RestartPolicy"]["Name"] == "no"
    released = lab.release(first)
    assert released.restored, released.reasons
    assert box.inspect(suspect)["HostConfig"]["RestartPolicy"]["Name"] == "always"
    entries = len(Case.open(first.case, read_only=True).custody())
    twice = lab.release(first)
    assert twice.restored
    assert twice.performed == ()
    assert len(Case.open(first.case, read_only=True).custody()) == entries


def test_a_container_that_was_frozen_before_stays_frozen_after_release(box: Box, lab: Lab) -> None:
    suspect = box.run("suspect")
    box.docker("pause", suspect)
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    assert lab.release(result).restored
    assert box.find(suspect).status == "paused"
    assert [item.name for item in box.find(suspect).networks] == ["bridge"]


def test_a_stopped_container_and_one_without_network(box: Box, lab: Lab) -> None:
    stopped, alone = box.run("stopped", command="true"), box.run("alone", "--network", "none")
    wait_until(lambda: box.find(stopped).status == "exited")
    result = lab.isolate(stopped)
    assert result.proved, result.proof.reasons
    assert lab.release(result).restored
    assert [item.name for item in box.find(stopped).networks] == ["bridge"]
    result = lab.isolate(alone)
    assert result.proved, result.proof.reasons
    assert lab.release(result).restored
    assert [item.name for item in box.find(alone).networks] == ["none"]


def test_a_container_that_vanished_meanwhile_leaves_nothing_to_undo(box: Box, lab: Lab) -> None:
    suspect = box.run("suspect", "--rm")
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    box.docker("rm", "-f", suspect)
    released = lab.release(result)
    assert released.restored
    assert "no longer exists" in released.differences[0]


def test_several_networks_come_back_in_order_with_aliases_addresses_and_links(box: Box, lab: Lab) -> None:
    first = box.network("a", "--subnet", "10.181.1.0/24")
    second = box.network("b", "--subnet", "10.181.2.0/24", "--ipv6", "--subnet", "fd00:181:2::/64")
    third = box.network("c", "--internal")
    other = box.run("other", "--network", second)
    suspect = box.run(
        "suspect", "--network", second, "--ip", "10.181.2.77", "--ip6", "fd00:181:2::77", "--network-alias", "db"
    )
    box.docker("network", "connect", "--ip", "10.181.1.9", "--alias", "x", "--alias", "y", first, suspect)
    box.docker("network", "disconnect", second, suspect)
    box.docker(
        *("network", "connect", "--ip", "10.181.2.78", "--ip6", "fd00:181:2::78", "--alias", "db"),
        *("--link", f"{other}:o", "--driver-opt", "shop.example=7", second, suspect),
    )
    box.docker("network", "connect", third, suspect)
    before = {item.name: item for item in box.find(suspect).networks}
    box.settle(suspect)
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    probe = result.proof.document["probe"]
    assert {"10.181.1.9", "10.181.2.78", "fd00:181:2::78"} <= set(probe["answered_before"]), "inwards"
    assert {"10.181.1.1", "10.181.2.1", "fd00:181:2::1"} <= set(probe["reached_before"]), "outwards"
    assert probe["answered_after"] == probe["reached_after"] == []
    order = [
        done.action.parameters["attachment"]["name"] for done in result.performed if done.action.kind == "disconnect"
    ]
    assert order == [third, second, first]
    released = lab.release(result)
    assert released.restored, released.reasons
    assert {item.name: item for item in box.find(suspect).networks} == before
    assert before[second].driver_opts == (("shop.example", "7"),)
    assert released.differences == (f"the engine gave new endpoint ids (network {first}, {second}, {third})",)
    reached = released.proof["reached"]
    everywhere = {"10.181.1.9", "10.181.2.78", "fd00:181:2::78", before[third].ipv4}
    assert set(reached["inward"][0]["answered"]) == everywhere, "IPv4 and IPv6, from the engine's side"
    (from_peer,) = (item for item in reached["inward"] if item["place"] == f"peer {other}")
    assert set(from_peer["answered"]) == {"10.181.2.78", "fd00:181:2::78"}
    assert {"10.181.1.1", "10.181.2.1", "fd00:181:2::1"} <= set(reached["outward"]["answered"])
    (names,) = (item for item in reached["names"] if item["place"] == f"peer {other}")
    assert {suspect, "db"} <= set(names["answered"])


def test_a_hardware_address_of_its_own_comes_back(box: Box, lab: Lab) -> None:
    network = box.network("n")
    suspect = box.run_with_mac("suspect", network, "02:11:22:33:44:55")
    assert box.find(suspect).networks[0].mac == "02:11:22:33:44:55"
    result = lab.isolate(suspect)
    released = lab.release(result)
    assert released.restored, released.reasons
    assert "02:11:22:33:44:55" in box.enter(suspect, "ip", "link")


@pytest.fixture
def parent(box: Box) -> Iterator[str]:
    """An interface in the engine's namespace for macvlan; the kernel may have no dummy ones."""
    name = f"ir{uuid.uuid4().hex[:8]}"
    where = ["nsenter", f"--net={find_engine_namespace(box.engine.url)}", "ip", "link"]
    subprocess.run([*where, "add", name, "up", "type", "veth", "peer", "name", f"{name}x"], check=True)
    subprocess.run([*where, "set", f"{name}x", "up"], check=True)
    yield name
    box.clean()
    subprocess.run([*where, "del", name], check=True)


@pytest.mark.parametrize("freeze", [True, False])
def test_a_macvlan_network_is_cut_and_comes_back(box: Box, lab: Lab, parent: str, freeze: bool) -> None:
    network = box.network("mv", "-d", "macvlan", "--subnet", "10.185.1.0/24", "-o", f"parent={parent}")
    peer = box.run("peer", "--network", network, "--ip", "10.185.1.2", command=SERVER)
    suspect = box.run("suspect", "--network", network, "--ip", "10.185.1.3", "--network-alias", "web", command=SERVER)

    def reaches() -> bool:
        return box.sh(peer, "nc -w 2 10.185.1.3 7000 </dev/null || true") == "hello"

    wait_until(reaches)
    before = box.find(suspect).networks
    result = lab.isolate(suspect, freeze=freeze)
    assert result.proved, result.proof.reasons
    assert not reaches()
    assert result.proof.document["namespaces_before"][0]["interfaces"][-1]["kind"] == "macvlan"
    assert len(result.proof.document["namespaces_after"][0]["interfaces"]) == 1
    released = lab.release(result)
    assert released.restored, released.reasons
    assert box.find(suspect).networks == before
    wait_until(reaches)
    assert box.find(peer).status == "running"


def test_an_internal_network_is_cut_and_comes_back(box: Box, lab: Lab, sniff: Callable[[str], Sniffer]) -> None:
    network = box.network("in", "--internal", "--subnet", "10.185.2.0/24")
    peer = box.run("peer", "--network", network, command=LISTENER)
    suspect = box.run("suspect", "--network", network, "--ip", "10.185.2.9", command=BEACON.format(peer=peer))
    wait_until(lambda: "beacon" in box.docker("logs", peer))
    before = box.find(suspect).networks
    sniffer = sniff(before[0].mac)
    assert sniffer.count(0.5) > 0
    result = lab.isolate(suspect)
    assert sniffer.count(1.0) == 0
    assert result.proved, result.proof.reasons
    assert lab.release(result).restored
    assert box.find(suspect).networks == before
