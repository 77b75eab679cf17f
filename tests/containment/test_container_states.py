"""Containers in awkward states: in a restart loop, on a host that forgot its state, with the engine's own socket."""

from __future__ import annotations

import os
import signal
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from containment_rig import Box, Lab, Sniffer, wait_until

from forensics.containment.names import build_question, parse_answer
from forensics.containment.pointers import find_case
from forensics.containment.scene import find_engine_namespace
from forensics.engine.base import Container
from forensics.engine.far_ends import is_down, list_far_ends, set_far_end
from forensics.engine.netns import Namespace
from forensics.engine.wire import WireEngine


@pytest.mark.docker
def test_a_container_in_a_restart_loop_is_cut_and_does_not_come_back_by_itself(
    box: Box, lab: Lab, sniff: Callable[[str], Sniffer]
) -> None:
    network = box.network("n", "--subnet", "10.187.1.0/24")
    beacon = "ping -c 1 -W 1 10.187.1.1 >/dev/null; exit 1"
    suspect = box.run("suspect", "--network", network, "--ip", "10.187.1.7", "--restart", "always", command=beacon)
    wait_until(lambda: box.find(suspect).status == "restarting")
    sniffer = sniff("02:42:0a:bb:01:07")
    result = lab.isolate(suspect)
    assert result.is_done, (result.failed, result.proof.reasons)
    count = box.inspect(suspect)["RestartCount"]
    assert sniffer.count(2.0) == 0
    assert box.inspect(suspect)["RestartCount"] == count, "nothing starts it again"
    assert box.find(suspect).networks == ()
    started = box.inspect(suspect)["State"]["StartedAt"]
    released = lab.release(result)
    assert released.restored, released.reasons
    assert [item.ipam_ipv4 for item in box.find(suspect).networks] == ["10.187.1.7"]
    assert box.inspect(suspect)["HostConfig"]["RestartPolicy"]["Name"] == "always"
    wait_until(lambda: box.inspect(suspect)["State"]["StartedAt"] > started)
    wait_until(lambda: box.inspect(suspect)["RestartCount"] > 0)


class Flapping(WireEngine):
    """An engine beside which the container ends, and is to be started again, just before it is frozen."""

    box: Box

    def pause(self, container: Container) -> None:
        self.pause = super().pause  # type: ignore[method-assign]  # only the first time
        os.kill(container.pid, signal.SIGKILL)
        wait_until(lambda: self.is_to_be_started(container))
        super().pause(container)

    def is_to_be_started(self, container: Container) -> bool:
        """Between two tries there may be a tenth of a second only; on a busy machine that passes unseen."""
        found = self.find_container(container.id)
        return found.status == "restarting" or found.raw["RestartCount"] > 0


@pytest.mark.docker
def test_one_that_ends_and_is_to_be_started_again_just_before_the_freeze_is_cut_too(
    box: Box, own_folders: Path
) -> None:
    network = box.network("n", "--subnet", "10.187.4.0/24")
    options = ("--network", network, "--ip", "10.187.4.7", "--restart", "always")
    suspect = box.run("suspect", *options, command="ping -c 1 -W 1 10.187.4.1 >/dev/null; sleep 1000")
    engine = Flapping(box.engine.url.removeprefix("unix://"))
    engine.box = box
    lab = Lab(engine, own_folders)
    result = lab.isolate(suspect)
    assert result.is_done, result.to_document()
    assert box.find(suspect).networks == ()
    assert box.find(suspect).status in {"paused", "exited"}
    released = lab.release(result)
    assert released.restored, released.reasons
    wait_until(lambda: box.find(suspect).status == "running")
    assert [item.ipam_ipv4 for item in box.find(suspect).networks] == ["10.187.4.7"]


@pytest.mark.docker
def test_what_the_host_forgot_in_a_reboot_is_no_hindrance(
    box: Box, lab: Lab, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a reboot the state folder may be gone, the container stopped, its namespace and every end of it gone."""
    network = box.network("n", "--subnet", "10.187.2.0/24", "--ipv6", "--subnet", "fd00:187:2::/64")
    options = ("--ip", "10.187.2.9", "--ip6", "fd00:187:2::9", "--network-alias", "web", "--restart", "on-failure:3")
    suspect = box.run("suspect", "--network", network, *options)
    before = box.find(suspect)
    result = lab.isolate(suspect)
    assert result.proved, result.proof.reasons
    probe = result.proof.document["probe"]
    assert "fd00:187:2::9" in probe["answered_before"] + probe["unsettled"], "an address in its first second is named"
    box.docker("unpause", suspect)
    box.docker("kill", suspect)
    monkeypatch.setenv("IR_STATE_DIR", str(own_folders / "another-state"))
    assert find_case(before.id) is None
    box.docker("start", suspect)
    assert box.find(suspect).networks == (), "it starts without a network"
    released = lab.release(result)
    assert released.restored, released.reasons
    assert box.find(suspect).networks == before.networks
    assert {"10.187.2.9", "fd00:187:2::9"} <= set(released.proof["reached"]["inward"][0]["answered"])
    assert box.inspect(suspect)["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}


@pytest.mark.docker
def test_a_stopped_container_is_released_as_it_was(box: Box, lab: Lab) -> None:
    network = box.network("n", "--subnet", "10.187.3.0/24")
    suspect = box.run("suspect", "--network", network, "--ip", "10.187.3.9")
    result = lab.isolate(suspect)
    box.docker("unpause", suspect)
    box.docker("kill", suspect)
    released = lab.release(result)
    assert released.restored, released.reasons
    assert [item.ipam_ipv4 for item in box.find(suspect).networks] == ["10.187.3.9"]
    box.docker("start", suspect)
    assert box.find(suspect).networks[0].ipv4 == "10.187.3.9"


@pytest.mark.docker
@pytest.mark.parametrize("freeze", [True, False])
def test_the_engines_own_socket_in_the_container_is_named_unless_it_is_frozen(
    box: Box, lab: Lab, own_folders: Path, freeze: bool
) -> None:
    (own_folders / "docker.sock").touch()
    suspect = box.run("suspect", "-v", f"{own_folders}/docker.sock:/run/docker.sock")
    result = lab.isolate(suspect, freeze=freeze)
    assert any("which no network cut closes" in warning for warning in result.warnings) is not freeze


@pytest.mark.docker
def test_an_end_of_a_pair_that_is_another_one_by_now_is_left_alone(box: Box, lab: Lab) -> None:
    box.run("suspect")
    with Namespace(find_engine_namespace(lab.engine.url)) as namespace:
        end = list_far_ends(namespace)[0]
        assert not set_far_end(namespace, end._replace(mac="02:00:00:00:00:99"), up=False)
        assert not is_down(namespace, end)


def test_a_dns_answer_is_read_within_bounds() -> None:
    question = build_question("web", 1)
    head = question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0"
    answer = head + question[12:] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\0\0\7"
    assert parse_answer(answer, question[:2]) == {"10.0.0.7"}
    assert parse_answer(answer, b"zz") == set()
    for bad in (answer[:-2], head + b"\x3f" * 60, head + b"\x01a" * 300, b"short"):
        with pytest.raises((ValueError, IndexError, struct.error)):
            parse_answer(bad, question[:2])
    with pytest.raises(ValueError, match="no DNS name"):
        build_question("a..b", 1)
