"""Scenario files are checked as strictly as playbooks, and every shipped one is right."""

from pathlib import Path

import pytest

from forensics.drill.scenario import list_scenarios, read_scenario
from forensics.errors import PlaybookError
from forensics.playbook.compiled import read_playbook

HEAD = "apiVersion: ir/v1\nkind: Drill\nid: x\nname: X\ndescription: d\n"

WRONG = {
    "unknown key": (HEAD + "plnat: {}\n", ":6:1: unknown key 'plnat'", "did you mean 'plant'?"),
    "two kinds of file": (
        HEAD + "plant:\n  files:\n    - {path: /a, content: x, stub: y}\n",
        ":8:7: a file needs exactly one of content, copy_of, stub, memory_stub, target, folder",
        "",
    ),
    "relative path": (HEAD + "plant:\n  files:\n    - {path: a, content: x}\n", ":8:14: 'a' does not fit", ""),
    "empty match": (
        HEAD + "truth:\n  - {id: a, what: abc, attack: [T1496], match: {}}\n",
        ":7:48: 'match': a match needs at least one of path, argv, address, text",
        "",
    ),
    "truth that expects nothing": (
        HEAD + "truth:\n  - {id: a, what: abc, match: {path: /a}}\n",
        ":7:5: 'a' expects nothing",
        "say by ATT&CK ids what kind of finding it must give",
    ),
    "peer without a port": (
        HEAD + "plant: {run: 'nc @PEER@ 1'}\n",
        ":6:8: @PEER@ is used, but no peer listens",
        "add 'peer_ports: [4444]'",
    ),
}


@pytest.mark.parametrize(("text", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_says_what_is_wrong(tmp_path: Path, text: str, message: str, hint: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(PlaybookError) as caught:
        read_scenario(str(path))
    assert caught.value.message.startswith(f"{path}{message}")
    assert hint in caught.value.hint


def test_a_wrong_name_gets_a_suggestion() -> None:
    with pytest.raises(PlaybookError) as caught:
        read_scenario("intrsion")
    assert (caught.value.message, caught.value.hint) == ("no drill is called 'intrsion'", "did you mean 'intrusion'?")


@pytest.mark.parametrize("path", list_scenarios(), ids=lambda path: path.stem)
def test_every_shipped_scenario_is_right_and_inert(path: Path) -> None:
    scenario = read_scenario(path.stem)
    assert scenario.id == path.stem
    assert read_playbook(scenario.model.playbook)
    assert scenario.model.description
    assert scenario.model.truth or scenario.model.expect_verdict == ["no-evidence"]


def test_a_benign_control_is_among_them() -> None:
    assert "benign-control" in {path.stem for path in list_scenarios()}
