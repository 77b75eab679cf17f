"""docs/verify-a-case.md: every command on the page is run, on a good case and on bad ones."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from evidence_cases import ACTOR, Anchors, make_case, make_sealed, run_script

from forensics.cli import cli
from forensics.cli.frame import run
from forensics.evidence.case import Case
from forensics.evidence.create import VERIFY_SCRIPT
from forensics.evidence.verify import check_case

PAGE = (Path(__file__).parents[2] / "docs/verify-a-case.md").read_text("utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stranger's folder: the case, and what came from elsewhere."""
    folder = tmp_path_factory.mktemp("desk")
    with Anchors.make(folder / "anchors") as anchors:
        make_sealed(folder / "case", anchors)
        shutil.copy(anchors.signers, folder / "allowed_signers")
        shutil.copy(anchors.authority.ca, folder / "tsa.pem")
        shutil.copy(VERIFY_SCRIPT, folder / "verify.sh")
        yield folder


def follow(block: str, desk: Path, tmp_path: Path) -> tuple[int, str]:
    for name in ("case", "allowed_signers", "tsa.pem", "verify.sh"):
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(desk / name)
    done = subprocess.run(["dash", "-e", "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_every_command_of_the_page_succeeds_on_a_good_case(desk: Path, tmp_path: Path) -> None:
    assert len(BLOCKS) == 8
    said = [follow(block, desk, tmp_path) for block in BLOCKS]
    assert [code for code, _ in said] == [0] * len(BLOCKS), said
    assert said[0][1].startswith("verified: 2 seals, signer ana@example.org SHA256:")
    assert [text for _, text in said[1:6]] == [""] * 5
    assert 'Good "ir-custody" signature' in said[6][1]
    assert "Time stamp" in said[7][1]


@pytest.mark.parametrize(
    ("path", "caught_by"),
    [
        ("data/E0002-logs/content.bin", {0, 2}),
        ("data/added", {0, 3}),
        ("tagmanifest-sha256.txt", {0, 2, 4}),
        ("seals/0002/seal.txt", {0, 6}),
        ("seals/0002/seal.txt.sig", {0, 6, 7}),
    ],
)
def test_a_change_is_caught_by_the_commands_too(desk: Path, tmp_path: Path, path: str, caught_by: set[int]) -> None:
    shutil.copytree(desk / "case", tmp_path / "case")
    target = tmp_path / "case" / path
    content = bytearray(target.read_bytes() if target.exists() else b"new")
    content[-2] ^= 1
    target.write_bytes(content)
    said = [follow(block, desk, tmp_path) for block in BLOCKS]
    found = {number for number, (code, text) in enumerate(said) if code or (number == 3 and text)}
    assert found >= caught_by, said


def test_the_table_of_answers_is_what_both_verifiers_say(tmp_path: Path) -> None:
    for answer in (
        "intact so far, unsealed",
        "intact, signer unknown: SHA256:",
        "intact but incomplete: ",
        "verified: ",
    ):
        assert f"`{answer}" in PAGE
    with make_case(tmp_path / "open") as case:
        assert run_script(case.root) == (0, check_case(case.root).headline + "\n") == (0, "intact so far, unsealed\n")


def test_entries_after_the_last_seal_are_named_by_both(tmp_path: Path, desk: Path) -> None:
    root = tmp_path / "case"
    shutil.copytree(desk / "case", root)
    assert check_case(root).notes == ()
    with Case.open(root, actor=ACTOR) as case:
        case.record("note", purpose="one")
        case.record("note", purpose="two")
    note = "entries after the last seal, chained but not signed: 2"
    assert check_case(root).notes == (note,)
    assert run_script(root)[1].splitlines()[0] == f"note: {note}"
    assert note.partition(",")[0] in PAGE


@pytest.mark.usefixtures("own_folders")
def test_the_line_that_seal_prints_works_as_allowed_signers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IR_OPERATOR", "Ana Ruiz")
    root = make_case(tmp_path / "case").root
    assert run(cli, ["seal", str(root)]) == 0
    line = capsys.readouterr().out.splitlines()[2].strip()
    signers = tmp_path / "allowed_signers"
    signers.write_text(line + "\n")
    code, said = run_script(root, "-s", str(signers))
    assert (code, said.split(" SHA256:")[0]) == (0, "verified: 1 seals, signer Ana_Ruiz")
    assert run(cli, ["verify", str(root), "--no-record"]) == 0
    assert "give --allowed-signers" in capsys.readouterr().out
