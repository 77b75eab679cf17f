"""An answer is remembered for the same content, question, rules and versions, and for nothing else."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from forensics.scanning import Scanner, ScanRequest, find_rule_files, open_scanner

CONTENT = b"a needle in the hay"
RULE = 'rule Needle { strings: $a = "needle" condition: $a and filename != "spared" }'


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IR_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache/scans"


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "needle.yar"
    path.write_text(RULE)
    return path


def request(content: bytes = CONTENT, name: str = "file", *, magic: bool = True) -> ScanRequest:
    externals = {"filename": name, "filepath": f"/{name}", "extension": "", "filetype": "TEXT", "owner": "0"}
    return ScanRequest(externals, data=content, magic=magic, sha256=hashlib.sha256(content).hexdigest())


def ask(rules: Path, asked: ScanRequest) -> tuple[list[str], str, bool]:
    """Return the matching rules, the type, and whether the worker was asked."""
    with open_scanner(find_rule_files((rules,))) as scanner:
        questions: list[object] = []
        ask_worker = scanner._ask

        def count(*arguments: object) -> object:
            questions.append(arguments)
            return ask_worker(*arguments)  # type: ignore[arg-type]

        scanner._ask = count  # type: ignore[method-assign,assignment]
        result = scanner.scan(asked)
    return sorted(match.rule for match in result.matches), result.mime, bool(questions)


def test_the_same_question_is_asked_once(rules: Path) -> None:
    assert ask(rules, request()) == (["Needle"], "text/plain", True)
    assert ask(rules, request()) == (["Needle"], "text/plain", False)


def test_nothing_found_is_an_answer_too(rules: Path) -> None:
    assert ask(rules, request(b"only hay")) == ([], "text/plain", True)
    assert ask(rules, request(b"only hay")) == ([], "text/plain", False)


def test_another_name_is_another_question(rules: Path) -> None:
    assert ask(rules, request()) == (["Needle"], "text/plain", True)
    assert ask(rules, request(name="spared")) == ([], "text/plain", True)


def test_another_part_of_the_question_is_another_question(rules: Path) -> None:
    ask(rules, request(magic=False))
    assert ask(rules, request())[1:] == ("text/plain", True)


def test_changed_rules_are_asked_anew(rules: Path) -> None:
    ask(rules, request())
    rules.write_text(RULE.replace("needle", "hay").replace("Needle", "Hay"))
    assert ask(rules, request()) == (["Hay"], "text/plain", True)


def test_content_without_a_digest_is_never_remembered(rules: Path) -> None:
    for _ in range(2):
        assert ask(rules, replace(request(), sha256="")) == (["Needle"], "text/plain", True)


def test_a_failure_is_never_remembered(rules: Path, tmp_path: Path) -> None:
    gone = replace(request(), data=b"", path=str(tmp_path / "gone"))
    with open_scanner(find_rule_files((rules,))) as scanner:
        assert "cannot be read" in scanner.scan(gone).failure
    (tmp_path / "gone").write_bytes(CONTENT)
    assert ask(rules, gone) == (["Needle"], "text/plain", True)


@pytest.mark.parametrize("damage", ["bytes", "answer", "mode", "link", "folder"])
def test_a_damaged_or_foreign_file_is_left_alone(rules: Path, cache: Path, tmp_path: Path, damage: str) -> None:
    ask(rules, request())
    (file,) = cache.glob("*.sqlite")
    if damage == "bytes":
        file.write_bytes(b"no database at all" * 100)
    elif damage == "answer":
        with closing(sqlite3.connect(file)) as database, database:
            database.execute("UPDATE answers SET answer = x'00'")
    elif damage == "mode":
        file.chmod(0o666)
    else:
        file.rename(tmp_path / "moved")
        file.symlink_to(tmp_path / "moved") if damage == "link" else file.mkdir()

    assert ask(rules, request()) == (["Needle"], "text/plain", True)


def test_a_cache_that_cannot_be_made_costs_only_time(rules: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in its place")
    for _ in range(2):
        assert ask(rules, request()) == (["Needle"], "text/plain", True)


def test_old_files_are_forgotten(rules: Path, cache: Path) -> None:
    for number in range(10):
        rules.write_text(RULE.replace("Needle", f"Needle{number}"))
        ask(rules, request())
    assert len(list(cache.glob("*.sqlite"))) == 8


def test_a_closed_scanner_starts_again(rules: Path) -> None:
    scanner = Scanner(find_rule_files((rules,)))
    first = scanner.scan(request())
    scanner.close()
    assert scanner.scan(request()) == first
    scanner.close()
