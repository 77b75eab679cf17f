"""FIDO keys (``sk-``): the whole way through ssh-keygen and its helper, with a token in software behind OpenSSH's own
middleware interface; what only hardware has, the touch and the plug, is answered as a token would."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from evidence_cases import make_case, run_script

from forensics.cli import cli
from forensics.cli.frame import run
from forensics.evidence.verify import check_case

SOURCE = Path(__file__).parent / "assets/token.c"


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("token") / "token.so"
    command = ["gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-l:libcrypto.so.3"]
    subprocess.run(command, check=True)
    return library


@pytest.fixture
def key(token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SSH_SK_PROVIDER", str(token))
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519-sk", "-N", "", "-f", str(made)], check=True)
    return made


def test_a_key_on_a_token_seals_and_anybody_verifies_without_the_token(
    key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_case(tmp_path / "case").root
    assert run(cli, ["seal", str(root), "--key", str(key)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "sk-ssh-ed25519@openssh.com" in line)
    monkeypatch.delenv("SSH_SK_PROVIDER")
    signers = tmp_path / "allowed_signers"
    signers.write_text(f"{line.strip()}\n")
    assert check_case(root, allowed_signers=signers).headline.startswith("verified: 1 seals")
    assert run_script(root, "-s", str(signers))[0] == 0
    assert "signer-key: ED25519-SK, configured key" in (root / "seals/0001/seal.txt").read_text()


@pytest.mark.parametrize("state", ["away", "untouched"])
def test_a_token_that_does_not_sign_leaves_the_case_open_and_says_what_to_do(
    key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    root = make_case(tmp_path / "case").root
    monkeypatch.setenv("IR_TEST_TOKEN", state)
    assert run(cli, ["seal", str(root), "--key", str(key)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"ir: the key {key} does not sign")
    assert "token plugged in and touched?" in said
    assert said.count("\n") == 1
    assert check_case(root).headline == "intact so far, unsealed"
    monkeypatch.delenv("IR_TEST_TOKEN")
    assert run(cli, ["seal", str(root), "--key", str(key)]) == 0
