"""Variables that make the loader or an interpreter run code that nobody asked for. Pure text work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from forensics.analyze.places import in_hidden_place, in_temp
from forensics.text import to_bytes

_LOADS: tuple[tuple[str, str], ...] = (
    (r"LD_PRELOAD|LD_AUDIT|DYLD_INSERT_LIBRARIES", r"/\S"),
    (r"LD_LIBRARY_PATH|GCONV_PATH|GIO_MODULE_DIR|OPENSSL_CONF|OPENSSL_MODULES", r"/"),
    (r"NODE_OPTIONS", r"(?:--require|-r|--import|--loader|--experimental-loader)[= ]|--inspect"),
    (r"PYTHONSTARTUP|PYTHONHOME|PYTHONUSERBASE|PYTHONPATH|PYTHONBREAKPOINT|PYTHONWARNINGS", r"/|:|all:"),
    (r"PERL5OPT", r"-[MmId]"),
    (r"PERL5LIB|PERLLIB|PERL5DB", r"\S"),
    (r"RUBYOPT", r"-[rI]"),
    (r"RUBYLIB", r"/"),
    (r"BASH_ENV|ENV|ZDOTDIR|FPATH", r"[/~.]"),
    (r"PROMPT_COMMAND|PS4", r"[/;$`]"),
    (r"JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|CATALINA_OPTS|JAVA_OPTS",
     r"-javaagent:|-agentlib:|-agentpath:|-Xrun|-XX:OnOutOfMemoryError|-XX:OnError|-Xbootclasspath"),
    (r"DOTNET_STARTUP_HOOKS|CORECLR_PROFILER_PATH(?:_64)?|COR_PROFILER_PATH", r"/"),
    (r"PHPRC|PHP_INI_SCAN_DIR", r"/"),
    (r"LUA_INIT\w*|LUA_PATH\w*|LUA_CPATH\w*", r"\S"),
    (r"R_PROFILE(?:_USER)?|JULIA_LOAD_PATH|GEM_PATH", r"/"),
    (r"GIT_SSH(?:_COMMAND)?|GIT_EXTERNAL_DIFF|GIT_TEMPLATE_DIR|GIT_PROXY_COMMAND", r"\S"),
)  # fmt: skip
_STRONG = re.compile(
    r"LD_PRELOAD|LD_AUDIT|PERL5DB|DOTNET_STARTUP_HOOKS|BASH_ENV|LUA_INIT|GIT_EXTERNAL_DIFF|PYTHONSTARTUP|PERL5OPT|RUBYOPT"
    r"|NODE_OPTIONS|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|PROMPT_COMMAND"
)
_COMPILED = tuple((re.compile(names + r"\Z"), re.compile(value)) for names, value in _LOADS)
_ASSIGNED = re.compile(
    r"(?m)^[ \t]*(?:export[ \t]+|setenv[ \t]+|set[ \t]+-\w+[ \t]+|Environment=[ \t]*[\"']?|DefaultEnvironment=[\"']?)?"
    r"([A-Z_][A-Z0-9_]{1,40})(?:[ \t]*=[ \t]*|[ \t]+(?:DEFAULT=|OVERRIDE=)?)([^\n#]{1,400})"
)
_PATH = re.compile(r"(?:^|[=:\s,\"'@-]|-r)(~?/[^\s:;,\"'=]{1,200})")


@dataclass(frozen=True, slots=True)
class Loading:
    """One variable that loads code: *is_strange* when what it names lies in a temporary or hidden place."""

    name: str
    value: str
    paths: tuple[str, ...]
    is_strange: bool
    is_strong: bool

    @property
    def shown(self) -> str:
        """The assignment."""
        return f"{self.name}={self.value}"


def find_assigned(text: str) -> Iterator[Loading]:
    """Yield the variables of *text* (a shell's or another program's configuration) that load code."""
    for match in _ASSIGNED.finditer(text):
        if found := judge_variable(match[1], match[2].strip().strip("\"'")):
            yield found


def find_in_environment(environ: Iterable[str]) -> Iterator[Loading]:
    """Yield the variables of an environment that load code."""
    for variable in environ:
        name, _, value = variable.partition("=")
        if found := judge_variable(name, value.strip()):
            yield found


def judge_variable(name: str, value: str) -> Loading | None:
    """Return what a variable loads, or None."""
    for names, values in _COMPILED:
        if names.match(name) and value and values.search(value):
            paths = tuple(dict.fromkeys(part.lstrip("~") for part in _PATH.findall(value)))
            raw = [to_bytes(path) for path in paths]
            strange = any(in_temp(path) or in_hidden_place(path) for path in raw)
            return Loading(name, value, paths, strange, bool(_STRONG.match(name)))
    return None
