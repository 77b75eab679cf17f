"""The mutation table: every change to a sealed case is caught and named by both verifiers, 100 %."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from case_tools import run_standard_tools
from evidence_cases import Anchors, make_light, make_sealed, run_script

from forensics.errors import VerificationError
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.evidence.installation import find_key
from forensics.evidence.seal import seal_case
from forensics.evidence.verify import check_case


@pytest.fixture(scope="module")
def anchors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchors]:
    with Anchors.make(tmp_path_factory.mktemp("anchors")) as made:
        yield made


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, anchors: Anchors) -> Path:
    return make_sealed(tmp_path_factory.mktemp("sealed") / "case", anchors)


@pytest.fixture
def root(sealed: Path, tmp_path: Path) -> Path:
    shutil.copytree(sealed, tmp_path / "case")
    return tmp_path / "case"


@pytest.fixture
def light(tmp_path: Path, anchors: Anchors) -> Path:
    return make_light(tmp_path / "light", anchors)


def both(root: Path, anchors: Anchors | None = None) -> tuple[int, str, tuple[str, ...]]:
    """Run both verifiers; they must agree. Return exit code, what the script said, and the problems."""
    arguments = anchors.arguments if anchors else []
    code, said = run_script(root, *arguments)
    options = {"allowed_signers": anchors.signers, "tsa_ca": anchors.authority.ca} if anchors else {}
    result = check_case(root, **options)
    assert code == result.exit_code, (said, result.problems)
    if code == 0:
        assert said.splitlines()[-1] == result.headline
    return code, said, result.problems


def test_an_untouched_case_is_verified_with_anchors_and_only_intact_without(sealed: Path, anchors: Anchors) -> None:
    code, said, _ = both(sealed)
    assert code == 0
    assert said == f"intact, signer unknown: {anchors.key.fingerprint}, timestamp of an unknown authority\n"
    assert (
        both(sealed, anchors)[1]
        == f"verified: 2 seals, signer ana@example.org {anchors.key.fingerprint}, timestamp verified\n"
    )


def test_standard_tools_agree(sealed: Path) -> None:
    run_standard_tools(sealed)
    done = subprocess.run([sys.executable, "-m", "bagit", "--validate", "--quiet", str(sealed)], check=False)
    assert done.returncode == 0


def test_standard_tools_disagree_where_they_can(root: Path) -> None:
    """The check that every test of the suite ends with can fail: it is no formality."""
    for change in (
        lambda: (root / "data/E0002-logs/content.bin").write_bytes(b"x"),
        lambda: shutil.copy(root / "seals/0001/seal.txt.sig", root / "seals/0002/seal.txt.sig"),
        lambda: shutil.copy(root / "seals/0001/seal.txt.sig.tsr", root / "seals/0002/seal.txt.sig.tsr"),
    ):
        kept = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        change()
        with pytest.raises(AssertionError):
            run_standard_tools(root)
        for path, content in kept.items():
            path.write_bytes(content)
    run_standard_tools(root)


def sealed_files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.stat().st_size)


def sealed_size(path: Path) -> int:
    """Return how many bytes of a file the last seal covers: of the custody log, the lines up to it."""
    if path.name != "custody.jsonl":
        return path.stat().st_size
    seal = max((path.parent / "seals").iterdir()).joinpath("seal.txt").read_text("ascii")
    count = int(next(line.split(": ")[1] for line in seal.splitlines() if line.startswith("custody-entries")))
    return sum(map(len, path.read_bytes().splitlines(keepends=True)[:count]))


def test_a_flipped_byte_anywhere_is_caught_and_named(light: Path) -> None:
    assert_flips_are_caught(light, sealed_files(light))


def test_a_flipped_byte_in_any_seal_is_caught_and_named(root: Path) -> None:
    """Both seals and their timestamps; the other files are those of the case with one seal, which is quicker."""
    assert_flips_are_caught(root, [path for path in sealed_files(root) if "seals" in path.parts])


def assert_flips_are_caught(root: Path, paths: list[Path]) -> None:
    dice = random.Random(4)  # noqa: S311 - a fixed seed, for the same positions every time
    checked = 0
    for path in paths:
        content = path.read_bytes()
        size = sealed_size(path)
        for position in {size - 1, dice.randrange(size)}:
            changed = bytearray(content)
            changed[position] ^= 1 << dice.randrange(8)
            path.write_bytes(changed)
            code, said, problems = both(root)
            name = path.relative_to(root).as_posix()
            assert code == 3, (name, position)
            assert "PROBLEM" in said
            assert any(name in problem for problem in problems) or "chain" in said, (name, position, problems)
            checked += 1
        path.write_bytes(content)
    assert checked >= 2 * len(paths) - 3
    assert both(root)[0] == 0


def test_a_removed_or_truncated_file_is_caught(light: Path) -> None:
    for path in sealed_files(light):
        content = path.read_bytes()
        path.write_bytes(content[: sealed_size(path) - 1])
        assert both(light)[0] == 3, f"truncated {path}"
        path.unlink()
        if path.name not in {"case.json", "custody.jsonl"}:
            assert both(light)[0] == 3, f"removed {path}"
        path.write_bytes(content)
    assert both(light)[0] == 0


def test_a_renamed_file_is_caught(light: Path) -> None:
    for path in sealed_files(light):
        if path.name in {"case.json", "custody.jsonl"}:
            continue
        path.rename(path.with_name("renamed"))
        assert both(light)[0] == 3, path
        path.with_name("renamed").rename(path)


def test_an_added_file_is_caught_in_every_folder(light: Path) -> None:
    for folder in [light, *(path for path in light.rglob("*") if path.is_dir())]:
        for name in ("added", ".hidden", "a b", "new\nline") if folder == light else ("added",):
            (folder / name).write_bytes(b"")
            assert both(light)[0] == 3, (folder, name)
            (folder / name).unlink()


def test_swapped_files_are_caught(light: Path) -> None:
    paths = sealed_files(light)
    for one, other in pairwise(paths):
        first, second = one.read_bytes(), other.read_bytes()
        if first == second or "case.json" in {one.name, other.name} or "custody.jsonl" in {one.name, other.name}:
            continue
        one.write_bytes(second)
        other.write_bytes(first)
        assert both(light)[0] == 3, (one, other)
        one.write_bytes(first)
        other.write_bytes(second)


def custody(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path, Path], None]:
    def apply(root: Path, _: Path) -> None:
        path = root / "custody.jsonl"
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return apply


def rechain(lines: list[bytes]) -> list[bytes]:
    """Renumber and rechain the whole log, as somebody would who knows the format."""
    chained: list[bytes] = []
    head = "0" * 64
    for number, line in enumerate(lines, 1):
        document = {**json.loads(line), "seq": number, "prev": head}
        chained.append(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        head = hashlib.sha256(chained[-1]).hexdigest()
    return chained


def move(source: str, target: str) -> Callable[[Path, Path], object]:
    return lambda root, other: shutil.copy(other / source, root / target)


def copy_in(root: Path, name: str) -> None:
    shutil.copy(root / "seals/0001" / name, root / "seals/0002" / name)


def replace_by_link(path: Path) -> None:
    path.rename(path.parents[1] / "moved")
    path.symlink_to(path.parents[1] / "moved")


TABLE: dict[str, Callable[[Path, Path], object]] = {
    "custody entry edited": custody(lambda lines: [lines[0], lines[1].replace(b"Ana", b"Eve"), *lines[2:]]),
    "custody entry dropped": custody(lambda lines: [lines[0], *lines[2:]]),
    "custody entries reordered": custody(lambda lines: [lines[0], lines[2], lines[1], *lines[3:]]),
    "custody truncated": custody(lambda lines: lines[:3]),
    "custody truncated by the last entry": custody(lambda lines: lines[:-1]),
    "custody entry edited and rechained": custody(
        lambda lines: rechain([lines[0], lines[1].replace(b"Ana", b"Eve"), *lines[2:]])
    ),
    "custody entry dropped and rechained": custody(lambda lines: rechain([lines[0], *lines[2:]])),
    "custody entry inserted and rechained": custody(lambda lines: rechain([lines[0], lines[1], *lines[1:]])),
    "custody line added without a chain": custody(lambda lines: [*lines, lines[-1]]),
    "seal of another case": move("seals/0001/seal.txt", "seals/0001/seal.txt"),
    "seal and signature of another case": lambda root, other: (
        shutil.rmtree(root / "seals"), shutil.copytree(other / "seals", root / "seals"),
    ),
    "signature of another seal": lambda root, _: copy_in(root, "seal.txt.sig"),
    "timestamp of another seal": lambda root, _: copy_in(root, "seal.txt.sig.tsr"),
    "custody of another case": move("custody.jsonl", "custody.jsonl"),
    "signature stripped": lambda root, _: (root / "seals/0002/seal.txt.sig").unlink(),
    "timestamp stripped": lambda root, _: (root / "seals/0002/seal.txt.sig.tsr").unlink(),
    "last seal stripped": lambda root, _: shutil.rmtree(root / "seals/0002"),
    "all seals stripped": lambda root, _: shutil.rmtree(root / "seals"),
    "seals and manifests stripped": lambda root, _: (
        shutil.rmtree(root / "seals"), [path.unlink() for path in root.glob("*manifest*")],
    ),
    "a third, empty seal": lambda root, _: (root / "seals/0003").mkdir(),
    "data replaced by a link": lambda root, _: replace_by_link(root / "data"),
    "a device in data": lambda root, _: subprocess.run(["mkfifo", str(root / "data/pipe")], check=True),
    "fetch.txt": lambda root, _: (root / "fetch.txt").write_text("https://example.org 1 data/x\n"),
}  # fmt: skip


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, anchors: Anchors) -> Path:
    return make_sealed(tmp_path_factory.mktemp("other") / "case", anchors)


@pytest.mark.parametrize("name", TABLE)
def test_every_mutation_is_caught_by_both_verifiers(root: Path, other: Path, anchors: Anchors, name: str) -> None:
    TABLE[name](root, other)
    assert both(root)[0] == 3
    if any(word in name for word in ("seal", "signature", "timestamp", "rechained")):
        assert both(root, anchors)[0] == 3, "also where anchors could distract"


def resign(root: Path, key: Path, text: str) -> None:
    """Replace the last seal by *text* signed with *key*, and put that into the custody log, rechained."""
    seal = root / "seals/0002/seal.txt"
    before = {
        hashlib.sha256((root / name).read_bytes()).hexdigest(): name
        for name in ("seals/0002/seal.txt", "seals/0002/seal.txt.sig")
    }
    seal.write_text(text)
    (root / "seals/0002/seal.txt.sig").unlink()
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "ir-custody", "-f", str(key), str(seal)], check=True)
    lines = (root / "custody.jsonl").read_bytes().splitlines(keepends=True)
    for digest, name in before.items():
        after = hashlib.sha256((root / name).read_bytes()).hexdigest()
        lines[-1] = lines[-1].replace(digest.encode(), after.encode())
    (root / "custody.jsonl").write_bytes(b"".join(lines))


def test_a_seal_signed_again_with_another_key_is_caught(root: Path, anchors: Anchors, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "eve")], check=True)
    text = (root / "seals/0002/seal.txt").read_text()
    resign(root, tmp_path / "eve", text)
    assert both(root)[0] == 3, "the seal names its signer"
    resign(root, tmp_path / "eve", text.replace(anchors.key.fingerprint, find_key(tmp_path / "eve").fingerprint))
    code, said, _ = both(root, anchors)
    assert code == 3
    assert "is not among the allowed signers" in said


def test_a_back_dated_seal_is_caught_by_its_timestamp(root: Path, anchors: Anchors) -> None:
    text = (root / "seals/0002/seal.txt").read_text()
    resign(root, anchors.key.path, text.replace("time: 20", "time: 19"))
    code, said, problems = both(root)
    assert code == 3
    assert "seals/0002/seal.txt.sig.tsr is of another signature" in said
    assert "seals/0002/seal.txt.sig.tsr is of another signature" in problems


def test_a_timestamp_of_a_false_authority_is_caught(root: Path, anchors: Anchors, tmp_path: Path) -> None:
    with Anchors.make(tmp_path / "false") as false:
        code, said, _ = both(root, Anchors(anchors.key, anchors.signers, false.authority))
    assert code == 3
    assert "is not of this timestamp authority" in said


def test_entries_after_the_last_seal_are_allowed_and_chained(root: Path, anchors: Anchors) -> None:
    with Case.open(root, actor=Actor("Ben")) as case:
        case.record("access", purpose="read")
        case.write_analysis([("findings.jsonl", b"{}")])
        case.write_report("report.html", b"<html>")
    assert both(root, anchors)[0] == 0
    with Case.open(root, actor=Actor("Ben")) as case:
        assert seal_case(case, anchors.key).number == 3
    assert both(root, anchors)[0] == 0


def test_an_act_without_an_end_makes_a_sealed_case_incomplete(tmp_path: Path, anchors: Anchors) -> None:
    root = make_sealed(tmp_path / "case", anchors, unfinished=True)
    code, said, _ = both(root, anchors)
    assert code == 1
    assert said.startswith("intact but incomplete")


@pytest.mark.parametrize(
    "name", ["data/case.json.sha256", "data/E0001-inspect/content.json", "seals/0001/seal.txt.sig"]
)
def test_a_fifo_is_a_problem_and_holds_nobody_up(light: Path, name: str) -> None:
    path = light / name
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    assert both(light)[0] == 3


@pytest.mark.parametrize("folder", ["analysis", "report"])
def test_a_derived_folder_that_is_a_link_is_caught(light: Path, folder: str, tmp_path: Path) -> None:
    shutil.rmtree(light / folder, ignore_errors=True)
    (light / folder).symlink_to(tmp_path)
    code, _, problems = both(light)
    assert (code, problems) == (3, (f"{folder} is a link or no file",))


def test_a_case_whose_seals_were_taken_away_does_not_pass_where_anchors_are_given(root: Path, anchors: Anchors) -> None:
    for name in ("seals", "transfers"):
        shutil.rmtree(root / name, ignore_errors=True)
    for name in ("bagit.txt", "bag-info.txt", "manifest-sha256.txt", "tagmanifest-sha256.txt"):
        (root / name).unlink()
    log = root / "custody.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    sealed_at = next(number for number, line in enumerate(lines) if b'"action":"seal"' in line)
    log.write_bytes(b"".join(lines[:sealed_at]))
    assert both(root)[:2] == (0, "intact so far, unsealed\n")
    code, said, problems = both(root, anchors)
    assert (code, problems) == (3, ("there is no seal: nothing that the given anchors could vouch for",))
    assert problems[0] in said


def test_records_of_a_size_that_none_has_are_refused_before_they_fill_the_memory(light: Path) -> None:
    os.truncate(light / "data/items.jsonl", 1 << 30)
    with pytest.raises(VerificationError, match="is larger than"):
        check_case(light)
