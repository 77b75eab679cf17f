"""Every way in which an engine cannot be reached has its own sentence and hint, exit code 4, and no traceback."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from forensics.engine import transport
from forensics.engine.address import find_address
from forensics.engine.docker import connect
from forensics.engine.docker_read import _unframe
from forensics.engine.tunnel import ssh_arguments
from forensics.errors import EngineError, EngineUnavailableError

VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


@pytest.fixture(autouse=True)
def no_docker_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A server on loopback that answers every connection with *answer* and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def fail(url: str) -> EngineError:
    with pytest.raises(EngineError) as caught:
        connect(url)
    assert caught.value.exit_code == 4
    assert caught.value.hint
    return caught.value


def test_no_socket(tmp_path: Path) -> None:
    assert fail(f"unix://{tmp_path}/none.sock").message == f"there is no engine socket at {tmp_path}/none.sock"


def test_nothing_listens(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert fail(f"unix://{path}").message == f"nothing listens on the engine socket {path}"


def test_a_file_is_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert fail(f"unix://{path}").message == f"{path} is not a socket"


@pytest.mark.skipif(os.getuid() != 0, reason="becomes another user for a moment")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "private.sock"
    with socket.socket(socket.AF_UNIX) as private:
        private.bind(str(path))
        private.listen()
        path.chmod(0o600)
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(0o755)
        os.seteuid(65534)
        try:
            message = fail(f"unix://{path}").message
        finally:
            os.seteuid(0)
    assert message == f"no permission to open the engine socket {path}"


def test_tcp_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert fail(f"tcp://127.0.0.1:{port}").message == f"nothing listens at tcp://127.0.0.1:{port}"


def test_not_an_engine() -> None:
    body = b'{"hello": 1}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with answering(answer) as port:
        assert "is not a container engine" in fail(f"tcp://127.0.0.1:{port}").message


@pytest.mark.parametrize("body", [b"<html>hi</html>", b"", b"[]", b'"x"', b"null"])
def test_an_answer_that_is_no_engines_json(body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with answering(answer) as port:
        assert "engine" in fail(f"tcp://127.0.0.1:{port}").message


def test_an_answer_that_breaks_off() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as port:
        assert "broke off in the middle" in fail(f"tcp://127.0.0.1:{port}").message


def test_no_http_at_all() -> None:
    with answering(b"SSH-2.0-OpenSSH_9.2\r\n") as port:
        fail(f"tcp://127.0.0.1:{port}")


def test_hostile_error_texts_are_shown_escaped() -> None:
    body = json.dumps({"message": "no\x1b[2J\nsuch"}).encode()
    answer = b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with answering(answer) as port:
        message = fail(f"tcp://127.0.0.1:{port}").message
    assert message == "the engine refuses: no\\x1b[2J such"


@pytest.mark.parametrize("error", [b'{"errorDetail":{"message":"write: no space"},"error":"write: no space"}\r\n'])
def test_an_error_behind_a_begun_stream_is_noticed(error: bytes) -> None:
    """Docker appends it to the tar and ends the stream as if all were well."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            version = json.dumps({"ApiVersion": "1.41"}).encode()
            body = version if self.path == "/version" else b"\0" * 5000 + error
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with (
            connect(f"tcp://127.0.0.1:{server.server_port}") as engine,
            pytest.raises(EngineError, match="gave up in the middle of the stream"),
        ):
            list(engine.save("x"))
        server.shutdown()


class SlowHandler(http.server.BaseHTTPRequestHandler):
    """An engine that needs a second before it answers anything but the version."""

    def do_GET(self) -> None:
        body = b'{"ApiVersion": "1.41"}'
        if not self.path.endswith("/version"):
            time.sleep(1)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_save_is_patient_where_a_question_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """docker-py#2097: its 60 s end a large `save`, which an engine prepares before it sends the first byte."""
    monkeypatch.setattr(transport, "ANSWER_SECONDS", 0.3)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with connect(f"tcp://127.0.0.1:{server.server_port}") as engine:
            with pytest.raises(EngineUnavailableError, match="did not answer in time"):
                engine.inspect_image("x")
            assert b"".join(engine.save("x"))
        server.shutdown()


def frame(content: bytes) -> bytes:
    return b"\x01\0\0\0" + len(content).to_bytes(4, "big") + content


@pytest.mark.parametrize("size", [1, 3, 8, 11, 1000])
def test_log_frames_may_be_cut_anywhere(size: int) -> None:
    framed = frame(b"one\n") + frame(b"") + frame(b"two\n" * 9)
    chunks = iter([framed[start : start + size] for start in range(0, len(framed), size)])
    assert b"".join(_unframe(chunks)) == b"one\n" + b"two\n" * 9


@pytest.mark.parametrize("missing", [1, 10])
def test_a_log_that_ends_inside_a_frame_raises(missing: int) -> None:
    with pytest.raises(EngineError, match="ends inside a frame"):
        list(_unframe(iter([frame(b"one\n")[:-missing]])))


@pytest.mark.parametrize("url", ["ftp://x", "docker.sock", "\x1b[2J"])
def test_an_unknown_form(url: str) -> None:
    error = fail(url)
    assert "has no known form" in error.message
    assert "\x1b" not in error.message


def test_docker_host_wins_over_the_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_context(tmp_path / "config", "remote", {"Host": "tcp://192.0.2.1:2376"})
    monkeypatch.setenv("DOCKER_CONTEXT", "remote")
    assert find_address().url == "tcp://192.0.2.1:2376"
    monkeypatch.setenv("DOCKER_HOST", "unix:///x.sock")
    assert (find_address().url, find_address().origin) == ("unix:///x.sock", "DOCKER_HOST")
    assert find_address("ssh://u@h").origin == "the settings"


def test_the_current_context_of_the_configuration(tmp_path: Path) -> None:
    folder = write_context(tmp_path / "config", "far", {"Host": "tcp://192.0.2.1:2376"})
    (tmp_path / "config" / "config.json").write_text('{"currentContext": "far"}')
    tls = tmp_path / "config" / "contexts" / "tls" / folder / "docker"
    tls.mkdir(parents=True)
    (tls / "ca.pem").touch()
    address = find_address()
    assert (address.use_tls, address.verify, address.ca) == (True, True, str(tls / "ca.pem"))


def test_a_context_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    with pytest.raises(EngineUnavailableError, match="the Docker context 'gone' does not exist"):
        find_address()


def write_context(config: Path, name: str, endpoint: dict[str, str]) -> str:
    digest = hashlib.sha256(name.encode()).hexdigest()
    folder = config / "contexts" / "meta" / digest
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    return digest


def test_the_ssh_command() -> None:
    arguments = ssh_arguments("ssh://ops@host.example:2222")
    assert arguments[5:] == ["-l", "ops", "-p", "2222", "--", "host.example", "docker", "system", "dial-stdio"]
    with pytest.raises(EngineUnavailableError, match="names no host"):
        ssh_arguments("ssh://-oProxyCommand=x")


def test_an_ssh_host_that_cannot_be_reached_is_explained() -> None:
    assert "the tunnel to ssh://nobody@127.0.0.1:1 failed: " in fail("ssh://nobody@127.0.0.1:1").message
