"""Signals about what of the host is inside the container: directories, engine sockets, devices."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from forensics.model import JsonObject, Severity
from forensics.risk.signal import RiskSignal, as_object, as_objects

_ENGINE_SOCKETS = frozenset(
    {
        *("docker.sock", "containerd.sock", "crio.sock", "podman.sock", "dockershim.sock", "cri-dockerd.sock"),
        *("buildkitd.sock", "containerd.sock.ttrpc", "nri.sock"),
    }
)
"""On either side of a mount: a client finds its engine by that name, wherever on the host the socket lies."""
_SOCKET_FOLDERS = ("/run", "/var/run", "/run/containerd", "/run/podman", "/run/docker")
_DIRECTORIES = (
    ("/etc", 45, "accounts, scheduled jobs and service definitions of the host"),
    ("/root", 45, "root's keys, credentials and login scripts"),
    ("/home", 30, "the users' keys, credentials and login scripts"),
    ("/boot", 40, "the kernel and its boot loader"),
    ("/dev", 50, "disks, memory and terminals of the host"),
    ("/proc", 50, "kernel settings of the host; core_pattern alone runs a program as root"),
    ("/sys", 40, "kernel settings and control groups of the host; release_agent runs a program as root"),
    ("/usr", 35, "programs that the host runs"),
    ("/bin", 35, "programs that the host runs"),
    ("/sbin", 35, "programs that root runs on the host"),
    ("/lib", 35, "libraries and kernel modules that the host loads"),
    ("/lib64", 35, "libraries that the host loads"),
    ("/opt", 8, "software that the host runs"),
    ("/srv", 4, "data that the host serves"),
    ("/var/lib/docker", 50, "the files of every container and image of this engine"),
    ("/var/lib/containerd", 50, "the files of every container and image of this engine"),
    ("/var/lib/containers", 50, "the files of every container and image of this engine"),
    ("/var/lib/kubelet", 50, "secrets and volumes of every pod of this node"),
    ("/var/spool/cron", 45, "scheduled jobs of the host"),
    ("/var/log", 12, "logs of the host: traces can be read and erased"),
    ("/var/lib", 25, "the state of services of the host, engines among them"),
    ("/var", 25, "logs, jobs and service state of the host"),
    ("/mnt", 8, "other file systems of the host"),
    ("/media", 8, "other file systems of the host"),
    ("/run", 30, "sockets of the host's services"),
)
_HARMLESS = (
    "/etc/localtime",
    "/etc/timezone",
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/hostname",
    "/usr/share/zoneinfo",
)
_DEVICES = (
    (("/dev/mem", "/dev/kmem", "/dev/port"), 50, "physical memory of the host"),
    (
        ("/dev/sd", "/dev/vd", "/dev/xvd", "/dev/nvme", "/dev/dm-", "/dev/mapper", "/dev/md", "/dev/mmcblk"),
        45,
        "a disk",
    ),
    (("/dev/fuse",), 5, "file systems made by programs; a step in some escapes"),
    (("/dev/kvm", "/dev/vhost"), 10, "virtual machines of the host"),
    (("/dev/net/tun",), 5, "tunnels: a way out that no network of the engine shows"),
    (
        ("/dev/input", "/dev/uinput", "/dev/snd", "/dev/video", "/dev/tty"),
        8,
        "keyboards, cameras, terminals of the host",
    ),
)
_CRITICAL_SCORE, _HIGH_SCORE, _MEDIUM_SCORE = 45, 25, 10


def find_mount_risks(inspect: JsonObject, engine_socket: str = "") -> Iterator[RiskSignal]:
    """Yield the signals of bind mounts and devices; named volumes and tmpfs are the container's own.

    *engine_socket* is where the engine itself listens, as a path or a `unix://` address, whatever its file is called.
    """
    for mount in as_objects(inspect.get("Mounts")):
        if mount.get("Type", "bind") == "bind":
            yield from _assess_bind(mount, _find_socket(engine_socket))
    for device in as_objects(as_object(inspect.get("HostConfig")).get("Devices")):
        yield from _assess_device(str(device.get("PathOnHost") or ""))


def _assess_bind(mount: JsonObject, engine_socket: str) -> Iterator[RiskSignal]:
    source, destination = (_normalize(str(mount.get(key) or "")) for key in ("Source", "Destination"))
    writable = bool(mount.get("RW", True))
    matched = f"{source} → {mount.get('Destination')}" + ("" if writable else " (read-only)")
    is_socket = engine_socket and _resolve(source) == engine_socket
    if is_socket or {posixpath.basename(source), posixpath.basename(destination)} & _ENGINE_SOCKETS:
        why = "whoever can write to this socket commands the engine, and starts a privileged container on the host"
        yield RiskSignal("risk.engine-socket", "engine socket inside", Severity.CRITICAL, 90, matched, why, "5.32")
    elif source in _SOCKET_FOLDERS or (source != "/" and engine_socket.startswith(_resolve(source) + "/")):
        why = "the engines' sockets are in this folder: whoever reaches one commands the host"
        yield RiskSignal(
            "risk.engine-socket", "folder of engine sockets inside", Severity.CRITICAL, 70, matched, why, "5.32"
        )
    elif source == "/":
        why = "every file of the host, its password file and root's keys included"
        score = 95 if writable else 60
        yield RiskSignal("risk.host-root", "the host's root inside", Severity.CRITICAL, score, matched, why, "5.6")
    else:
        yield from _assess_directory(source, writable, matched)
    if str(mount.get("Propagation") or "") in {"shared", "rshared"}:
        why = "mounts made in the container appear on the host"
        yield RiskSignal("risk.shared-mount", "mount propagates to the host", Severity.MEDIUM, 15, matched, why, "5.20")


def _find_socket(address: str) -> str:
    path = address.removeprefix("unix://")
    return "" if not path or "://" in path else _resolve(_normalize(path))


def _normalize(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))


def _resolve(path: str) -> str:
    """Return *path* without the link that every distribution has: /var/run is /run."""
    return path.removeprefix("/var") if path == "/var/run" or path.startswith("/var/run/") else path


def _assess_directory(source: str, writable: bool, matched: str) -> Iterator[RiskSignal]:
    if source.startswith(_HARMLESS):
        return
    fitting = [row for row in _DIRECTORIES if source == row[0] or source.startswith(row[0] + "/")]
    if source.endswith("/.ssh") or "/.ssh/" in source:
        fitting = [("", 45, "keys that open other hosts")]
    if not fitting:
        return
    folder, score, what = max(fitting, key=lambda row: len(row[0]))
    score = score if writable else score // 2
    score = score if source == folder or not folder else max(score * 2 // 3, 1)
    why = what + (": it can change them" if writable else ": it can read them")
    yield RiskSignal("risk.host-mount", "sensitive host path inside", _grade(score), score, matched, why, "5.6")


def _assess_device(path: str) -> Iterator[RiskSignal]:
    for prefixes, score, what in _DEVICES:
        if path.startswith(prefixes):
            why = f"{what} of the host, beside all files and limits" if what == "a disk" else what
            yield RiskSignal("risk.device", "host device inside", _grade(score), score, path, why, "5.18")
            return
    if path:
        why = "a device of the host, with its driver's faults"
        yield RiskSignal("risk.device", "host device inside", Severity.LOW, 4, path, why, "5.18")


def _grade(score: int) -> Severity:
    for least, severity in (
        (_CRITICAL_SCORE, Severity.CRITICAL),
        (_HIGH_SCORE, Severity.HIGH),
        (_MEDIUM_SCORE, Severity.MEDIUM),
    ):
        if score >= least:
            return severity
    return Severity.LOW
