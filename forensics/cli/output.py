"""What a command writes to its standard streams. Without click, because `ir isolate` does not wait for it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def emit_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document to stdout; ASCII, so that no hostile name reaches the terminal raw."""
    say(json.dumps(document, ensure_ascii=True, indent=2))


def say(message: str, *, err: bool = False) -> None:
    """Write one line for a person, without colours; hostile parts went through :func:`forensics.text.show` before."""
    stream = sys.stderr if err else sys.stdout
    stream.write(f"{message}\n")
    stream.flush()
