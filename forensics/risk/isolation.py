"""Signals about the walls between container and host: privilege, namespaces, capabilities, seccomp, LSM."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.model import JsonObject, Severity
from forensics.risk.signal import RiskSignal, as_list, as_object

_NAMESPACES = (
    (
        "NetworkMode",
        "network",
        30,
        "5.10",
        "it sees and joins all traffic of the host, and host firewalls see no border",
    ),
    ("PidMode", "pid", 35, "5.16", "it sees, signals and, with the same user, inspects every process of the host"),
    ("IpcMode", "ipc", 15, "5.17", "it reads and writes the shared memory of the host's processes"),
    ("UTSMode", "uts", 8, "5.21", "it can change the host's name, on which logs and certificates rely"),
    ("UsernsMode", "user", 12, "5.31", "root in the container is root on the host although the engine remaps users"),
)
_CAPABILITIES = {
    "ALL": (60, "every privilege of root on the host's kernel"),
    "SYS_ADMIN": (40, "mounts, namespaces, bpf and much more; many known escapes need only this"),
    "SYS_MODULE": (45, "loads kernel modules: code in the host's kernel"),
    "SYS_PTRACE": (25, "attaches to every process it can see and reads its memory"),
    "SYS_RAWIO": (40, "reads and writes I/O ports and physical memory"),
    "SYS_BOOT": (15, "reboots the host, or loads another kernel"),
    "SYS_TIME": (8, "sets the host's clock, and with it the times in all evidence"),
    "SYS_RESOURCE": (8, "lifts resource limits of the host"),
    "SYS_NICE": (4, "takes the processor from other processes of the host"),
    "SYS_PACCT": (4, "switches process accounting of the host on and off"),
    "SYS_TTY_CONFIG": (4, "hangs up terminals of the host"),
    "SYSLOG": (6, "reads the kernel's log with its addresses"),
    "DAC_READ_SEARCH": (40, "opens any file of the host by its handle (the shocker escape)"),
    "NET_ADMIN": (20, "rewrites interfaces, routes and packet filters; can undermine containment by the engine"),
    "NET_BROADCAST": (2, "sends broadcasts"),
    "BPF": (25, "loads bpf programs that watch or change the host"),
    "PERFMON": (12, "watches other processes through performance counters"),
    "LINUX_IMMUTABLE": (5, "makes files that nobody can change or delete"),
    "IPC_LOCK": (3, "locks the host's memory"),
    "IPC_OWNER": (6, "opens shared memory of other users"),
    "MAC_ADMIN": (25, "rewrites the policy of the security module"),
    "MAC_OVERRIDE": (25, "ignores the policy of the security module"),
    "AUDIT_CONTROL": (15, "switches the host's audit off"),
    "AUDIT_READ": (6, "reads the host's audit log"),
    "WAKE_ALARM": (1, "wakes the host"),
    "BLOCK_SUSPEND": (1, "keeps the host awake"),
    "CHECKPOINT_RESTORE": (12, "chooses process ids and reads links of other processes"),
    "LEASE": (2, "delays other processes' access to files"),
}
"""What each capability beyond the engine's default set gives away, capabilities(7)."""
_DEFAULT_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
        *("NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
_SAFE_SYSCTLS = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start"),
        *("net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports"),
        *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"),
        *("net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
    }
)
"""What the Pod Security Standards call safe: each container has its own."""
_ALL_DEVICES_SCORE = 40
_UNKNOWN_CAPABILITY = (10, "a capability that the engine's default set leaves out")
_HIGH_SCORE, _MEDIUM_SCORE = 25, 10


def find_isolation_risks(inspect: JsonObject) -> Iterator[RiskSignal]:
    """Yield the signals; what `--privileged` implies is not counted again."""
    host = as_object(inspect.get("HostConfig"))
    privileged = bool(host.get("Privileged"))
    if privileged:
        yield RiskSignal(
            "risk.privileged",
            "privileged container",
            Severity.CRITICAL,
            100,
            "--privileged",
            "all capabilities, all devices, no seccomp, no AppArmor: root in the container is root on the host",
            "5.5",
        )
    else:
        yield from _find_capabilities(host)
        yield from _find_security_options(inspect, host)
    yield from _find_namespaces(host)
    yield from _find_kernel_settings(host)


def _find_kernel_settings(host: JsonObject) -> Iterator[RiskSignal]:
    for name, value in sorted(as_object(host.get("Sysctls")).items()):
        if name not in _SAFE_SYSCTLS:
            why = "a kernel setting that is not known to stay within the container's own namespaces"
            yield RiskSignal("risk.sysctl", "kernel setting changed", Severity.LOW, 5, f"{name}={value}", why)
    for rule in as_list(host.get("DeviceCgroupRules")):
        score = _ALL_DEVICES_SCORE if rule.startswith(("a", "b")) or "*" in rule.partition(":")[0] else 8
        why = "the container may make the node of such a device itself and use it: disks are devices"
        yield RiskSignal("risk.device", "devices allowed by rule", grade(score), score, rule, why, "5.18")
    if host.get("OomKillDisable"):
        why = "when memory runs out, the host's own processes are killed instead"
        yield RiskSignal("risk.no-oom-kill", "is never killed for memory", Severity.LOW, 5, "--oom-kill-disable", why)


def _find_namespaces(host: JsonObject) -> Iterator[RiskSignal]:
    for key, name, score, cis, why in _NAMESPACES:
        mode = str(host.get(key) or "")
        if mode == "host":
            yield RiskSignal(
                f"risk.host-{name}", f"shares the host's {name} namespace", grade(score), score, mode, why, cis
            )
        elif mode.startswith("container:"):
            yield RiskSignal(
                f"risk.shared-{name}",
                f"shares the {name} namespace of another container",
                Severity.LOW,
                max(score // 4, 2),
                mode,
                "whoever holds one of the two holds a part of the other; containing one affects both",
            )


def _find_capabilities(host: JsonObject) -> Iterator[RiskSignal]:
    for added in as_list(host.get("CapAdd")):
        name = added.upper().removeprefix("CAP_")
        score, why = _CAPABILITIES.get(name, _UNKNOWN_CAPABILITY)
        if name not in _DEFAULT_CAPABILITIES:
            yield RiskSignal("risk.capability", f"capability {name} added", grade(score), score, name, why, "5.4")


def _find_security_options(inspect: JsonObject, host: JsonObject) -> Iterator[RiskSignal]:
    options = [option.replace(":", "=", 1) for option in as_list(host.get("SecurityOpt"))]
    if "seccomp=unconfined" in options:
        why = "every system call of the kernel is open to it, also those that escapes begin with"
        yield RiskSignal("risk.no-seccomp", "seccomp is off", Severity.HIGH, 25, "seccomp=unconfined", why, "5.22")
    if str(inspect.get("AppArmorProfile") or "") == "unconfined" or "apparmor=unconfined" in options:
        why = "nothing denies mounts and writes below /proc and /sys that the profile would"
        yield RiskSignal("risk.no-apparmor", "AppArmor is off", Severity.MEDIUM, 15, "apparmor=unconfined", why, "5.2")
    elif not inspect.get("AppArmorProfile") and not inspect.get("ProcessLabel"):
        why = "neither AppArmor nor SELinux confines it; one layer less between it and the host"
        yield RiskSignal("risk.no-lsm", "no AppArmor or SELinux profile", Severity.LOW, 4, "no profile", why, "5.2")
    if "label=disable" in options:
        why = "SELinux does not confine it"
        yield RiskSignal("risk.no-selinux", "SELinux labels are off", Severity.MEDIUM, 12, "label=disable", why, "5.3")
    if host.get("MaskedPaths") == [] or "systempaths=unconfined" in options:
        why = "the engine's masks over /proc and /sys are gone: kernel settings of the host are in reach"
        yield RiskSignal("risk.unmasked-paths", "/proc is not masked", Severity.HIGH, 25, "systempaths=unconfined", why)
    if not any(option in {"no-new-privileges", "no-new-privileges=true"} for option in options):
        why = "a set-user-id program in the image makes its caller root again"
        yield RiskSignal(
            "risk.new-privileges", "may gain privileges", Severity.LOW, 3, "no-new-privileges unset", why, "5.26"
        )


def grade(score: int) -> Severity:
    """Return the severity that goes with a score."""
    if score >= _HIGH_SCORE:
        return Severity.HIGH
    return Severity.MEDIUM if score >= _MEDIUM_SCORE else Severity.LOW
