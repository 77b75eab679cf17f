"""Where this installation keeps its state (keys, pointers to cases). Makes nothing; small, for `ir isolate`."""

from __future__ import annotations

import os
from pathlib import Path


def state_dir() -> Path:
    """Return IR_STATE_DIR, else /var/lib/ir for root, else the XDG state folder below the home."""
    configured = os.environ.get("IR_STATE_DIR")
    if configured:
        return Path(configured)
    if os.geteuid() == 0:
        return Path("/var/lib/ir")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "ir"
