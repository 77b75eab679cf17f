"""Turns our frozen specifications into the engine's JSON. Pure."""

from __future__ import annotations

from forensics.engine.base import ContainerSpec, NetworkAttachment
from forensics.model import JsonObject


def create_document(spec: ContainerSpec) -> JsonObject:
    """Return the body of `POST /containers/create`."""
    document: JsonObject = {
        "Image": spec.image,
        "Cmd": list(spec.command) or None,
        "Entrypoint": None if spec.entrypoint is None else list(spec.entrypoint),
        "Env": [f"{name}={value}" for name, value in spec.environment],
        "Labels": dict(spec.labels),
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "Hostname": spec.hostname,
        "ExposedPorts": {port: {} for port, _, _ in spec.ports},
        "HostConfig": _host_document(spec),
    }
    if spec.attachment:
        name = spec.network or spec.attachment.name
        document["NetworkingConfig"] = {"EndpointsConfig": {name: attachment_document(spec.attachment)}}
    return _without_none({**document, **spec.config})


def attachment_document(attachment: NetworkAttachment) -> JsonObject:
    """Return an ``EndpointConfig`` that asks for what *attachment* asked for, not for what it happened to get."""
    document: JsonObject = {
        "Aliases": list(attachment.aliases),
        "Links": list(attachment.links),
        "DriverOpts": dict(attachment.driver_opts),
    }
    ipam = {"IPv4Address": attachment.ipam_ipv4, "IPv6Address": attachment.ipam_ipv6}
    if any(ipam.values()):
        document["IPAMConfig"] = {key: value for key, value in ipam.items() if value}
    if attachment.mac:
        document["MacAddress"] = attachment.mac
    return {key: value for key, value in document.items() if value}


def _host_document(spec: ContainerSpec) -> JsonObject:
    bindings: dict[str, list[JsonObject]] = {}
    for port, address, host_port in spec.ports:
        bindings.setdefault(port, []).append({"HostIp": address, "HostPort": host_port})
    document: JsonObject = {
        "Mounts": [
            {
                "Type": mount.type,
                "Source": mount.name or mount.source,
                "Target": mount.destination,
                "ReadOnly": not mount.rw,
            }
            for mount in spec.mounts
        ],
        "Tmpfs": dict(spec.tmpfs),
        "PortBindings": bindings,
        "NetworkMode": spec.network or (spec.attachment.name if spec.attachment else "") or None,
        "CapAdd": list(spec.cap_add),
        "CapDrop": list(spec.cap_drop),
        "SecurityOpt": list(spec.security_opt),
        "Privileged": spec.privileged,
        "ReadonlyRootfs": spec.read_only,
        "AutoRemove": spec.auto_remove,
        "PidMode": spec.pid_mode,
        "IpcMode": spec.ipc_mode,
        "RestartPolicy": {"Name": spec.restart} if spec.restart else None,
        "Memory": spec.memory_bytes or None,
        "PidsLimit": spec.pids_limit or None,
    }
    return _without_none({**document, **spec.host_config})


def _without_none(document: JsonObject) -> JsonObject:
    return {key: value for key, value in document.items() if value is not None}
