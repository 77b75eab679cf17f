r"""What a start-up configuration starts: the commands in it, by the syntax of its kind. Pure text work, bounded."""

# ruff: noqa: E501 - a pattern stands on one line
from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from forensics.analyze.configuration import Area

_MOST = 40
_COMMENT = re.compile(r"^\s*(?:#|;|\"|//)")
_BACKGROUND = re.compile(r"\b(?:nohup|setsid|disown)\b|(?<![&|>])&\s*\)?\s*(?:2?>\S+\s*)?$|^\s*exec\s+/")
_PROGRAM = re.compile(
    r"(?:^|[;&|({]|\b(?:then|do|else|exec|source|sudo|eval)\b|(?:^|\s)\.(?=\s))\s*(/(?!(?:usr/)?(?:local/)?s?bin/|dev/(?:null|stdout|stderr))[\w.+/-]{2,120})"
)

_BY_PATH: tuple[tuple[str, str], ...] = (
    (r"(?:.*/)?udev/rules\.d/.+", r"(?:RUN|PROGRAM|IMPORT)(?:\{\w+\})?\s*[+:]?=\s*\"([^\"\n]+)\""),
    (r"etc/apt/.+", r"(?:Pre|Post)-(?:Invoke|Install-Pkgs|Invoke-Success)\b[^\"\n]{0,40}\"([^\"\n]+)\""),
    (r"etc/dpkg/.+", r"(?m)^\s*(?:pre|post)-invoke\s*=?\s*[\"']?([^\"'\n]+)"),
    (r"(?:.*/)?(?:xdg/autostart|autostart)/.+", r"(?m)^\s*Exec\s*=\s*([^\n]+)"),
    (r"etc/modprobe\.d/.+", r"(?m)^\s*(?:install|remove)\s+\S+\s+((?!/bin/(?:true|false))[^\n]+)"),
    (r"etc/(?:modules|modules-load\.d/.+)", r"(?m)^\s*([\w-]+)\s*$"),
    (r"etc/sysctl.*", r"(?m)^\s*(kernel[./](?:core_pattern|modprobe|hotplug)\s*=\s*[|/][^\n]+)"),
    (r"etc/binfmt\.d/.+", r"(?m)^:[^:\n]*:[ME]:[^:\n]*:[^\n]*:(/[^:\n]+):"),
    (r"etc/logrotate\.d/.+", r"(?:pre|post)rotate\s*\n([\s\S]{1,400}?)\bendscript"),
    (r"(?:.*/)?\.vimrc", r"(?m)^\s*(?:(?:autocmd|au)\b[^\n]*?|silent\s*)?(?:!|\bsystem\s*\()([^\n]+)"),
    (r"(?:.*/)?\.gitconfig", r"(?m)^\s*(?:fsmonitor|hooksPath|sshCommand|gitProxy|external|textconv|helper\s*=\s*!|\w+\s*=\s*!)\s*=?\s*([^\n]+)"),
    (r"(?:.*/)?\.(?:npmrc|yarnrc)", r"(?m)^\s*(?:script-shell|node-options|yarn-path|shell|registry)\s*[=\s]\s*([^\n]+)"),
    (r"etc/inetd\.conf", r"(?m)^\s*[^#\s]\S*\s+(?:stream|dgram)\s+\S+\s+\S+\s+\S+\s+([^\n]+)"),
    (r"etc/xinetd(?:\.conf|\.d/.+)", r"(?m)^\s*server(?:_args)?\s*=\s*([^\n]+)"),
    (r"(?:.*/)?(?:hosts\.equiv|\.rhosts)", r"(?m)^\s*([^#\s][^\n]*)"),
    (r"(?:root|home/[^/]+)/\.ssh/config", r"(?mi)^\s*(?:ProxyCommand|LocalCommand|KnownHostsCommand|Match\s+exec)\s+((?!none)[^\n]+)"),
    (r"etc/(?:yum|NetworkManager/conf|fstab).*", r"$^"),
)  # fmt: skip
_SYNTAX = tuple((re.compile(f"(?:{path})$".encode()), re.compile(pattern)) for path, pattern in _BY_PATH)
_WHOLE = re.compile(
    rb"(?:etc/(?:update-motd\.d|network/if-.+\.d|NetworkManager/dispatcher\.d|kernel/.+|ppp/.+|dhcp/.+hooks.*|apk/.+"
    rb"|ssh/sshrc)(?:/.*)?|(?:.*/)?\.git/hooks/[^/]+|(?:root|home/[^/]+)/\.ssh/rc)$"
)
"""Files that are programs themselves: every line of them is executed."""

SHELL_SERVER = re.compile(r"/(?:ba|da|z|k|a|)sh\b|\b(?:python|perl|nc|ncat|socat)\b")


def find_started(area: Area, path: bytes, lines: tuple[str, ...]) -> tuple[str, ...]:
    """Return the commands that the new *lines* of a configuration start; nothing where they only set values."""
    found: list[str] = []
    read: Callable[[str], Iterator[str]] = _read_shell if area is Area.SHELL else _read_by(path)
    for command in read("\n".join(lines)):
        if command.strip():
            found.append(" ".join(command.split()))
        if len(found) >= _MOST:
            break
    return tuple(dict.fromkeys(found))


def _read_by(path: bytes) -> Callable[[str], Iterator[str]]:
    def read(text: str) -> Iterator[str]:
        if _WHOLE.match(path):
            yield from (line for line in text.splitlines() if line.strip() and not _COMMENT.match(line))
            return
        plain = "\n".join(line for line in text.splitlines() if not _COMMENT.match(line))
        for where, pattern in _SYNTAX:
            if where.match(path):
                yield from (match[1] for match in pattern.finditer(plain))

    return read


def _read_shell(text: str) -> Iterator[str]:
    """Yield lines of a shell's start-up file that put something into the background or run a program of an odd place."""
    for line in text.splitlines():
        if not _COMMENT.match(line) and (_BACKGROUND.search(line) or _PROGRAM.search(line)):
            yield line
