"""Caps are settings: in the environment, else in config.toml; what is wrong there is said."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from forensics.archive.limits import DEFAULT_LIMITS, read_limits
from forensics.cli import examine_case
from forensics.cli.settings import read_settings
from forensics.errors import StorageError, UsageError


def test_caps_stand_in_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "config.toml"
    config.write_text('operator = "me"\n[limits]\nmax_entries = "20M"\nmax_depth = 7\n')
    environment = {"IR_CONFIG": str(config), "IR_LIMIT_MAX_DEPTH": "9"}
    limits = read_limits(environment)
    assert (limits.max_entries, limits.max_depth, limits.max_layers) == (20 << 20, 9, DEFAULT_LIMITS.max_layers)
    monkeypatch.setenv("IR_CONFIG", str(config))
    assert read_settings().operator == "me"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\nmax_entrees = 5\n", "max_entrees in .limits. of config.toml names no limit"),
        ("[limits]\nmax_entries = true\n", "is no number"),
        ("limits = 5\n", "is no table"),
        ("[limits\n", "is not valid TOML"),
    ],
)
def test_a_wrong_cap_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_limits({"IR_CONFIG": str(tmp_path / "config.toml")})


def test_endless_input_stops_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examine_case, "_LEAST_FREE_BYTES", 1 << 60)
    with pytest.raises(StorageError, match="standard input fills the disk: 0 MiB came"):
        next(examine_case._read_guarded(io.BytesIO(b"x"), tmp_path))
