"""Processes and sockets as typed values, read from evidence documents. Never raises on hostile values."""

from __future__ import annotations

import ipaddress
import posixpath
from dataclasses import dataclass

from forensics.model import EvidenceRef, JsonObject

SHELLS = frozenset({"sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "rbash"})
INTERPRETERS = frozenset(
    {"python", "perl", "php", "ruby", "node", "lua", "awk", "gawk", "mawk", "tclsh", "expect",
     "pypy", "luajit", "nodejs", "bun", "deno", "jruby", "julia", "pwsh", "guile", "irb", "wish", "texlua"}
)  # fmt: skip
NET_TOOLS = frozenset({"nc", "ncat", "netcat", "socat", "telnet", "openssl", "cryptcat", "curl", "wget"})


def text_of(value: object) -> str:
    """Return *value* if it is text, else an empty string."""
    return value if isinstance(value, str) else ""


def number_of(value: object, default: int = 0) -> int:
    """Return *value* as an integer if it is one (or decimal text), else *default*."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value)
    return default


def texts_of(value: object) -> tuple[str, ...]:
    """Return the texts in a list, or nothing."""
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()


def objects_of(value: object) -> tuple[JsonObject, ...]:
    """Return the objects in a list, or nothing."""
    return tuple(part for part in value if isinstance(part, dict)) if isinstance(value, list) else ()


def object_of(value: object) -> JsonObject:
    """Return *value* if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Process:
    """One process as the host saw it; ``fds`` maps descriptor number to its target."""

    pid: int
    ppid: int
    comm: str
    argv: tuple[str, ...]
    exe: str
    exe_deleted: bool
    exe_memfd: bool
    cwd: str
    environ: tuple[str, ...]
    uid: int
    start_time_utc: str
    cap_eff: str
    tracer_pid: int
    fds: tuple[tuple[int, str], ...]
    maps_deleted: tuple[str, ...]
    item: str
    ns_pid: int = 0
    ns_ppid: int = 0
    root: str = ""

    @property
    def command(self) -> str:
        """The command line as one text, or the name in brackets where there is none."""
        return " ".join(self.argv) if self.argv else f"[{self.comm}]"

    @property
    def program(self) -> str:
        """The base name of what really runs: of the executable where known, else of the name the process gives."""
        path = self.exe.removesuffix(" (deleted)") or (self.argv[0] if self.argv else "") or self.comm
        return posixpath.basename(path.rstrip("/"))

    @property
    def reference(self) -> EvidenceRef:
        """Where to look it up."""
        return EvidenceRef(self.item, pid=self.pid)

    def is_shell(self) -> bool:
        """Whether a command interpreter runs here, also as an applet of busybox."""
        return program_in(self, SHELLS)

    def is_interpreter(self) -> bool:
        """Whether a script language runs here."""
        return is_interpreter_name(self.program)


def name_program(process: Process) -> str:
    """Return the name of what runs: of the executable, or of the applet for which a busybox was started."""
    if process.program not in {"busybox", "toybox"} or not process.argv:
        return process.program
    first = posixpath.basename(process.argv[0]).lstrip("-")
    return process.argv[1] if first in {"busybox", "toybox"} and len(process.argv) > 1 else first


def program_in(process: Process, names: frozenset[str]) -> bool:
    """Whether the program, or the applet for which a busybox was started, is one of *names*."""
    name = name_program(process)
    return name in names or name.partition(".")[0] in names


def is_interpreter_name(program: str) -> bool:
    """Whether a program of this name runs a script language; versions in the name do not count."""
    return _stem(program) in INTERPRETERS


def _stem(program: str) -> str:
    return program.rstrip("0123456789.-") or program


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket of the container's network namespace."""

    proto: str
    local_addr: str
    local_port: int
    remote_addr: str
    remote_port: int
    state: str
    inode: int
    pid: int | None
    path: str
    item: str

    @property
    def is_listening(self) -> bool:
        """Whether it waits for peers: TCP LISTEN, or a bound UDP socket without a peer."""
        if self.proto.startswith("tcp"):
            return self.state.upper().startswith("LISTEN")
        return self.proto.startswith("udp") and self.local_port > 0 and self.remote_port == 0

    @property
    def is_connected(self) -> bool:
        """Whether it has an inet peer (established, or on the way)."""
        return self.remote_port > 0 and self.state.upper() in {"ESTABLISHED", "SYN_SENT", "CLOSE_WAIT", "SYN-SENT"}

    @property
    def peer(self) -> str:
        """Address and port of the other side."""
        return f"{self.remote_addr}:{self.remote_port}"

    @property
    def reference(self) -> EvidenceRef:
        """Where to look it up."""
        return EvidenceRef(self.item, pid=self.pid)


def parse_processes(document: JsonObject, item: str) -> tuple[Process, ...]:
    """Read a document of kind ``processes``; entries without a pid are left out."""
    return tuple(_parse_process(part, item) for part in objects_of(document.get("processes")) if part.get("pid"))


def _parse_process(part: JsonObject, item: str) -> Process:
    fds = tuple((number_of(fd.get("fd"), -1), text_of(fd.get("target"))) for fd in objects_of(part.get("fds")))
    maps = part.get("maps_deleted")
    paths = tuple(text_of(entry.get("path")) for entry in objects_of(maps)) + texts_of(maps)
    return Process(
        pid=number_of(part.get("pid")),
        ppid=number_of(part.get("ppid")),
        comm=text_of(part.get("comm")),
        argv=texts_of(part.get("argv")),
        exe=text_of(part.get("exe")),
        exe_deleted=bool(part.get("exe_deleted")),
        exe_memfd=bool(part.get("exe_memfd")),
        cwd=text_of(part.get("cwd")),
        environ=texts_of(part.get("environ")),
        uid=number_of(part.get("uid"), -1),
        start_time_utc=text_of(part.get("start_time_utc")),
        cap_eff=text_of(part.get("cap_eff")) or f"{number_of(part.get('cap_eff')):x}",
        tracer_pid=number_of(part.get("tracer_pid")),
        fds=fds,
        maps_deleted=paths,
        item=item,
        ns_pid=number_of(part.get("ns_pid")),
        root=text_of(part.get("root")),
    )


def parse_sockets(document: JsonObject, item: str) -> tuple[Socket, ...]:
    """Read a document of kind ``sockets``."""
    return tuple(
        Socket(
            proto=text_of(part.get("proto")).lower(),
            local_addr=text_of(part.get("local_addr")),
            local_port=number_of(part.get("local_port")),
            remote_addr=text_of(part.get("remote_addr")),
            remote_port=number_of(part.get("remote_port")),
            state=text_of(part.get("state")),
            inode=number_of(part.get("inode")),
            pid=number_of(part.get("pid")) or None,
            path=text_of(part.get("path")),
            item=item,
        )
        for part in objects_of(document.get("sockets"))
    )


def is_external(address: str) -> bool:
    """Whether *address* is a public one: neither loopback, private, link-local nor unspecified."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_global


def is_loopback(address: str) -> bool:
    """Whether *address* stays inside its namespace."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
