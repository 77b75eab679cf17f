"""The container's configuration as a responder judges it: each setting, its value, and why it is a risk or is not."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.model import JsonObject
from forensics.report.document import Setting
from forensics.report.fields import EvidenceReader, object_at, objects_at, strings_at, text_at

_DANGEROUS_CAPABILITIES = {
    "ALL": "every capability of the host's root",
    "SYS_ADMIN": "mounts, namespaces: the usual way out of a container",
    "SYS_PTRACE": "reads and writes the memory of other processes",
    "SYS_MODULE": "loads kernel modules",
    "SYS_RAWIO": "reads and writes device memory",
    "DAC_READ_SEARCH": "opens any file of the host by handle",
    "DAC_OVERRIDE": "ignores file permissions",
    "NET_ADMIN": "changes interfaces, routes and packet filters",
    "NET_RAW": "forges packets in its networks",
    "SYS_BOOT": "reboots the host",
    "SYS_TIME": "changes the host's clock",
    "BPF": "loads programs into the kernel",
    "SYSLOG": "reads kernel addresses",
}
_SENSITIVE = ("/etc", "/root", "/proc", "/sys", "/dev", "/boot", "/home", "/run", "/var/run", "/var/lib/docker", "/lib")
ENGINE_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")
_HOST_NAMESPACES = (
    ("NetworkMode", "network namespace", "sees and uses the host's interfaces and loopback services"),
    ("PidMode", "process namespace", "sees and can signal every process of the host"),
    ("IpcMode", "IPC namespace", "reads shared memory of the host's processes"),
    ("UTSMode", "host name namespace", "can rename the host"),
    ("UsernsMode", "user namespace", "its root is the host's root"),
)


def read_settings(evidence: EvidenceReader) -> tuple[Setting, ...]:
    """Return the settings that matter, risky ones first; empty where the configuration was not collected."""
    item, document = evidence.first("inspect")
    if not document:
        return ()
    rows = [Setting(name, value, risk, item) for name, value, risk in _judge(document)]
    return tuple(sorted(rows, key=lambda row: not row.risk))


def _judge(document: JsonObject) -> Iterator[tuple[str, str, str]]:
    host = object_at(document, "HostConfig")
    privileged = host.get("Privileged") is True
    yield "privileged", "yes" if privileged else "no", "is root on the host in all but name" if privileged else ""
    yield from _judge_namespaces(host)
    yield from _judge_capabilities(host)
    yield from _judge_confinement(host, document)
    yield from _judge_mounts(document)
    yield from _judge_limits(host)
    user = text_at(document, "Config", "User")
    is_root = user.partition(":")[0] in {"", "0", "root"}
    yield "user", user or "root", "a way out of the container arrives as root" if is_root else ""
    yield "restart policy", text_at(host, "RestartPolicy", "Name") or "no", ""


def _judge_namespaces(host: JsonObject) -> Iterator[tuple[str, str, str]]:
    for key, name, why in _HOST_NAMESPACES:
        mode = text_at(host, key)
        shared = mode == "host" or mode.startswith("container:")
        yield name, mode or "own", why if mode == "host" else "shares that of another container" if shared else ""


def _judge_capabilities(host: JsonObject) -> Iterator[tuple[str, str, str]]:
    added = [name.removeprefix("CAP_") for name in strings_at(host, "CapAdd")]
    reasons = [f"{name}: {_DANGEROUS_CAPABILITIES[name]}" for name in added if name in _DANGEROUS_CAPABILITIES]
    yield "capabilities added", ", ".join(added) or "none", "; ".join(reasons)
    yield "capabilities dropped", ", ".join(strings_at(host, "CapDrop")) or "none", ""


def _judge_confinement(host: JsonObject, document: JsonObject) -> Iterator[tuple[str, str, str]]:
    options = strings_at(host, "SecurityOpt")
    off = [line for line in options if line.endswith(("=unconfined", ":unconfined", "=disable", ":disable"))]
    yield "security options", ", ".join(options) or "engine's default", "confinement is switched off" if off else ""
    profile = text_at(document, "AppArmorProfile")
    yield "AppArmor profile", profile or "none", "no AppArmor confinement" if profile in {"", "unconfined"} else ""
    no_new = any(line.startswith("no-new-privileges") for line in options)
    yield "no new privileges", "yes" if no_new else "no", "" if no_new else "set-user-id programs can raise rights"
    read_only = host.get("ReadonlyRootfs") is True
    yield (
        "root file system",
        "read-only" if read_only else "writable",
        "" if read_only else "tools can be dropped in it",
    )


def _judge_mounts(document: JsonObject) -> Iterator[tuple[str, str, str]]:
    for mount in objects_at(document, "Mounts"):
        source, target = text_at(mount, "Source"), text_at(mount, "Destination")
        writable = mount.get("RW") is not False
        value = f"{source or text_at(mount, 'Name')} → {target} ({'writable' if writable else 'read-only'})"
        yield "mount", value, _judge_source(source, writable) if text_at(mount, "Type") == "bind" else ""
    for device in objects_at(object_at(document, "HostConfig"), "Devices"):
        yield "device", text_at(device, "PathOnHost"), "reaches a device of the host directly"


def _judge_source(source: str, writable: bool) -> str:
    if source.endswith(ENGINE_SOCKETS):
        return "controls the engine: can start a container that owns the host"
    if source == "/":
        return "the whole file system of the host"
    if any(source == place or source.startswith(f"{place}/") for place in _SENSITIVE):
        return "can change a sensitive folder of the host" if writable else "can read a sensitive folder of the host"
    return ""


def _judge_limits(host: JsonObject) -> Iterator[tuple[str, str, str]]:
    memory, pids = text_at(host, "Memory"), text_at(host, "PidsLimit")
    cpus = text_at(host, "NanoCpus") not in {"", "0"} or text_at(host, "CpuQuota") not in {"", "0"}
    memory_limited, pids_limited = memory not in {"", "0"}, pids not in {"", "0", "-1"}
    yield (
        "memory limit",
        f"{memory} bytes" if memory_limited else "none",
        "" if memory_limited else "can starve the host",
    )
    yield "process limit", pids if pids_limited else "none", "" if pids_limited else "can exhaust the process table"
    yield "CPU limit", "yes" if cpus else "none", "" if cpus else "can take every core (coin mining)"
