"""One HTTP session with an engine, on docker-py's adapters: JSON calls, streams, and errors as one sentence.

docker-py is used for what it is good at (unix, TLS, API version); its convenience methods have time-outs and silences
that forensic streams cannot have (docker-py#2097), so requests are made here. Never retries a mutation.
"""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import requests
import urllib3.exceptions
from docker.api.client import APIClient
from docker.errors import DockerException
from docker.tls import TLSConfig

from forensics.engine.address import Address
from forensics.engine.base import EngineAnswerError
from forensics.engine.reach import check_unix_socket, explain_unreachable
from forensics.engine.tunnel import SshTunnel
from forensics.errors import EngineError, EngineUnavailableError
from forensics.model import JsonObject
from forensics.text import show

ANSWER_SECONDS = 60
STREAM_SILENCE_SECONDS = 1800
"""20.10 writes a whole image to its temporary directory before `save` sends the first byte."""
CHUNK_BYTES = 1 << 20
_TAIL_BYTES = 4096
_OLDEST_API = "1.24"
_HINTS = {
    403: "the engine, or an authorization plugin of it, does not allow this",
    404: "it is gone, or never was; see 'ir ps --all'",
    409: "its state does not allow this now; see 'ir ps --all'",
    501: "this engine does not have this function",
}
_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, DockerException, OSError)


class Transport:
    """A session with one engine; made by :func:`open_transport` only."""

    def __init__(self, address: Address, session: APIClient, tunnel: SshTunnel | None) -> None:
        """Wrap an open session; no request is made here."""
        self.address = address
        self._session = session
        self._tunnel = tunnel
        self._base = str(session.base_url)
        self.version: JsonObject = {}

    def close(self) -> None:
        """Close all connections and the tunnel, if there is one."""
        self._session.close()
        if self._tunnel:
            self._tunnel.close()

    def negotiate(self) -> None:
        """Ask for the version, and speak it from now on.

        Raises:
            EngineUnavailableError: what answers is no container engine.
        """
        document = self.get("/version")
        if not isinstance(document, dict) or not document.get("ApiVersion"):
            raise EngineUnavailableError(
                f"what answers at {show(self.address.url)} is not a container engine",
                hint="check the address in DOCKER_HOST or the settings",
            )
        self.version = document
        self._base = f"{self._session.base_url}/v{document['ApiVersion']}"

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - decoded JSON
        """GET *path* and return its JSON."""
        with self._errors():
            return _decode(self._request("GET", path, params=params))

    def post(self, path: str, body: Any = None, params: Mapping[str, Any] | None = None, *, slow: bool = False) -> Any:  # noqa: ANN401 - JSON
        """POST *body* as JSON and return the answer's JSON, or None where there is none."""
        headers = {"Content-Type": "application/json"}
        data = None if body is None else json.dumps(body)
        with self._errors():
            return _decode(self._request("POST", path, params=params, data=data, headers=headers, slow=slow))

    def delete(self, path: str, params: Mapping[str, Any] | None = None) -> None:
        """DELETE *path*."""
        with self._errors():
            self._request("DELETE", path, params=params, slow=True)

    def send(self, method: str, path: str, chunks: Iterable[bytes], params: Mapping[str, Any]) -> list[JsonObject]:
        """Send a tar stream; return the answer's JSON lines.

        Raises:
            EngineAnswerError: the engine reports an error inside a successful answer (build, load).
        """
        headers = {"Content-Type": "application/x-tar"}
        with self._errors():
            answer = self._request(method, path, params=params, data=iter(chunks), headers=headers, slow=True)
            lines = [json.loads(line) for line in answer.text.splitlines() if line.strip()]
        for line in lines:
            if isinstance(line, dict) and line.get("error"):
                raise EngineAnswerError(f"the engine reports: {show(str(line['error']).strip())}", status=500)
        return lines

    def stream(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """GET *path* and yield its body in chunks of at most a mebibyte; whatever ends early raises."""
        with self._errors(), self._request("GET", path, params=params, stream=True, slow=True) as answer:
            yield from answer.iter_content(CHUNK_BYTES)

    def stream_tar(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """Like :meth:`stream`; also notices the error that an engine appends to a tar it has already begun."""
        tail = b""
        for chunk in self.stream(path, params):
            tail = (tail + chunk)[-_TAIL_BYTES:]
            yield chunk
        start = tail.rfind(b'{"errorDetail"')
        if start >= 0 and tail.rstrip().endswith(b"}"):
            raise EngineError(
                f"the engine gave up in the middle of the stream: {show(tail[start:].strip(), 300)}",
                hint="what was received is incomplete; check the engine's disk space and log",
            )

    def _request(
        self,
        method: str,
        path: str,
        *,
        slow: bool = False,
        stream: bool = False,
        **arguments: Any,  # noqa: ANN401 - handed through to requests
    ) -> requests.Response:
        seconds = STREAM_SILENCE_SECONDS if slow else ANSWER_SECONDS
        answer = self._session.request(method, self._base + path, timeout=seconds, stream=stream, **arguments)
        if answer.status_code >= requests.codes.bad_request:
            raise _explain_answer(answer)
        return answer

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except _ERRORS as error:
            raise explain_unreachable(self.address, error, self._tunnel.diagnosis() if self._tunnel else "") from error
        except ValueError as error:
            raise EngineError(
                f"the engine at {show(self.address.url)} sent an answer that is no JSON",
                hint="check that the address is a container engine's",
            ) from error


def _check_form(address: Address) -> None:
    try:
        _ = urllib.parse.urlsplit(address.url).port
    except ValueError as error:
        raise EngineUnavailableError(
            f"the engine address '{show(address.url)}' from {address.origin} cannot be read ({error})",
            hint="use unix:///path, tcp://host:port or ssh://user@host",
        ) from error


def open_transport(address: Address) -> Transport:
    """Connect and negotiate.

    Raises:
        EngineUnavailableError: a sentence for each of no socket, refused, no permission, not an engine, time-out, TLS.
    """
    check_unix_socket(address)
    _check_form(address)
    tunnel = SshTunnel(address.url) if address.url.startswith("ssh://") else None
    url = tunnel.open() if tunnel else address.url
    try:
        session = APIClient(base_url=url, version=_OLDEST_API, timeout=ANSWER_SECONDS, tls=_tls(address))
    except _ERRORS as error:
        raise explain_unreachable(address, error, "") from error
    session.trust_env = False  # REQUESTS_CA_BUNDLE would silently replace the engine's own CA
    transport = Transport(address, session, tunnel)
    try:
        transport.negotiate()
    except BaseException:
        transport.close()
        raise
    return transport


def quote(ref: str) -> str:
    """Return *ref* as one safe part of a path (image references keep their slashes)."""
    return urllib.parse.quote(ref, safe="/:@")


def _tls(address: Address) -> TLSConfig | bool:
    if not address.use_tls:
        return False
    client = (address.cert, address.key) if address.cert and address.key else None
    return TLSConfig(client_cert=client, ca_cert=address.ca or None, verify=address.verify)


def _decode(answer: requests.Response) -> Any:  # noqa: ANN401 - decoded JSON
    return answer.json() if answer.content.strip() else None


def _explain_answer(answer: requests.Response) -> EngineAnswerError:
    try:
        document = answer.json()
        message = document.get("message") or document.get("cause") or ""
    except (ValueError, AttributeError):
        message = answer.text
    sentence = show(" ".join(str(message).split()), 400).rstrip(".") or f"HTTP status {answer.status_code}"
    hint = _HINTS.get(answer.status_code, "see the engine's log for the reason")
    return EngineAnswerError(f"the engine refuses: {sentence}", hint=hint, status=answer.status_code)
