"""`ir examine` refuses what would read as an answer although nothing was there to examine."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

SAMPLES = Path(__file__).resolve().parents[2] / "evidence-samples"


def examine(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "forensics", "examine", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False)


@pytest.mark.usefixtures("own_folders")
def test_empty_standard_input_is_no_finding_and_makes_no_case(tmp_path: Path) -> None:
    done = examine("-", "--case", tmp_path / "case", "--json")

    assert done.returncode == 2
    assert done.stderr == b"ir: standard input is empty. See whether the command before the pipe failed.\n"
    assert json.loads(done.stdout)["exit_code"] == 2
    assert not (tmp_path / "case").exists()


@pytest.mark.usefixtures("own_folders")
def test_what_is_no_image_on_standard_input_is_kept_and_gets_no_verdict(tmp_path: Path) -> None:
    done = examine("-", "--case", tmp_path / "case", stdin=b"Error response from daemon: no such image\n")

    assert done.returncode == 1
    assert done.stdout == b""
    assert f"it is kept in the case {tmp_path}/case".encode() in done.stderr
    assert (tmp_path / "case/data/E0001-image/image.tar").read_bytes().startswith(b"Error response")
    verified = subprocess.run(["sh", tmp_path / "case/verify.sh"], capture_output=True, check=False)
    assert verified.returncode == 0


@pytest.mark.usefixtures("own_folders")
def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    done = examine(tmp_path / "nothing", "--case", tmp_path / "case")

    assert done.returncode == 2
    assert done.stderr.startswith(f"ir: the folder {tmp_path}/nothing is empty. ".encode())
    assert not (tmp_path / "case").exists()


@pytest.mark.usefixtures("own_folders")
def test_a_case_is_not_examined_as_if_it_were_a_file_system(tmp_path: Path) -> None:
    sample = SAMPLES / "ordinary-web.tar"
    made = examine("-", "--case", tmp_path / "case", stdin=sample.read_bytes())
    assert made.returncode == 0
    assert made.stdout.endswith(f"verify: sh {tmp_path}/case/verify.sh\n".encode())

    done = examine(tmp_path / "case", "--case", tmp_path / "again")
    assert done.returncode == 2
    assert (
        done.stderr == f"ir: {tmp_path}/case is a case. 'ir analyze {tmp_path}/case' rebuilds its findings.\n".encode()
    )
    assert not (tmp_path / "again").exists()


def _write_two_images(path: Path) -> None:
    """Write a docker-archive with shop:good and shop:bad; only the second holds a library forced into every program."""
    members: dict[str, bytes] = {}
    manifest = []
    for tag, name in (("good", "etc/motd"), ("bad", "etc/ld.so.preload")):
        layer = _pack({name: b"/usr/lib/libsystem.so\n"})
        diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
        config = json.dumps({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}, "tag": tag}).encode()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        members |= {config_name: config, f"{tag}/layer.tar": layer}
        manifest.append({"Config": config_name, "RepoTags": [f"shop:{tag}"], "Layers": [f"{tag}/layer.tar"]})
    path.write_bytes(_pack(members | {"manifest.json": json.dumps(manifest).encode()}))


def _pack(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.usefixtures("own_folders")
def test_of_several_images_one_is_chosen_and_a_rebuilt_analysis_keeps_to_it(tmp_path: Path) -> None:
    saved = tmp_path / "two.tar"
    _write_two_images(saved)

    unsaid = examine(saved, "--case", tmp_path / "none")
    assert unsaid.returncode == 2
    assert b"holds 2 images. Choose with --tag or --platform: shop:good" in unsaid.stderr
    assert not (tmp_path / "none").exists()

    for tag, found in (("good", False), ("bad", True)):
        case = tmp_path / tag
        document = json.loads(examine(saved, "--tag", f"shop:{tag}", "--case", case, "--json").stdout)
        again = subprocess.run([sys.executable, "-m", "forensics", "analyze", case], capture_output=True, check=True)
        assert (b"ld-so-preload" in again.stdout) == found
        assert document["findings"] == len((case / "analysis/findings.jsonl").read_text().splitlines())
