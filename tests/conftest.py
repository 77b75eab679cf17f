"""Fixtures that every room's tests share: a real container engine, and a small base image made without any registry."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from case_tools import cases_of_modules_pass_standard_tools, cases_pass_standard_tools, finishing_key

__all__ = ["cases_of_modules_pass_standard_tools", "cases_pass_standard_tools", "finishing_key"]
CHECKOUT = Path(__file__).resolve().parent.parent
BASE_IMAGE = "ir-test-busybox:1"
APPLETS = (
    "sh",
    "ls",
    "sleep",
    "ps",
    "cat",
    "nc",
    "wget",
    "httpd",
    "tar",
    "id",
    "touch",
    "rm",
    "mv",
    "cp",
    "mkdir",
    "ip",
)


@pytest.fixture(scope="session")
def docker_host() -> str:
    """Return the address of an engine that answers; in CI a missing one is a failure, elsewhere a skip."""
    started = subprocess.run(
        [sys.executable, str(CHECKOUT / "lab" / "engine.py"), "ensure"], capture_output=True, text=True, check=False
    )
    if started.returncode:
        reason = f"no container engine: {started.stderr.strip()}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    url = started.stdout.strip()
    os.environ["DOCKER_HOST"] = url
    return url


@pytest.fixture(scope="session")
def base_image(docker_host: str) -> str:
    """Return the name of a small image with a static busybox (imported, so no registry is needed)."""
    import docker

    client = docker.APIClient(base_url=docker_host, version="auto")
    if not client.images(name=BASE_IMAGE):
        repository, tag = BASE_IMAGE.split(":")
        client.import_image_from_data(_build_busybox_root(), repository=repository, tag=tag)
    client.close()
    return BASE_IMAGE


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep a test's cases, state, cache and configuration below its own folder."""
    for variable in ("IR_CASES", "IR_STATE_DIR", "IR_CACHE_DIR", "IR_CONFIG"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    return tmp_path


def _build_busybox_root() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in ("bin", "etc", "tmp", "var", "var/log", "root"):
            _add(tar, folder, tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755)
        _add(tar, "bin/busybox", tarfile.REGTYPE, 0o755, Path("/bin/busybox").read_bytes())
        _add(tar, "etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/root:/bin/sh\n")
        for applet in APPLETS:
            _add(tar, f"bin/{applet}", tarfile.SYMTYPE, 0o777, target="busybox")
    return buffer.getvalue()


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, content: bytes = b"", target: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.size, member.linkname, member.mtime = (
        kind,
        mode,
        len(content),
        target,
        1_700_000_000,
    )
    tar.addfile(member, io.BytesIO(content))
