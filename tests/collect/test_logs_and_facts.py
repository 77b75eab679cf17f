"""Logs of every driver that works here, and facts that a responder asks for first."""

from __future__ import annotations

import os
import pwd
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forensics.engine.base import Container
from forensics.model import Outcome

if TYPE_CHECKING:
    from conftest import Collected

pytestmark = pytest.mark.docker
Make = Callable[..., Container]
Run = Callable[..., "Collected"]
SYSLOG = {"syslog-address": "udp://127.0.0.1:5514"}


def say(make_container: Make, driver: str, script: str = "echo hello", **options: str) -> Container:
    log_config = {"LogConfig": {"Type": driver, "Config": options}}
    container = make_container("sh", "-c", f"{script}; exec sleep 1000", host_config=log_config)
    time.sleep(0.5)
    return container


@pytest.mark.parametrize(
    ("driver", "options", "stream", "files"),
    [
        ("json-file", {}, Outcome.COLLECTED, 1),
        ("local", {}, Outcome.COLLECTED, 1),
        ("syslog", SYSLOG, Outcome.COLLECTED, 1),
        ("syslog", {**SYSLOG, "cache-disabled": "true"}, Outcome.NOT_APPLICABLE, 0),
        ("none", {}, Outcome.NOT_APPLICABLE, 0),
    ],
)
def test_each_driver_gives_what_it_has(
    make_container: Make, run_collection: Run, driver: str, options: dict[str, str], stream: Outcome, files: int
) -> None:
    found = run_collection(say(make_container, driver, **options), only={"logs"})
    assert found.line("logs").outcome is stream, found.lines
    assert len(found.case.find("log-file")) == files
    assert all(b"hello" in content for content in [*found.contents("logs"), *found.contents("log-file")])
    assert not [line for line in found.lines if line.outcome is Outcome.FAILED]
    if driver == "syslog" and stream is Outcome.NOT_APPLICABLE:
        assert found.line("logs").reason == "the log driver 'syslog' sends the output away and cannot be read"


def test_rotated_files_are_kept_too(make_container: Make, run_collection: Run) -> None:
    script = "i=0; while [ $i -lt 300 ]; do echo line-$i; i=$((i+1)); done"
    rotating = {"max-size": "4k", "max-file": "20", "compress": "false"}
    found = run_collection(say(make_container, "json-file", script, **rotating), only={"logs"})
    names = {item.attributes["name"] for item in found.case.find("log-file")}
    assert len(names) > 2
    together = b"".join(found.contents("log-file"))
    assert all(b"line-%d\\n" % number in together for number in range(300))


def test_gigabytes_in_one_line_need_no_memory(make_container: Make, run_collection: Run) -> None:
    import resource

    container = say(make_container, "json-file", "head -c 40000000 /dev/zero | busybox tr '\\000' x")
    for _ in range(100):
        if Path(container.raw["LogPath"]).stat().st_size > 40_000_000:
            break
        time.sleep(0.2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = run_collection(container, only={"logs"})
    assert found.line("logs").size_bytes > 40_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000


def test_an_executable_says_which_file_of_the_image_it_is(make_container: Make, run_collection: Run) -> None:
    script = (
        "cp /bin/busybox /tmp/sleep; cp /bin/busybox /changed; echo x >> /changed; mv /changed /bin/sleep; "
        "/tmp/sleep 999 & /bin/sleep 998 & exec busybox sleep 1000"
    )
    container = make_container("sh", "-c", script)
    time.sleep(0.7)
    found = run_collection(container, only={"executables"})
    told = {item.attributes["exes"][0]: item.attributes for item in found.case.find("executable")}
    same = next(attributes for exe, attributes in told.items() if exe in {"/bin/busybox", "/tmp/sleep"})
    assert same["image_file"] == "/bin/busybox"
    assert told["/bin/sleep"]["image_file"] is None
    assert {exe for attributes in told.values() for exe in attributes["exes"]} == {
        "/bin/busybox", "/tmp/sleep", "/bin/sleep"
    }  # fmt: skip


def test_who_can_reach_the_engine(make_container: Make, run_collection: Run, docker_host: str) -> None:
    socket: Any = run_collection(make_container("sleep", "1000"), only={"host"}).document("host")["engine_socket"]
    status = os.stat(docker_host.removeprefix("unix://"))  # noqa: PTH116
    assert "root" in socket["users"]
    everyone = {user.pw_name for user in pwd.getpwall()}
    assert (set(socket["users"]) == everyone) is bool(status.st_mode & stat.S_IWOTH)
