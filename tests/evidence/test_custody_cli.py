"""`ir custody` and `ir seal` as a person uses them: hand-over, certificate, a case as one file."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from evidence_cases import Anchors, make_case, make_light, run_script

from forensics.cli import cli
from forensics.cli.frame import run
from forensics.evidence.verify import check_case

pytestmark = pytest.mark.usefixtures("own_folders")


@pytest.fixture(scope="module")
def anchors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anchors]:
    with Anchors.make(tmp_path_factory.mktemp("anchors")) as made:
        yield made


@pytest.fixture
def root(tmp_path: Path, anchors: Anchors) -> Path:
    return make_light(tmp_path / "case", anchors)


def ir(*arguments: str | Path) -> int:
    return run(cli, [str(argument) for argument in arguments])


def ir_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, object]:
    capsys.readouterr()
    assert ir(*arguments, "--json") == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def test_seal_makes_a_key_on_first_use_and_says_so(
    tmp_path: Path, own_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_case(tmp_path / "case").root
    document = ir_json(capsys, "seal", root)
    assert document["key"] == "installation key, made on first use"
    assert "signer-key: ED25519, installation key, made on first use" in (root / "seals/0001/seal.txt").read_text()
    key = own_folders / "ir_state_dir/keys/ir_ed25519"
    assert key.stat().st_mode & 0o777 == 0o600
    assert ir_json(capsys, "seal", root)["signer"] == document["signer"], "the same key signs the next seal"
    assert ir_json(capsys, "verify", root)["headline"] == f"intact, signer unknown: {document['signer']}, no timestamp"


def test_a_timestamp_can_be_fetched_later(tmp_path: Path, anchors: Anchors, capsys: pytest.CaptureFixture[str]) -> None:
    root = make_case(tmp_path / "case").root
    assert ir("seal", root, "--key", anchors.key.path, "--tsa-pending") == 0
    assert check_case(root).signature.timestamp == "timestamp pending"
    assert ir("seal", root, "--complete") == 2
    with anchors.authority.serve() as url:
        assert ir_json(capsys, "seal", root, "--complete", "--tsa", url)["timestamped"] == [1]
    result = check_case(root, allowed_signers=anchors.signers, tsa_ca=anchors.authority.ca)
    assert (result.problems, result.signature.timestamp) == ((), "timestamp verified")


@pytest.mark.parametrize("stale", [b"", b"no timestamp at all"])
def test_an_authority_that_fails_leaves_a_seal_with_a_pending_timestamp(
    tmp_path: Path, anchors: Anchors, capsys: pytest.CaptureFixture[str], stale: bytes
) -> None:
    root = make_case(tmp_path / "case").root
    with anchors.authority.serve(stale=stale) as url:
        address = url if stale else "http://127.0.0.1:1/tsr"
        assert ir("seal", root, "--key", anchors.key.path, "--tsa", address) == 1
    said = capsys.readouterr().err
    assert "--complete" in said
    assert stale or f"the timestamp authority {address} refuses connections" in said
    assert check_case(root).headline.endswith("timestamp pending")
    assert run_script(root)[0] == 0


def test_a_replayed_timestamp_is_refused(tmp_path: Path, anchors: Anchors) -> None:
    first, second = make_case(tmp_path / "one").root, make_case(tmp_path / "two").root
    with anchors.authority.serve() as url:
        assert ir("seal", first, "--key", anchors.key.path, "--tsa", url) == 0
    with anchors.authority.serve(stale=(first / "seals/0001/seal.txt.sig.tsr").read_bytes()) as url:
        assert ir("seal", second, "--key", anchors.key.path, "--tsa", url) == 1


def test_a_key_in_the_agent_signs(tmp_path: Path, anchors: Anchors, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert agent.poll() is None
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", str(anchors.key.path)], check=True)
        public = tmp_path / "only.pub"
        public.write_text(anchors.key.path.with_suffix(".pub").read_text())
        root = make_case(tmp_path / "case").root
        assert ir("seal", root, "--key", public) == 0
    finally:
        agent.terminate()
        agent.wait()
    assert check_case(root, allowed_signers=anchors.signers).headline.startswith("verified")


def test_a_hand_over_is_signed_by_both_and_stands_in_the_log(
    root: Path, tmp_path: Path, anchors: Anchors, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ir("custody", "receive", root) == 2, "nobody has handed it over"
    assert ir("custody", "transfer", root, "--to", "Ben Lee, Example Police", "--key", anchors.key.path) == 0
    monkeypatch.setenv("IR_OPERATOR", "Ben Lee")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "ben")], check=True)
    assert ir("custody", "receive", root, "--key", tmp_path / "ben") == 0
    receipt = (root / "transfers/0001/received.txt").read_text()
    assert "received-by: Ben Lee" in receipt
    assert ir("custody", "show", root) == 0
    said = capsys.readouterr().out
    assert "transfer_out" in said
    assert "counterparty: Ben Lee, Example Police" in said
    assert "transfer_in" in said
    assert run_script(root)[0] == check_case(root).exit_code == 0
    (root / "transfers/0001/receipt.txt").write_text("ir-transfer: 1\n")
    assert run_script(root)[0] == check_case(root).exit_code == 3


def test_a_changed_case_is_not_signed_for(root: Path, anchors: Anchors) -> None:
    assert ir("custody", "transfer", root, "--to", "Ben", "--key", anchors.key.path) == 0
    (root / "data/E0002-logs/content.bin").write_bytes(b"changed")
    assert ir("custody", "receive", root, "--key", anchors.key.path) == 3
    assert not (root / "transfers/0001/received.txt").exists()


def test_an_unsealed_case_is_not_handed_over(tmp_path: Path, anchors: Anchors) -> None:
    case = make_case(tmp_path / "case")
    case.close()
    assert ir("custody", "transfer", case.root, "--to", "Ben", "--key", anchors.key.path) == 5
    assert ir("custody", "export", case.root, "-o", tmp_path / "x.tar.zst") == 5


def test_a_note_goes_into_the_log_of_a_sealed_case(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = ir_json(capsys, "custody", "note", root, "disk moved \x1b[2J", "--item", "E0002")
    entries = ir_json(capsys, "custody", "show", root)["entries"]
    assert isinstance(entries, list)
    assert entries[-1]["sha256"] == document["sha256"]
    assert ir("custody", "show", root) == 0
    assert "disk moved \\x1b[2J" in capsys.readouterr().out
    assert ir("custody", "note", root, "x", "--item", "E0099") == 2


@pytest.mark.parametrize(("language", "words"), [("en", "28 U.S.C. § 1746"), ("ja", "偽証の罪")])
def test_the_certificate_is_a_draft_filled_from_the_case(
    root: Path, capsys: pytest.CaptureFixture[str], language: str, words: str
) -> None:
    text = ir_json(capsys, "custody", "certificate", root, "--lang", language)["text"]
    assert isinstance(text, str)
    for part in (words, check_case(root).case_id, "Ana Ruiz", "shop:1", check_case(root).signature.fingerprint):
        assert part in text
    assert "{" not in text
    assert "______" in text, "what only a person can say is left open"


def test_a_certificate_of_a_changed_case_says_so(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "data/E0002-logs/content.bin").write_bytes(b"changed")
    assert "NOT what was recorded" in str(ir_json(capsys, "custody", "certificate", root)["text"])


def test_an_exported_case_comes_back_whole_and_deterministic(
    root: Path, tmp_path: Path, anchors: Anchors, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
    first = ir_json(capsys, "custody", "export", root, "-o", tmp_path / "one.tar.zst")
    (root / "custody.jsonl").write_bytes(before[Path("custody.jsonl")])
    second = ir_json(capsys, "custody", "export", root, "-o", tmp_path / "two.tar.zst")
    assert first["sha256"] == second["sha256"]
    assert ir("custody", "import", tmp_path / "one.tar.zst", "-o", tmp_path / "back") == 0
    after = {
        path.relative_to(tmp_path / "back"): path.read_bytes()
        for path in (tmp_path / "back").rglob("*")
        if path.is_file()
    }
    assert {path: content for path, content in after.items() if path.name != "custody.jsonl"} == {
        path: content for path, content in before.items() if path.name != "custody.jsonl"
    }
    assert after[Path("custody.jsonl")].startswith(before[Path("custody.jsonl")])
    assert check_case(tmp_path / "back", allowed_signers=anchors.signers).headline.startswith("verified")
    assert ir("custody", "import", tmp_path / "one.tar.zst", "-o", tmp_path / "back") == 2


def test_an_encrypted_export_opens_only_with_the_right_identity(root: Path, tmp_path: Path) -> None:
    pyrage = pytest.importorskip("pyrage")
    keys = [pyrage.x25519.Identity.generate() for _ in range(2)]
    for name, key in zip(("right", "wrong"), keys, strict=True):
        (tmp_path / name).write_text(f"# created: today\n{key}\n")
    packed = tmp_path / "case.tar.zst.age"
    assert ir("custody", "export", root, "-o", packed, "--recipient", str(keys[0].to_public())) == 0
    assert packed.read_bytes().startswith(b"age-encryption.org/v1")
    assert ir("custody", "import", packed, "-o", tmp_path / "no", "--identity", tmp_path / "wrong") == 3
    assert not (tmp_path / "no").exists()
    assert ir("custody", "import", packed, "-o", tmp_path / "yes", "--identity", tmp_path / "right") == 0
    assert ir("custody", "export", root, "-o", tmp_path / "x.tar.zst.age") == 2
    assert ir("custody", "export", root, "-o", tmp_path / "x.tar.zst.age", "--recipient", "nobody") == 2


def pack(path: Path, members: list[tuple[str, bytes | str]]) -> Path:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    path.write_bytes(zstandard.compress(buffer.getvalue()))
    return path


def read_members(root: Path) -> list[tuple[str, bytes | str]]:
    files = sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".reserve")
    return [(f"case/{path.relative_to(root)}", path.read_bytes()) for path in files]


@pytest.mark.parametrize(
    "extra",
    [
        ("case/../../evil", b"x"),
        ("/etc/evil", b"x"),
        ("case/link", "/etc/passwd"),
        ("case/fetch.txt", b"https://example.org 1 data/x\n"),
        ("case/data/more.bin", b"x"),
        ("case/data/case.json", b"{}"),
        ("case/report/report.html", b"<script>"),
        ("case/.hidden", b"x"),
    ],
    ids=lambda extra: extra[0],
)
def test_an_import_refuses_and_removes_what_does_not_verify(
    root: Path, tmp_path: Path, extra: tuple[str, bytes | str]
) -> None:
    members = read_members(root)
    assert ir("custody", "import", pack(tmp_path / "good", members), "-o", tmp_path / "good.case") == 0
    assert ir("custody", "import", pack(tmp_path / "bad", [*members, extra]), "-o", tmp_path / "bad.case") in {3, 5}
    assert not list(tmp_path.glob("bad.case*"))
    assert not (tmp_path.parent / "evil").exists()


def test_an_import_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"no archive")
    assert ir("custody", "import", tmp_path / "junk", "-o", tmp_path / "out") == 3
    assert ir("custody", "import", pack(tmp_path / "empty", []), "-o", tmp_path / "out") == 3
    assert not (tmp_path / "out").exists()
