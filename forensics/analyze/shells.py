"""Command shells driven from the network: sockets on their standard streams, network helpers, servers as parents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.identity import identify
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import NET_TOOLS, Process, Socket, name_program, program_in
from forensics.model import Confidence, Finding, Severity

_BENIGN = "Remote administration by design (inetd services, some health-check tools)."
SOCKET_SHELL = Rule(
    "process.shell-on-socket",
    "A shell takes its commands from a network connection",
    Severity.CRITICAL,
    ("T1059.004", "T1095"),
    "Standard input or output of the shell is a socket: somebody at the other end types commands.",
    _BENIGN,
    "Treat the peer as the intruder's address; look for the parent that opened it.",
)
SHELL_CONNECTED = Rule(
    "process.shell-with-connection",
    "A shell or script language holds a connection to an outside address",
    Severity.HIGH,
    ("T1059", "T1071"),
    "Shells do not talk to the network themselves; this one does, or feeds a helper that does.",
    "Applications written in a script language that call services on the Internet.",
    "Examine the script and the peer.",
    Confidence.MEDIUM,
)
PIPED_SHELL = Rule(
    "process.shell-behind-network-tool",
    "A shell is connected to the network through a helper program",
    Severity.CRITICAL,
    ("T1059.004", "T1095"),
    "The other end of the shell's pipes or terminal is held by a program with a network connection.",
    _BENIGN,
    "Treat the peer as the intruder's address.",
)
SERVER_CHILD = Rule(
    "process.shell-under-server",
    "A network service started a shell or a download tool",
    Severity.HIGH,
    ("T1190", "T1505.003", "T1059.004"),
    "Web servers, databases and caches do not start shells; after an exploit or through a web shell they do.",
    "CGI scripts, archive commands of databases, health checks of process managers.",
    "Read the service's log around the start time of the shell; look for web shells.",
)
_SCHEDULERS = frozenset({"cron", "crond", "atd", "anacron", "fcron", "supercronic"})
"""They start shells for a living; where the first process of a container is a server, they stand below it."""
_SERVERS = frozenset(
    [
        "nginx",
        "apache2",
        "httpd",
        "lighttpd",
        "caddy",
        "php-fpm",
        "php-cgi",
        "postgres",
        "mysqld",
        "mariadbd",
        "redis-server",
        "mongod",
        "memcached",
        "java",
        "catalina.sh",
        "vsftpd",
        "proftpd",
        "smbd",
        "exim4",
        "squid",
        "haproxy",
        "traefik",
        "envoy",
        "unrealircd",
        "solr",
        "w3wp",
    ]
)
_APPLICATIONS = frozenset(
    {"node", "python", "python3", "ruby", "php", "gunicorn", "uwsgi", "puma", "dotnet", "beam.smp"}
)
_FIRST_STEPS = re.compile(
    r"(?:^|[;&|\s('\"`])(?:id|whoami|uname\s+-\w+|hostname\s+-I|ifconfig|ip\s+(?:a|addr)|netstat\s+-\w+|ss\s+-\w+|w|last"
    r"|(?:cat|head|less|more|grep\s+\S+)\s+/etc/(?:passwd|shadow|hosts|group|issue|os-release)|cat\s+/proc/(?:version|1/\S+)"
    r"|env|printenv|sudo\s+-l|find\s+/\s[^;|]{0,40}-perm|ls\s+-\w*a\w*\s+/root)\s*(?=$|[;&|)'\"`\s])"
)
_MOST_ANCESTORS = 6
_STANDARD = 2


def analyze_shells(view: CaseView) -> Iterator[Finding]:
    """Judge every shell, script language and network tool by what drives it."""
    processes = {process.pid: process for process in view.processes}
    sockets = {socket.inode: socket for socket in view.sockets if socket.inode}
    identities = identify(view)
    for process in view.processes:
        identity = identities.get(process.pid)
        real = replace(process, exe=identity.path) if identity else process
        if real.is_shell() or real.is_interpreter():
            yield from _judge_streams(real, view.processes, sockets, processes)
    yield from _judge_servers(view.processes, processes)


def _judge_streams(
    process: Process, everybody: tuple[Process, ...], sockets: dict[int, Socket], by_pid: dict[int, Process]
) -> Iterator[Finding]:
    held = _sockets_of(process, sockets)
    standard = [socket for fd, socket in held if fd <= _STANDARD]
    unknown = [fd for fd, target in process.fds if 0 <= fd <= _STANDARD and target.startswith("socket:")]
    inet = [socket for socket in standard if socket is not None and _is_inet(socket)]
    if inet and (process.is_shell() or len(unknown) > 1):
        yield SOCKET_SHELL.found(
            f"pid {process.pid}: {process.command}, peer {inet[0].peer}", [process.reference, inet[0].reference]
        )
        return
    if unknown and process.is_shell() and not any(standard):
        yield SOCKET_SHELL.found(
            f"pid {process.pid}: {process.command}, descriptors {unknown} are sockets of unknown kind",
            [process.reference],
            severity=Severity.HIGH,
            confidence=Confidence.MEDIUM,
        )
        return
    connected = [socket for _, socket in held if socket is not None and socket.is_connected]
    if connected and process.is_shell():
        yield SHELL_CONNECTED.found(
            f"pid {process.pid}: {process.command}, peer {connected[0].peer}", [process.reference]
        )
    elif process.is_shell():
        yield from _judge_helpers(process, everybody, sockets, by_pid)


def _judge_helpers(
    process: Process, everybody: tuple[Process, ...], sockets: dict[int, Socket], by_pid: dict[int, Process]
) -> Iterator[Finding]:
    streams = {target for fd, target in process.fds if 0 <= fd <= _STANDARD and _is_channel(target)}
    parent = by_pid.get(process.ppid)
    for other in everybody:
        if other.pid == process.pid or other.is_shell():
            continue
        shares = any(target in streams for _, target in other.fds)
        on_terminal = other is parent and other.program != "sshd" and any("/dev/pts/" in target for target in streams)
        tool = program_in(other, NET_TOOLS) or (other is parent and other.is_interpreter())
        if not tool or not (shares or on_terminal):
            continue
        peers = [socket for _, socket in _sockets_of(other, sockets) if socket is not None and _is_inet(socket)]
        if peers:
            yield PIPED_SHELL.found(
                f"pid {process.pid}: {process.command}, through pid {other.pid}: {other.command}, peer {peers[0].peer}",
                [process.reference, other.reference],
                confidence=Confidence.MEDIUM,
            )
            return


def _judge_servers(everybody: tuple[Process, ...], by_pid: dict[int, Process]) -> Iterator[Finding]:
    """Report each server once, with every shell and tool that runs below it."""
    below: dict[int, list[Process]] = {}
    for process in everybody:
        server = _find_server(process, by_pid)
        if server is not None:
            below.setdefault(server.pid, []).append(process)
    for pid, children in below.items():
        server = by_pid[pid]
        shown = "; ".join(f"pid {child.pid}: {child.command}" for child in children)
        yield SERVER_CHILD.found(
            f"below pid {pid} ({server.command}): {shown}",
            [*(child.reference for child in children), server.reference],
            confidence=Confidence.MEDIUM if _server_name(server) in _APPLICATIONS else None,
        )


def _find_server(process: Process, by_pid: dict[int, Process]) -> Process | None:
    """Return the service above a shell or network tool, or None where there is none or it may start shells."""
    if not (program_in(process, NET_TOOLS) or process.is_shell()) or _has_ended(process):
        return None
    for ancestor in _ancestors(process, by_pid):
        if program_in(ancestor, _SCHEDULERS):
            return None
        name = _server_name(ancestor)
        if name:
            may = name in _APPLICATIONS and not _is_interactive(process) and not _looks_around(process)
            return None if may else ancestor
    return None


def _has_ended(process: Process) -> bool:
    """Whether nothing is left of it but its entry: such orphans, whoever started them, fall to the first process."""
    return not process.exe and not process.argv


def _looks_around(process: Process) -> bool:
    """Whether a shell does what an intruder does first: asks who and where it is, reads accounts, fetches tools."""
    return process.is_shell() and bool(_FIRST_STEPS.search(process.command))


def _ancestors(process: Process, by_pid: dict[int, Process]) -> Iterator[Process]:
    current = by_pid.get(process.ppid)
    for _ in range(_MOST_ANCESTORS):
        if current is None or current.pid == process.pid:
            return
        yield current
        current = by_pid.get(current.ppid)


def _server_name(process: Process) -> str:
    program = name_program(process)
    stem = program.rstrip("0123456789.") or program
    return next((name for name in (program, stem) if name in _SERVERS or name in _APPLICATIONS), "")


def _is_interactive(process: Process) -> bool:
    return process.is_shell() and (len(process.argv) <= 1 or "-i" in process.argv[1:])


def _is_channel(target: str) -> bool:
    return target.startswith(("pipe:", "/dev/pts/")) or (target.startswith("/") and not target.startswith("/dev/"))


def _is_inet(socket: Socket) -> bool:
    return socket.proto.startswith(("tcp", "udp", "raw")) and (socket.remote_port > 0 or socket.is_listening)


def _sockets_of(process: Process, sockets: dict[int, Socket]) -> list[tuple[int, Socket | None]]:
    held: list[tuple[int, Socket | None]] = []
    for fd, target in process.fds:
        if target.startswith("socket:["):
            inode = target.removeprefix("socket:[").rstrip("]")
            held.append((fd, sockets.get(int(inode)) if inode.isdecimal() else None))
    return held
