"""Files whose content does not fit name, place or mode: programs where data belongs, disguises, packed newcomers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import Artifact, Origin
from forensics.analyze.places import in_dev, in_hidden_place, in_system_bin, in_temp, is_system_library
from forensics.analyze.rule import Rule
from forensics.model import Confidence, EntryType, Finding, Severity
from forensics.text import from_bytes, show_path

_NEXT = "Extract the file, look its digest up, find out which process wrote it."
TEMP = Rule(
    "file.program-in-temporary-place",
    "A program lies in a place where everybody may write",
    Severity.HIGH,
    ("T1105", "T1036.005"),
    "Programs are installed elsewhere; what an intruder downloads lands where writing is allowed.",
    "Installers and build tools that unpack themselves and do not clean up.",
    _NEXT,
)
HIDDEN = Rule(
    "file.hidden-program",
    "A program is hidden",
    Severity.HIGH,
    ("T1564.001",),
    "A name that begins with a dot keeps it out of ordinary listings.",
    "Tools that keep helper programs in their own hidden folder.",
    _NEXT,
)
DEVICE_FOLDER = Rule(
    "file.regular-file-in-dev",
    "An ordinary file lies among the device files",
    Severity.HIGH,
    ("T1564",),
    "Nobody looks for files in /dev; rootkits keep their tools and logs there.",
    "None known, other than /dev/shm and /dev/mqueue.",
    _NEXT,
)
DISGUISED = Rule(
    "file.disguised-program",
    "A program carries the name of a harmless file",
    Severity.HIGH,
    ("T1036.008", "T1036.007"),
    "The extension says picture, text or archive; the content is a program.",
    "None known for these pairs of name and content.",
    _NEXT,
)
PACKED = Rule(
    "file.packed-program",
    "A packed program was brought in",
    Severity.HIGH,
    ("T1027.002",),
    "Packing hides what a program contains from scanners; distributions do not pack programs.",
    "Some vendors ship single-file tools packed with UPX.",
    _NEXT,
)
STATIC = Rule(
    "file.static-newcomer",
    "A statically linked program was brought into the running container",
    Severity.MEDIUM,
    ("T1105",),
    "Intruders bring programs that need no libraries.",
    "Tools written in Go or Rust, installed by hand.",
    _NEXT,
    Confidence.MEDIUM,
)
NEWCOMER = Rule(
    "file.program-newcomer",
    "A program was brought into the running container and belongs to no package",
    Severity.MEDIUM,
    ("T1105",),
    "Programs of a container come with its image; this one came later.",
    "Something compiled or installed by hand in the container.",
    _NEXT,
    Confidence.MEDIUM,
)
LIBRARY = Rule(
    "file.library-newcomer",
    "A shared library was brought into the loader's folders and belongs to no package",
    Severity.MEDIUM,
    ("T1574.006",),
    "A library there is found by every program that asks for its name.",
    "A library compiled and installed by hand.",
    _NEXT,
    Confidence.MEDIUM,
)
SCRIPT_TEMP = Rule(
    "file.script-in-temporary-place",
    "An executable script lies in a place where everybody may write",
    Severity.MEDIUM,
    ("T1059.004", "T1105"),
    "Stages of an attack are scripts dropped where writing is allowed.",
    "Left-overs of an installation; helper scripts of an entry point.",
    _NEXT,
    Confidence.MEDIUM,
)
_PROGRAMS = frozenset({Kind.ELF, Kind.PE})
_HARMLESS = {
    b"jpg", b"jpeg", b"png", b"gif", b"ico", b"bmp", b"webp", b"svg", b"woff", b"woff2", b"ttf", b"css", b"txt", b"log",
    b"pdf", b"doc", b"docx", b"xls", b"xlsx", b"mp3", b"mp4", b"wav", b"zip", b"gz", b"tgz", b"bz2", b"xz", b"conf",
    b"cfg", b"ini", b"md", b"html", b"htm", b"xml", b"json", b"csv", b"yml", b"yaml", b"pem", b"crt", b"tmp", b"bak",
}  # fmt: skip
_PICTURES = {
    b"jpg",
    b"jpeg",
    b"png",
    b"gif",
    b"ico",
    b"bmp",
    b"webp",
    b"woff",
    b"woff2",
    b"ttf",
    b"pdf",
    b"mp3",
    b"mp4",
    b"zip",
}
_DOCUMENTS = _PICTURES | {b"doc", b"docx", b"xls", b"xlsx", b"ppt", b"pptx", b"txt", b"csv", b"rtf", b"odt"}
_RUNNABLE = frozenset(
    {b"sh", b"bash", b"py", b"pl", b"rb", b"exe", b"elf", b"bin", b"run", b"desktop", b"command", b"scr"}
)
"""What makes a second extension a disguise: ``invoice.pdf.sh``."""
_MOST_IN_TEXT = 6
_SAMPLE_HOOK = re.compile(rb"/hooks/[a-z-]+\.sample$")
"""What `git init` puts into every new repository; a hook of that name is never run."""


def analyze_file_types(view: CaseView) -> Iterator[Finding]:
    """Judge each candidate by the first rule that fits; like findings are one finding with many places."""
    found: dict[Rule, list[Artifact]] = {}
    for artifact in view.files.candidates:
        if artifact.entry.type is EntryType.FILE and artifact.origin is not Origin.RECOVERED:
            for rule in _judge(artifact, runtime=artifact.is_runtime):
                found.setdefault(rule, []).append(artifact)
    for rule, artifacts in found.items():
        yield rule.found(list_paths(artifacts), [artifact.reference for artifact in artifacts])


def list_paths(artifacts: Iterable[Artifact]) -> str:
    """Return the paths as one text, the first few by name."""
    paths = [show_path(artifact.path) for artifact in artifacts]
    more = f" and {len(paths) - _MOST_IN_TEXT} more" if len(paths) > _MOST_IN_TEXT else ""
    return ", ".join(paths[:_MOST_IN_TEXT]) + more


def _judge(artifact: Artifact, *, runtime: bool) -> Iterator[Rule]:
    path, kind = artifact.path, artifact.kind
    program = kind in _PROGRAMS
    hidden = in_hidden_place(path)
    if _is_disguised(artifact):
        yield DISGUISED
    if in_dev(path) and not in_temp(path) and artifact.entry.size_bytes:
        yield DEVICE_FOLDER
    elif program and in_temp(path):
        yield TEMP
    elif program and hidden:
        yield HIDDEN
    elif kind is Kind.SCRIPT and artifact.is_executable and in_temp(path) and not _SAMPLE_HOOK.search(path):
        yield SCRIPT_TEMP
    elif kind is Kind.SCRIPT and artifact.is_executable and path.rsplit(b"/", 1)[-1].startswith(b".") and runtime:
        yield HIDDEN
    elif runtime and kind is Kind.ELF and artifact.before is None and artifact.origin is Origin.LAYER:
        yield from _judge_newcomer(artifact)
    if program and artifact.facts and artifact.facts.elf and artifact.facts.elf.is_packed:
        yield PACKED


def _judge_newcomer(artifact: Artifact) -> Iterator[Rule]:
    elf = artifact.facts.elf if artifact.facts else None
    if elf is None:
        return
    if is_system_library(artifact.path) and not elf.is_static:
        yield LIBRARY
    elif elf.is_static and not _is_of_a_tool(artifact.path):
        yield STATIC
    elif in_system_bin(artifact.path) or (elf.is_executable and not _is_of_a_tool(artifact.path)):
        yield NEWCOMER


def _is_of_a_tool(path: bytes) -> bool:
    """Whether a language's own package manager puts programs there."""
    parts = (
        b"/site-packages/",
        b"/dist-packages/",
        b"/node_modules/",
        b"/.cargo/",
        b"/.rustup/",
        b"/gems/",
        b"/.cache/",
    )
    return any(part in b"/" + path for part in parts)


def _is_disguised(artifact: Artifact) -> bool:
    name = artifact.path.rsplit(b"/", 1)[-1].lower()
    stem, dot, extension = name.rpartition(b".")
    inner = stem.rpartition(b".")[2].strip() if b"." in stem.strip(b".") else b""
    if extension in _RUNNABLE and inner in _DOCUMENTS and artifact.kind in _PROGRAMS | {Kind.SCRIPT, Kind.TEXT}:
        return True
    if not dot or not stem.strip(b"."):
        return False
    kind, mime = artifact.kind, artifact.facts.mime if artifact.facts else ""
    if kind in _PROGRAMS:
        return extension in _HARMLESS
    if kind is Kind.PHP:
        return extension in _PICTURES
    if kind is Kind.SCRIPT or "shellscript" in mime:
        return extension in _PICTURES
    return False


def describe(artifact: Artifact) -> str:
    """Return path, kind and size of a file in one phrase."""
    return f"{from_bytes(b'/' + artifact.path)} ({artifact.kind}, {artifact.entry.size_bytes} bytes)"
