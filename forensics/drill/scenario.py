"""Reads scenarios: data in `playbooks/drills/`, one file each, checked as strictly as playbooks. Runs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from forensics.drill.image import BUILD_TIME, RecipeFile, RecipeLayer
from forensics.drill.lint import find_problems
from forensics.drill.placeholders import Peers
from forensics.drill.schema import FileModel, PlantModel, ScenarioModel
from forensics.drill.stub import build_memory_stub, build_stub
from forensics.errors import PlaybookError
from forensics.playbook.compiled import read_limited
from forensics.playbook.explain import check_model
from forensics.playbook.loader import Problem, parse_yaml, raise_problems
from forensics.resources import find_resource_dir
from forensics.text import show


@dataclass(frozen=True, slots=True)
class Scenario:
    """A validated scenario and the file it came from."""

    model: ScenarioModel
    path: Path

    @property
    def id(self) -> str:
        """Its name on the command line."""
        return self.model.id

    def layers(self, busybox: bytes) -> tuple[RecipeLayer, ...]:
        """Return what the scenario's image adds to the base."""
        return tuple(
            RecipeLayer(
                layer.created_by, tuple(make_file(file, busybox, Peers()) for file in layer.files), tuple(layer.removed)
            )
            for layer in self.model.image
        )


def list_scenarios() -> tuple[Path, ...]:
    """Return the files of the shipped scenarios, by name."""
    return tuple(sorted((find_resource_dir("playbooks") / "drills").glob("*.yaml")))


def read_scenario(ref: str) -> Scenario:
    """Return the scenario called *ref*: a shipped one by name, or the path of a file.

    Raises:
        PlaybookError: there is none, or it does not validate (file, line, column, suggestion).
    """
    path = find_scenario(ref)
    problems, scenario = check_scenario(path)
    raise_problems(show(str(path)), [problem for problem in problems if not problem.warning])
    if scenario is None:
        raise PlaybookError(f"{show(str(path))} is no scenario", hint="see playbooks/drills/README.md")
    return scenario


def check_scenario(path: Path) -> tuple[list[Problem], Scenario | None]:
    """Return everything that is wrong with a scenario file, and the scenario where nothing is.

    Raises:
        PlaybookError: the file is not the YAML that we accept.
    """
    document = parse_yaml(read_limited(path), str(path))
    model, problems = check_model(ScenarioModel, document)
    if model is None:
        return problems, None
    problems = find_problems(model, document)
    return problems, None if any(not problem.warning for problem in problems) else Scenario(model, path)


def find_scenario(ref: str) -> Path:
    """Return the file of the scenario called *ref*, a shipped name or a path.

    Raises:
        PlaybookError: there is none; the hint names near ones.
    """
    if "/" in ref or ref.endswith((".yaml", ".yml")):
        if Path(ref).is_file():
            return Path(ref)
        raise PlaybookError(f"no scenario file at {show(ref)}", hint="check the path")
    shipped = {path.stem: path for path in list_scenarios()}
    if ref in shipped:
        return shipped[ref]
    close = get_close_matches(ref, shipped, n=1)
    hint = f"did you mean '{close[0]}'?" if close else f"there are: {', '.join(shipped)}"
    raise PlaybookError(f"no drill is called '{show(ref, 60)}'", hint=hint)


def make_file(file: FileModel, busybox: bytes, peers: Peers, mtime: int = BUILD_TIME) -> RecipeFile:
    """Return the file that a scenario describes, with the peer's addresses put in."""
    content, executable = b"", False
    if file.content is not None:
        content = peers.put_in(file.content).encode()
    elif file.copy_of is not None:
        content, executable = busybox, True
    elif file.stub is not None:
        content, executable = build_stub(peers.put_in(file.stub)), True
    elif file.memory_stub is not None:
        content, executable = build_memory_stub(peers.put_in(file.memory_stub)), True
    mode = int(file.mode, 8) if file.mode else 0o755 if executable or file.folder else 0o644
    return RecipeFile(file.path, content, mode, file.uid, file.uid, file.target or "", file.folder, mtime)


def join_plants(first: PlantModel, second: PlantModel) -> tuple[list[FileModel], str]:
    """Return the files and the shell lines of both, in this order."""
    return [*first.files, *second.files], f"{first.run}\n{second.run}\n"
