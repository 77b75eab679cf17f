"""`ir collect` killed with -9 in its middle, on a real engine: the case stays intact, and --resume finishes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from case_tools import run_standard_tools
from evidence_cases import Anchors, run_script

from forensics.cli import cli
from forensics.cli.frame import run
from forensics.evidence.case import Case
from forensics.evidence.seal import seal_case
from forensics.evidence.verify import check_case
from forensics.model import Outcome

if TYPE_CHECKING:
    import docker

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("own_folders")]
NAME = "evidence-test-resume"
FILE_MIB = 48
WITHOUT = ("events", "host", "packet-filter", "blast-radius")
"""Collectors about the host as it is now: other tests change it meanwhile."""


@pytest.fixture
def client(docker_host: str) -> Iterator[docker.APIClient]:
    import docker

    connected = docker.APIClient(base_url=docker_host, version="auto", timeout=120)
    yield connected
    connected.close()


@pytest.fixture
def container(client: docker.APIClient, base_image: str) -> Iterator[str]:
    script = f"/bin/busybox dd if=/dev/urandom of=/big bs=1048576 count={FILE_MIB} 2>/dev/null; echo ready; sleep 1000"
    made = client.create_container(base_image, ["sh", "-c", script], name=NAME)["Id"]
    client.start(made)
    while b"ready" not in client.logs(made):
        time.sleep(0.05)
    yield made
    client.remove_container(made, force=True, v=True)


def collecting_many(case: Path) -> bool:
    items = case / "data/items.jsonl"
    return items.is_file() and items.read_bytes().count(b"\n") >= 3


def saving(case: Path) -> bool:
    with suppress(FileNotFoundError):  # it may be finished between the two looks
        return any(part.stat().st_size > 1 << 20 for part in case.glob("data/E*-image/blobs/sha256/*.partial"))
    return False


def kill_when(moment: Callable[[Path], bool], case: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-m", "forensics", *arguments]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not moment(case):
        assert child.poll() is None, "the collection ended before the moment came"
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


@pytest.mark.parametrize("moment", [collecting_many, saving])
def test_a_killed_collection_is_finished_by_resume(
    client: docker.APIClient,
    container: str,
    moment: Callable[[Path], bool],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "case"
    skipped = [argument for name in WITHOUT for argument in ("--skip", name)]
    arguments = ["collect", NAME, "--case", str(root), *skipped]
    kill_when(moment, root, arguments)
    killed = check_case(root)
    assert (killed.problems, killed.headline) == ((), "intact so far, unsealed")
    assert any(act.startswith("collect, begun") for act in killed.unfinished)
    assert run_script(root)[0] == 0
    recorded = Case.open(root, read_only=True).items()

    assert run(cli, [*arguments, "--resume", "--json"]) in {0, 1}
    lines = json.loads(capsys.readouterr().out)["ledger"]
    assert [line["artefact"] for line in lines if line["outcome"] == "failed" and "snapshot" in line["artefact"]] == []
    with Anchors.make(tmp_path / "anchors") as anchors, Case.open(root) as case:
        assert case.items()[: len(recorded)] == recorded, "what was recorded before the kill is left as it was"
        images = case.find("image")
        assert images[-1].outcome is Outcome.COLLECTED
        assert [image.outcome for image in images[:-1]] == [Outcome.FAILED] * (moment is saving)
        assert seal_case(case, anchors.key).complete
    run_standard_tools(root)
    assert check_case(root).exit_code == 0
    left = client.images(filters={"dangling": True}, quiet=True) + client.images(f"ir-snapshot:{case.id}", quiet=True)
    assert [image for image in left if client.inspect_image(image)["Container"] == container] == []
