"""Collects what the host is: kernel, control groups, security modules, and who can reach the engine's socket."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from forensics.collect.context import CollectContext, collected
from forensics.model import JsonObject, LedgerLine

_FACTS = {
    "hostname": "/proc/sys/kernel/hostname",
    "kernel": "/proc/sys/kernel/osrelease",
    "kernel_build": "/proc/version",
    "kernel_command_line": "/proc/cmdline",
    "kernel_tainted": "/proc/sys/kernel/tainted",
    "boot_id": "/proc/sys/kernel/random/boot_id",
    "machine_id": "/etc/machine-id",
    "os_release": "/etc/os-release",
    "uptime_seconds": "/proc/uptime",
    "security_modules": "/sys/kernel/security/lsm",
    "apparmor": "/sys/module/apparmor/parameters/enabled",
    "ptrace_scope": "/proc/sys/kernel/yama/ptrace_scope",
    "unprivileged_user_namespaces": "/proc/sys/user/max_user_namespaces",
    "core_pattern": "/proc/sys/kernel/core_pattern",
    "modules": "/proc/modules",
    "ip_forward": "/proc/sys/net/ipv4/ip_forward",
}


def collect_host(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep facts of the engine's host; one that this kernel does not have is null."""
    facts: JsonObject = {name: _read(path) for name, path in _FACTS.items()}
    facts["cgroup_mounts"] = [line for line in (_read("/proc/self/mounts") or "").split("\n") if " cgroup" in line]
    facts["engine_socket"] = _describe_socket(context.engine.url)
    item = context.keep_json("host", facts, source="this host", method="read from /proc, /sys and /etc")
    yield collected("host", item)


def _read(path: str) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return file.read(1 << 18).decode("utf-8", "surrogateescape").strip()
    except OSError:
        return None


def _describe_socket(url: str) -> JsonObject | None:
    """Return who can command the engine: owner, group, mode, the group's members, and all users that may connect."""
    path = url.removeprefix("unix://")
    if path == url:
        return None
    status = Path(path).stat()
    group, members = str(status.st_gid), []
    with contextlib.suppress(KeyError):
        entry = grp.getgrgid(status.st_gid)
        group, members = entry.gr_name, list(entry.gr_mem)
    reaching = {member for member in members if status.st_mode & stat.S_IWGRP}
    reaching |= {user.pw_name for user in pwd.getpwall() if _reaches(user, status)}
    return {
        "path": path,
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "uid": status.st_uid,
        "group": group,
        "group_members": members,
        "users": sorted(reaching),
        "world_writable": bool(status.st_mode & stat.S_IWOTH),
        "seen_by_uid": os.geteuid(),
    }


def _reaches(user: pwd.struct_passwd, status: os.stat_result) -> bool:
    """Whether a user may write to the socket by its mode, as owner, by the first group, or as anybody; root always."""
    if user.pw_uid in {0, status.st_uid}:
        return user.pw_uid == 0 or bool(status.st_mode & stat.S_IWUSR)
    if user.pw_gid == status.st_gid:
        return bool(status.st_mode & stat.S_IWGRP)
    return bool(status.st_mode & stat.S_IWOTH)
