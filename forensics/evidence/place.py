"""Where we are and what we are: host, boot, tool. Asks the kernel and the standard library, never a subject."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from forensics import __version__
from forensics.frozen import dataclass
from forensics.model import JsonObject

_SECRET_OPTION = re.compile(r"^(--?[\w-]*(?:pass|secret|token|credential)[\w-]*)(=.*)?$", re.IGNORECASE)
_URL_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class Location:
    """Where an act took place. ``boot_id`` says which monotonic clock is meant."""

    host: str
    host_id: str | None
    boot_id: str | None
    path: str
    engine_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """What did it."""

    name: str
    version: str
    python: str
    os: str
    engine_version: str | None
    argv_redacted: tuple[str, ...]


def read_location(root: Path, engine_id: str | None = None) -> Location:
    """Return this host and the case's folder."""
    return Location(
        host=os.uname().nodename,
        host_id=_read_line("/etc/machine-id") or _read_line("/var/lib/dbus/machine-id"),
        boot_id=_read_line("/proc/sys/kernel/random/boot_id"),
        path=_ascii(str(root)),
        engine_id=engine_id,
    )


def read_tool(engine_version: str | None = None) -> Tool:
    """Return this program, its version and its command line without secrets."""
    system = os.uname()
    return Tool(
        name="ir",
        version=__version__,
        python=".".join(map(str, sys.version_info[:3])),
        os=f"{system.sysname} {system.release} {system.machine}",
        engine_version=engine_version,
        argv_redacted=tuple(redact(sys.argv)),
    )


def read_host() -> JsonObject:
    """Return the facts of this host that case.json keeps."""
    system = os.uname()
    return {
        "name": system.nodename,
        "machine_id": _read_line("/etc/machine-id"),
        "boot_id": _read_line("/proc/sys/kernel/random/boot_id"),
        "kernel": system.release,
        "architecture": system.machine,
        "os": system.sysname,
    }


def redact(arguments: list[str]) -> list[str]:
    """Return a command line without passwords, tokens and the credentials of URLs."""
    kept: list[str] = []
    hide_next = False
    for argument in arguments:
        match = _SECRET_OPTION.match(argument)
        if hide_next:
            kept.append(_REDACTED)
        elif match and match[2]:
            kept.append(f"{match[1]}={_REDACTED}")
        else:
            kept.append(_URL_SECRET.sub(_REDACTED, _ascii(argument)))
        hide_next = bool(match and not match[2])
    return kept


def _ascii(text: str) -> str:
    return os.fsencode(text).decode("utf-8", "surrogateescape")


def _read_line(path: str) -> str | None:
    try:
        return Path(path).read_text("ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
