"""Known vulnerabilities of engine and runtime that matter to a responder, by version. A dated table; asks no network.

Distributions mend without raising the version, so a hit is a question ("has yours been mended?"), never a verdict.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from forensics.model import JsonObject

TABLE_DATE = "2026-11-21"
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?(?:[-~]?rc\.?(\d+))?")
_RELEASED = 1 << 30
Version = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Advisory:
    """One CVE. ``fixed`` holds the first mended version of each maintained branch, ascending.

    A version is mended when it is at least the fix of its own branch, or of the newest branch where its branch
    has none and is newer. ``since`` is the first version that has the fault.
    """

    cve: str
    component: str
    since: str
    fixed: tuple[str, ...]
    what: str


ADVISORIES = (
    Advisory(
        "CVE-2019-5736",
        "runc",
        "0.0.0",
        ("1.0.0-rc7",),
        "a container overwrites the host's runc and becomes root there",
    ),
    Advisory(
        "CVE-2021-30465", "runc", "0.0.0", ("1.0.0-rc95",), "mounts can be redirected to the host with a symlink race"
    ),
    Advisory(
        "CVE-2024-21626",
        "runc",
        "1.0.0-rc93",
        ("1.1.12",),
        "a leaked descriptor leads to the host's files (Leaky Vessels)",
    ),
    Advisory(
        "CVE-2025-31133",
        "runc",
        "0.0.0",
        ("1.2.8", "1.3.3"),
        "masked paths can be replaced: writes to the host's /proc",
    ),
    Advisory(
        "CVE-2025-52565",
        "runc",
        "1.0.0-rc3",
        ("1.2.8", "1.3.3"),
        "/dev/console mounted before paths are masked: escape",
    ),
    Advisory(
        "CVE-2025-52881", "runc", "0.0.0", ("1.2.8", "1.3.3"), "writes to /proc redirected: security module bypassed"
    ),
    Advisory(
        "CVE-2024-29018",
        "docker",
        "0.0.0",
        ("23.0.11", "25.0.5", "26.0.0"),
        "an internal network still resolves names outside: data leaves by DNS",
    ),
    Advisory(
        "CVE-2024-41110",
        "docker",
        "19.0.0",
        ("23.0.15", "25.0.6", "26.1.5", "27.1.1"),
        "authorization plugins can be bypassed (only where one is used)",
    ),
)
"""Sources: the projects' own GitHub advisories (GHSA of opencontainers/runc and moby/moby)."""


def find_advisories(version_document: JsonObject) -> tuple[tuple[Advisory, str], ...]:
    """Return the advisories that fit the components of the engine's version document, each with the version found."""
    found = {"docker": str(version_document.get("Version") or "")}
    is_podman = False
    for part in version_document.get("Components") or []:
        name, version = str(part.get("Name") or "").lower(), str(part.get("Version") or "")
        is_podman = is_podman or "podman" in name
        if version and _looks_like_runc(part, name):
            found["runc"] = version.removeprefix("runc version ").split()[0]
    if is_podman:
        del found["docker"]
    return tuple(
        (advisory, found[advisory.component])
        for advisory in ADVISORIES
        if advisory.component in found and is_affected(advisory, found[advisory.component])
    )


def is_affected(advisory: Advisory, version: str) -> bool:
    """Return whether *version* is one without the fix; a version that cannot be read is not."""
    parsed = parse_version(version)
    if parsed is None or parsed < _parse(advisory.since):
        return False
    fixes = [_parse(fix) for fix in advisory.fixed]
    own_branch = [fix for fix in fixes if fix[:2] == parsed[:2]]
    if own_branch:
        return parsed < own_branch[0]
    return parsed < fixes[-1]


def parse_version(text: str) -> Version | None:
    """Return (major, minor, patch, release candidate); a release sorts after its candidates."""
    found = _VERSION.match(text.removeprefix("v"))
    if not found:
        return None
    major, minor, patch, candidate = found.groups()
    return int(major), int(minor), int(patch or 0), int(candidate) if candidate else _RELEASED


def _parse(text: str) -> Version:
    parsed = parse_version(text)
    if parsed is None:
        raise ValueError(text)
    return parsed


def _looks_like_runc(part: JsonObject, name: str) -> bool:
    """Docker names the component after the configured runtime, which may have any name; runc tells its commit."""
    if name in {"runc", "oci runtime (runc)"}:
        return True
    others = {
        "engine",
        "containerd",
        "docker-init",
        "tini",
        "podman engine",
        "conmon",
        "buildkit",
        "crun",
        "youki",
        "runsc",
    }
    commit = (part.get("Details") or {}).get("GitCommit")
    return bool(commit) and not name.startswith(("oci runtime", "io.containerd")) and name not in others
