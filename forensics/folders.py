"""Where this user's things are kept: home, cache, state. Makes nothing; standard library only, for `ir isolate`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


def find_home() -> Path:
    """Return the home folder, ``/`` for a user who has none (no HOME and no entry in passwd(5))."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """Return IR_CONFIG, else config.toml in the XDG configuration folder."""
    named = environment.get("IR_CONFIG")
    return Path(named or Path(environment.get("XDG_CONFIG_HOME") or find_home() / ".config") / "ir" / "config.toml")


def read_config_table(environment: Mapping[str, str], name: str) -> dict[str, object]:
    """Return one table of the user's config.toml, empty where there is none.

    Raises:
        UsageError: the file is no TOML, or the name is not a table's.
    """
    path = config_path(environment)
    if not path.is_file():
        return {}
    import tomllib  # noqa: PLC0415 - only where a configuration exists

    try:
        table = tomllib.loads(path.read_text("utf-8")).get(name, {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint="correct the file or move it away") from error
    if not isinstance(table, dict):
        raise UsageError(f"{name} in {path} is no table", hint=f"write [{name}] and its settings below")
    return table


def cache_dir() -> Path:
    """Return IR_CACHE_DIR, else the XDG cache folder. What is in it can be made again; it may be unwritable."""
    configured = os.environ.get("IR_CACHE_DIR")
    return Path(configured) if configured else Path(os.environ.get("XDG_CACHE_HOME") or find_home() / ".cache") / "ir"


def state_dir() -> Path:
    """Return IR_STATE_DIR, else /var/lib/ir for root, else the XDG state folder below the home."""
    configured = os.environ.get("IR_STATE_DIR")
    if configured:
        return Path(configured)
    if os.geteuid() == 0:
        return Path("/var/lib/ir")
    return Path(os.environ.get("XDG_STATE_HOME") or find_home() / ".local/state") / "ir"
