"""Runs the coverage-guided fuzz target for a while; in CI for most of a minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from assets.hostile import ARCHIVES, LAYERS, STREAMS
from assets.images import OciLayout, docker_parts, pack

IN_CI = bool(os.environ.get("CI"))
SECONDS = int(os.environ.get("IR_FUZZ_SECONDS", "50" if IN_CI else "8"))
NO_ATHERIS_FROM = (3, 13)
"""The first Python for which the development dependencies do not ask for atheris."""
MAX_BYTES = 1 << 16
TESTS = Path(__file__).resolve().parent.parent


def write_corpus(folder: Path) -> None:
    folder.mkdir()
    seeds = {f"layer-{name}": build() for name, (build, _) in LAYERS.items()}
    seeds |= {f"image-{name}": pack(docker_parts([build()])) for name, (build, _) in LAYERS.items()}
    seeds |= {f"archive-{name}": pack(build()) for name, (build, _) in ARCHIVES.items()}
    for name, (build, _) in STREAMS.items():
        layout = OciLayout()
        layout.add_image([b""], [build()])
        seeds[f"stream-{name}"] = pack(layout.finish())
    for name, raw in seeds.items():
        if len(raw) <= MAX_BYTES:
            (folder / name).write_bytes(raw)


def test_no_input_crashes_or_hangs_the_readers(tmp_path: Path) -> None:
    if not IN_CI or sys.version_info >= NO_ATHERIS_FROM:
        pytest.importorskip("atheris")
    write_corpus(tmp_path / "corpus")
    command = [
        sys.executable,
        TESTS / "fuzz" / "fuzz_archive.py",
        tmp_path / "corpus",
        f"-max_total_time={SECONDS}",
        f"-max_len={MAX_BYTES}",
        "-timeout=10",
        "-rss_limit_mb=1024",
        f"-artifact_prefix={tmp_path}/",
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS + 120)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "DONE" in result.stderr
