"""The installed packages as nouns of the report, each with its package URL. Pure.

Source: the package-url specification, purl-spec; its types deb, apk, rpm, pypi, npm.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import quote

from forensics.analyze.files import FileView
from forensics.analyze.package import Installed
from forensics.model import Package
from forensics.text import from_bytes

_RELEASES = (b"etc/os-release", b"usr/lib/os-release")
_MOST = 50_000
_LINE = re.compile(r"^([A-Z_]+)=[\"']?([^\"'\n]*)[\"']?$", re.MULTILINE)
_SAFE = ".-_~:"


def list_packages(files: FileView) -> tuple[Package, ...]:
    """Return the installed packages, by type and name; a limit of 50,000 holds."""
    release = read_release(files)
    found = (_describe(package, release, files) for package in files.packages.installed[:_MOST])
    return tuple(sorted(found, key=lambda package: (package.type, package.name, package.version, package.path)))


def read_release(files: FileView) -> Mapping[str, str]:
    """Return what os-release(5) says of the distribution; nothing where there is none."""
    for path in _RELEASES:
        text = files.text(files.resolve(path) or path)
        if text:
            return dict(_LINE.findall(from_bytes(text)))
    return {}


def _describe(package: Installed, release: Mapping[str, str], files: FileView) -> Package:
    return Package(
        type=package.type,
        name=from_bytes(package.name),
        version=package.version,
        purl=make_purl(package, release),
        path=package.database,
        layer=files.packages.origins.get(package.key) or None,
        licence=package.licence,
    )


def make_purl(package: Installed, release: Mapping[str, str]) -> str:
    """Return the package URL; packages of a distribution carry its name and release."""
    name, version = from_bytes(package.name), package.version
    space, qualifiers = "", dict[str, str]()
    if package.type in {"deb", "apk", "rpm"}:
        space = release.get("ID", "") or {"apk": "alpine"}.get(package.type, "")
        qualifiers = dict(_qualify(package, release))
        if package.type == "rpm" and ":" in version:
            qualifiers["epoch"], _, version = version.partition(":")
    elif package.type == "pypi":
        name = name.lower().replace("_", "-")
    elif name.startswith("@") and "/" in name:
        space, _, name = name.partition("/")
    path = "/".join(_quote(part) for part in (package.type, space, name) if part)
    asked = "&".join(f"{key}={_quote(value)}" for key, value in sorted(qualifiers.items()))
    return f"pkg:{path}@{_quote(version)}" + (f"?{asked}" if asked else "")


def _qualify(package: Installed, release: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if package.architecture:
        yield "arch", package.architecture
    if release.get("ID"):
        yield "distro", "-".join(filter(None, (release["ID"], release.get("VERSION_ID", ""))))


def _quote(text: str) -> str:
    return quote(text.encode("utf-8", "surrogateescape"), safe=_SAFE)
