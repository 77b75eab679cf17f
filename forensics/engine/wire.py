"""A minimal client of the Engine API over a unix socket, for containment: every millisecond before the cut counts.

Standard library only and little of it; importing docker-py alone would take longer than the whole cut. It never
follows a redirect, never upgrades a connection, and never trusts the answer: what it reads is bounded and strict
(RFC 9112), because the names and labels in it are the attacker's and the socket may not be an engine at all.
"""

from __future__ import annotations

import contextlib
import functools
import json
import socket
import struct
import time
from typing import Any

from forensics.engine.base import Container, EngineAnswerError, NetworkAttachment, parse_container
from forensics.engine.process_table import Shared
from forensics.engine.wire_http import NOT_AN_ENGINE, Answer, Reader, read_answer
from forensics.errors import AmbiguousContainerError, ContainerNotFoundError, EngineError, EngineUnavailableError
from forensics.model import JsonObject
from forensics.text import from_bytes, show

_UNRESERVED = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~")
_NOT_FOUND = 404
_REDIRECT = 300
_ERROR = 400
_SUGGESTIONS = 3


class WireEngine:
    """The part of the Engine API that containment needs, on one unix socket; one connection a request."""

    def __init__(self, path: str, *, timeout_seconds: float = 30.0) -> None:
        """Keep the socket's *path*; nothing is opened yet. *timeout_seconds* bounds each request as a whole."""
        self._path = path
        self._timeout_seconds = timeout_seconds
        self._headers: dict[bytes, bytes] = {}
        self._lists = {every: Shared(functools.partial(self._list, every)) for every in (False, True)}

    @property
    def url(self) -> str:
        """The address that answers."""
        return f"unix://{self._path}"

    def peer_pid(self) -> int:
        """Return the process that listens on the socket (SO_PEERCRED, unix(7)), 0 where the kernel does not say.

        Under socket activation that is the service manager, which shares the engine's network namespace.
        """
        with contextlib.closing(self._connect()) as connection:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid: int = struct.unpack("3i", credentials)[0]
        return pid

    @property
    def identity(self) -> tuple[str, str]:
        """Server name with version, and API version, as the headers of the last answer told.

        Asking for ``/version`` makes the engine start helper programs, which takes longer than the cut.
        """
        server, api = (self._headers.get(name, b"") for name in (b"server", b"api-version"))
        return from_bytes(server), from_bytes(api)

    def find_container(self, ref: str) -> Container:
        """Return the one container with this name, id or id prefix.

        Raises:
            ContainerNotFoundError: no container is called so; the hint names close ones.
            AmbiguousContainerError: an id prefix that fits several.
        """
        answer = self._request("GET", f"/containers/{_quote(ref)}/json") if ref else Answer(_NOT_FOUND, b"{}", {})
        if answer.status >= _REDIRECT:  # Go's router redirects what holds "//" or "..": that is no container's name
            self._explain_missing(ref, answer)
        return parse_container(_as_object(_decode(answer.body)))

    def list_containers(self, *, all: bool = False) -> tuple[Container, ...]:  # noqa: A002 - the engine's word
        """Return the containers as the engine's list tells them: ids, names, status, network mode and networks.

        Threads that ask at the same time share an answer, none of which is older than the question.
        """
        return self._lists[all].get()

    def _list(self, every: bool) -> tuple[Container, ...]:
        listed = self._call("GET", f"/containers/json?all={int(every)}")
        return tuple(_parse_listed(raw) for raw in listed or [] if isinstance(raw, dict))

    def inspect_network(self, ref: str) -> JsonObject:
        """Return the inspect document of a network."""
        return _as_object(self._call("GET", f"/networks/{_quote(ref)}"))

    def pause(self, container: Container) -> None:
        """Freeze all processes."""
        self._call("POST", f"/containers/{container.id}/pause")

    def unpause(self, container: Container) -> None:
        """Let all processes go on."""
        self._call("POST", f"/containers/{container.id}/unpause")

    def start(self, container: Container) -> None:
        """Start it."""
        self._call("POST", f"/containers/{container.id}/start")

    def kill(self, container: Container, signal: str = "KILL") -> None:
        """Send a signal to its first process; of one that waits to be started again, take back the start instead."""
        self._call("POST", f"/containers/{container.id}/kill?signal={_quote(signal)}")

    def connect_network(self, container: Container, attachment: NetworkAttachment) -> None:
        """Attach the container to a network with the aliases, addresses and options given."""
        endpoint = render_endpoint(attachment)
        if isinstance(endpoint.get("Aliases"), list):  # the engine adds its own; Podman once more each time
            endpoint["Aliases"] = [alias for alias in endpoint["Aliases"] if alias != container.short_id]
        body = {"Container": container.id, "EndpointConfig": endpoint}
        self._call("POST", f"/networks/{_quote(attachment.network_id or attachment.name)}/connect", body)

    def disconnect_network(self, container: Container, network: str) -> None:
        """Detach the container from a network. The engine's success is no proof that no packet flows."""
        self._call("POST", f"/networks/{_quote(network)}/disconnect", {"Container": container.id, "Force": False})

    def update_restart_policy(self, container: Container, name: str, maximum_retries: int = 0) -> None:
        """Replace the restart policy."""
        policy = {"Name": name, "MaximumRetryCount": maximum_retries}
        self._call("POST", f"/containers/{container.id}/update", {"RestartPolicy": policy})

    def _call(self, method: str, target: str, body: JsonObject | None = None) -> Any:  # noqa: ANN401 - decoded JSON
        answer = self._request(method, target, body)
        if answer.status >= _ERROR:
            raise EngineAnswerError(f"the engine refused: {_message(answer)}", status=answer.status)
        return _decode(answer.body) if method == "GET" and answer.body.strip() else None  # Podman answers a POST "OK"

    def _request(self, method: str, target: str, body: JsonObject | None = None) -> Answer:
        payload = b"" if body is None else json.dumps(body).encode("ascii")
        head = f"{method} {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nAccept: application/json\r\n"
        if method == "POST":
            head += f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
        deadline = time.monotonic() + self._timeout_seconds
        with contextlib.closing(self._connect()) as connection:
            try:
                connection.sendall(head.encode("ascii") + b"\r\n" + payload)
                answer = read_answer(Reader(connection, deadline))
            except TimeoutError as error:
                raise EngineUnavailableError(
                    f"the engine at {show(self.url)} did not answer within {self._timeout_seconds:.0f} s",
                    hint="see whether the daemon hangs; 'docker ps' would hang too",
                ) from error
            except OSError as error:
                raise EngineUnavailableError(
                    f"the engine at {show(self.url)} broke the connection ({error.strerror or error})",
                    hint="see whether the daemon has just been restarted, then try again",
                ) from error
        self._headers = answer.headers
        return answer

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout_seconds)
        try:
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise _explain_connect(self.url, error) from error
        return connection

    def _explain_missing(self, ref: str, answer: Answer) -> None:
        known = self.list_containers(all=True)
        fitting = [container for container in known if ref and container.id.startswith(ref)]
        if len(fitting) > 1:
            names = ", ".join(f"{show(container.name)} ({container.short_id})" for container in fitting)
            raise AmbiguousContainerError(f"'{show(ref)}' fits several containers: {names}", hint="use the full name")
        if answer.status == _NOT_FOUND or not fitting:
            raise ContainerNotFoundError(f"no container is called '{show(ref)}'", hint=_suggest(ref, known))
        raise EngineAnswerError(f"the engine refused: {_message(answer)}", status=answer.status)


def _decode(body: bytes) -> Any:  # noqa: ANN401 - decoded JSON
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EngineError("the engine's answer is no valid JSON", hint=NOT_AN_ENGINE) from error


def _as_object(decoded: Any) -> JsonObject:  # noqa: ANN401 - decoded JSON
    if not isinstance(decoded, dict):
        raise EngineError("the engine's answer is not a JSON object", hint=NOT_AN_ENGINE)
    return decoded


def _message(answer: Answer) -> str:
    try:
        decoded = json.loads(answer.body)
    except (ValueError, RecursionError):
        decoded = None
    message = decoded.get("message") if isinstance(decoded, dict) else None
    return show(str(message)) if message else f"HTTP status {answer.status}"


def _explain_connect(url: str, error: OSError) -> EngineUnavailableError:
    shown = show(url)
    if isinstance(error, FileNotFoundError):
        return EngineUnavailableError(f"no engine socket at {shown}", hint="start the engine, or set DOCKER_HOST")
    if isinstance(error, PermissionError):
        return EngineUnavailableError(
            f"you may not open the engine's socket {shown}", hint="use sudo, or join the group that owns the socket"
        )
    if isinstance(error, ConnectionRefusedError):
        return EngineUnavailableError(f"nothing listens on {shown}", hint="start the engine, or set DOCKER_HOST")
    return EngineUnavailableError(
        f"the engine at {shown} cannot be reached ({error.strerror or error})", hint="see that DOCKER_HOST is right"
    )


def _parse_listed(raw: JsonObject) -> Container:
    names = raw.get("Names") or [""]
    state = str(raw.get("State") or "")
    return parse_container(
        {
            "Id": raw.get("Id"),
            "Name": names[0],
            "Image": raw.get("ImageID"),
            "Config": {"Image": raw.get("Image"), "Labels": raw.get("Labels")},
            "State": {"Status": state, "Paused": state == "paused"},
            "HostConfig": raw.get("HostConfig"),
            "NetworkSettings": raw.get("NetworkSettings"),
        }
    )


def _suggest(ref: str, known: tuple[Container, ...]) -> str:
    import difflib  # noqa: PLC0415 - only when a name was mistyped

    close = difflib.get_close_matches(ref, [container.name for container in known], n=_SUGGESTIONS, cutoff=0.5)
    return f"did you mean {' or '.join(map(show, close))}?" if close else "'ir ps --all' lists them"


def _quote(ref: str) -> str:
    raw = ref.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in raw)


def render_endpoint(attachment: NetworkAttachment) -> JsonObject:
    """Return the ``EndpointConfig`` of the Engine API for an attachment; only what was asked for, nothing derived."""
    ipam = {"IPv4Address": attachment.ipam_ipv4, "IPv6Address": attachment.ipam_ipv6}
    asked = {key: value for key, value in ipam.items() if value}
    return {
        "IPAMConfig": asked or None,
        "Aliases": list(attachment.aliases) or None,
        "Links": list(attachment.links) or None,
        "DriverOpts": dict(attachment.driver_opts) or None,
    }
