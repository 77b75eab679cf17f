"""What belongs to a drill, who is alive, and whether checking is checked."""

import os
import subprocess
from pathlib import Path

import pytest

from forensics.drill import proof
from forensics.drill.clean import _remove_folders
from forensics.drill.own import LABEL, RUNNER, describe_runner, is_over, make_labels, require_own
from forensics.drill.proof import catches_flipped_byte
from forensics.engine.base import parse_container
from forensics.errors import RefusedError
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.evidence.installation import find_key
from forensics.evidence.seal import seal_case
from forensics.model import Subject


def test_a_run_is_over_when_its_process_is() -> None:
    assert is_over(dict(make_labels("1"))) is False
    with subprocess.Popen(["sleep", "60"]) as other:
        labels = {LABEL: "1", RUNNER: describe_runner(other.pid)}
        assert is_over(labels) is False
        other.kill()
    assert is_over(labels) is True


def test_another_process_with_the_same_number_is_another_run() -> None:
    runner = describe_runner(os.getpid())
    assert is_over({RUNNER: runner[:-1] + ("1" if runner[-1] == "0" else "0")}) is True


@pytest.mark.parametrize("runner", ["", "x", "a/b/c/d", "other-boot/1/2/3", "//../../etc"])
def test_what_runs_elsewhere_is_not_known(runner: str) -> None:
    assert is_over({LABEL: "1", RUNNER: runner}) is None


def test_only_the_runs_own_container_is_its_own() -> None:
    own = parse_container({"Id": "1", "Name": "/a", "Config": {"Labels": dict(make_labels("5eed0001"))}})
    require_own(own)
    require_own(own, "5eed0001")
    with pytest.raises(RefusedError, match="the container a does not carry the label of this drill"):
        require_own(own, "5eed0002")
    with pytest.raises(RefusedError, match="the container b does not carry the label of a drill"):
        require_own(parse_container({"Id": "2", "Name": "/b", "Config": {"Labels": {"x": LABEL}}}))


def test_temporary_folders_of_dead_drills_go_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with subprocess.Popen(["true"]) as gone:
        pass
    kept = ["kept", f"ir-drill-{os.getpid()}-b", "ir-drill-x"]
    for name in (*kept, f"ir-drill-{gone.pid}-a"):
        (tmp_path / name).mkdir()
    (tmp_path / f"ir-drill-{gone.pid}-link").symlink_to(tmp_path / "kept")
    assert _remove_folders() == (f"folder {tmp_path}/ir-drill-{gone.pid}-a",)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*kept, f"ir-drill-{gone.pid}-link"}


@pytest.fixture
def case(own_folders: Path) -> Path:
    root = own_folders / "case"
    with Case.create(root, subject=Subject("container", "s"), actor=Actor(name="t")) as made:
        made.add("inspect", [b"{}"], source="t", method="t")
        seal_case(made, find_key(None))
    return root


def test_a_flipped_bit_is_caught_and_the_case_itself_stays_whole(case: Path) -> None:
    assert all(catches_flipped_byte(case) for _ in range(3))
    assert proof.is_verified(case)


@pytest.mark.parametrize("answer", [True, False], ids=["blind", "never content"])
def test_a_verification_that_always_says_the_same_is_no_proof(
    case: Path, monkeypatch: pytest.MonkeyPatch, answer: bool
) -> None:
    monkeypatch.setattr(proof, "is_verified", lambda _root: answer)
    assert not catches_flipped_byte(case)
