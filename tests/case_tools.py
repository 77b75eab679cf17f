"""Checks the cases that tests leave behind with standard tools alone: sha256sum, bagit, ssh-keygen, openssl.

A case that `ir verify` calls intact must pass them all; one that a test has broken on purpose is left alone. An open
case is sealed first: only then has it anything that those tools read.
"""

from __future__ import annotations

import base64
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import bagit
import pytest

AUTHORITIES: list[Path] = []
"""Certificates of the timestamp authorities that tests made."""
_looked_at: set[Path] = set()


@pytest.fixture(scope="session")
def finishing_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key that seals what tests leave open."""
    key = tmp_path_factory.mktemp("finishing") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    return key


@pytest.fixture(autouse=True)
def cases_pass_standard_tools(request: pytest.FixtureRequest, finishing_key: Path) -> Iterator[None]:
    """After a test, check every case in its folder; cases of a whole module are checked when the session ends."""
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder:
        check_below(folder, finishing_key)


@pytest.fixture(scope="session", autouse=True)
def cases_of_modules_pass_standard_tools(
    finishing_key: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Check the cases that lie in no test's own folder."""
    yield
    check_below(tmp_path_factory.getbasetemp(), finishing_key)


def check_below(folder: Path, key: Path) -> None:
    """Find cases by their custody logs and check each once."""
    for log in sorted(folder.rglob("custody.jsonl")):
        root = log.parent
        if root not in _looked_at and (root / "data/case.json").is_file() and not log.is_symlink():
            _looked_at.add(root)
            if is_left_intact(root, key):
                run_standard_tools(root)


def is_left_intact(root: Path, key: Path) -> bool:
    """Tell whether our own verifier finds nothing wrong, and seal the case if it is open."""
    from forensics.errors import IrError
    from forensics.evidence.case import Case
    from forensics.evidence.installation import find_key
    from forensics.evidence.lock import find_holder
    from forensics.evidence.seal import seal_case
    from forensics.evidence.verify import check_case

    try:
        result = check_case(root)
    except IrError:
        return False
    if result.problems or find_holder(root / "custody.jsonl") is not None:
        return False
    if not result.sealed:
        with Case.open(root) as case:
            try:
                seal_case(case, find_key(key))
            except IrError:
                if not result.unfinished:  # what stands in the way of a seal must have been named
                    raise
                return False
    return True


def run_standard_tools(root: Path) -> None:
    """Run what a stranger would: every tool must be content with the case."""
    run(["sha256sum", "-c", "--quiet", "--strict", "manifest-sha256.txt", "tagmanifest-sha256.txt"], root)
    assert bagit.Bag(str(root)).validate()
    for seal in sorted(root.glob("seals/*/seal.txt")):
        check_signature(seal)
        if (reply := seal.with_name("seal.txt.sig.tsr")).is_file():
            check_timestamp(seal.with_name("seal.txt.sig"), reply)


def check_signature(seal: Path) -> None:
    """Verify the signature with the public key that it carries: here the question is whether it is whole."""
    signature = seal.with_name("seal.txt.sig")
    blob = base64.b64decode("".join(signature.read_text("ascii").splitlines()[1:-1]))
    assert blob[:10] == b"SSHSIG\0\0\0\1"
    public = blob[14 : 14 + int.from_bytes(blob[10:14])]
    kind = public[4 : 4 + int.from_bytes(public[:4])].decode("ascii")
    with tempfile.NamedTemporaryFile("w", suffix=".signers") as signers:
        signers.write(f"someone {kind} {base64.b64encode(public).decode('ascii')}\n")
        signers.flush()
        names = ["-f", signers.name, "-I", "someone", "-n", "ir-custody", "-s", str(signature)]
        run(["ssh-keygen", "-Y", "verify", *names], seal.parent, seal)


def check_timestamp(signature: Path, reply: Path) -> None:
    """Verify a timestamp against the authorities that tests made."""
    command = ["openssl", "ts", "-verify", "-data", str(signature), "-in", str(reply), "-CAfile"]
    answers = [subprocess.run([*command, str(ca)], capture_output=True, check=False).returncode for ca in AUTHORITIES]
    assert 0 in answers, f"{reply}: no authority vouches for it"


def run(command: list[str], folder: Path, stdin: Path | None = None) -> None:
    """Run a tool that must succeed."""
    with (stdin or Path("/dev/null")).open("rb") as source:
        done = subprocess.run(command, cwd=folder, stdin=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stdout, done.stderr)
