"""A remote engine: a real engine behind real TLS on loopback, and behind a real sshd where there is one."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import DockerEngine, connect
from forensics.errors import EngineError, EngineUnavailableError

pytestmark = pytest.mark.docker


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_certificates(folder: Path) -> Path:
    """Make a CA, and of it a certificate for the server and one for the client, under the names that Docker uses."""
    folder.mkdir()
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl(folder, "req", "-x509", *new_key, "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=test CA")
    for name, certificate, key in (("server", "server.pem", "server-key.pem"), ("client", "cert.pem", "key.pem")):
        openssl(folder, "req", *new_key, "-keyout", key, "-out", "request.pem", "-subj", f"/CN={name}")
        (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        signing = ("-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", "ext")
        openssl(folder, "x509", "-req", "-in", "request.pem", "-out", certificate, *signing)
    return folder


@contextlib.contextmanager
def tls_in_front_of(engine_socket: str, certificates: Path) -> Iterator[int]:
    """Terminate TLS with client certificates, as dockerd's own port does, in front of the engine's unix socket."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_accept, args=(listener, context, engine_socket), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, context: ssl.SSLContext, engine_socket: str) -> None:
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(plain, context, engine_socket), daemon=True).start()


def _serve(plain: socket.socket, context: ssl.SSLContext, engine_socket: str) -> None:
    with (
        contextlib.suppress(OSError),
        context.wrap_socket(plain, server_side=True) as client,
        socket.socket(socket.AF_UNIX) as engine,
    ):
        engine.connect(engine_socket)
        threading.Thread(target=_copy, args=(client, engine), daemon=True).start()
        _copy(engine, client)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture
def tls_port(docker_host: str, certificates: Path) -> Iterator[int]:
    with tls_in_front_of(docker_host.removeprefix("unix://"), certificates) as port:
        yield port


def assert_usable(engine: DockerEngine, image: str) -> None:
    """Everything that the API gives works; what only the own host gives is known to be away."""
    assert engine.info().is_local is False
    container: Container = engine.run(ContainerSpec(image, command=("sh", "-c", "echo far; exec sleep 60")))
    try:
        time.sleep(0.3)
        assert b" far\n" in b"".join(engine.logs(container))
        assert sum(map(len, engine.save(image))) > 1_000_000
        engine.pause(container)
        image_id = engine.commit(container, pause=False)
        assert engine.inspect_container(container.id).status == "paused"
        engine.remove_image(image_id)
    finally:
        engine.remove_container(container, force=True)


def test_tls_with_client_certificates(
    tls_port: int, certificates: Path, base_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CERT_PATH", str(certificates))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent.pem")  # docker-py would silently trust this one instead
    with connect(f"tcp://127.0.0.1:{tls_port}") as engine:
        assert_usable(engine, base_image)


def test_a_certificate_of_another_authority_is_refused(
    tls_port: int, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_certificates(tmp_path / "other")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(other))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates / "ca.pem"))
    with pytest.raises(EngineUnavailableError, match=r"TLS with the engine at .* failed: ") as caught:
        connect(f"tcp://127.0.0.1:{tls_port}")
    assert "DOCKER_CERT_PATH" in caught.value.hint


def test_missing_client_certificates_are_refused(
    tls_port: int, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(certificates / "ca.pem", tmp_path / "ca.pem")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    with pytest.raises(EngineError):
        connect(f"tcp://127.0.0.1:{tls_port}")


def test_plain_http_to_a_tls_port(tls_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_CERT_PATH", raising=False)
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    with pytest.raises(EngineError) as caught:
        connect(f"tcp://127.0.0.1:{tls_port}")
    assert caught.value.exit_code == 4


@pytest.fixture
def sshd(tmp_path: Path, docker_host: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A private sshd on loopback whose only key is ours, and an ssh client that trusts it."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program or not shutil.which("docker") or not shutil.which("ssh") or os.getuid():
        pytest.skip("needs root, sshd, ssh and the docker client")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    shutil.copy(tmp_path / "user.pub", tmp_path / "authorized")
    (tmp_path / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nPidFile none\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {tmp_path}/authorized\nPermitRootLogin yes\nSetEnv DOCKER_HOST={docker_host} "
        f"PATH={os.environ['PATH']}\n"
    )
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f"#!/bin/sh\nexec {shutil.which('ssh')} -i {tmp_path}/user -o IdentitiesOnly=yes "
        f'-o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/known "$@"\n'
    )
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    Path("/run/sshd").mkdir(exist_ok=True)
    with subprocess.Popen([program, "-D", "-e", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL) as daemon:
        try:
            _wait_for_port(port)
            yield port
        finally:
            daemon.terminate()


def _wait_for_port(port: int) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    pytest.fail("sshd does not listen")


def test_ssh(sshd: int, base_image: str) -> None:
    user = pwd.getpwuid(os.getuid()).pw_name
    with connect(f"ssh://{user}@127.0.0.1:{sshd}") as engine:
        assert_usable(engine, base_image)


def test_an_ssh_login_that_fails_says_what_ssh_says(sshd: int) -> None:
    with pytest.raises(EngineUnavailableError, match=r"the tunnel to .* failed: .*Permission denied"):
        connect(f"ssh://nobody@127.0.0.1:{sshd}")
