"""An attacker who hides the network from the engine, and networks that cannot be disconnected: found, cut, recorded."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from containment_rig import Box, Lab, Sniffer, wait_until

from forensics.engine.base import Container
from forensics.engine.footprint import read_footprint
from forensics.engine.wire import WireEngine
from forensics.errors import RefusedError

pytestmark = pytest.mark.docker

PING = "while :; do ping -c 1 -W 1 {target} >/dev/null 2>&1; sleep 0.05; done"
BEACON = "while :; do echo beacon | nc -w 1 {target} {port}; sleep 0.1; done"
ONE_SHOT = "while :; do nc -l -p {port} </dev/null; done"
LISTENER = "while :; do sleep 1000 | nc -l -p {port}; done"


def kinds(result: object) -> list[str]:
    return [str(done.action.kind) for done in result.performed]  # type: ignore[attr-defined]


@pytest.mark.parametrize("freeze", [True, False])
def test_a_renamed_interface_is_found_cut_and_recorded(
    box: Box, lab: Lab, sniff: Callable[[str], Sniffer], freeze: bool
) -> None:
    network = box.network("n")
    peer = box.run("peer", "--network", network)
    target = box.find(peer).networks[0].ipv4
    suspect = box.run("suspect", "--network", network, "--cap-add", "NET_ADMIN", command=PING.format(target=target))
    before = box.find(suspect).networks[0]
    box.sh(
        suspect,
        f"ip link set eth0 down; ip link set eth0 name evil0; ip link set evil0 up; ip route add default via {target}",
    )
    sniffer = sniff(before.mac)
    assert sniffer.count(1.0) > 0
    result = lab.isolate(suspect, freeze=freeze)
    assert sniffer.count(1.0) == 0
    assert result.proved is freeze, result.proof.reasons
    if not freeze:
        assert result.proof.reasons == (
            "its processes could lift the block of the engine's resolver (NET_ADMIN); freeze the container",
        )
    assert "remove-interface" in kinds(result)
    assert any("evil0" in done.action.effect for done in result.performed)
    released = lab.release(result)
    assert released.restored, released.reasons
    assert box.find(suspect).networks[0].ipv4 == before.ipv4
    assert box.sh(suspect, f"ping -c 1 -W 2 {target} >/dev/null && echo ok") == "ok"


def test_an_interface_moved_into_a_second_namespace_is_found_and_cut(
    box: Box, lab: Lab, sniff: Callable[[str], Sniffer]
) -> None:
    network = box.network("n")
    peer = box.run("peer", "--network", network)
    target = box.find(peer).networks[0].ipv4
    suspect = box.run("suspect", "--network", network, "--cap-add", "NET_ADMIN", "--cap-add", "SYS_ADMIN")
    before = box.find(suspect).networks[0]
    inner = f"while ! ip link set eth0 up 2>/dev/null; do sleep 0.05; done; ip addr add {before.ipv4}/16 dev eth0; "
    inner += PING.format(target=target)
    box.docker("exec", "-d", suspect, "/bin/busybox", "unshare", "-n", "sh", "-c", inner)

    def second() -> list[int]:
        uses = read_footprint(box.find(suspect)).namespaces
        return [use.members[0] for use in uses if use.path != f"/proc/{box.find(suspect).pid}/ns/net" and use.members]

    wait_until(second)
    box.enter(suspect, "ip", "link", "set", "eth0", "netns", str(second()[0]))
    sniffer = sniff(before.mac)
    wait_until(lambda: sniffer.count(0.3) > 0)
    result = lab.isolate(suspect)
    assert sniffer.count(1.0) == 0
    assert result.proved, result.proof.reasons
    assert len(result.proof.document["namespaces_after"]) == 2
    assert "remove-interface" in kinds(result)


def test_an_added_tunnel_is_taken_down_and_raised_again(box: Box, lab: Lab) -> None:
    suspect = box.run("suspect")
    box.enter(
        suspect, "ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "remote", "172.17.0.1", "dstport", "4789"
    )
    box.enter(suspect, "ip", "addr", "add", "10.99.0.1/24", "dev", "vx0")
    box.enter(suspect, "ip", "link", "set", "vx0", "up")
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    assert kinds(result).count("lower-interface") == 1
    assert "state DOWN" in box.enter(suspect, "ip", "link", "show", "vx0")
    released = lab.release(result)
    assert released.restored, released.reasons
    assert ",UP" in box.enter(suspect, "ip", "link", "show", "vx0")


def test_the_host_network_is_cut_for_this_container_only(box: Box, lab: Lab) -> None:
    suspect = box.run("suspect", "--network", "host", command=ONE_SHOT.format(port=47101))
    box.run("other", "--network", "host", command=ONE_SHOT.format(port=47102))
    client = box.run("client")
    gateway = box.inspect(client)["NetworkSettings"]["Gateway"]

    def reaches(port: int) -> bool:
        return box.sh(client, f"nc -w 1 {gateway} {port} </dev/null && echo yes || echo no") == "yes"

    wait_until(lambda: reaches(47101) and reaches(47102))
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    assert kinds(result) == ["freeze", "filter"]
    assert not reaches(47101)
    wait_until(lambda: reaches(47102))
    released = lab.release(result)
    assert released.restored, released.reasons
    wait_until(lambda: reaches(47101))


def test_an_established_connection_and_a_later_process_on_the_host_network_are_cut_without_a_freeze(
    box: Box, lab: Lab
) -> None:
    sink = box.run("sink", command=LISTENER.format(port=9000))
    target = box.find(sink).networks[0].ipv4
    suspect = box.run(
        "suspect", "--network", "host", "--cap-drop", "NET_RAW",
        command=f"while :; do echo beacon; sleep 0.05; done | nc {target} 9000 & sleep 1000",
    )  # fmt: skip
    wait_until(lambda: "beacon" in box.docker("logs", sink))
    result = lab.isolate(suspect, freeze=False)
    assert result.proved, result.proof.reasons
    heard = box.docker("logs", sink)
    assert box.sh(suspect, f"echo late | nc -w 1 {target} 9000 || echo refused") == "refused"
    assert box.docker("logs", sink) == heard
    assert lab.release(result).restored
    assert box.sh(suspect, f"nc -w 1 {target} 9000 </dev/null && echo ok || echo no") in {"ok", "no"}


def test_packet_sockets_on_a_shared_network_are_not_called_proved(box: Box, lab: Lab) -> None:
    suspect = box.run("suspect", "--network", "host")
    result = lab.isolate(suspect, freeze=False)
    assert not result.proved
    assert "NET_RAW" in result.proof.reasons[0]


@pytest.mark.parametrize("who", ["lender", "borrower"])
def test_only_the_suspect_is_cut_where_two_containers_share_a_namespace(box: Box, lab: Lab, who: str) -> None:
    sink = box.run("sink", command=LISTENER.format(port=9000) + " & " + LISTENER.format(port=9001))
    target = box.find(sink).networks[0].ipv4
    lender = box.run("lender")
    borrower = box.run("borrower", "--network", f"container:{lender}")
    suspect, mate = (lender, borrower) if who == "lender" else (borrower, lender)

    def reaches(name: str, port: int) -> bool:
        return box.sh(name, f"echo x | nc -w 1 {target} {port} && echo yes || echo no") == "yes"

    assert reaches(suspect, 9000)
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    assert "disconnect" not in kinds(result)
    assert any(mate in warning for warning in result.warnings)
    assert reaches(mate, 9001)
    assert lab.release(result).restored


def test_a_shared_network_is_cut_for_all_when_that_is_asked_for(box: Box, lab: Lab) -> None:
    lender = box.run("lender")
    borrower = box.run("borrower", "--network", f"container:{lender}")
    result = lab.isolate(lender, cut_sharing=True)
    assert result.proved, result.proof.reasons
    assert [done.action.affects for done in result.performed if done.action.kind == "disconnect"] == [(borrower,)]
    assert lab.release(result).restored


def test_without_a_filter_and_without_a_freeze_a_shared_network_is_refused(box: Box) -> None:
    from forensics.containment.actions import IsolationOptions
    from forensics.containment.plan import plan_isolation
    from forensics.containment.scene import read_scene

    scene = read_scene(box.engine, box.run("suspect", "--network", "host"))
    scene = scene._replace(footprint=scene.footprint._replace(group=None))
    with pytest.raises(RefusedError, match="cannot be cut off alone"):
        plan_isolation(scene, IsolationOptions(freeze=False))


def test_where_no_program_can_be_attached_to_the_group_nftables_cuts_it(
    box: Box, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensics.engine import cgroup_filter

    monkeypatch.setattr(cgroup_filter, "_SYSCALL", {})  # a machine for which we know no bpf(2)
    suspect = box.run("suspect", "--network", "host", command=ONE_SHOT.format(port=47103))
    box.run("other", "--network", "host", command=ONE_SHOT.format(port=47104))
    client = box.run("client")
    gateway = box.inspect(client)["NetworkSettings"]["Gateway"]

    def reaches(port: int) -> bool:
        return box.sh(client, f"nc -w 1 {gateway} {port} </dev/null && echo yes || echo no") == "yes"

    wait_until(lambda: reaches(47103) and reaches(47104))
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    assert "with nftables, because" in [done.note for done in result.performed][-1]
    assert not reaches(47103)
    wait_until(lambda: reaches(47104))
    monkeypatch.undo()
    released = lab.release(result)
    assert released.restored, released.reasons
    wait_until(lambda: reaches(47103))


def test_without_any_filter_a_frozen_container_on_a_shared_network_is_said_to_be_no_more_than_frozen(
    box: Box, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forensics.engine import cgroup_filter, nft_filter

    monkeypatch.setattr(cgroup_filter, "_SYSCALL", {})
    monkeypatch.setattr(nft_filter, "_SEARCH", "/nonexistent")
    result = lab.isolate(box.run("suspect", "--network", "host"))
    assert not result.proved
    assert "it is frozen, but" in result.proof.reasons[0]
    assert "no nft" in [done.error for done in result.performed][-1]
    assert lab.release(result).restored


def test_a_process_that_left_the_freezer_alone_is_found_awake(box: Box, lab: Lab) -> None:
    suspect = box.run("suspect", "--network", "host", command="sleep 1000 & sleep 2000")
    wait_until(lambda: len(read_footprint(box.find(suspect)).members) > 1)
    container = box.find(suspect)
    (stray,) = (pid for pid in read_footprint(container).members if pid != container.pid)
    top = Path("/sys/fs/cgroup/freezer/cgroup.procs")
    if not top.exists():
        pytest.skip("no hierarchy of its own for the freezer: leaving it is leaving the group")
    top.write_text(str(stray))
    result = lab.isolate(suspect)
    assert not result.proved
    assert f"processes {stray} were to be frozen and are not" in result.proof.reasons
    assert result.proof.document["frozen"] is False
    os.kill(stray, signal.SIGKILL)
    again = lab.isolate(suspect, root=result.case)
    assert again.proved, again.proof.reasons


class Accomplice(WireEngine):
    """An engine that somebody else uses too: whoever undoes each step of the cut once, right after it."""

    undo: Callable[[str], None]

    def pause(self, container: Container) -> None:
        super().pause(container)
        self.undo("pause")

    def disconnect_network(self, container: Container, network: str) -> None:
        super().disconnect_network(container, network)
        self.undo("disconnect")


def test_who_thaws_and_connects_it_again_while_it_is_cut_does_not_win(
    box: Box, lab: Lab, sniff: Callable[[str], Sniffer]
) -> None:
    network, other = box.network("n"), box.network("m", "--subnet", "10.187.9.0/24")
    suspect = box.run("suspect", "--network", network, command=PING.format(target="10.187.9.1"))
    undone: set[str] = set()

    def undo(step: str) -> None:
        if step not in undone:
            undone.add(step)
            words = (
                ("unpause", suspect)
                if step == "pause"
                else ("network", "connect", "--ip", "10.187.9.7", other, suspect)
            )
            box.docker(*words)

    engine = Accomplice(lab.engine.url.removeprefix("unix://"))
    engine.undo = undo
    lab.engine = engine
    sniffer = sniff("02:42:0a:bb:09:07")
    result = lab.isolate(suspect)
    sniffer.escaped(0.0)
    assert undone == {"pause", "disconnect"}
    assert result.proved, result.proof.reasons
    assert kinds(result).count("freeze") == 2
    assert kinds(result).count("disconnect") == 2
    assert box.find(suspect).status == "paused"
    assert box.find(suspect).networks == ()
    assert sniffer.escaped(0.5) == 0


def heard(sniffer: Sniffer) -> set[bytes]:
    """The kinds of frames that it sent: ARP, IPv6, IPv4."""
    sniffer.count(0.1)
    return sniffer.kinds


FLOOD = """
while :; do
  ping -c 1 -W 1 -I eth0 ff02::1 >/dev/null 2>&1
  ping -c 1 -W 1 224.0.0.1 >/dev/null 2>&1
  arping -c 1 -w 1 -I eth0 {target} >/dev/null 2>&1
done
"""


def test_link_local_multicast_and_packet_sockets_reach_nobody_though_nothing_is_frozen(
    box: Box, lab: Lab, sniff: Callable[[str], Sniffer]
) -> None:
    network = box.network("n", "--subnet", "10.187.10.0/24", "--ipv6", "--subnet", "fd00:187:10::/64")
    flood = FLOOD.format(target="10.187.10.1")
    suspect = box.run("suspect", "--network", network, "--ip", "10.187.10.7", command=flood)
    sniffer = sniff("02:42:0a:bb:0a:07")
    wait_until(lambda: {b"\x08\x06", b"\x86\xdd", b"\x08\x00"} <= heard(sniffer))
    result = lab.isolate(suspect, freeze=False)
    sniffer.escaped(0.0)
    assert sniffer.escaped(1.0) == 0
    assert box.find(suspect).status == "running"
    assert result.proved, result.proof.reasons
