"""Operator, organisation, keys and defaults: `~/.config/ir/config.toml`, overridden by `IR_*` variables."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from forensics.errors import UsageError
from forensics.folders import config_path
from forensics.frozen import dataclass, replace

_TABLES = frozenset({"limits"})
"""Tables of the file that others read: the caps of the archive readers."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Who works here, and where things go. An empty string means: not configured."""

    operator: str = ""
    title: str = ""
    organization: str = ""
    contact: str = ""
    cases: str = "cases"
    engine: str = ""
    signing_key: str = ""
    tsa: str = ""
    approvers: str = ""

    @property
    def cases_dir(self) -> Path:
        """The folder that new cases go to.

        Raises:
            UsageError: it begins with the home of somebody who has none.
        """
        try:
            return Path(self.cases or "cases").expanduser()
        except RuntimeError as error:
            raise UsageError(f"the cases folder {self.cases!r} has no home", hint="name it in full") from error


def read_settings() -> Settings:
    """Return the settings of this user.

    Raises:
        UsageError: the file is no TOML, or holds an unknown key.
    """
    settings = _read_file(config_path())
    known = set(Settings.__match_args__)
    from_environment = {name: os.environ[f"IR_{name.upper()}"] for name in known if f"IR_{name.upper()}" in os.environ}
    settings = replace(settings, **from_environment)
    return settings if settings.operator else replace(settings, operator=_login_name())


def _read_file(path: Path) -> Settings:
    if path.is_dir():
        raise UsageError(f"{path} is a folder, not a configuration file", hint="name the file in IR_CONFIG")
    if not path.is_file():
        return Settings()
    import tomllib  # noqa: PLC0415 - only where a configuration exists

    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", hint="correct the file or move it away") from error
    known = set(Settings.__match_args__)
    unknown = sorted(set(values) - known - _TABLES)
    if unknown:
        raise UsageError(f"{path} has an unknown key {unknown[0]!r}", hint=f"known keys: {', '.join(sorted(known))}")
    return Settings(**{name: str(value) for name, value in values.items() if name not in _TABLES})


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"
