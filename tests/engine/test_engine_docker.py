"""The Docker engine for real: everything that the other rooms ask of it, and the pitfalls of docs and ENGINES."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest

from forensics.engine.base import Container, ContainerSpec, EngineAnswerError, Mount, NetworkAttachment
from forensics.engine.docker import DockerEngine, connect
from forensics.errors import AmbiguousContainerError, ContainerNotFoundError, EngineError
from forensics.model import ChangeKind

pytestmark = pytest.mark.docker
RunContainer = Callable[..., Container]


def make_tar(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def wait_for(question: Callable[[], Any], seconds: float = 5) -> Any:
    end = time.monotonic() + seconds
    while not (answer := question()) and time.monotonic() < end:
        time.sleep(0.05)
    assert answer
    return answer


def test_info_tells_what_engine_it_is(engine: DockerEngine) -> None:
    info = engine.info()

    assert info.name in {"docker", "podman"}
    assert info.api_version.count(".") == 1
    assert all((info.version, info.id, info.storage_driver, info.is_local))


def test_a_container_is_found_by_name_id_and_prefix(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container()

    for ref in (container.name, f"/{container.name}", container.id, container.short_id):
        assert engine.find_container(ref) == container
    assert container.is_running
    assert dict(container.labels)["ir.test"] == "engine"


def test_a_misspelt_name_is_answered_with_close_ones(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container()

    with pytest.raises(ContainerNotFoundError, match="there is no container") as caught:
        engine.find_container(f"{container.name}x")
    assert container.name in caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("ref", ["", "../images", "a b", "-rf", "x/../../info", "\x1b[31m", "é", "a" * 300 + "/"])
def test_a_reference_that_cannot_be_a_name_never_reaches_the_engine(engine: DockerEngine, ref: str) -> None:
    with pytest.raises(ContainerNotFoundError, match="is no container name or id") as caught:
        engine.find_container(ref)
    assert "\x1b" not in caught.value.message


def test_an_ambiguous_prefix_is_answered_with_the_candidates(engine: DockerEngine, base_image: str) -> None:
    seen: dict[str, Container] = {}
    made: list[Container] = []
    try:
        while True:  # at most 17 times: two of 17 ids share their first digit
            container = engine.create_container(ContainerSpec(base_image, command=("sleep", "1")))
            made.append(container)
            if container.id[0] in seen:
                break
            seen[container.id[0]] = container
        with pytest.raises(AmbiguousContainerError, match=r"fits \d+ containers") as caught:
            engine.find_container(container.id[0])
        assert caught.value.hint.startswith("give more digits: ")
    finally:
        for container in made:
            engine.remove_container(container)


def test_logs_hold_both_streams_with_timestamps(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container("sh", "-c", "echo out; echo err >&2")
    engine.wait(container)
    lines = b"".join(engine.logs(container)).splitlines()

    assert sorted(line.partition(b"Z ")[2] for line in lines) == [b"err", b"out"]  # their order is the engine's
    assert b" err" not in b"".join(engine.logs(container, stderr=False))


def test_logs_of_a_terminal_have_no_frames(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container("sh", "-c", "echo out", config={"Tty": True})
    engine.wait(container)

    assert b"".join(engine.logs(container)).endswith(b" out\r\n")


def test_unreadable_logs_are_an_error_not_an_empty_log(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container("sh", "-c", "echo out", host_config={"LogConfig": {"Type": "none"}})
    engine.wait(container)

    with pytest.raises(EngineError, match="does not support reading"):
        list(engine.logs(container))


def test_top_and_diff(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container("sh", "-c", "touch /new; rm /etc/passwd; exec sleep 300")

    wait_for(lambda: ("/etc/passwd", ChangeKind.DELETED) in engine.diff(container))
    assert ("/new", ChangeKind.ADDED) in engine.diff(container)
    assert [row[-1] for row in engine.top(container)["Processes"]] == ["sleep 300"]


def test_events_end_at_the_given_time(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container()
    actions = [event["Action"] for event in engine.events("0", str(int(time.time()) + 1), container)]

    assert actions[0] == "create"
    assert "start" in actions


@pytest.mark.parametrize("pause", [False, True])
def test_a_commit_leaves_a_frozen_container_frozen(
    engine: DockerEngine, run_container: RunContainer, *, pause: bool
) -> None:
    """moby#10932: with the engine's own pause it would run again."""
    container = run_container()
    engine.pause(container)
    image_id = engine.commit(container, pause=pause)

    assert engine.inspect_container(container.id).status == "paused"
    engine.remove_image(image_id)


def test_a_commit_with_pause_leaves_a_running_container_running(
    engine: DockerEngine, run_container: RunContainer
) -> None:
    container = run_container()
    engine.remove_image(engine.commit(container, pause=True))

    assert engine.inspect_container(container.id).status == "running"


def test_save_streams_a_whole_tar(engine: DockerEngine, base_image: str) -> None:
    chunks = list(engine.save(base_image))
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        assert "manifest.json" in tar.getnames()
    assert max(map(len, chunks)) <= 1 << 20


def test_export_streams_a_whole_tar(engine: DockerEngine, run_container: RunContainer) -> None:
    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.export(run_container())))) as tar:
        assert "bin/busybox" in tar.getnames()


def test_a_stream_of_what_is_not_there_raises(engine: DockerEngine) -> None:
    with pytest.raises(EngineAnswerError, match="the engine refuses: ") as caught:
        list(engine.save("no-such-image-of-ours:1"))
    assert caught.value.status == 404


def test_a_tmpfs_directory_comes_back_empty_through_the_engine(
    engine: DockerEngine, run_container: RunContainer
) -> None:
    """The pitfall that makes the host's view necessary; if an engine ever mends it, we want to know."""
    container = run_container("sh", "-c", "echo secret > /t/f; exec sleep 300", tmpfs=(("/t", ""),))
    wait_for(lambda: engine.top(container)["Processes"][0][-1] == "sleep 300")

    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.read_archive(container, "/t")))) as tar:
        assert tar.getnames() == ["t"]


def test_import_build_and_remove_an_image(engine: DockerEngine, base_image: str) -> None:
    ref = f"ir-test-engine-{os.getpid()}:1"
    imported = engine.import_image([make_tar(marker=b"x")], ref, ('CMD ["/x"]', "LABEL a=b"))
    document = engine.inspect_image(imported)
    assert document["Config"]["Cmd"] == ["/x"]
    assert document["Config"]["Labels"] == {"a": "b"}
    engine.remove_image(ref)

    built = engine.build_image([make_tar(Dockerfile=f"FROM {base_image}\nRUN touch /built\n".encode())], ref)
    assert "touch /built" in engine.image_history(built)[0]["CreatedBy"]
    engine.remove_image(ref)


def test_a_build_that_fails_is_an_error(engine: DockerEngine, base_image: str) -> None:
    context = make_tar(Dockerfile=f"FROM {base_image}\nRUN exit 3\n".encode())

    with pytest.raises(EngineError, match=r"the engine reports: .*exit 3.* returned a non-zero code: 3"):
        engine.build_image([context], "ir-test-engine-broken:1")


def test_a_container_from_a_full_specification(engine: DockerEngine, run_container: RunContainer) -> None:
    name = f"eng-spec-{os.getpid()}"
    network = engine.create_network(name, subnets=("10.213.77.0/24",))
    volume = engine.create_volume(name)
    try:
        container = run_container(
            environment=(("A", "b c"),),
            mounts=(Mount("volume", "", "/v", name=volume.name), Mount("bind", "/tmp", "/h", rw=False)),
            attachment=NetworkAttachment(name, aliases=("other",), ipam_ipv4="10.213.77.9"),
            ports=(("80/tcp", "127.0.0.1", ""),),
            cap_add=("NET_ADMIN",),
            security_opt=("no-new-privileges",),
            memory_bytes=64 << 20,
            pids_limit=32,
            read_only=True,
            hostname="spec",
        )
        assert [(mount.type, mount.destination, mount.rw) for mount in container.mounts] == [
            ("bind", "/h", False),
            ("volume", "/v", True),
        ]
        (attachment,) = container.networks
        assert (attachment.name, attachment.ipv4, attachment.ipam_ipv4) == (name, "10.213.77.9", "10.213.77.9")
        assert "other" in attachment.aliases
        host = container.raw["HostConfig"]
        assert (host["CapAdd"], host["Memory"], host["PidsLimit"]) == (["NET_ADMIN"], 64 << 20, 32)
        assert "A=b c" in container.raw["Config"]["Env"]

        engine.disconnect_network(container, name)
        assert engine.inspect_container(container.id).networks == ()
        engine.connect_network(container, attachment)
        (restored,) = engine.inspect_container(container.id).networks
        assert (restored.ipv4, restored.ipam_ipv4, "other" in restored.aliases) == ("10.213.77.9", "10.213.77.9", True)
        assert container.id in engine.inspect_network(network)["Containers"]
        assert engine.inspect_volume(name)["Name"] == name
    finally:
        for found in engine.list_containers(all=True):
            if found.name.startswith(f"eng-{os.getpid()}-"):
                engine.remove_container(found, force=True)
        engine.remove_network(network)
        engine.remove_volume(name)


def test_put_archive_plants_a_file(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container()
    engine.put_archive(container, "/root", [make_tar(planted=b"evil")])

    with tarfile.open(fileobj=io.BytesIO(b"".join(engine.read_archive(container, "/root/planted")))) as tar:
        found = tar.extractfile("planted")
        assert found is not None
        assert found.read() == b"evil"


def test_restart_policy_stop_and_kill(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container(restart="always")
    engine.update_restart_policy(container, "no")
    assert engine.inspect_container(container.id).raw["HostConfig"]["RestartPolicy"]["Name"] == "no"

    engine.kill(container)
    assert engine.wait(container) == 137
    assert not engine.inspect_container(container.id).is_running


def test_a_restart_policy_is_refused_for_containers_that_remove_themselves(
    engine: DockerEngine, run_container: RunContainer
) -> None:
    container = run_container(auto_remove=True)

    with pytest.raises(EngineAnswerError) as caught:
        engine.update_restart_policy(container, "always")
    assert caught.value.status == 409


def test_the_host_network_cannot_be_disconnected(engine: DockerEngine, run_container: RunContainer) -> None:
    container = run_container(network="host")

    with pytest.raises(EngineAnswerError, match="host"):
        engine.disconnect_network(container, "host")


def test_a_foreign_ca_bundle_in_the_environment_changes_nothing(
    docker_host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")
    with connect(docker_host) as engine:
        assert engine.read_version()["ApiVersion"]


def test_a_specification_can_be_created_without_being_started(engine: DockerEngine, base_image: str) -> None:
    container = engine.create_container(ContainerSpec(base_image, name=f"eng-created-{os.getpid()}", command=("true",)))
    try:
        assert (container.status, container.pid, container.is_running) == ("created", 0, False)
        assert container in engine.list_containers(all=True)
        assert container not in engine.list_containers()
    finally:
        engine.remove_container(container)


def test_removing_a_snapshot_keeps_the_nameless_image_it_was_made_from(engine: DockerEngine) -> None:
    """The engine prunes nameless parents by default; the suspect's own image is evidence."""
    name = f"ir-test-suspect-{os.getpid()}:1"
    suspect = engine.import_image([make_tar(x=b"suspect")], name)
    dockerfile = f"FROM {name}\nLABEL snapshot=1\n".encode()
    snapshot = engine.build_image([make_tar(Dockerfile=dockerfile)], "ir-test-snap:1")
    engine.remove_image(name)
    assert engine.inspect_image(snapshot)

    engine.remove_image("ir-test-snap:1")

    assert engine.inspect_image(suspect)["Id"] == suspect
    engine.remove_image(suspect)
