"""The playbook that the README prints is right, and so is what it says of keys and names."""

from __future__ import annotations

import re
from pathlib import Path

from forensics.playbook.action import Action
from forensics.playbook.condition import NAMES
from forensics.playbook.schema import StepModel
from forensics.playbook.validate import find_problems
from forensics.resources import find_resource_dir

README = (find_resource_dir("playbooks") / "README.md").read_text()


def test_its_example_passes_the_linter_without_a_warning(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    problems, document = find_problems(example.encode(), str(tmp_path / "mine.yaml"))
    assert problems == []
    assert document["id"] == "mine"


def test_every_key_of_a_step_is_explained() -> None:
    keys = {field.alias or name for name, field in StepModel.model_fields.items()}
    assert {key for key in keys if f"`{key}`" not in README} == set()
    assert {name for name in NAMES if f"`{name}`" not in README} == set()


def test_its_action_of_ones_own_is_one() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    namespace: dict[str, object] = {}
    exec(code, namespace)  # noqa: S102 - the README's own example
    action = namespace["BLOCK"]
    assert isinstance(action, Action)
    assert action.name == "acme.block"
