"""Finds out where the engine is: explicit URL, DOCKER_HOST, the current Docker context, the default sockets.

The order is the Docker CLI's own (cli/command/context: DOCKER_HOST, DOCKER_CONTEXT, `currentContext`). Standard library
only; opens no connection.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from forensics.errors import EngineUnavailableError
from forensics.folders import find_home
from forensics.frozen import dataclass
from forensics.model import JsonObject
from forensics.text import show

SCHEMES = ("unix://", "tcp://", "http://", "https://", "ssh://")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an engine is and how to trust it; ``origin`` says where that was configured."""

    url: str
    origin: str
    ca: str = ""
    cert: str = ""
    key: str = ""
    use_tls: bool = False
    verify: bool = True

    @property
    def socket_path(self) -> str:
        """The path of a unix socket, else an empty string."""
        return "/" + self.url.removeprefix("unix://").lstrip("/") if self.url.startswith("unix://") else ""


def find_address(url: str = "") -> Address:
    """Return the engine's address.

    Raises:
        EngineUnavailableError: the address has an unknown form, or the selected context does not exist.
    """
    if url:
        return _from_url(url, "the settings")
    if os.environ.get("DOCKER_HOST"):
        return _from_url(os.environ["DOCKER_HOST"], "DOCKER_HOST")
    context = os.environ.get("DOCKER_CONTEXT") or _current_context()
    if context and context != "default":
        return _from_context(context)
    for path in _default_sockets():
        if Path(path).exists():
            return Address(f"unix://{path}", "the default socket")
    return Address(f"unix://{_default_sockets()[0]}", "the default socket")


def _from_url(url: str, origin: str) -> Address:
    if url.startswith("/"):
        url = f"unix://{url}"
    if not url.startswith(SCHEMES):
        raise EngineUnavailableError(
            f"the engine address {show(url)!r} from {origin} has no known form",
            hint="use unix:///path, tcp://host:port or ssh://user@host",
        )
    if url.startswith(("unix://", "ssh://", "http://")):
        return Address(url, origin)
    folder = Path(os.environ.get("DOCKER_CERT_PATH") or _config_dir())
    wanted = bool(os.environ.get("DOCKER_TLS_VERIFY")) or url.startswith("https://")
    if not wanted and not os.environ.get("DOCKER_CERT_PATH"):
        return Address(url, origin)
    return _with_tls(url, origin, folder, verify=wanted)


def _with_tls(url: str, origin: str, folder: Path, *, verify: bool) -> Address:
    ca, cert, key = (
        str(path) if path.is_file() else "" for path in (folder / f"{n}.pem" for n in ("ca", "cert", "key"))
    )
    return Address(url, origin, ca=ca, cert=cert, key=key, use_tls=True, verify=verify)


def _from_context(name: str) -> Address:
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = _config_dir() / "contexts" / "meta" / digest / "meta.json"
    endpoint = ((_read_json(meta).get("Endpoints") or {}).get("docker")) or {}
    if not endpoint.get("Host"):
        raise EngineUnavailableError(
            f"the Docker context {show(name)!r} does not exist or names no engine",
            hint="see 'docker context ls', or set DOCKER_HOST",
        )
    origin = f"the Docker context {show(name)!r}"
    url = str(endpoint["Host"])
    tls = _config_dir() / "contexts" / "tls" / digest / "docker"
    if not url.startswith("tcp://") or not (tls.is_dir() or endpoint.get("SkipTLSVerify")):
        return Address(url, origin)
    return _with_tls(url, origin, tls, verify=not endpoint.get("SkipTLSVerify"))


def _current_context() -> str:
    return str(_read_json(_config_dir() / "config.json").get("currentContext") or "")


def _read_json(path: Path) -> JsonObject:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _config_dir() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG") or find_home() / ".docker")


def _default_sockets() -> list[str]:
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    rootless = [f"{runtime}/docker.sock", f"{runtime}/podman/podman.sock"] if os.getuid() else []
    return ["/var/run/docker.sock", *rootless, "/run/podman/podman.sock"]
