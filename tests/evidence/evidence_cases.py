"""Cases and trust anchors for the tests of this room."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from evidence_tsa import Authority

from forensics.evidence.case import Case
from forensics.evidence.create import VERIFY_SCRIPT
from forensics.evidence.custody import Actor
from forensics.evidence.installation import SigningKey, find_key
from forensics.evidence.seal import seal_case
from forensics.model import LedgerLine, Outcome, Subject

SUBJECT = Subject("container", "web", id="c0ffee", image="shop:1")
ACTOR = Actor("Ana Ruiz", "responder", "Example CERT", "ana@example.org")


@dataclass(frozen=True)
class Anchors:
    """What a verifier brings from outside, and what signs."""

    key: SigningKey
    signers: Path
    authority: Authority

    @property
    def arguments(self) -> list[str]:
        return ["-s", str(self.signers), "-t", str(self.authority.ca)]

    @classmethod
    @contextmanager
    def make(cls, folder: Path) -> Iterator[Anchors]:
        folder.mkdir(exist_ok=True)
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        signers = folder / "allowed_signers"
        public = key.with_suffix(".pub").read_text()
        signers.write_text(f'ana@example.org namespaces="ir-custody" {public}')
        yield cls(find_key(key), signers, Authority(folder / "tsa"))


def make_image_stream() -> bytes:
    config = b'{"rootfs":{"type":"layers"}}'
    name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["shop:1"], "Layers": ["aa/layer.tar"]}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in (("aa/layer.tar", b"layer"), (name, config), ("manifest.json", manifest)):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def make_case(root: Path, *, unfinished: bool = False) -> Case:
    case = Case.create(root, subject=SUBJECT, actor=ACTOR)
    case.record("containment", purpose="cut off", result="begin", details={"step": 1})
    case.add_json("inspect", {"Id": "c0ffee"}, source="engine", method="inspect")
    case.add("logs", [b"one\n" * 100], source="engine", method="logs")
    case.add_image([make_image_stream()], source="engine", method="save")
    case.note(LedgerLine("logs", Outcome.COLLECTED, items=("E0002",)))
    if unfinished:
        case.record("acquire", result="begin", details={"activity": "collection#1"})
    return case


def make_sealed(root: Path, anchors: Anchors, *, unfinished: bool = False) -> Path:
    """Make a case that is sealed twice, with a note between, both seals timestamped."""
    with make_case(root, unfinished=unfinished) as case, anchors.authority.serve() as url:
        assert not seal_case(case, anchors.key, tsa=url).problem
        case.record("note", purpose="handed to the night shift")
        assert not seal_case(case, anchors.key, tsa=url).problem
    return root


def run_script(root: Path, *arguments: str) -> tuple[int, str]:
    command = ["sh", str(VERIFY_SCRIPT), *arguments, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def make_light(root: Path, anchors: Anchors) -> Path:
    """Make a case with one seal and no timestamp: quick to verify, for the long tables."""
    with make_case(root) as case:
        seal_case(case, anchors.key)
    return root
