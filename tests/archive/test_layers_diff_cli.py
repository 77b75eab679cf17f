"""`ir layers` and `ir diff` as a user meets them."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from assets.images import OciLayout, docker_parts, pack, sha256

from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import Subject


def run(*arguments: str | Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "forensics", *arguments]
    return subprocess.run(command, capture_output=True, input=stdin, check=False)


def run_json(*arguments: str | Path) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.returncode == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def make_layer(files: dict[str, bytes], **fields: Any) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_600_000_000
            for field, value in fields.get(name.replace("/", "_"), {}).items():
                setattr(info, field, value)
            archive.addfile(info, io.BytesIO(content))
    return raw.getvalue()


STATUS = b"Package: web\nStatus: install ok installed\nVersion: 1\n\n"
BASE = make_layer(
    {
        "var/lib/dpkg/status": STATUS,
        "var/lib/dpkg/info/web.list": b"/.\n/usr\n/usr/bin\n/usr/bin/web\n",
        "usr/bin/web": b"\x7fELF one" + bytes(99),
        "etc/app.conf": b"listen 80\nsafe on\n",
        "etc/mode": b"m",
        "etc/owner": b"o",
        "etc/time": b"t",
        "opt/tool-v1": b"a tool that moves\n",
        "secret.key": b"-----BEGIN KEY-----\n",
        "bin/su": b"su",
    },
    bin_su={"mode": 0o4755},
)
TOP = make_layer(
    {
        "usr/bin/web": b"\x7fELF two" + bytes(99),
        "etc/app.conf": b"listen 80\nsafe \x1b[31moff\n",
        "etc/mode": b"m",
        "etc/owner": b"o",
        "etc/time": b"t",
        "opt/.wh.tool-v1": b"",
        "opt/tool-v2": b"a tool that moves\n",
        ".wh.secret.key": b"",
        "tmp/new": b"n",
    },
    etc_mode={"mode": 0o777},
    etc_owner={"uid": 7},
    etc_time={"mtime": 1_700_000_000},
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.tar"
    path.write_bytes(pack(docker_parts([BASE, TOP])))
    return path


def test_layers_lists(image: Path) -> None:
    document = run_json("layers", image)
    assert (document["schema"], document["dialect"], document["warnings"]) == ("ir.layers/1", "docker-archive", [])
    [listed] = document["images"]
    assert listed["tags"] == ["demo:1"]
    assert [
        set(layer) >= {"diff_id", "digest", "entries", "added", "modified", "deleted", "history"}
        for layer in listed["layers"]
    ] == [True, True]
    top = listed["layers"][1]
    assert (top["diff_id"], top["entries"], top["deleted"], top["history"]) == (
        f"sha256:{sha256(TOP)}",
        9,
        2,
        "layer 1",
    )
    text = run("layers", image).stdout.decode()
    assert "demo:1  linux/amd64" in text
    assert "2 deleted files can be recovered" in text


def test_layers_extracts_merged_and_single(image: Path, tmp_path: Path) -> None:
    result = run("layers", image, "--extract", tmp_path / "all")
    assert (result.returncode, result.stderr) == (0, b"")
    lines = [json.loads(line) for line in (tmp_path / "all" / "index.jsonl").read_text("ascii").splitlines()]
    states = {line["path"]: line["state"] for line in lines}
    assert states["/secret.key"] == "deleted"
    assert states["/tmp/new"] == "visible"
    [secret] = [line for line in lines if line["path"] == "/secret.key"]
    stored = tmp_path / "all" / "objects" / secret["sha256"][:2] / secret["sha256"]
    assert stored.read_bytes() == b"-----BEGIN KEY-----\n"
    assert (secret["created_by"], secret["deleted_in_layer"]) == ("layer 0", 1)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "all").rglob("*") if path.is_file()} == {0o600}
    document = run_json("layers", image, "--extract", tmp_path / "one", "--layer", "1")
    assert document["schema"] == "ir.extraction/1"
    lines = [json.loads(line) for line in (tmp_path / "one" / "index.jsonl").read_text("ascii").splitlines()]
    assert {line["path"] for line in lines if line["state"] == "whiteout"} == {"/secret.key", "/opt/tool-v1"}
    result = run("layers", image, "--extract", tmp_path / "none", "--layer", "9")
    assert (result.returncode, result.stderr) == (2, b"ir: there is no layer 9. The image has layers 0 to 1.\n")


def test_diff_says_what_kind_of_change(image: Path) -> None:
    document = run_json("diff", f"{image}@0", image, "--text")
    found = {change["path"]: (change["kind"], change["fields"]) for change in document["changes"]}
    assert found == {
        "/etc/app.conf": ("modified", ["content"]),
        "/etc/mode": ("modified", ["mode"]),
        "/etc/owner": ("modified", ["owner"]),
        "/etc/time": ("modified", ["mtime"]),
        "/opt/tool-v2": ("moved", []),
        "/secret.key": ("deleted", []),
        "/tmp": ("added", []),
        "/tmp/new": ("added", []),
        "/usr/bin/web": ("modified", ["content"]),
    }
    changes = {change["path"]: change for change in document["changes"]}
    assert changes["/opt/tool-v2"]["moved_from"] == "/opt/tool-v1"
    assert changes["/etc/app.conf"]["text"].splitlines()[2:] == [
        "@@ -1,3 +1,3 @@",
        " listen 80",
        "-safe on",
        "+safe \\x1b[31moff",
        " ",
    ]
    assert changes["/usr/bin/web"]["text"] is None
    assert document["summary"]["kinds"] == {"modified": 5, "moved": 1, "deleted": 1, "added": 2}
    assert document["summary"]["packages"] == {"": 8, "web": 1}
    assert document["summary"]["folders"][0] == {"path": "/etc", "modified": 4}


def test_diff_filters(image: Path) -> None:
    def paths(*options: str) -> list[str]:
        return [change["path"] for change in run_json("diff", f"{image}@0", image, *options)["changes"]]

    assert paths("--only", "mode", "--only", "owner") == ["/etc/mode", "/etc/owner"]
    assert paths("--path", "/etc", "--only", "content") == ["/etc/app.conf"]
    assert paths("--path", "opt/tool-*") == ["/opt/tool-v2"]
    assert run("diff", image, image, "--only", "nonsense").returncode == 2


def test_diff_of_different_dialects_and_a_directory(image: Path, tmp_path: Path) -> None:
    layout = OciLayout()
    layout.add_image([BASE, TOP])
    (tmp_path / "oci.tar").write_bytes(pack(layout.finish()))
    assert run_json("diff", image, tmp_path / "oci.tar")["changes"] == []
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "app.conf").write_bytes(b"listen 80\nsafe on\n")
    os.utime(root / "etc" / "app.conf", (1_600_000_000, 1_600_000_000))
    found = {change["path"]: change["kind"] for change in run_json("diff", f"{image}@0", root)["changes"]}
    assert "/etc/app.conf" not in found
    assert found["/bin/su"] == "deleted"


def test_diff_of_nothing_there(image: Path) -> None:
    result = run("diff", image, "absent.tar")
    assert (result.returncode, result.stderr) == (2, b"ir: absent.tar does not exist. Check the path.\n")
    result = run("diff", f"{image}@7", image)
    assert result.returncode == 2
    assert b"there is no layer 7. The last one is 1." in result.stderr


def test_standard_input_for_every_command(image: Path, tmp_path: Path) -> None:
    raw = image.read_bytes()
    assert json.loads(run("diff", "-", image, "--json", stdin=raw).stdout)["changes"] == []
    assert json.loads(run("diff", image, "-", "--json", stdin=raw).stdout)["changes"] == []
    assert run("diff", "-", "-", stdin=raw).stderr.startswith(b"ir: only one of A and B can be standard input.")
    result = run("layers", "-", "--extract", tmp_path / "out", "--layer", "1", stdin=raw)
    assert (result.returncode, result.stderr) == (0, b"")
    result = run("examine", "-", "--case", tmp_path / "case", "--base", image, "--json", stdin=raw)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["schema"] == "ir.examination/1"
    for command in (("layers", "-"), ("diff", "-", image), ("examine", "-", "--case", tmp_path / "none")):
        result = run(*command, stdin=b"no image")
        assert result.returncode == 1
        assert (result.stderr.count(b"\n"), b"Traceback" in result.stderr) == (1, False)


def test_an_ambiguous_image_is_listed(tmp_path: Path) -> None:
    layout = OciLayout()
    layout.add_image([BASE], annotations={"org.opencontainers.image.ref.name": "one"})
    layout.add_image([TOP], annotations={"org.opencontainers.image.ref.name": "two"})
    path = tmp_path / "oci.tar"
    path.write_bytes(pack(layout.finish()))
    result = run("diff", path, path)
    assert result.returncode == 2
    assert b"holds 2 images. Choose with --tag or --platform: one (linux/amd64); two (linux/amd64)." in result.stderr
    assert run("diff", f"{path}@one", f"{path}@two").returncode == 0
    assert len(run_json("layers", path)["images"]) == 2
    assert len(run_json("layers", path, "--tag", "two")["images"]) == 1


def test_layers_and_diff_of_a_case(image: Path, tmp_path: Path) -> None:
    actor = Actor(name="t", title="", org="", contact="", os_uid=0, key_fpr=None)
    with Case.create(tmp_path / "case", subject=Subject("container", "web"), actor=actor) as case:
        assert run("layers", tmp_path / "case").stderr.endswith(b"case holds no image. Collect the snapshot first.\n")
        case.add_image(iter([image.read_bytes()]), source="test", method="save")
    [listed] = run_json("layers", tmp_path / "case")["images"]
    assert (listed["tags"], len(listed["layers"]), listed["deleted_recovered"]) == (["demo:1"], 2, 2)
    assert run_json("diff", tmp_path / "case", image)["changes"] == []


def test_a_large_tree_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IR_CACHE_DIR", str(tmp_path / "cache"))
    files = {f"d{number // 100}/f{number}": b"%d" % (number % 7) for number in range(20_000)}
    a, b = tmp_path / "a.tar", tmp_path / "b.tar"
    a.write_bytes(pack(docker_parts([make_layer(files)])))
    b.write_bytes(pack(docker_parts([make_layer({**files, "d0/f0": b"changed", "../out": b"x"})])))
    first = run_json("diff", a, b)
    kept = sorted((tmp_path / "cache" / "trees").iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600, 0o600]
    second = run_json("diff", a, b)
    assert second == first
    assert [change["path"] for change in second["changes"]] == ["/d0/f0"]
    assert [warning["code"] for warning in second["warnings"]] == ["path-traversal"]
    assert sorted((tmp_path / "cache" / "trees").iterdir()) == kept
    b.write_bytes(pack(docker_parts([make_layer(files)])))
    assert run_json("diff", a, b)["changes"] == []
    kept[0].write_bytes(b"no database")
    kept[1].chmod(0o666)
    assert run_json("diff", a, b)["changes"] == []


@pytest.mark.docker
def test_what_a_real_engine_saves(docker_host: str, tmp_path: Path) -> None:
    """A real `docker save` and `docker export` of the same container are the same file system."""
    assert docker_host
    name = f"ir-archive-{os.getpid()}"
    base = (
        subprocess.run(["docker", "import", "-", name], input=BASE, capture_output=True, check=True)
        .stdout.decode()
        .strip()
    )
    container = subprocess.run(
        ["docker", "create", base, "/bin/su"], capture_output=True, check=True, text=True
    ).stdout.strip()
    try:
        exported, saved = tmp_path / "export.tar", tmp_path / "saved.tar"
        subprocess.run(["docker", "export", container, "-o", exported], check=True)
        subprocess.run(["docker", "save", name, "-o", saved], check=True)
        found = {change["path"]: change["kind"] for change in run_json("diff", saved, exported)["changes"]}
        assert set(found.values()) <= {"added"}
        assert all(path.startswith(("/.dockerenv", "/dev", "/etc", "/proc", "/sys")) for path in found)
        [listed] = run_json("layers", saved)["images"]
        assert listed["layers"][0]["added"] >= 10
    finally:
        subprocess.run(["docker", "rm", container], check=True, capture_output=True)
        subprocess.run(["docker", "rmi", name], check=True, capture_output=True)


def test_a_layer_to_extract_needs_a_folder(image: Path) -> None:
    result = run("layers", image, "--layer", "0")
    assert result.returncode == 2
    assert result.stderr.startswith(b"ir: --layer says what to extract; give --extract DIR too")
