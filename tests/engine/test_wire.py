"""The raw engine client: a real engine, and sockets that answer with malformed, hostile or cut-off HTTP."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.engine.base import EngineAnswerError
from forensics.engine.wire import WireEngine, render_endpoint
from forensics.engine.wire_http import Answer, Reader, read_answer
from forensics.errors import ContainerNotFoundError, EngineError, EngineUnavailableError

Serve = Callable[[bytes], WireEngine]


def read(raw: bytes, *, timeout_seconds: float = 5.0) -> Answer:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=lambda: (theirs.sendall(raw), theirs.shutdown(socket.SHUT_WR)))
        sender.start()
        try:
            return read_answer(Reader(ours, time.monotonic() + timeout_seconds))
        finally:
            ours.close()
            sender.join()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    listeners: list[socket.socket] = []

    def start(raw: bytes) -> WireEngine:
        path = tmp_path / f"{len(listeners)}.sock"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        listeners.append(listener)

        def answer() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(raw)

        threading.Thread(target=answer, daemon=True).start()
        return WireEngine(str(path), timeout_seconds=2)

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_body_of_known_length_is_read_exactly() -> None:
    answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: Docker/1 (linux)\r\n\r\n{}rest")
    assert (answer.status, answer.body) == (200, b"{}")
    assert answer.headers[b"server"] == b"Docker/1 (linux)"


def test_a_chunked_body_with_extension_and_trailer() -> None:
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\nTrailer: z\r\n\r\n"
    assert read(raw).body == b"{}"


def test_an_interim_answer_is_passed_over_and_no_content_has_no_body() -> None:
    assert read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n").status == 204


def test_without_a_length_the_end_of_the_connection_ends_the_body() -> None:
    assert read(b"HTTP/1.0 200 OK\r\n\r\n{}").body == b"{}"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "cut off or no HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"HTTP/2 200\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 2x0 OK\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nbroken\r\n\r\n", "malformed header"),
        (b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n", "malformed header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no valid length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n", "no valid length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999999\r\n\r\n", "larger than"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", "cut off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", "ambiguous length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", "ambiguous length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "ambiguous length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n", "malformed chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", "malformed chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", "larger than"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}XX", "malformed chunk"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "cut off"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 70000 + b"\r\n\r\n", "cut off or no HTTP|over-long"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000 + b"\r\n", "malformed header|over-long|cut off"),
    ],
)
def test_what_is_no_answer_of_an_engine_is_one_sentence(raw: bytes, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        read(raw)


@given(st.binary(max_size=400))
def test_any_bytes_give_an_answer_or_one_error(raw: bytes) -> None:
    with contextlib.suppress(EngineError):
        assert read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + raw).status == 200


def test_the_deadline_holds_although_bytes_keep_trickling() -> None:
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def trickle() -> None:
        while not stop.wait(0.02):
            try:
                theirs.send(b"X")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    with ours, theirs, pytest.raises(TimeoutError):
        read_answer(Reader(ours, time.monotonic() + 0.2))
    stop.set()
    thread.join()


@pytest.mark.parametrize("body", [b"[]", b"null", b"{", b"[" * 100_000, b"\xff"])
def test_an_inspect_answer_that_is_no_object_is_refused(serve: Serve, body: bytes) -> None:
    engine = serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    with pytest.raises(EngineError, match=r"no valid JSON|not a JSON object"):
        engine.find_container("x")


def test_an_error_message_of_the_engine_is_shown_escaped(serve: Serve) -> None:
    body = b'{"message":"no \\u001b[31m way"}'
    engine = serve(b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    with pytest.raises(EngineAnswerError, match=r"no \\x1b\[31m way") as caught:
        engine.inspect_network("x")
    assert caught.value.status == 500


def test_no_socket_nothing_listening_and_no_engine_are_told_apart(tmp_path: Path, serve: Serve) -> None:
    with pytest.raises(EngineUnavailableError, match="no engine socket"):
        WireEngine(str(tmp_path / "none.sock")).find_container("x")
    dead = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(dead))
    with pytest.raises(EngineUnavailableError, match="nothing listens"):
        WireEngine(str(dead)).find_container("x")
    with pytest.raises(EngineError, match="does not speak HTTP"):
        serve(b"220 smtp ready\r\n\r\n").find_container("x")


def test_a_name_cannot_leave_its_place_in_the_request(tmp_path: Path) -> None:
    path, seen = tmp_path / "s.sock", []
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def answer() -> None:
        for body in (b'{"message":"no"}', b"[]"):
            connection, _ = listener.accept()
            with connection:
                seen.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 404 N\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    thread = threading.Thread(target=answer)
    thread.start()
    with pytest.raises((ContainerNotFoundError, EngineAnswerError)):
        WireEngine(str(path)).find_container("x/../y?a=b\r\nEvil: 1 é")
    thread.join()
    listener.close()
    assert seen[0].startswith(b"GET /containers/x%2F..%2Fy%3Fa%3Db%0D%0AEvil%3A%201%20%C3%A9/json HTTP/1.1\r\n")


def test_only_what_was_asked_for_is_sent_on_connect() -> None:
    from forensics.engine.base import NetworkAttachment

    attachment = NetworkAttachment("n", aliases=("a",), ipv4="10.0.0.2", ipam_ipv6="fd00::2", mac="02:00:00:00:00:01")
    assert render_endpoint(attachment) == {
        "IPAMConfig": {"IPv6Address": "fd00::2"},
        "Aliases": ["a"],
        "Links": None,
        "DriverOpts": None,
    }


@pytest.mark.docker
def test_a_real_engine_answers(docker_host: str) -> None:
    from forensics.engine.address import find_address

    engine = WireEngine(find_address(docker_host).socket_path)
    with pytest.raises(ContainerNotFoundError, match="no container is called 'ir-no-such-thing'"):
        engine.find_container("ir-no-such-thing")
    assert engine.inspect_network("bridge")["Driver"] == "bridge"
    assert engine.identity[0]
    assert engine.peer_pid() > 0
