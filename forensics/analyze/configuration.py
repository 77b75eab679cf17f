"""Which text files configure what is started, loaded or allowed; the part of each that is new. Judges nothing."""

# ruff: noqa: E501 - a pattern stands on one line
from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.analyze.files import Artifact, FileView, Origin
from forensics.text import from_bytes


class Area(enum.StrEnum):
    """What a configuration file governs."""

    CRON = "cron"
    SYSTEMD = "systemd"
    INIT = "init"
    SHELL = "shell start-up"
    PRELOAD = "ld.so.preload"
    LOADER = "loader configuration"
    PAM = "pam"
    NSS = "nss"
    SUDOERS = "sudoers"
    PASSWD = "passwd"  # noqa: S105 - the file's name
    SHADOW = "shadow"
    GROUP = "group"
    KEYS = "authorized_keys"
    SSHD = "sshd"
    HOSTS = "hosts"
    PYTHON = "python start-up"
    PHP = "php start-up"
    HOOK = "package manager or desktop hook"
    HISTORY = "history"
    SECRET = "credentials"  # noqa: S105 - a category
    INETD = "inetd"
    REPOSITORY = "package source"
    TRUST = "trusted certificates"
    CLUSTER = "static pods"


_PATTERNS: tuple[tuple[Area, str], ...] = (
    (Area.CRON, r"etc/(?:cron\.(?:d|hourly|daily|weekly|monthly|yearly)/.+|crontab|crontabs/.+|anacrontab|periodic/.+)"),
    (Area.CRON, r"var/spool/(?:cron|at|anacron|cron\.d|fcron|atjobs)/.+"),
    (Area.SYSTEMD, r"(?:etc|usr/lib|lib|run|usr/local/lib)/systemd/(?:system|user|.*generators?)/.+"),
    (Area.SYSTEMD, r"(?:root|home/[^/]+)/\.(?:config|local/share)/systemd/user/.+"),
    (Area.INIT, r"etc/(?:rc\.local|inittab|init\.d/.+|rc\d?\.d/.+|init/.+|local\.d/.+|conf\.d/local.*|rc\.d/.+)"),
    (Area.INIT, r"etc/(?:s6[^/]*|services\.d|cont-init\.d|runit|sv|supervisor(?:/conf\.d)?|my_init\.d)/.+"),
    (Area.SHELL, r"etc/(?:profile|profile\.d/.+|bash\.bashrc|bashrc|environment|zsh/.+|zshrc|zprofile|zshenv|csh\..+|ksh\.kshrc|skel/.+)"),
    (Area.SHELL, r"(?:root|home/[^/]+|var/[^/]+/[^/]+|usr/[^/]+|opt/[^/]+)/\.(?:bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|zlogin|kshrc|shinit|cshrc|tcshrc|bash_aliases|xprofile|xinitrc|pam_environment)"),
    (Area.SHELL, r"(?:root|home/[^/]+)/\.config/fish/.+"),
    (Area.PRELOAD, r"etc/ld\.so\.preload|etc/ld-musl-\w+\.path\.preload"),
    (Area.LOADER, r"etc/(?:ld\.so\.conf|ld\.so\.conf\.d/.+|ld-musl-\w+\.path)"),
    (Area.PAM, r"etc/(?:pam\.d/.+|pam\.conf|security/pam_env\.conf)"),
    (Area.NSS, r"etc/nsswitch\.conf"),
    (Area.SUDOERS, r"etc/(?:sudoers|sudoers\.d/.+|doas\.conf|doas\.d/.+)"),
    (Area.PASSWD, r"etc/passwd"),
    (Area.SHADOW, r"etc/shadow"),
    (Area.GROUP, r"etc/group"),
    (Area.KEYS, r"(?:.*/)?\.?(?:ssh|dropbear)/authorized_keys2?|etc/ssh/authorized_keys.*|etc/dropbear/authorized_keys|(?:.*/)?authorized_keys2?"),
    (Area.SSHD, r"etc/ssh/(?:sshd_config|sshd_config\.d/.+|sshrc)|(?:root|home/[^/]+)/\.ssh/(?:rc|environment|config)"),
    (Area.HOSTS, r"etc/(?:hosts|resolv\.conf|host\.conf|proxychains.*)"),
    (Area.PYTHON, r".*/(?:site|dist)-packages/(?:[^/]+\.pth|(?:sitecustomize|usercustomize)\.py)|.*/lib/python[\d.]+/(?:sitecustomize|usercustomize)\.py|etc/python[\d.]+/sitecustomize\.py"),
    (Area.PHP, r"(?:.*/)?php(?:-fpm)?\.ini|.*/php[^/]*/(?:.*/)?conf\.d/[^/]+\.ini|.*/\.user\.ini|.*/\.htaccess|.*/php[^/]*/fpm/.*\.conf"),
    (Area.HOOK, r"etc/(?:apt/apt\.conf(?:\.d/.+)?|dpkg/dpkg\.cfg(?:\.d/.+)?|update-motd\.d/.+|xdg/autostart/.+|udev/rules\.d/.+|logrotate\.d/.+|NetworkManager/dispatcher\.d/.+|network/if-.+\.d/.+|kernel/.+|ppp/.+|dhcp/.+hooks.*|yum/.+|apk/.*hooks.*|modules|modules-load\.d/.+|modprobe\.d/.+|sysctl\.conf|sysctl\.d/.+|binfmt\.d/.+|fstab)"),
    (Area.HOOK, r"(?:.*/)?\.git/hooks/[^.]+|(?:root|home/[^/]+)/\.(?:config/autostart/.+|vimrc|gitconfig|npmrc|yarnrc)"),
    (Area.INETD, r"etc/(?:inetd\.conf|xinetd\.conf|xinetd\.d/.+|hosts\.(?:allow|deny|equiv))|(?:root|home/[^/]+)/\.rhosts"),
    (Area.REPOSITORY, r"etc/(?:apt/(?:sources\.list(?:\.d/.+)?|trusted\.gpg.*)|apk/repositories|pip\.conf|yum\.repos\.d/.+)|(?:root|home/[^/]+)/\.(?:pip|config/pip)/pip\.conf"),
    (Area.HISTORY, r"(?:.*/)?\.(?:bash|ash|zsh|sh|python|mysql|psql|rediscli|sqlite|node_repl|mongo|lesshst|viminfo)_?history|(?:.*/)?\.(?:zhistory|lesshst|viminfo|wget-hsts|mysql_history|psql_history|rediscli_history|node_repl_history|python_history|dbshell)|root/\.local/share/fish/fish_history"),
    (Area.SECRET, r"(?:.*/)?(?:\.env(?:\.\w+)?|\.aws/credentials|\.docker/config\.json|\.kube/config|\.git-credentials|\.netrc|\.npmrc|\.pypirc|\.pgpass|\.my\.cnf|credentials\.json|\.ssh/id_\w+|[^/]+_rsa|\.vault-token|application_default_credentials\.json)"),
    (Area.TRUST, r"usr/local/share/ca-certificates/.+|etc/(?:pki/ca-trust/source/anchors|ca-certificates/trust-source/anchors)/.+"),
    (Area.CLUSTER, r"etc/kubernetes/manifests/.+|var/lib/(?:rancher/(?:k3s|rke2)/(?:server|agent)|kubelet)/(?:pod-)?manifests/.+|etc/rancher/.+manifests/.+"),
)  # fmt: skip
_COMPILED = tuple((area, re.compile(f"(?:{pattern})$".encode())) for area, pattern in _PATTERNS)
_ANY = re.compile("|".join(f"(?:(?:{pattern})$)" for _, pattern in _PATTERNS).encode())


def is_kept(path: bytes) -> bool:
    """Whether the content at *path* is kept for the analyzers: it configures something, or names the distribution."""
    return bool(_ANY.match(path)) or path in {b"etc/os-release", b"usr/lib/os-release"}


def area_of(path: bytes) -> Area | None:
    """Return what the file at *path* governs, or None."""
    if not _ANY.match(path):
        return None
    return next((area for area, pattern in _COMPILED if pattern.match(path)), None)


@dataclass(frozen=True, slots=True)
class Configured:
    """One configuration file that is new or changed: its lines that were not in the baseline."""

    area: Area
    artifact: Artifact
    text: str
    added: tuple[str, ...]
    removed: tuple[str, ...]

    @property
    def added_text(self) -> str:
        """The new lines as one text."""
        return "\n".join(self.added)


def read_configured(files: FileView, *areas: Area) -> Iterator[Configured]:
    """Yield the configuration files of *areas* that are to be judged, packages' own left out."""
    for artifact in files.artifacts.configured():
        area = area_of(artifact.path)
        if area not in areas or artifact.origin is Origin.RECOVERED:
            continue
        raw = artifact.text
        text = from_bytes(raw or b"")
        before = artifact.before.sha256 if artifact.before else None
        old = from_bytes(files.texts.get(before, b"")).splitlines() if before else []
        known = set(old)
        lines = text.splitlines()
        now = set(lines)
        yield Configured(
            area,
            artifact,
            text,
            tuple(line for line in lines if line not in known),
            tuple(line for line in old if line not in now),
        )
