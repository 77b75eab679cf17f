"""Engines of the tests' own, for what no shared one can go through; and containers of a bare image there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from containment_rig import Box, wait_until

from forensics.engine.wire import WireEngine

CHECKOUT = Path(__file__).resolve().parent.parent.parent


class OwnEngine:
    """A private engine whose daemon can be restarted while its containers go on."""

    def __init__(self, folder: Path, *prefix: str, live_restore: bool = True) -> None:
        shutil.copytree(CHECKOUT / "lab", folder / "lab")
        self._script = folder / "lab" / "engine.py"
        self.lab = load(self._script)
        plain = self.lab.daemon_command()
        self._command = [*plain[:2], *prefix, *plain[2:], *(["--live-restore"] if live_restore else [])]
        self.lab.daemon_command = lambda: self._command
        self.wire = WireEngine(str(self.lab.SOCKET))

    def start(self) -> None:
        self.lab.sweep()
        self.lab.launch()

    def restart(self) -> None:
        daemon = int(self.lab.PID_FILE.read_text())
        os.kill(daemon, signal.SIGTERM)
        wait_until(lambda: daemon not in self.lab.pids_by_command_line(), 30)
        with self.lab.LOG.open("ab") as log:
            subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        wait_until(lambda: self.lab.answers(self.lab.URL), 30)

    def stop(self) -> None:
        subprocess.run([sys.executable, str(self._script), "stop"], check=False)


def load(script: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"own_engine_{abs(hash(script))}", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *prefix: str, live_restore: bool = True) -> OwnEngine:
    if os.geteuid():
        pytest.skip("a private engine needs root")
    engine = OwnEngine(tmp_path / "own", *prefix, live_restore=live_restore)
    engine.start()
    monkeypatch.setenv("DOCKER_HOST", engine.lab.URL)
    packed = subprocess.run(["tar", "-C", "/", "-c", "bin/busybox"], capture_output=True, check=True)
    change = "ENV PATH=/bin"
    subprocess.run(
        ["docker", "import", "-c", change, "-", "own:1"], input=packed.stdout, capture_output=True, check=True
    )
    return engine


class OwnBox(Box):
    """Starts containers of the bare image, which has busybox and nothing else."""

    def run(self, label: str, *options: str, command: str = "sleep 1000") -> str:
        self._containers.append(self.name(label))
        self.docker(
            "run", "-d", "--runtime", "runc", "--name", self.name(label), *options, self._image, "/bin/busybox",
            "sh", "-c", f"/bin/busybox {command}",
        )  # fmt: skip
        return self.name(label)
