"""Two views that disagree, each disagreement made for real; and none where nobody made one."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from forensics.analyze import analyze
from forensics.engine.base import Container, Mount
from forensics.engine.docker import DockerEngine
from forensics.evidence.case import Case
from forensics.model import Finding, Outcome, Severity

if TYPE_CHECKING:
    from conftest import Collected

pytestmark = pytest.mark.docker
Make = Callable[..., Container]
Run = Callable[..., "Collected"]
VIEWS = {"processes", "engine-top", "mounts", "changes", "inspect", "sockets"}


def judge(found: Collected) -> dict[str, Finding]:
    with Case.open(found.case.root) as case:
        return {finding.rule: finding for finding in analyze(case, rules=(), yara=False).findings}


def of_views(findings: dict[str, Finding]) -> set[str]:
    return {rule for rule in findings if rule.startswith("views.")}


def inside(container: Container, script: str) -> None:
    """Change the container's mounts as one who may mount would (the program is the container's own copy of busybox)."""
    nsenter = [
        "nsenter",
        "-t",
        str(container.pid),
        "-m",
        "/bin/busybox",
        "sh",
        "-c",
        script.replace("@", "/bin/busybox "),
    ]
    subprocess.run(nsenter, check=True)


@contextlib.contextmanager
def in_cgroups_of(pid: int, target: str) -> Iterator[None]:
    """Move *pid* into the control groups that *target* (a pid or "self") is in."""
    home = {
        line.split(":", 2)[1]: line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    }
    away = {
        line.split(":", 2)[1]: line.split(":", 2)[2] for line in Path(f"/proc/{target}/cgroup").read_text().splitlines()
    }
    points = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ")
        name = "" if kind == "cgroup2" else options.split(",", 1)[-1]
        if kind in {"cgroup", "cgroup2"}:
            points[name] = before.split(" ")[4]

    def move(places: dict[str, str]) -> None:
        for name, path in places.items():
            if name in points:
                Path(f"{points[name]}{path}/cgroup.procs").write_text(str(pid))

    move(away)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            move(home)


def test_a_quiet_container_has_no_disagreement(
    make_container: Make, run_collection: Run, engine: DockerEngine, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    script = "echo x > /tmp/x; rm /etc/passwd; mkdir /new; ln -s /x /new/link; exec sleep 1000"
    mounts = (Mount("bind", str(tmp_path / "data"), "/data"),)
    container = make_container("sh", "-c", script, mounts=mounts, tmpfs=(("/scratch", ""),))
    time.sleep(0.5)
    engine.pause(container)
    assert of_views(judge(run_collection(container))) == set()


def test_a_process_that_left_the_control_group_is_still_collected_and_reported(
    make_container: Make, run_collection: Run
) -> None:
    container = make_container("sleep", "1000")
    with in_cgroups_of(container.pid, "self"):
        found = run_collection(container, only=VIEWS | {"executables"})
        assert found.line("processes").outcome is Outcome.COLLECTED, found.line("processes")
        assert found.line("executable of pid").outcome is Outcome.COLLECTED
    assert found.document("processes")["views"]["cgroup"] == []
    assert found.document("processes")["views"]["pid_namespace"] == [container.pid]
    assert "none is in the container's control group" in judge(found)["views.process-in-one-view-only"].matched


def test_one_of_several_processes_that_left_is_named(make_container: Make, run_collection: Run) -> None:
    container = make_container("sh", "-c", "sleep 2000 & sleep 1000")
    time.sleep(0.5)
    child = next(
        int(pid) for pid in Path(f"/proc/{container.pid}/task/{container.pid}/children").read_text().split()
        if b"2000" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )  # fmt: skip
    with in_cgroups_of(child, "self"):
        found = run_collection(container, only=VIEWS)
    finding = judge(found)["views.process-in-one-view-only"]
    assert f"pid {child}: sleep 2000" in finding.matched


def test_a_process_of_the_group_in_another_pid_namespace_is_an_escape(
    make_container: Make, run_collection: Run
) -> None:
    container = make_container("sleep", "1000")
    with subprocess.Popen(["sleep", "3000"]) as outside, in_cgroups_of(outside.pid, str(container.pid)):
        found = run_collection(container, only=VIEWS)
        outside.kill()
    finding = judge(found)["views.process-left-namespace"]
    assert finding.severity is Severity.HIGH
    assert f"pid {outside.pid}: sleep 3000" in finding.matched


def test_a_mount_over_a_file_and_one_over_a_process_are_findings(make_container: Make, run_collection: Run) -> None:
    container = make_container("sleep", "1000")
    inside(container, "@touch /tmp/fake; @mount --bind /tmp/fake /etc/passwd; @mount -t tmpfs none /proc/1")
    findings = judge(run_collection(container, only=VIEWS))
    assert "/etc/passwd: " in findings["views.mount-not-in-inspect"].matched
    assert "/proc/1: tmpfs" in findings["views.process-covered"].matched


def test_a_mount_on_top_of_proc_or_of_a_volume_and_one_taken_off(
    make_container: Make, run_collection: Run, tmp_path: Path
) -> None:
    for name in ("covered", "gone"):
        (tmp_path / name).mkdir()
    mounts = tuple(Mount("bind", str(tmp_path / name), f"/{name}") for name in ("covered", "gone"))
    container = make_container("sleep", "1000", mounts=mounts)
    inside(container, "@mount -t tmpfs none /covered; @umount /gone; @mount -t tmpfs none /proc")
    findings = judge(run_collection(container, only=VIEWS))
    assert "/covered: tmpfs" in findings["views.mount-not-in-inspect"].matched
    assert findings["views.mount-missing"].matched.startswith("/gone: ")
    assert "/proc: tmpfs" in findings["views.process-covered"].matched


def test_a_change_between_the_two_looks(make_container: Make, run_collection: Run, engine: DockerEngine) -> None:
    container = make_container("sh", "-c", "echo 1 > /tmp/one; echo 2 > /tmp/two; exec sleep 1000")
    time.sleep(0.5)
    engine.pause(container)
    upper = Path(container.raw["GraphDriver"]["Data"]["UpperDir"])

    class Between:
        def start(self, artefact: str) -> None:
            pass

        def done(self, line: Any) -> None:
            if line.artefact == "changed-files":
                (upper / "tmp" / "one").unlink()
                (upper / "tmp" / "late").write_text("late")
            if line.artefact == "engine-diff":
                (upper / "tmp" / "two").write_text("other")

    findings = judge(run_collection(container, progress=Between()))
    assert "/tmp/one" in findings["views.change-not-in-diff"].matched
    assert "/tmp/late" in findings["views.change-not-on-disk"].matched
    assert "/tmp/two" in findings["views.change-not-in-snapshot"].matched
    assert findings["views.change-not-in-snapshot"].severity is Severity.HIGH


def test_a_listener_that_nobody_published(make_container: Make, run_collection: Run) -> None:
    container = make_container("nc", "-l", "-p", "4444")
    time.sleep(0.3)
    findings = judge(run_collection(container, only=VIEWS))
    assert {rule for rule in findings if rule.startswith("network.")} & {
        "network.backdoor-listener",
        "network.unpublished-listener",
    }
