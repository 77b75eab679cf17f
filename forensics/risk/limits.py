"""Signals about users, limits, exposure and lifetime."""

from __future__ import annotations

from collections.abc import Iterator

from forensics.model import JsonObject, Severity
from forensics.risk.signal import RiskSignal, as_list, as_object, as_objects

_ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - looked for, not bound to
_LIMITS = (
    (("Memory",), "memory", 2, "5.11", "it can starve the host of memory"),
    (("PidsLimit",), "processes", 3, "5.29", "a fork bomb stops the host"),
    (("CpuShares", "NanoCpus", "CpuQuota"), "processor", 1, "5.12", "mining takes every processor of the host"),
)


def find_limit_risks(inspect: JsonObject) -> Iterator[RiskSignal]:
    """Yield the signals."""
    host, config = as_object(inspect.get("HostConfig")), as_object(inspect.get("Config"))
    user = str(config.get("User") or "")
    if user.split(":", maxsplit=1)[0] in {"", "0", "root"}:
        why = "whoever takes over the process is root in the container; every escape is easier from there"
        yield RiskSignal("risk.root-user", "runs as root", Severity.LOW, 5, user or "no user set", why, "4.1")
    if not host.get("ReadonlyRootfs"):
        why = "tools can be dropped and programs replaced inside the container"
        yield RiskSignal("risk.writable-root", "writable root file system", Severity.LOW, 2, "read-write", why, "5.13")
    yield from _find_missing_limits(host)
    yield from _find_exposed_ports(inspect, host)
    if host.get("AutoRemove"):
        why = "stopping it deletes it with all evidence: freeze it, never stop it first"
        yield RiskSignal("risk.auto-remove", "vanishes when it stops", Severity.INFO, 0, "--rm", why)


def _find_missing_limits(host: JsonObject) -> Iterator[RiskSignal]:
    for keys, name, score, cis, why in _LIMITS:
        if not any(isinstance(host.get(key), int) and host[key] > 0 for key in keys):
            rule = f"risk.no-{name}-limit"
            yield RiskSignal(rule, f"no {name} limit", Severity.LOW, score, "unlimited", why, cis)


def _find_exposed_ports(inspect: JsonObject, host: JsonObject) -> Iterator[RiskSignal]:
    published = as_object(as_object(inspect.get("NetworkSettings")).get("Ports")) or as_object(host.get("PortBindings"))
    for port in sorted(published):
        bindings = as_objects(published[port])
        open_to_all = [binding for binding in bindings if str(binding.get("HostIp") or "") in _ANYWHERE]
        if open_to_all:
            numbers = sorted(set(as_list([binding.get("HostPort") for binding in open_to_all])))
            why = "the port is open on every address of the host, also towards the internet, past most host firewalls"
            matched = f"{', '.join(numbers)} → {port}"
            yield RiskSignal("risk.exposed-port", "published on all addresses", Severity.LOW, 4, matched, why, "5.14")
