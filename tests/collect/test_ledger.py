"""The completeness ledger over several runs: one coherent answer, nothing taken out of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from forensics.collect.resume import find_mended
from forensics.engine.base import Container, Mount
from forensics.engine.docker import connect
from forensics.evidence.case import Case
from forensics.evidence.ledger import settle
from forensics.model import LedgerLine, Outcome, StepOutcome

if TYPE_CHECKING:
    from conftest import Collected

Make = Callable[..., Container]
Run = Callable[..., "Collected"]
FAILED, COLLECTED, LEFT_OUT = Outcome.FAILED, Outcome.COLLECTED, Outcome.NOT_APPLICABLE


def line(artefact: str, outcome: Outcome = COLLECTED, activity: str = "", reason: str = "") -> LedgerLine:
    return LedgerLine(artefact, outcome, reason, activity=activity)


INTERRUPTED = line("executables", FAILED, "collect.executables")
OF_PID_7 = line("executable of pid 7", activity="collect.executables#9")


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([line("snapshot", FAILED), line("logs"), line("snapshot")], [1, 2]),
        ([line("snapshot"), line("snapshot", FAILED)], [1]),
        ([INTERRUPTED, OF_PID_7], [1]),
        ([OF_PID_7, INTERRUPTED], [0, 1]),
        ([line("memory", LEFT_OUT, "collect.memory"), line("memory of pid 1", activity="collect.memory#4")], [1]),
        ([line("memory", LEFT_OUT, "collect.memory"), line("tmpfs /tmp", activity="collect.tmpfs#4")], [0, 1]),
        ([line("mount /x", activity="collect.volumes#3"), line("mount /x", FAILED, "collect.volumes#3")], [0, 1]),
        ([line("mount /x", FAILED, "collect.volumes#3"), line("mount /x", activity="collect.volumes#8")], [1]),
        ([line("mount /x", FAILED, "collect.volumes#3"), line("mount /y", activity="collect.volumes#8")], [0, 1]),
        ([line("volumes", FAILED, "collect.volumes#3"), line("mount /y", activity="collect.volumes#8")], [1]),
        ([], []),
    ],
)
def test_the_last_word_counts(lines: list[LedgerLine], left: list[int]) -> None:
    assert settle(lines) == tuple(lines[index] for index in left)


@pytest.mark.docker
def test_what_was_interrupted_is_settled_by_the_resumed_run(
    make_container: Make, run_collection: Run, tmp_path: Path
) -> None:
    class Interrupt:
        def start(self, artefact: str) -> None:
            if artefact == "executables":
                raise KeyboardInterrupt

        def done(self, line: LedgerLine) -> None:
            pass

    container, root, only = make_container("sleep", "1000"), tmp_path / "case", {"clock", "executables", "tmpfs"}
    with pytest.raises(KeyboardInterrupt):
        run_collection(container, root=root, only=only, progress=Interrupt())
    before = {line.artefact: line.outcome for line in Case.open(root, read_only=True).ledger()}
    assert before == {"clock": COLLECTED, "executables": FAILED, "tmpfs": FAILED}
    found = run_collection(container, root=root, only=only, resume=True)
    assert {line.outcome for line in found.case.ledger()} <= {COLLECTED, Outcome.EMPTY}
    assert [line.artefact for line in found.case.ledger()].count("clock") == 1
    assert len(found.case.ledger_history()) == len(found.case.ledger()) + 2


PLAYBOOK = b"""apiVersion: ir/v1
kind: Playbook
id: two-looks
name: Two looks
description: Only the clock and the mounts.
severity: low
inputs: {container: {type: container, required: true}}
steps:
  - {id: clock, uses: collect.clock}
  - {id: mounts, uses: collect.mounts}
"""


@pytest.mark.docker
def test_a_playbook_of_single_collectors_gives_one_coherent_ledger(
    make_container: Make, run_collection: Run, docker_host: str, tmp_path: Path, own_folders: Path
) -> None:
    from forensics.playbook.compiled import read_playbook
    from forensics.playbook.context import RunContext
    from forensics.playbook.run import run_playbook

    container, root = make_container("sleep", "1000"), own_folders / "case"
    run_collection(container, root=root, only={"engine"})
    (tmp_path / "two.yaml").write_bytes(PLAYBOOK)
    playbook = read_playbook(str(tmp_path / "two.yaml"))
    with Case.open(root) as case:
        context = RunContext(case, container.id, lambda: connect(docker_host), {"container": container.id})
        assert [result.outcome for result in run_playbook(playbook, context)] == [StepOutcome.DONE, StepOutcome.DONE]
        context.engine.close()
        names = [line.artefact.partition(" ")[0] for line in case.ledger_history()]
        assert names == ["engine-version", "engine-info", "clock", "mounts", *(["engine-file"] * 3)]
        assert case.ledger() == case.ledger_history()


@pytest.mark.docker
def test_memory_that_was_collected_before_is_not_called_left_out(
    make_container: Make, run_collection: Run, tmp_path: Path
) -> None:
    container, root = make_container("sleep", "1000"), tmp_path / "case"
    run_collection(container, root=root, only={"memory"})
    everything = {"snapshot", "changes", "executables", "host", "tmpfs", "events"}
    found = run_collection(container, root=root, skip=everything)
    artefacts = [line.artefact for line in found.case.ledger()]
    assert "memory" not in artefacts
    assert f"memory of pid {container.pid}" in artefacts
    assert found.line("snapshot").reason == "left out by --skip"


@pytest.mark.docker
def test_a_time_limit_from_outside_leaves_a_line_for_everything(
    make_container: Make, run_collection: Run, tmp_path: Path
) -> None:
    from forensics.playbook.timeout import StepTimeout

    class Expire:
        def start(self, artefact: str) -> None:
            if artefact == "mounts":
                raise StepTimeout("it took longer than 1 seconds")

        def done(self, line: LedgerLine) -> None:
            pass

    root = tmp_path / "case"
    with pytest.raises(StepTimeout):
        run_collection(make_container("sleep", "1000"), root=root, only={"mounts", "tmpfs"}, progress=Expire())
    reasons = {line.artefact: line.reason for line in Case.open(root, read_only=True).ledger()}
    why = "interrupted before it was collected: it took longer than 1 seconds"
    assert reasons == {"mounts": why, "tmpfs": why}


@pytest.mark.docker
def test_a_resumed_run_tries_again_what_had_failed(make_container: Make, run_collection: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "big").write_bytes(bytes(5000))
    container = make_container("sleep", "1000", mounts=(Mount("bind", str(tmp_path / "data"), "/data"),))
    root, only = tmp_path / "case", {"clock", "volumes"}
    first = run_collection(container, root=root, only=only, budget_bytes=100)
    assert first.line("bind /data, parts").outcome is FAILED
    again = run_collection(container, root=root, only=only, resume=True)
    assert "clock" not in again.outcomes()
    assert set(again.tar("volume", "/data")) == {"big"}
    mended = next(line for line in again.case.ledger() if line.artefact == "bind /data, parts")
    assert (mended.outcome, mended.reason) == (LEFT_OUT, "collected again, and nothing is missing of bind /data")
    assert not [line for line in again.case.ledger() if line.outcome is FAILED]
    assert run_collection(container, root=root, only=only, resume=True).lines == ()


def test_only_parts_of_a_whole_can_be_mended() -> None:
    before = [line("deleted-file /x of pid 7", FAILED), line("tmpfs /a, parts", FAILED), line("bind /b, parts", FAILED)]
    told = [line("tmpfs /a"), line("bind /b"), line("bind /b, parts", FAILED)]
    assert [mended.artefact for mended in find_mended(before, told)] == ["tmpfs /a, parts"]
