"""Read-only facts of the live local host: one door to the small modules that read them.

Standard library only and quick to import, because `ir isolate` has a budget of milliseconds. Nothing here executes
anything in a container, follows its links or opens its devices.
"""

from __future__ import annotations

from forensics.engine.host_net import (
    HostSocket,
    NetView,
    find_unlisted_sockets,
    read_container_network,
    read_net_namespace,
)
from forensics.engine.host_proc import HostProcess, OpenFile, list_container_processes, read_process
from forensics.engine.host_views import find_cgroup_dirs, find_container_pids, read_cgroup_pids
from forensics.engine.locality import is_local, is_local_container
from forensics.engine.procfs import list_pids, namespace_inode

__all__ = [
    "HostProcess",
    "HostSocket",
    "NetView",
    "OpenFile",
    "find_cgroup_dirs",
    "find_container_pids",
    "find_unlisted_sockets",
    "is_local",
    "is_local_container",
    "list_container_processes",
    "list_pids",
    "namespace_inode",
    "read_cgroup_pids",
    "read_container_network",
    "read_net_namespace",
    "read_process",
]
