"""Fixtures of the collection tests: a known-truth program in a container full of booby traps, on a real engine."""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from forensics.collect import collect, make_options, open_case_for
from forensics.engine.base import Container, ContainerSpec, Mount
from forensics.engine.docker import DockerEngine, connect
from forensics.errors import EngineError
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import JsonObject, LedgerLine, Outcome

HERE = Path(__file__).parent
TRUTH_IMAGE = "collect-truth:1"
TRAPS = ("sh", "ps", "ls", "lsof", "cat", "tar", "bash", "ip", "ss", "netstat", "sha256sum", "ldconfig")
TRAP_MARK = "/tmp/booby-trap-ran"


@dataclass(frozen=True)
class Collected:
    """A case after a collection, with what tests ask of it."""

    case: Case
    lines: tuple[LedgerLine, ...]

    def line(self, start: str) -> LedgerLine:
        return next(line for line in self.lines if line.artefact.startswith(start))

    def outcomes(self) -> dict[str, Outcome]:
        return {line.artefact: line.outcome for line in self.lines}

    def document(self, kind: str) -> JsonObject:
        return self.case.read_json(self.case.find(kind)[0])

    def contents(self, kind: str) -> list[bytes]:
        return [self.case.read(item) for item in self.case.find(kind)]

    def tar(self, kind: str, mount: str) -> dict[str, tarfile.TarInfo]:
        item = next(i for i in self.case.find(kind) if mount in (i.attributes["mount"], _destination(i.attributes)))
        with tarfile.open(self.case.path_of(item), errors="surrogateescape") as archive:
            return {member.name: member for member in archive}


def _destination(attributes: JsonObject) -> str:
    mount = attributes["mount"]
    return str(mount.get("destination")) if isinstance(mount, dict) else ""


def compile_static(source: Path, target: Path, *flags: str) -> Path:
    subprocess.run(["gcc", "-O1", "-static", "-pthread", "-o", target, source, *flags], check=True)
    return target


@pytest.fixture(scope="session")
def engine(docker_host: str) -> Iterator[DockerEngine]:
    with connect(docker_host) as connected:
        yield connected


@pytest.fixture(scope="session")
def truth_binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_static(HERE / "truth.c", tmp_path_factory.mktemp("truth") / "truth")


@pytest.fixture(scope="session")
def collect_case() -> Callable[..., Collected]:
    return collect_into


@pytest.fixture(scope="session")
def truth_image(engine: DockerEngine, truth_binary: Path) -> Iterator[str]:
    folder = truth_binary.parent
    trap = folder / "trap.c"
    trap.write_text(
        '#include <fcntl.h>\nint main(void) { return open("%s", O_CREAT | O_WRONLY, 0600) < 0; }\n' % TRAP_MARK  # noqa: UP031 - braces of C
    )
    compile_static(trap, folder / "trap")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "data", "lib"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(member)
        tar.add(truth_binary, "bin/truth")
        for name in TRAPS:
            tar.add(folder / "trap", f"bin/{name}")
        tar.add(folder / "trap", "lib/trap.so")
        preload = tarfile.TarInfo("etc/ld.so.preload")
        preload.size = 13
        tar.addfile(preload, io.BytesIO(b"/lib/trap.so\n"))
    engine.import_image([buffer.getvalue()], TRUTH_IMAGE)
    yield TRUTH_IMAGE
    engine.remove_image(TRUTH_IMAGE)


@pytest.fixture(scope="module")
def truth(engine: DockerEngine, truth_image: str) -> Iterator[Container]:
    engine.create_volume("collect-truth-volume")
    spec = ContainerSpec(
        image=truth_image,
        name=f"collect-truth-{time.monotonic_ns()}",
        command=("/bin/truth",),
        mounts=(Mount("volume", "collect-truth-volume", "/data", name="collect-truth-volume"),),
        tmpfs=(("/scratch", "size=1m"),),
        cap_add=("SYS_ADMIN", "NET_RAW"),
        environment=(("PASSWORD", "correct-horse"),),
    )
    container = engine.run(spec)
    wait_for_log(engine, container, b"READY")
    yield container
    engine.remove_container(container, force=True)
    engine.remove_volume("collect-truth-volume")


def wait_for_log(engine: DockerEngine, container: Container, text: bytes) -> None:
    for _ in range(100):
        if text in (log := b"".join(engine.logs(container))):
            return
        time.sleep(0.05)
    pytest.fail(f"the container never said {text!r}; it said {log!r}")


def collect_into(engine: DockerEngine, container: Container, root: Path, **options: Any) -> Collected:
    """Collect once; the case is open for reading afterwards."""
    container = engine.find_container(container.id)
    progress = options.pop("progress", None)
    with open_case_for(container, root, engine.info(container), engine.url, Actor("tester")) as case:
        lines = collect(case, engine, container, make_options(**options), progress)
    return Collected(Case.open(root, read_only=True), lines)


Collecting = Callable[..., Collected]


@pytest.fixture
def run_collection(engine: DockerEngine, tmp_path: Path) -> Collecting:
    def run(container: Container, **options: Any) -> Collected:
        return collect_into(engine, container, options.pop("root", tmp_path / "case"), **options)

    return run


@pytest.fixture
def make_container(engine: DockerEngine, base_image: str) -> Iterator[Callable[..., Container]]:
    made: list[Container] = []

    def make(*command: str, **fields: Any) -> Container:
        name = f"collect-{time.monotonic_ns()}"
        spec = ContainerSpec(**{"image": base_image, "name": name, "command": command, **fields})
        made.append(engine.run(spec))
        return made[-1]

    yield make
    for container in made:
        with contextlib.suppress(EngineError):
            engine.remove_container(container, force=True, volumes=True)
