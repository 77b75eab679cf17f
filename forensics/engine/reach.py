"""Says in one sentence why an engine cannot be reached, and what to do. Standard library only."""

from __future__ import annotations

import errno
import os
import socket
import stat

from forensics.engine.address import Address
from forensics.errors import EngineError, EngineUnavailableError
from forensics.text import show

_CONNECT_SECONDS = 5.0
_BROKEN = frozenset(
    {"IncompleteRead", "ChunkedEncodingError", "RemoteDisconnected", "ConnectionResetError", "BrokenPipeError"}
)
_REASONS = (
    (
        frozenset({"SSLError", "TLSParameterError", "SSLCertVerificationError"}),
        "TLS with the engine at {where} failed: {reason}",
        "check ca.pem, cert.pem and key.pem in DOCKER_CERT_PATH, and DOCKER_TLS_VERIFY",
    ),
    (
        frozenset({"TimeoutError", "ReadTimeout", "ReadTimeoutError", "ConnectTimeout", "ConnectTimeoutError"}),
        "the engine at {where} did not answer in time",
        "it may hang; see its log",
    ),
    (frozenset({"ConnectionRefusedError"}), "nothing listens at {where}", "start the engine or correct its address"),
    (frozenset({"gaierror", "NameResolutionError"}), "the host name in {where} is unknown", "correct DOCKER_HOST"),
)


def check_unix_socket(address: Address) -> None:
    """Connect to a unix socket once, so that each way to fail has its own sentence; other schemes pass.

    Raises:
        EngineUnavailableError: no socket, no socket file, refused, no permission, time-out.
    """
    path = address.socket_path
    if not path:
        return
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - one system call, no Path
            raise EngineUnavailableError(
                f"{show(path)} is not a socket", hint=f"it comes from {address.origin}; correct the engine's address"
            )
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            probe.connect(path)
    except OSError as error:
        raise _explain_socket(address, path, error) from error


def _explain_socket(address: Address, path: str, error: OSError) -> EngineUnavailableError:
    if isinstance(error, TimeoutError):
        return EngineUnavailableError(f"the engine at {show(path)} does not accept connections", hint="it may hang")
    sentences = {
        errno.ENOENT: (
            f"there is no engine socket at {show(path)}",
            f"start the engine, or set DOCKER_HOST (the address comes from {address.origin})",
        ),
        errno.ECONNREFUSED: (
            f"nothing listens on the engine socket {show(path)}",
            "the engine is down: start it (systemctl start docker)",
        ),
        errno.EACCES: (
            f"no permission to open the engine socket {show(path)}",
            "run as root, or as a member of the socket's group",
        ),
    }
    message, hint = sentences.get(
        error.errno or 0, (f"the engine socket {show(path)} cannot be opened: {error.strerror}", "check DOCKER_HOST")
    )
    return EngineUnavailableError(message, hint=hint)


def explain_unreachable(address: Address, error: BaseException, tunnel: str) -> EngineError:
    """Return the error for a request that failed on its way; *tunnel* is what ssh said, if there is a tunnel."""
    where = show(address.url)
    if tunnel:
        return EngineUnavailableError(f"the tunnel to {where} failed: {tunnel}", hint="try 'ssh' to that host by hand")
    chain = _chain(error)
    names = {type(link).__name__ for link in chain}
    if names & _BROKEN:
        return EngineError(
            f"the engine at {where} broke off in the middle of its answer",
            hint="what was received is incomplete; check that the engine still runs, and its log",
        )
    for known, message, hint in _REASONS:
        if names & known:
            return EngineUnavailableError(message.format(where=where, reason=_reason(chain)), hint=hint)
    return EngineUnavailableError(f"the engine at {where} cannot be reached: {_reason(chain)}", hint="see 'ir doctor'")


def _chain(error: BaseException) -> list[BaseException]:
    """The error and everything that it wraps: causes, contexts, urllib3's reasons and nested arguments."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        link = waiting.pop(0)
        if not isinstance(link, BaseException) or any(link is known for known in found):
            continue
        found.append(link)
        waiting += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
    return found


def _reason(chain: list[BaseException]) -> str:
    deepest = chain[-1]
    return show(" ".join(str(getattr(deepest, "strerror", None) or deepest).split()), 200)
