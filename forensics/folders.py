"""Where this user's things are kept: home, cache, state. Makes nothing; standard library only, for `ir isolate`."""

from __future__ import annotations

import os
from pathlib import Path


def find_home() -> Path:
    """Return the home folder, ``/`` for a user who has none (no HOME and no entry in passwd(5))."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")


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
