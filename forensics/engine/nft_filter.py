"""Cuts one control group off with nftables, where the kernel lets no program be attached to the group.

A table of ours, named after the group, drops what sockets of the group's processes send and receive, in each network
namespace given; nobody else's packets match (nft(8), ``socket cgroupv2``; Linux 5.13). The `nft` of the host is run in
the namespace, never anything of a container. Needs a cgroup2 hierarchy as well.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from forensics.engine.netlink import entered
from forensics.errors import EngineError
from forensics.text import from_bytes, show

_ROOT = Path("/sys/fs/cgroup")
_SEARCH = "/usr/sbin:/sbin:/usr/bin:/bin"
_SECONDS = 10
_RULES = """table inet {table}
delete table inet {table}
table inet {table} {{
  chain output {{
    type filter hook output priority -400; policy accept;
    socket cgroupv2 level {level} "{group}" drop
  }}
  chain input {{
    type filter hook input priority -400; policy accept;
    socket cgroupv2 level {level} "{group}" drop
  }}
}}
"""


def attach_drop(group: Path, namespaces: tuple[str, ...]) -> None:
    """Drop every packet of the group's sockets in these network namespaces; doing it again changes nothing.

    Raises:
        EngineError: there is no `nft`, or the kernel refuses the rule.
    """
    below = group.relative_to(_ROOT).as_posix()
    if '"' in below or "\n" in below:
        raise EngineError(f"the control group {show(below)} has a name that no rule can hold")
    level = len(Path(below.removeprefix("unified/")).parts)
    rules = _RULES.format(table=_name(group), level=level, group=below)
    for path in namespaces:
        _run(path, ("-f", "-"), rules)


def detach_drop(group: Path, namespaces: tuple[str, ...]) -> None:
    """Remove our table from these network namespaces; none there is fine."""
    for path in namespaces:
        if _has_table(path, group):
            _run(path, ("delete", "table", "inet", _name(group)), "")


def is_attached(group: Path, namespaces: tuple[str, ...]) -> bool:
    """Whether our table stands in every one of these network namespaces, of which there is at least one."""
    return bool(namespaces) and all(_has_table(path, group) for path in namespaces)


def _has_table(path: str, group: Path) -> bool:
    try:
        return "socket cgroupv2" in _run(path, ("list", "table", "inet", _name(group)), "")
    except EngineError:
        return False


def _name(group: Path) -> str:
    return f"ir_cut_{hashlib.sha256(os.fsencode(group)).hexdigest()[:12]}"


def _run(path: str, arguments: tuple[str, ...], rules: str) -> str:
    program = shutil.which("nft", path=_SEARCH)
    if program is None:
        raise EngineError("this host has no nft", hint="install nftables, or freeze the container")
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with entered(descriptor):  # a child starts in the namespace of the thread that starts it
            done = subprocess.run(
                (program, *arguments), input=rules.encode("ascii"), capture_output=True, timeout=_SECONDS, check=False
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"nft cannot be run ({error})") from error
    finally:
        os.close(descriptor)
    if done.returncode:
        raise EngineError(f"nft refuses: {show(done.stderr[:200].strip())}", hint="freeze the container")
    return from_bytes(done.stdout)
