"""Which files hold code that is worth reading, and what that code does. Bounded; runs nothing.

Scripts by their first line or mode are read whole; files of a language are read only where a word says that they reach
for the network or the engine, because applications have tens of thousands of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from forensics.analyze.behaviour import MOST_TEXT, find_behaviours
from forensics.analyze.configuration import is_kept
from forensics.analyze.content import Kind
from forensics.analyze.indicators import find_in_text
from forensics.analyze.inline_code import judge_code
from forensics.analyze.runtime import INTERPRETERS, SHELLS
from forensics.model import FileEntry
from forensics.text import from_bytes

MOST_CODE = 32 * 1024
"""Larger files of a language are applications, not tools of an intruder; their names would cost more than they tell."""

_SCRIPT_NAMES = (b".sh", b".bash", b".command", b".cgi", b".run")
_CODE_NAMES = (
    b".py",
    b".pl",
    b".rb",
    b".js",
    b".mjs",
    b".cjs",
    b".lua",
    b".php",
    b".tcl",
    b".awk",
    b".ps1",
    b".groovy",
)
_INSTALLERS = frozenset({b"setup.py", b"package.json", b"composer.json", b"extconf.rb", b"Rakefile", b"build.gradle"})
_WORDS = (
    b"socket", b"Socket", b"child_process", b"/dev/tcp", b"169.254.", b"metadata.google", b"serviceaccount", b".sock",
    b"stratum+", b"/inet/", b"TCPS", b"fsockopen", b"authorized_keys", b"/etc/shadow", b"b64decode", b"os.system(",
    b"release_agent", b"/proc/1/", b"core_pattern", b"crontab", b"ld.so.preload",
)  # fmt: skip
_HOOKS = re.compile(
    r"\"(?:(?:pre|post)?(?:install|update|prepare|pack|publish|build)|prepare|post-[\w-]+-cmd|pre-[\w-]+-cmd)\"\s*:\s*"
    r"(\"(?:\\.|[^\"\\\n]){1,4000}\"|\[[^\]]{1,4000}\])"
)


def read_code(
    entry: FileEntry, kind: Kind, interpreter: str, read: Callable[[int], bytes], size: int
) -> dict[str, tuple[object, ...]]:
    """Return behaviours (``hits``), addresses (``indicators``), the deed of a file's code; nothing of other files."""
    name = entry.path.rpartition(b"/")[2]
    if is_script(entry, kind, interpreter):
        text = from_bytes(read(MOST_TEXT))
    elif kind in {Kind.TEXT, Kind.PHP, Kind.SCRIPT} and _is_code(name, size) and _tells(name, read):
        text = from_bytes(read(MOST_CODE))
    else:
        return {}
    if name.endswith(b".json"):
        text = "\n".join(match[1].replace('\\"', '"') for match in _HOOKS.finditer(text))
    extra: dict[str, tuple[object, ...]] = {"hits": find_behaviours(text), "indicators": find_in_text(text)}
    if size <= MOST_CODE and (deed := judge_code(text)):
        extra["deed"] = (deed,)
    return extra


def is_script(entry: FileEntry, kind: Kind, interpreter: str) -> bool:
    """Whether it is a script that a shell or a script language would run as it stands."""
    if kind is Kind.SCRIPT:
        stem = interpreter.rstrip("0123456789.-") or interpreter
        return stem in SHELLS | INTERPRETERS | {"busybox"}
    return kind is Kind.TEXT and (
        entry.path.lower().endswith(_SCRIPT_NAMES) or bool(entry.mode & 0o111) or is_kept(entry.path)
    )


def _is_code(name: bytes, size: int) -> bool:
    return size <= MOST_CODE and (name.lower().endswith(_CODE_NAMES) or name in _INSTALLERS or b"." not in name)


def _tells(name: bytes, read: Callable[[int], bytes]) -> bool:
    """Whether a word in it says that reading the code is worth its while."""
    content = read(MOST_CODE)
    if name in {b"package.json", b"composer.json"}:
        return b"install" in content or b"-cmd" in content
    return name in _INSTALLERS or any(word in content for word in _WORDS)
