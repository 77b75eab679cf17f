"""Checks what a schema cannot: that a scenario proves something, plants only harmless things, and is planted at all."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import replace

from forensics.drill.placeholders import PEER, PEER6
from forensics.drill.schema import FileModel, MatchModel, ScenarioModel
from forensics.errors import PlaybookError
from forensics.playbook.compiled import find_playbook
from forensics.playbook.loader import Problem, YamlDocument

_HOST = re.compile(r"\b(?:https?|ftps?|ssh|tcp|udp|stratum\+\w+|wss?)://(?:[^/@\s'\"]*@)?(\[[0-9A-Fa-f:.]+\]|[\w.-]+)")
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\w)")
_HARMLESS_NAMES = (".invalid", ".example", ".test", "localhost", ".example.com", ".example.org", ".example.net")
_DOCUMENTATION = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)
_WIDE = frozenset({"/bin", "/etc", "/tmp", "/usr", "/var", "/dev", "/root", "/home"})  # noqa: S108 - paths of the image
_HIDDEN_IN = 3


def find_problems(model: ScenarioModel, document: YamlDocument) -> list[Problem]:
    """Return what is wrong with a scenario that fits the schema; warnings do not stop it from running."""
    found = [*_check_truth(model, document), *_check_noise(model, document), *_check_peer(model, document)]
    found += [*_check_playbook(model, document), *_check_harmless(model, document)]
    return sorted(found, key=lambda problem: (problem.warning, problem.line, problem.column))


def _check_truth(model: ScenarioModel, document: YamlDocument) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, truth in enumerate(model.truth):
        if truth.id in seen:
            yield document.problem(("truth", number, "id"), f"a second '{truth.id}'", "give each its own id")
        seen.add(truth.id)
        if not truth.attack and not truth.recovered:
            hint = "say by ATT&CK ids what kind of finding it must give"
            yield document.problem(("truth", number), f"'{truth.id}' expects nothing", hint)
        if truth.recovered and not truth.match.path:
            yield document.problem(("truth", number, "match"), "what is recovered is named by its path", "add 'path:'")
        if not _is_planted(truth.match, model):
            problem = document.problem(
                ("truth", number, "match"), f"nothing here plants '{truth.id}'", "is it misspelt?"
            )
            yield replace(problem, warning=True)
    if not model.truth and model.expect_verdict != ["no-evidence"]:
        hint = "add what must be found, or, for a control, 'expect_verdict: [no-evidence]'"
        yield document.problem(("truth",), "without a truth this drill passes whatever happens", hint)
    if not model.truth and (model.plant.files or model.plant.run.strip()):
        yield document.problem(("plant",), "something is planted, and nothing has to be found", "add it to 'truth:'")
    for number, match in enumerate(model.related):
        if match.path in _WIDE or any(0 < len(text) < _HIDDEN_IN for text in (match.text or "", match.argv or "")):
            yield document.problem(("related", number), "this excuses nearly every false alarm", "name the very thing")


def _check_noise(model: ScenarioModel, document: YamlDocument) -> Iterator[Problem]:
    if not (model.noise.files or model.noise.run.strip()):
        problem = document.problem(("noise",), "there is no noise beside the plant", "add what an ordinary day leaves")
        yield replace(problem, warning=True)
    planted = {match.path for match in (*(truth.match for truth in model.truth), *model.related) if match.path}
    for number, file in enumerate(model.noise.files):
        if file.path in planted:
            hint = "what must be found, or may be, is no noise"
            yield document.problem(
                ("noise", "files", number, "path"), f"{file.path} is named in truth or related", hint
            )


def _check_peer(model: ScenarioModel, document: YamlDocument) -> Iterator[Problem]:
    for section in ("noise", "plant"):
        lines = getattr(model, section).run
        if PEER in lines.replace(PEER6, "") and not model.peer_ports:
            yield document.problem((section,), f"{PEER} is used, but no peer listens", "add 'peer_ports: [4444]'")


def _check_playbook(model: ScenarioModel, document: YamlDocument) -> Iterator[Problem]:
    try:
        find_playbook(model.playbook)
    except PlaybookError as error:
        yield document.problem(("playbook",), error.message, error.hint)


def _check_harmless(model: ScenarioModel, document: YamlDocument) -> Iterator[Problem]:
    """Report whatever could reach a real host: a mistake in a plant must never become an attack."""
    for path, text in _list_texts(model):
        for match in _HOST.finditer(text):
            host = match[1].strip("[]").removesuffix(".")
            if not _is_harmless(host):
                hint = "use @PEER@, an address of RFC 5737, or a name below .invalid"
                yield document.problem(path, f"'{host}' could be a real host", hint)
        for match in _ADDRESS.finditer(text):
            if not _is_harmless(match[0]) and not re.search(rf"://[^/\s]*{re.escape(match[0])}", text):
                hint = "use @PEER@, or an address of RFC 5737: 192.0.2.x, 198.51.100.x, 203.0.113.x"
                yield document.problem(path, f"'{match[0]}' could be a real host", hint)


def _list_texts(model: ScenarioModel) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for section in ("noise", "plant"):
        plant = getattr(model, section)
        yield (section, "run"), plant.run
        for number, file in enumerate(plant.files):
            yield (section, "files", number), _text_of(file)
    for layer_number, layer in enumerate(model.image):
        for number, file in enumerate(layer.files):
            yield ("image", layer_number, "files", number), _text_of(file)


def _text_of(file: FileModel) -> str:
    return "\n".join(filter(None, (file.content, file.stub, file.memory_stub)))


def _is_harmless(host: str) -> bool:
    if host in {PEER, PEER6} or not host or "@" in host or "$" in host:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.endswith(_HARMLESS_NAMES) or "." not in host
    private = address.is_loopback or address.is_link_local or address.is_unspecified
    return private or any(address in network for network in _DOCUMENTATION if network.version == address.version)


def _is_planted(match: MatchModel, model: ScenarioModel) -> bool:
    """Return whether anything of the scenario has to do with what *match* names; spelling is all that this checks."""
    files = [*model.plant.files, *(file for layer in model.image for file in layer.files)]
    container = model.container
    words = [
        *(file.path for file in files),
        *map(_text_of, files),
        model.plant.run,
        *(layer.created_by for layer in model.image),
        *container.environment,
        *container.volumes,
        *container.binds,
        *container.tmpfs,
        *container.cap_add,
        container.engine_socket or "",
        "privileged" if container.privileged else "",
    ]
    everything = "\n".join(words)
    wanted = [value for value in (match.path, match.text) if value]
    wanted += [value.rpartition("/")[2] for value in wanted if value.startswith("/")]
    argv = (match.argv or "").split()
    address = [value for value in (match.address,) if value and (model.peer_ports or value in everything)]
    spoken = bool(argv) and all(word.strip(";") in everything for word in argv)
    return bool(address) or spoken or any(value in everything for value in wanted)
