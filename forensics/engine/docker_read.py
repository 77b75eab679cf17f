"""What can be read from an engine without changing it."""

from __future__ import annotations

import codecs
import difflib
import json
import re
import struct
from collections.abc import Iterator
from typing import Self

from forensics.engine.base import Container, EngineAnswerError, EngineInfo, parse_container
from forensics.engine.transport import Transport, quote
from forensics.errors import AmbiguousContainerError, ContainerNotFoundError, EngineError
from forensics.model import ChangeKind, JsonObject
from forensics.text import show

_REF = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_KINDS = {0: ChangeKind.MODIFIED, 1: ChangeKind.ADDED, 2: ChangeKind.DELETED}
_FRAME = struct.Struct(">BxxxL")
_GONE = 404
_NAMED_AT_MOST = 5


class DockerReader:
    """The reading half of an engine."""

    def __init__(self, transport: Transport) -> None:
        """Wrap an open transport."""
        self._transport = transport

    def __enter__(self) -> Self:
        """Return the engine itself; leaving closes it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    @property
    def url(self) -> str:
        """The address that answers."""
        return self._transport.address.url

    @property
    def origin(self) -> str:
        """Where that address was configured."""
        return self._transport.address.origin

    def read_version(self) -> JsonObject:
        """Return the version document, with its components (containerd, runc)."""
        return self._transport.version

    def read_info(self) -> JsonObject:
        """Return the engine's info document."""
        return self._object("/info")

    def info(self, witness: Container | None = None) -> EngineInfo:
        """Return what engine this is, and by facts whether its processes are on this host.

        *witness* is a container that is known already; where it proves the latter, no other is asked for.
        """
        from forensics.engine.locality import is_local  # noqa: PLC0415 - walks /proc, only here

        version, raw = self.read_version(), self.read_info()
        return EngineInfo(
            name="podman" if self._is_podman() else "docker",
            version=str(version.get("Version") or ""),
            api_version=str(version.get("ApiVersion") or ""),
            id=str(raw.get("ID") or ""),
            os=str(raw.get("OperatingSystem") or ""),
            kernel=str(raw.get("KernelVersion") or version.get("KernelVersion") or ""),
            storage_driver=str(raw.get("Driver") or ""),
            cgroup_version=str(raw.get("CgroupVersion") or ""),
            root_dir=str(raw.get("DockerRootDir") or ""),
            security_options=tuple(map(str, raw.get("SecurityOptions") or ())),
            is_local=is_local(self, witness),
            raw=raw,
        )

    def list_containers(self, *, all: bool = False) -> tuple[Container, ...]:  # noqa: A002 - the engine's word
        """Return the running containers (or all), newest first; one that vanishes meanwhile is left out."""
        return tuple(self.iterate_containers(all=all))

    def iterate_containers(self, *, all: bool = False) -> Iterator[Container]:  # noqa: A002 - the engine's word
        """Like :meth:`list_containers`, each inspected only when it is asked for."""
        for entry in self._list("/containers/json", {"all": "1" if all else "0"}):
            try:
                yield self.inspect_container(str(entry.get("Id")))
            except ContainerNotFoundError:
                continue

    def inspect_container(self, container_id: str) -> Container:
        """Return the container with this id or name, as the engine resolves it.

        Raises:
            ContainerNotFoundError: there is none.
        """
        if not _REF.fullmatch(container_id):
            raise ContainerNotFoundError(f"'{show(container_id)}' is no container name or id", hint="see 'ir ps --all'")
        try:
            return parse_container(self._object(f"/containers/{container_id}/json"))
        except EngineAnswerError as error:
            if error.status == _GONE:
                raise ContainerNotFoundError(f"there is no container '{show(container_id)}'") from error
            raise

    def find_container(self, ref: str) -> Container:
        """Return the one container with this name, id or id prefix.

        Raises:
            ContainerNotFoundError: none fits; the hint names what is close.
            AmbiguousContainerError: an id prefix fits several; the hint names them.
        """
        ref = ref.removeprefix("/")
        try:
            return self.inspect_container(ref)
        except ContainerNotFoundError:
            known = self._names()
            if not _REF.fullmatch(ref):
                raise
        except EngineAnswerError:
            known = self._names()
            if sum(identity.startswith(ref) for identity, _ in known) < 2:  # noqa: PLR2004 - it takes two
                raise
        return self._explain_missing(ref, known)

    def _explain_missing(self, ref: str, known: list[tuple[str, str]]) -> Container:
        fitting = [f"{name} ({identity[:12]})" for identity, name in known if identity.startswith(ref)]
        if len(fitting) > 1:
            raise AmbiguousContainerError(
                f"the id '{show(ref)}' fits {len(fitting)} containers",
                hint=f"give more digits: {show(', '.join(fitting[:_NAMED_AT_MOST]))}",
            )
        close = difflib.get_close_matches(ref, [name for _, name in known], _NAMED_AT_MOST, 0.5)
        hint = f"did you mean {show(', '.join(close))}?" if close else "see 'ir ps --all'"
        raise ContainerNotFoundError(f"there is no container '{show(ref)}'", hint=hint)

    def _names(self) -> list[tuple[str, str]]:
        entries = self._list("/containers/json", {"all": "1"})
        return [(str(entry["Id"]), str((entry.get("Names") or ["/"])[0]).lstrip("/")) for entry in entries]

    def inspect_image(self, ref: str) -> JsonObject:
        """Return the inspect document of an image."""
        return self._object(f"/images/{quote(ref)}/json")

    def image_history(self, ref: str) -> list[JsonObject]:
        """Return the build history of an image, newest first."""
        return self._list(f"/images/{quote(ref)}/history")

    def list_images(self) -> list[JsonObject]:
        """Return the engine's images."""
        return self._list("/images/json")

    def inspect_network(self, ref: str) -> JsonObject:
        """Return the inspect document of a network, with the containers in it."""
        return self._object(f"/networks/{quote(ref)}")

    def list_networks(self) -> list[JsonObject]:
        """Return the engine's networks."""
        return self._list("/networks")

    def inspect_volume(self, name: str) -> JsonObject:
        """Return the inspect document of a volume."""
        return self._object(f"/volumes/{quote(name)}")

    def list_volumes(self) -> list[JsonObject]:
        """Return the engine's volumes."""
        return list(self._object("/volumes").get("Volumes") or [])

    def logs(self, container: Container, *, stdout: bool = True, stderr: bool = True) -> Iterator[bytes]:
        """Stream both outputs with the engine's timestamps, in the order the engine gives them.

        Raises:
            EngineError: the logging driver cannot be read, or the stream ends inside a frame.
        """
        params = {"stdout": int(stdout), "stderr": int(stderr), "timestamps": 1, "follow": 0}
        chunks = self._transport.stream(f"/containers/{container.id}/logs", params)
        tty = bool((container.raw.get("Config") or {}).get("Tty"))
        return chunks if tty else _unframe(chunks)

    def top(self, container: Container) -> JsonObject:
        """Return the engine's own process list (``Titles``, ``Processes``).

        ⚠ Podman runs the container's own `ps` for arguments that are ps's; for names of its columns it looks itself.
        Its PID is that inside the container, its HPID the host's.
        """
        wanted = "pid,hpid,ppid,huser,args" if self._is_podman() else "-eo pid,ppid,uid,gid,stime,args"
        return self._object(f"/containers/{container.id}/top", {"ps_args": wanted, "stream": "false"})

    def _is_podman(self) -> bool:
        components = " ".join(str(part.get("Name")) for part in self.read_version().get("Components") or [])
        return "podman" in components.lower()

    def diff(self, container: Container) -> tuple[tuple[str, ChangeKind], ...]:
        """Return the engine's own list of changed paths."""
        return tuple(self.iterate_diff(container))

    def iterate_diff(self, container: Container) -> Iterator[tuple[str, ChangeKind]]:
        """Like :meth:`diff`, one after the other: a million of them are never held at once."""
        for change in _decode_array(self._transport.stream(f"/containers/{container.id}/changes")):
            yield str(change["Path"]), _KINDS[int(change["Kind"])]

    def events(self, since: str, until: str, container: Container | None = None) -> Iterator[JsonObject]:
        """Yield recorded events between two times (UNIX seconds); engines keep few of them."""
        params = {"since": since, "until": until}
        if container:
            params["filters"] = json.dumps({"container": [container.id]})
        rest = b""
        for chunk in self._transport.stream("/events", params):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield from _decode_line(line)
        yield from _decode_line(rest)

    def save(self, image_id: str) -> Iterator[bytes]:
        """Stream an image as the engine's tar, never held as a whole, patient with an engine that prepares long."""
        return self._transport.stream_tar(f"/images/{quote(image_id)}/get")

    def export(self, container: Container) -> Iterator[bytes]:
        """Stream the container's root file system as tar, without volumes and tmpfs."""
        return self._transport.stream_tar(f"/containers/{container.id}/export")

    def read_archive(self, container: Container, path: str) -> Iterator[bytes]:
        """Stream one path as tar. ⚠ A tmpfs directory comes back empty: read those through the host."""
        return self._transport.stream_tar(f"/containers/{container.id}/archive", {"path": path})

    def _object(self, path: str, params: JsonObject | None = None) -> JsonObject:
        document = self._transport.get(path, params)
        if not isinstance(document, dict):
            raise EngineError(
                f"the engine's answer for {show(path)} is not an object", hint="is it a container engine?"
            )
        return document

    def _list(self, path: str, params: JsonObject | None = None) -> list[JsonObject]:
        return list(self._transport.get(path, params) or [])


class _Unframer:
    """Takes the frames off a multiplexed log (Engine API, "Stream format"), in constant memory."""

    def __init__(self) -> None:
        self._header = b""
        self._left = 0

    @property
    def is_inside(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._header or self._left)

    def feed(self, chunk: bytes) -> bytes:
        """Return the content in *chunk*."""
        pieces = []
        position = 0
        while position < len(chunk):
            wanted = self._left or _FRAME.size - len(self._header)
            part = chunk[position : position + wanted]
            position += len(part)
            if self._left:
                self._left -= len(part)
                pieces.append(part)
            else:
                self._header += part
                if len(self._header) == _FRAME.size:
                    self._left, self._header = int(_FRAME.unpack(self._header)[1]), b""
        return b"".join(pieces)


def _unframe(chunks: Iterator[bytes]) -> Iterator[bytes]:
    unframer = _Unframer()
    for chunk in chunks:
        content = unframer.feed(chunk)
        if content:
            yield content
    if unframer.is_inside:
        raise EngineError("the engine's log ends inside a frame", hint="the log is incomplete; see the engine's log")


def _decode_array(chunks: Iterator[bytes]) -> Iterator[JsonObject]:
    """Yield the objects of a JSON array that comes in pieces; `null` is an empty one."""
    decoder = json.JSONDecoder()
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    text = ""
    is_open = False
    for chunk in chunks:
        text += decode(chunk)
        while text := text.lstrip(" \r\n\t,[" if not is_open else " \r\n\t,"):
            is_open = True
            try:
                document, end = decoder.raw_decode(text)
            except ValueError:
                break  # the rest is still to come
            if isinstance(document, dict):
                yield document
            text = text[end:]
    if text.strip(" \r\n\t]"):
        raise EngineError("the engine's list of changes ends early", hint="see the engine's log")


def _decode_line(line: bytes) -> Iterator[JsonObject]:
    if not line.strip():
        return
    try:
        document = json.loads(line)
    except ValueError as error:
        raise EngineError(
            "the engine sent an event that is no JSON", hint="the list of events is incomplete"
        ) from error
    if isinstance(document, dict):
        yield document
