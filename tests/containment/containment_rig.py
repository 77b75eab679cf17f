"""What the containment tests work with: containers, networks and packets on a real engine."""

from __future__ import annotations

import itertools
import json
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from forensics.containment.actions import IsolationOptions
from forensics.containment.isolate import ContainmentResult, isolate
from forensics.containment.probe import find_unsettled
from forensics.containment.release import ReleaseResult, release
from forensics.containment.scene import find_engine_namespace, read_scene
from forensics.engine.base import Container
from forensics.engine.netlink import entered
from forensics.engine.wire import WireEngine
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import JsonObject, Subject

ETH_P_ALL = 3


class Box:
    """Makes containers and networks with names of its own."""

    def __init__(self, image: str, engine: WireEngine) -> None:
        self.engine = engine
        self._image = image
        self._prefix = f"ir-ct-{uuid.uuid4().hex[:8]}"
        runtimes = self.docker("info", "--format", "{{json .Runtimes}}")
        self._plain = ["--runtime", "runc"] if '"runc"' in runtimes else []
        self._networks: list[str] = []
        self._containers: list[str] = []

    def name(self, label: str) -> str:
        return f"{self._prefix}-{label}"

    def docker(self, *arguments: str) -> str:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
        return done.stdout.strip()

    def network(self, label: str, *options: str) -> str:
        self.docker("network", "create", *options, self.name(label))
        self._networks.append(self.name(label))
        return self.name(label)

    def shared_network(self) -> str:
        """One network for all of this test: on the default bridge others may take over an address, and be counted."""
        return self.name("n") if self.name("n") in self._networks else self.network("n")

    def run(self, label: str, *options: str, command: str = "sleep 1000") -> str:
        """Start a container, on plain runc where possible: the lab's runtime wrapper is slow."""
        self._containers.append(self.name(label))
        plain = [] if "--cap-add" in options or "--privileged" in options else self._plain
        self.docker("run", "-d", "--name", self.name(label), *plain, *options, self._image, "sh", "-c", command)
        return self.name(label)

    def run_with_mac(self, label: str, network: str, mac: str) -> str:
        """Docker's own command refuses a hardware address for engines before API 1.44; the engine does not."""
        self._containers.append(self.name(label))
        document = {
            "Image": self._image,
            "Cmd": ["sleep", "1000"],
            "MacAddress": mac,
            "HostConfig": {"NetworkMode": network},
        }
        self.engine._call("POST", f"/containers/create?name={self.name(label)}", document)
        self.docker("start", self.name(label))
        return self.name(label)

    def find(self, name: str) -> Container:
        return self.engine.find_container(name)

    def inspect(self, name: str) -> JsonObject:
        document: JsonObject = json.loads(self.docker("inspect", name))[0]
        return document

    def sh(self, name: str, script: str) -> str:
        return self.docker("exec", name, "sh", "-c", script)

    def enter(self, name: str, *command: str) -> str:
        pid = str(self.find(name).pid)
        done = subprocess.run(["nsenter", "-t", pid, "-n", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def settle(self, name: str) -> None:
        """Wait until its IPv6 addresses answer: the kernel asks for a second whether an address is taken."""
        addresses = tuple(item.ipv6 for item in self.find(name).networks if item.ipv6)
        sides = (find_engine_namespace(self.engine.url), f"/proc/{self.find(name).pid}/ns/net")
        wait_until(lambda: not find_unsettled(sides, addresses))

    def clean(self) -> None:
        if self._containers:
            subprocess.run(["docker", "rm", "-f", *self._containers], capture_output=True, check=False)
        for name in self._networks:
            subprocess.run(["docker", "network", "rm", name], capture_output=True, check=False)


class Sniffer:
    """Counts the frames with a hardware address, on every interface of the engine's namespace."""

    def __init__(self, engine: WireEngine, mac: str) -> None:
        self.kinds: set[bytes] = set()
        self._mac = bytes.fromhex(mac.replace(":", ""))
        with Path(find_engine_namespace(engine.url)).open("rb") as namespace, entered(namespace.fileno()):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)

    def count(self, seconds: float) -> int:
        """Forget what came before, then count for some time."""
        self._drain(0.0)
        return self._drain(seconds)

    def escaped(self, seconds: float) -> int:
        """Count what it sent since the last look and for some time more; the host may still ask for its address."""
        return self._drain(seconds, only_sent=True)

    def _drain(self, seconds: float, *, only_sent: bool = False) -> int:
        seen, end = 0, time.monotonic() + seconds
        self._socket.setblocking(False)
        while True:
            try:
                frame = self._socket.recv(65536)
            except BlockingIOError:
                if time.monotonic() >= end:
                    return seen
                time.sleep(0.005)
                continue
            if self._mac == frame[6:12]:
                self.kinds.add(frame[12:14])
            seen += self._mac in ({frame[6:12]} if only_sent else {frame[0:6], frame[6:12]})

    def close(self) -> None:
        self._socket.close()


class Lab:
    """Isolates and releases, each in a case below the test's folder."""

    def __init__(self, engine: WireEngine, folder: Path) -> None:
        self.engine = engine
        self._folder = folder
        self._counter = itertools.count(1)

    def open_case(self, container: Container, root: Path | None = None) -> Case:
        actor = Actor(name="tester")
        if root and root.exists():
            return Case.open(root, actor=actor)
        subject = Subject("container", container.name, container.id)
        return Case.create(self._folder / f"case-{next(self._counter)}", subject=subject, actor=actor)

    def isolate(
        self, name: str, *, freeze: bool = True, root: Path | None = None, cut_sharing: bool = False
    ) -> ContainmentResult:
        scene = read_scene(self.engine, name)
        with self.open_case(scene.container, root) as case:
            options = IsolationOptions(freeze=freeze, reason="test", cut_sharing=cut_sharing)
            return isolate(self.engine, scene, case, options)

    def release(self, result: ContainmentResult) -> ReleaseResult:
        with Case.open(result.case, actor=Actor(name="tester")) as case:
            return release(self.engine, result.container_id, case)


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something that must happen."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def read_document(case: Case, schema: str) -> JsonObject:
    """Return the last containment document of a schema."""
    found = [case.read_json(item) for item in (*case.find("containment"), *case.find("containment-capture"))]
    return [document for document in found if document["schema"] == schema][-1]
