"""Benign containers that really run, with traffic and logs, collected and analysed whole: nothing high, little medium.

The images are made of this machine's own Debian packages, on the engine of the tests; `benchmarks/benign.py` does the
same with images that `apt-get install` makes, for which a network is needed.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from assets.debian_root import make_root

MOST_MEDIUM = 3
SERVER = b"""import socket, time
server = socket.create_server(("", 8000))
while True:
    connection, peer = server.accept()
    asked = connection.recv(4096).split(b"\\r\\n")[0].decode()
    with open("/var/log/app.log", "a") as log:
        print(time.ctime(), peer[0], asked, file=log)
    connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello")
    connection.close()
"""
CRONTAB = b"*/5 * * * * find /tmp -name '*.old' -mtime +7 -delete\n"


@dataclass(frozen=True)
class Benign:
    """One container: its packages (none: a static busybox), files, command, and what is said to it where."""

    packages: tuple[str, ...]
    command: tuple[str, ...]
    port: int
    request: bytes
    files: dict[str, bytes] = field(default_factory=dict)


GET = b"GET / HTTP/1.0\r\nHost: app\r\nUser-Agent: curl/8\r\n\r\n"
BENIGN = {
    "busybox": Benign(
        (),
        ("/bin/sh", "-c", "crond -L /var/log/cron.log; exec httpd -f -p 8000 -h /srv"),
        8000,
        GET,
        {"srv/index.html": b"<h1>hello</h1>", "var/spool/cron/crontabs/root": CRONTAB},
    ),
    "python": Benign(("python3-minimal",), ("/usr/bin/python3", "/srv/app.py"), 8000, GET, {"srv/app.py": SERVER}),
    "redis": Benign(
        ("redis-server",),
        ("/usr/bin/redis-server", "--bind", "*", "--protected-mode", "no", "--save", "1 1", "--dir", "/srv"),
        6379,
        b"SET key value\r\nGET key\r\n",
    ),
}


def make_busybox_root(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for applet in ("sh", "httpd", "crond", "find", "ls", "cat", "sleep"):
            member = tarfile.TarInfo(f"bin/{applet}")
            member.type, member.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(member)
        tar.add("/bin/busybox", arcname="bin/busybox")
        passwd = b"root:x:0:0:root:/root:/bin/sh\n"
        for name, content in {"etc/passwd": passwd, "var/log/keep": b"", "tmp/keep": b"", **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()


@contextlib.contextmanager
def running(name: str) -> Iterator[tuple[Any, str]]:
    """Yield the engine's client and the id of the container that runs; both image and container go away after."""
    import docker

    benign = BENIGN[name]
    client = docker.APIClient(base_url=os.environ["DOCKER_HOST"], version="auto")
    root = make_root(benign.packages, benign.files) if benign.packages else make_busybox_root(benign.files)
    image = f"ir-benign-{name}"
    client.import_image_from_data(root, repository=image, tag="1")
    created = client.create_container(f"{image}:1", list(benign.command), host_config=client.create_host_config())
    try:
        client.start(created)
        yield client, created["Id"]
    finally:
        client.remove_container(created, force=True, v=True)
        client.remove_image(f"{image}:1", force=True)
        client.close()


def talk(client: Any, container: str, benign: Benign) -> int:
    """Send real requests from within the container's own network; return how many were answered."""
    pid = client.inspect_container(container)["State"]["Pid"]
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    other = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    libc = __import__("ctypes").CDLL(None, use_errno=True)
    answered = 0
    try:
        assert libc.setns(other, 0) == 0
        deadline = time.monotonic() + 20
        while answered < 5 and time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", benign.port), 2) as connection:
                    connection.sendall(benign.request)
                    answered += bool(connection.recv(4096))
            except OSError:
                time.sleep(0.1)
    finally:
        assert libc.setns(own, 0) == 0
        os.close(own)
        os.close(other)
    return answered


def ir(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "forensics", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.docker
@pytest.mark.parametrize("name", BENIGN)
def test_a_benign_container_raises_no_alarm(docker_host: str, own_folders: Path, name: str) -> None:
    assert docker_host
    case = own_folders / "case"
    with running(name) as (client, container):
        assert talk(client, container, BENIGN[name]) == 5
        collected = ir("collect", container, "--case", str(case))
    assert "snapshot" in collected.stdout + collected.stderr, collected.stderr
    analysed = ir("analyze", str(case), "--json")
    findings = [json.loads(line) for line in (case / "analysis" / "findings.jsonl").read_text().splitlines()]
    told = [f"{part['severity']} {part['rule']}: {part['matched']}" for part in findings]
    assert json.loads(analysed.stdout)["verdict"] == "no-evidence", told
    assert not [line for line in told if line.startswith(("critical", "high"))]
    assert len([line for line in told if line.startswith("medium")]) <= MOST_MEDIUM, told
    packages = (case / "analysis" / "packages.jsonl").read_text().splitlines()
    assert bool(packages) == bool(BENIGN[name].packages)
