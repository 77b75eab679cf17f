r"""Judges code that stands in a command line (``-e``, ``-c``, ``-r``, an awk program) by what it does.

In whatever language, under whatever program name, however it is spelled: a socket, a way to the other side, and then
the standard streams, a shell, or what was received. Runs nothing; every pattern is a single word or bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from forensics.analyze.behaviour import MOST_TEXT, decode_blobs
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import NET_TOOLS, Process, program_in
from forensics.model import Confidence, Finding, Severity

_CODE = re.compile(r"[;({]|->|\buse\s+\w|^\s*(?:import|from)\s+\w|/inet[46]?/")
_MODULE = re.compile(r"-[Mmrl]\s?[\w:./]+")
_SOCKET = re.compile(
    r"(?<![\w./-])sockets?\s*[.(]|\b(?:import|from)\s+(?:[\w, ]{0,80}\b)?(?:socket|socketserver|telnetlib)\b"
    r"|\buse\s+(?:IO::)?Socket|\bIO::Socket|^-[Mmrl]\s?(?:IO::Socket|IO$|socket)|\bsockaddr_in\b|\binet_aton\b"
    r"|\b(?:require|__import__|import_module)\s*\(?\s*['\"`](?:node:)?(?:socket|net|tls|dgram)\b"
    r"|\bTCP(?:Server|Socket|Client)\b|\bUNIX(?:Server|Socket)\b|\b(?:p?fsockopen|stream_socket_\w+|socket_create\w*)\s*\("
    r"|\b(?:open_connection|start_server)\s*\(|\bsocket\s+(?:-server\b|[\w.]+\s+\d)|\bnet\.Dial\b|\buv\.new_tcp\b"
    r"|/inet[46]?/(?:tcp|udp)/",
    re.IGNORECASE | re.MULTILINE,
)
_WAIT = re.compile(
    r"listen|accept|LocalPort|\bbind|TCPServer|UNIXServer|createServer|start_server|stream_socket_server|-server\b"
    r"|/inet[46]?/(?:tcp|udp)/[1-9]",
    re.IGNORECASE,
)
_CALL = re.compile(
    r"connect|PeerAddr|TCPSocket|fsockopen|stream_socket_client|TCPClient|open_connection|PeerPort|UNIXSocket|Dial\b"
    r"|IO::Socket[\w:]*\s*(?:->|\bnew\b)|\bnew\s+IO::Socket|\bsocket\s+[\w.]+\s+\d|/inet[46]?/(?:tcp|udp)/0/",
    re.IGNORECASE,
)
_WIRE = re.compile(
    r"dup2|\bopen\s*\(?\s*\*?STD(?:IN|OUT|ERR)\b|STD(?:IN|OUT|ERR)\s*(?:->|\.)\s*(?:fdopen|reopen)|\bpty\.\w"
    r"|\b(?:open|fork)pty\b",
    re.IGNORECASE,
)
_WEAK_WIRE = re.compile(
    r"\bdup\s*\(|proc_open|\bstd(?:in|out|err)\s*=\s*(?!=|sys\.|subprocess|None|PIPE|DEVNULL|STDOUT|open\s*\(|['\"])\w"
    r"|stdio\s*:\s*(?!\s*['\"`](?:inherit|ignore))|\.pipe\s*\(|:(?:in|out|err)\s*=>\s*\w|\b(?:in|out|err):\s*\w|\[\s*:in\b"
    r"|[<>]&\s*(?:[3-9]|\d\d)|fdopen\s*\(",
    re.IGNORECASE,
)
_RUN = re.compile(
    r"exec|\bsystem|popen|spawn|subprocess|passthru|proc_open|`|\bqx\b|%x|os\.execute|child_process|getoutput"
    r"|check_output|syscall|Open3|\beval\b|\|&|instance_eval|\bload(?:string)?\s*\(|\|\s*getline",
    re.IGNORECASE,
)
_SHELL = re.compile(r"(?:/bin/|/|\b|['\"])(?:ba|da|z|k|a|)sh\b(?!\.|\s*:)|\bbusybox\b|shell\s*=\s*True|['\"]cmd\b")
_INPUT = (
    r"(?:\brecv\w*|\breceive\s*\(|\bsocket_read\s*\(|\bstream_get\w*|\bfgets\s*\(|\.gets\b|\.read(?:line)?\s*\("
    r"|\bfread\s*\()"
)
_STARTS = (
    r"(?:(?<![.\w])(?:exec|eval|load|loadstring|system|passthru|shell_exec|qx|call|run|Popen)\w*|\.(?:exec|popen|system"
    r"|Popen|call|run|execute|getoutput|check_output|spawn|open3|capture)\w*|\bexec\s+sh\s+-c|%x|`)"
)
_NESTED = re.compile(rf"{_STARTS}[\s({{\[`\"']{{1,4}}[^;\n]{{0,60}}?{_INPUT}", re.IGNORECASE)
_ASSIGNED = re.compile(
    rf"(\$?\b\w{{1,40}})\s{{0,4}}=\s{{0,4}}[^;\n=]{{0,60}}?{_INPUT}|\bdata['\"`]\s{{0,4}},\s{{0,4}}(?:function\s*)?\(?\s{{0,4}}(\w{{1,40}})"
    r"|\bgets\s+\$?\w{1,40}\s+(\w{1,40})|(\$\w{1,40})\s{0,4}=\s{0,4}<\s{0,4}\$?\w{1,40}\s{0,4}>|(<\s{0,4}\$?\w{0,40}\s{0,4}>)",
    re.IGNORECASE,
)
_MOST_NAMES = 20
_FETCH = re.compile(
    r"urlopen|urllib|requests\.get|http\.client|LWP::\w+|HTTP::Tiny|file_get_contents\s*\(\s*['\"]https?:|Net::HTTP"
    r"|open-uri|URI\.open|URI\(|https?\.get\s*\(|\bfetch\s*\(\s*['\"`]http|socket\.http",
    re.IGNORECASE,
)
_RUNS_CODE = re.compile(
    r"(?<![.\w])(?:exec|loadstring|load)\s*\(|(?<![.\w-])(?:eval|instance_eval)\b|\bnew\s+Function\s*\(|\bvm\.run\w*\s*\("
)
_HTTP_CLIENT = re.compile(r"\b(?:require\s*\(|import\b[^;\n]{0,60}\bfrom)\s*['\"`](?:node:)?https?2?['\"`]")
_JOINED = re.compile(r"(?P<quote>['\"`])\s{0,4}[.+]\s{0,4}(?P=quote)")
_HEX = re.compile(r"\\x([0-9a-fA-F]{2})")


@dataclass(frozen=True, slots=True)
class Deed:
    """What inline code does: a title for the finding, how bad and how sure."""

    id: str
    title: str
    severity: Severity
    confidence: Confidence
    attack: tuple[str, ...]


RENAMED_CODE = Rule(
    "process.inline-code-under-another-name",
    "A program that is no known script language runs code from its command line",
    Severity.HIGH,
    ("T1036.003", "T1059"),
    "The arguments are code that opens network connections: an interpreter runs here under a false name.",
    "Database and application consoles that run a script given to them.",
    "Examine the executable kept in evidence.",
    Confidence.MEDIUM,
)
BIND = Deed(
    "bind-shell",
    "waits for connections and gives them a shell",
    Severity.CRITICAL,
    Confidence.HIGH,
    ("T1059", "T1571"),
)
REVERSE = Deed(
    "reverse-shell", "connects out and hands over a shell", Severity.CRITICAL, Confidence.HIGH, ("T1059", "T1095")
)
REMOTE_CODE = Deed(
    "remote-code",
    "runs what it receives from the network",
    Severity.CRITICAL,
    Confidence.MEDIUM,
    ("T1059", "T1105"),
)
NETWORK_CODE = Deed(
    "network-code",
    "talks to the network and starts programs",
    Severity.MEDIUM,
    Confidence.LOW,
    ("T1059",),
)


def judge_code(text: str) -> Deed | None:
    """Return the worst thing that a script of this text does, or None; what may be harmless does not count."""
    found = [deed for part in (text, *decode_blobs(text)) if (deed := _judge(part)) and deed is not NETWORK_CODE]
    return min(found, key=lambda deed: deed.severity.rank, default=None)


def judge_inline(argv: tuple[str, ...]) -> Deed | None:
    """Return the worst thing that code in these arguments does, or None; the program's name plays no part."""
    text = _find_code(argv)
    found = [deed for part in (text, *decode_blobs(text)) if (deed := _judge(part))]
    return min(found, key=lambda deed: deed.severity.rank, default=None)


def talks_to_network(argv: tuple[str, ...]) -> bool:
    """Whether an argument is code that opens a socket and reaches for the other side."""
    text = _plain(_find_code(argv))
    return bool(_SOCKET.search(text)) and _reaches(text)


def _find_code(argv: tuple[str, ...]) -> str:
    """Return the arguments that look like code, after the modules that options bring in; nothing where none does."""
    code = [part for part in argv[1:] if _CODE.search(part)]
    return "\n".join([*(part for part in argv[1:] if _MODULE.fullmatch(part)), *code])[:MOST_TEXT] if code else ""


def _plain(text: str) -> str:
    text = _HEX.sub(lambda match: chr(int(match.group(1), 16)), text[:MOST_TEXT])
    return _JOINED.sub("", text)


def _reaches(text: str) -> bool:
    return bool(_WAIT.search(text) or _CALL.search(text))


_SOCKET_WORDS = (
    "socket", "tcpserver", "tcpclient", "/inet", "fsockopen", "open_connection", "start_server", "net.dial", "new_tcp",
    "net'", 'net"', "net`", "tls", "dgram", "telnetlib", "sockaddr", "inet_aton", "io",
)  # fmt: skip
_FETCH_WORDS = (
    "url", "requests.get", "http.client", "lwp::", "http::tiny", "file_get_contents", "net::http", "uri", "get(",
    "fetch", "socket.http",
)  # fmt: skip


def _judge(text: str) -> Deed | None:
    text = _plain(text)
    lowered = text.lower()
    if (
        any(word in lowered for word in _FETCH_WORDS)
        and _FETCH.search(text)
        and _RUNS_CODE.search(text)
        and _CODE.search(text)
    ):
        return REMOTE_CODE
    if _HTTP_CLIENT.search(text) and _RUN.search(text) and _runs_input(text):
        return REMOTE_CODE
    if not any(word in lowered for word in _SOCKET_WORDS) or not _SOCKET.search(text):
        return None
    if not _reaches(text) or not _RUN.search(text):
        return None
    waits = bool(_WAIT.search(text))
    shell = bool(_SHELL.search(text))
    if _WIRE.search(text) or (shell and (waits or _WEAK_WIRE.search(text))):
        return BIND if waits else REVERSE
    return REMOTE_CODE if _runs_input(text) else NETWORK_CODE


def _runs_input(text: str) -> bool:
    """Whether what comes from the other side is started: at once, or through variables that hold it or parts of it."""
    if _NESTED.search(text):
        return True
    names: dict[str, None] = {}
    for match in _ASSIGNED.finditer(text):
        name = next(filter(None, match.groups()))
        names["$_" if name.startswith("<") else name.lstrip("$")] = None
        if len(names) >= _MOST_NAMES:
            break
    for name in [*names]:
        names.update(dict.fromkeys(_list_derived(name, text)))
    between = r"[\s({\[`\"']{0,4}[^;\n]{0,40}?"
    found = [*names][: 2 * _MOST_NAMES]
    return any(re.search(rf"{_STARTS}{between}(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) for name in found)


def _list_derived(name: str, text: str) -> Iterator[str]:
    """Yield the variables that got the content of *name*: appended to, matched out of it by an expression."""
    if re.search(rf"\${re.escape(name)}\s{{0,4}}=~", text) or (name == "$_" and "$1" in text):
        yield from ("$1", "$2")
    for match in re.finditer(rf"(\w{{1,40}})\s{{0,4}}(?:\+|\.)=\s{{0,4}}\$?{re.escape(name)}(?!\w)", text):
        yield match[1]


def find_code(process: Process) -> Iterator[Finding]:
    """Judge code in the arguments by what it does, whatever the program calls itself."""
    deed = judge_inline(process.argv)
    if deed:
        yield Rule(
            f"process.inline-code.{deed.id}",
            f"Code in a command line {deed.title}",
            deed.severity,
            deed.attack,
            "The arguments themselves hold the program: it opens a connection and runs commands.",
            "A start script that waits for another service and then starts a program; an administrator's own test.",
            "Find out who started it (its parents) and what it reached.",
            deed.confidence,
        ).found(f"pid {process.pid}: {process.command}", [process.reference])
    known = process.is_shell() or process.is_interpreter() or program_in(process, NET_TOOLS)
    if not known and process.exe and talks_to_network(process.argv):
        yield RENAMED_CODE.found(f"pid {process.pid}: {process.exe} ({process.command})", [process.reference])
