"""Scenario files are checked as strictly as playbooks, and every shipped one is right."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from forensics.cli import cli
from forensics.drill.scenario import check_scenario, list_scenarios, read_scenario
from forensics.drill.score import list_noise
from forensics.errors import PlaybookError, UsageError
from forensics.playbook.compiled import list_playbooks, read_playbook

HEAD = "apiVersion: ir/v1\nkind: Drill\nid: x\nname: X\ndescription: d\n"
CONTROL = "expect_verdict: [no-evidence]\n"

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
        HEAD + CONTROL + "noise: {run: 'nc @PEER@ 1'}\n",
        ":7:8: @PEER@ is used, but no peer listens",
        "add 'peer_ports: [4444]'",
    ),
    "nothing can fail it": (HEAD + "noise: {run: 'true'}\n", ":1:1: without a truth this drill passes", "control"),
    "plant without truth": (
        HEAD + CONTROL + "plant: {run: 'miner &'}\n",
        ":7:8: something is planted, and nothing has to be found",
        "truth",
    ),
    "a threshold that nothing misses": (HEAD + CONTROL + "thresholds: {recall: 0.0}\n", ":7:22: 'recall'", ""),
    "unknown playbook": (
        HEAD + CONTROL + "playbook: defalt\n", ":7:11: no playbook is called 'defalt'", "did you mean 'default'?",
    ),
    "noise that is planted": (
        HEAD + "noise:\n  files:\n    - {path: /a, content: x}\nplant: {run: 'touch /a'}\n"
        "truth:\n  - {id: a, what: abc, match: {path: /a}, attack: [T1496]}\n",
        ":8:14: /a is named in truth or related",
        "no noise",
    ),
    "excuses everything": (
        HEAD + CONTROL + "related:\n  - {path: /etc}\n", ":8:5: this excuses nearly every false alarm", "very thing",
    ),
    "a real host": (
        HEAD + CONTROL + "noise: {run: 'wget http://www.debian.org/x'}\n",
        ":7:14: 'www.debian.org' could be a real host",
        "below .invalid",
    ),
    "a real address": (
        HEAD + CONTROL + "noise:\n  files:\n    - {path: /a, content: 'host 8.8.8.8'}\n",
        ":9:7: '8.8.8.8' could be a real host",
        "RFC 5737",
    ),
    "recovered without a path": (
        HEAD + "truth:\n  - {id: a, what: abc, match: {text: x}, recovered: true}\n",
        ":7:31: what is recovered is named by its path",
        "add 'path:'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_says_what_is_wrong(tmp_path: Path, text: str, message: str, hint: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(PlaybookError) as caught:
        read_scenario(str(path))
    place, _, words = message.partition(": ")
    assert caught.value.message.startswith(f"{path}{place}: ")
    assert words in caught.value.message
    assert hint in caught.value.hint


HARMLESS = "wget http://update.invalid/x; nc @PEER@ 1; ping 203.0.113.7; curl http://127.0.0.1:8080/; v 1.2.3; wget http://[2001:db8::1]/"


def test_harmless_addresses_and_names_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + CONTROL + f"peer_ports: [1]\nnoise: {{run: '{HARMLESS}'}}\n")
    assert check_scenario(path)[0] == []


def test_what_nobody_plants_is_a_warning_and_runs_nevertheless(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(HEAD + "truth:\n  - {id: a, what: abc, match: {path: /etc/corn.d/x}, attack: [T1053]}\n")
    problems, scenario = check_scenario(path)
    assert scenario
    assert {(p.message, p.warning) for p in problems} == {
        ("nothing here plants 'a'", True), ("there is no noise beside the plant", True),
    }  # fmt: skip


def test_a_wrong_name_gets_a_suggestion() -> None:
    with pytest.raises(PlaybookError) as caught:
        read_scenario("intrsion")
    assert (caught.value.message, caught.value.hint) == ("no drill is called 'intrsion'", "did you mean 'intrusion'?")


@pytest.mark.parametrize("path", list_scenarios(), ids=lambda path: path.stem)
def test_every_shipped_scenario_is_right_and_has_noise_beside_it(path: Path) -> None:
    problems, scenario = check_scenario(path)
    assert problems == []
    assert scenario
    assert scenario.id == path.stem
    assert scenario.model.description
    assert list_noise(scenario.model)
    assert scenario.model.truth or scenario.model.expect_verdict == ["no-evidence"]
    assert scenario.model.thresholds.recall == 1.0
    assert scenario.model.thresholds.precision >= 0.9


def test_every_shipped_playbook_is_rehearsed() -> None:
    rehearsed = {read_scenario(path.stem).model.playbook for path in list_scenarios()}
    assert {path.stem for path in list_playbooks()} == rehearsed


def test_only_what_contains_nothing_may_leave_containment_out() -> None:
    for path in list_scenarios():
        model = read_scenario(path.stem).model
        contains = read_playbook(model.playbook).find_step("contain.isolate") is not None
        assert model.thresholds.contained is contains, path.stem


def test_a_benign_control_is_among_them() -> None:
    assert "benign-control" in {path.stem for path in list_scenarios()}


def call(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["drill", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.return_value, done.output


def test_lint_shows_every_file_and_every_problem(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + "plnat: {}\nthresholds: {recal: 1.0}\n")
    (tmp_path / "b.yaml").write_text("a: [\n")
    code, output = call("lint", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    assert code == 1
    assert f"{tmp_path}/a.yaml:6:1: unknown key 'plnat'  (did you mean 'plant'?)" in output
    assert f"{tmp_path}/a.yaml:7:14: unknown key 'recal'  (did you mean 'recall'?)" in output
    assert f"{tmp_path}/b.yaml:2:1: not YAML" in output
    code, output = call("lint", "--json", str(tmp_path / "a.yaml"))
    assert (code, json.loads(output)["schema"], len(json.loads(output)["problems"])) == (1, "ir.lint/1", 2)
    assert call("lint") == (0, f"{len(list_scenarios())} checked, nothing wrong\n")


def test_a_new_scenario_lints_and_is_never_written_over_another(tmp_path: Path) -> None:
    code, output = call("new", "my-case", "--output", str(tmp_path), "--playbook", "webshell")
    path = tmp_path / "my-case.yaml"
    assert code == 0
    assert f"ir drill run {path}" in output
    assert call("lint", str(path)) == (0, "1 checked, nothing wrong\n")
    assert read_scenario(str(path)).model.playbook == "webshell"
    path.write_text("mine")
    with pytest.raises(UsageError, match=r"something is at .* already"):
        call("new", "my-case", "--output", str(tmp_path))
    assert path.read_text() == "mine"


@pytest.mark.parametrize("name", ["../x", "X", "a b", "", "-x", "x\n"])
def test_a_new_scenario_needs_a_name_that_is_one(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a scenario"):
        call("new", "--output", str(tmp_path), "--", name)
    assert list(tmp_path.iterdir()) == []


def test_a_new_scenario_needs_a_playbook_that_exists(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match="no playbook is called 'defalt'"):
        call("new", "x", "--output", str(tmp_path), "--playbook", "defalt")
    assert list(tmp_path.iterdir()) == []
