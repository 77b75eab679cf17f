"""Finds playbooks/ and templates/ in a checkout and in an installed wheel. Reads nothing."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def find_resource_dir(name: str) -> Path:
    """Return the folder *name* (``playbooks``, ``templates``) of the checkout or of the installed wheel.

    Raises:
        FileNotFoundError: the installation is damaged.
    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name!r} is missing from this installation; reinstall the package")


def find_rules_dir() -> Path:
    """Return the folder of the YARA rules that ship with the toolkit."""
    return _PACKAGE / "rules"
