"""What the places of a Linux file system are for, as far as judging newcomers needs it.

Paths are bytes, with or without a leading slash. Pure; never looks at this machine.
"""

from __future__ import annotations

import re

_TEMP = re.compile(rb"^/?(?:tmp|var/tmp|dev/shm|run/shm|run/lock|var/lock|dev/mqueue)(?:/|$)")
_HIDDEN_KNOWN = (
    rb"local|cache|config|npm|nvm|cargo|rustup|pyenv|rbenv|venv|env|virtualenvs|git|github|svn|hg|build-id|libs|bin|tox"
    rb"|vscode\S*|cursor-server|dotnet|nuget|m2|gradle|sdkman|gem|bundle|yarn|pnpm\S*|deno|bun|pub-cache|composer|conda"
    rb"|ivy2|sbt|cabal|ghcup|opam|asdf|volta|mypy_cache|pytest_cache|ruff_cache|terraform\S*|kube|docker|oh-my-zsh"
    rb"|linuxbrew|next|nuxt|output|vercel|netlify|eggs|hooks|storybook|husky|package-cache"
)
_HIDDEN = re.compile(rb"(?:^|/)\.(?!(?:" + _HIDDEN_KNOWN + rb")(?:/|$))[^/]*")
_HIDDEN_UNDER_SYSTEM = re.compile(
    rb"^/?(?:usr|bin|sbin|lib\w*|etc|dev|boot|proc|sys)/(?:.*/)?\.(?!build-id/|libs/|pwd\.lock)[^/]+/"
)
_SYSTEM_BIN = re.compile(rb"^/?(?:usr/)?(?:local/)?s?bin/")
_SYSTEM = re.compile(rb"^/?(?:bin|sbin|lib\w*|usr/(?:bin|sbin|lib\w*|libexec))/")
_SYSTEM_LIBRARY = re.compile(rb"^/?(?:usr/)?(?:local/)?lib\w*/(?:[\w.+-]+/){0,3}[^/]+\.so[\d.]*$")
_WEB = re.compile(
    rb"^/?(?:var/www|srv/(?:www|http)|usr/share/nginx/html|usr/local/apache2/htdocs|usr/local/tomcat/webapps"
    rb"|opt/[^/]+/webapps|var/lib/tomcat\d*/webapps|.*/(?:htdocs|wwwroot|public_html|webroot|docroot))/"
)
_UPLOAD = re.compile(
    rb"/(?:uploads?|images?|img|media|files|cache|tmp|temp|static|assets|avatars?|fonts?|css|js|backup)/", re.IGNORECASE
)

_DISTRIBUTIONS = re.compile(
    rb"^(?:usr/(?:share|lib\w*|include|src)|lib\w*|var/(?:lib/(?:dpkg|apt|rpm)|cache)|etc/(?:ssl/certs|ca-certificates))/"
    rb"|/(?:site-packages|dist-packages|node_modules|vendor/bundle|gems)/"
)
"""Where packages put thousands of files, examples and test keys among them."""
_MOUNTED = re.compile(rb"^(?:var/)?run/secrets/")


def may_hold_secrets(path: bytes) -> bool:
    """Whether a text there may be somebody's own: not a distribution's, a library's or a secret store's."""
    return not _DISTRIBUTIONS.search(path) and not _MOUNTED.match(path)


def in_temp(path: bytes) -> bool:
    """Whether everybody may write there and nothing of an image belongs there."""
    return bool(_TEMP.match(path))


def in_hidden_place(path: bytes) -> bool:
    """Whether the file or a folder above it is hidden, other than the well-known folders of tools."""
    return bool(_HIDDEN.search(path) or _HIDDEN_UNDER_SYSTEM.match(path))


def in_dev(path: bytes) -> bool:
    """Whether it lies below /dev, where ordinary files do not belong."""
    return path.lstrip(b"/").startswith(b"dev/")


def in_system_bin(path: bytes) -> bool:
    """Whether it lies where commands are found by name."""
    return bool(_SYSTEM_BIN.match(path))


def in_system(path: bytes) -> bool:
    """Whether it lies where the distribution, and only it, puts programs and libraries."""
    return bool(_SYSTEM.match(path))


def is_system_library(path: bytes) -> bool:
    """Whether the dynamic loader may find it as a shared library."""
    return bool(_SYSTEM_LIBRARY.match(path))


def in_web_root(path: bytes) -> bool:
    """Whether a web server commonly serves it."""
    return bool(_WEB.match(path))


def in_upload_place(path: bytes) -> bool:
    """Whether it lies in a folder that holds data, not programs, of a web application."""
    return bool(_UPLOAD.search(b"/" + path))
