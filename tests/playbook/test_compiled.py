"""The cached form: cheap on a hit, never trusted when others may write it, never stale."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from forensics.errors import PlaybookError
from forensics.playbook import compiled
from forensics.playbook.compiled import find_playbook, list_playbooks, read_playbook

IMPORTS = """
import sys
from forensics.playbook.compiled import read_playbook
read_playbook("default")
print(sorted({"yaml", "pydantic", "celpy", "docker", "click"} & set(sys.modules)))
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("IR_CACHE_DIR", str(folder))
    return folder


def imports_of_a_read() -> str:
    return subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True, text=True).stdout.strip()


def test_a_hit_imports_nothing_heavy(cache: Path) -> None:
    assert imports_of_a_read() == "['pydantic', 'yaml']"
    assert imports_of_a_read() == "[]"
    assert cache.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in cache.iterdir()] == [0o600]


def test_a_hit_and_a_miss_give_the_same(cache: Path) -> None:
    assert read_playbook() == read_playbook()
    assert len(list(cache.iterdir())) == 1


def test_a_form_that_others_may_write_is_not_used(cache: Path) -> None:
    read_playbook()
    (path,) = cache.iterdir()
    path.write_text(json.dumps({"id": "forged"}))
    path.chmod(0o666)
    assert read_playbook().id == "default"


@pytest.mark.parametrize("content", ["", "{", "[1"])
def test_a_damaged_form_is_made_again(cache: Path, content: str) -> None:
    read_playbook()
    (path,) = cache.iterdir()
    path.write_text(content)
    assert read_playbook().id == "default"


def test_an_edit_is_seen_at_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = list_playbooks()[0].read_text()
    path.write_text(text)
    first = read_playbook(str(path))
    path.write_text(text.replace("timeout: 2m", "timeout: 3m"))
    assert (first.steps[0].timeout_s, read_playbook(str(path)).steps[0].timeout_s) == (120.0, 180.0)


def test_a_cache_that_cannot_be_written_only_costs_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IR_CACHE_DIR", "/proc/no/such")
    assert read_playbook().id == "default"


def test_a_wrong_name_gets_a_suggestion() -> None:
    with pytest.raises(PlaybookError) as caught:
        read_playbook("defalt")
    assert (caught.value.message, caught.value.hint) == (
        "no playbook is called 'defalt'",
        "did you mean 'default'?",
    )


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlaybookError, match=r"no playbook file at .*/nope\.yaml"):
        read_playbook(str(tmp_path / "nope.yaml"))


def test_every_shipped_playbook_validates() -> None:
    names = [path.stem for path in list_playbooks()]
    assert "default" in names
    assert [read_playbook(name).id for name in names] == names


def test_selecting_keeps_order_and_drops_needs_that_are_left_out() -> None:
    playbook = read_playbook()
    assert [step.id for step in playbook.select_actions("contain.").steps] == ["contain"]
    verify = playbook.select_actions("case.verify").finally_steps[0]
    assert verify.needs == ()


def test_the_checking_code_is_part_of_the_key() -> None:
    assert set(compiled._CHECKERS) >= {"actions.py", "lint.py", "loader.py", "schema.py", "validate.py"}


def test_a_file_here_never_stands_before_a_shipped_playbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("default", "mine"):
        (tmp_path / name).write_text("")
    assert find_playbook("default") in list_playbooks()
    assert find_playbook("mine") == Path("mine")
