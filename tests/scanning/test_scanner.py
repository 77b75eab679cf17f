"""The scanning process by itself: sets of many rules, rules that do not compile, compiled sets, contexts, limits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yara

from forensics.errors import RuleError
from forensics.folders import cache_dir
from forensics.scanning import Scanner, ScanRequest, find_rule_files, open_scanner
from forensics.scanning.client import WINDOW_BYTES
from forensics.scanning.salvage import compile_usable

RULE = 'rule %s { meta: author = "A. Uthor" strings: $a = "%s" condition: $a }\n'


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def many(count: int, prefix: str = "r") -> str:
    return "".join(RULE % (f"{prefix}{number}", f"needle-{number}-of-many") for number in range(count))


def compiled_sets() -> list[Path]:
    return sorted((cache_dir() / "yara").glob("*.yarc"))


def test_a_set_of_six_thousand_rules_finds_its_needles_and_is_compiled_once(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    for part in range(6):
        write(folder / f"{part}.yar", many(1000, f"p{part}_"))
    files = find_rule_files((folder,), own=False)
    with open_scanner(files) as scanner:
        assert scanner.rule_count == 6000
        found = scanner.scan(ScanRequest(data=b"xx needle-777-of-many yy"))
    assert {match.rule for match in found.matches} == {f"p{part}_777" for part in range(6)}
    before = {path: path.stat().st_mtime_ns for path in compiled_sets()}
    with open_scanner(files) as scanner:
        assert scanner.rule_count == 6000
    assert {path: path.stat().st_mtime_ns for path in compiled_sets()} == before


def test_bad_files_and_bad_rules_of_a_folder_cost_themselves_only(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    write(folder / "a.yar", many(2, "good"))
    write(folder / "b.yar", 'import "nosuchmodule"\n' + many(2, "kept") + "rule lost { condition: nosuchmodule.x }\n")
    write(folder / "c.yar", many(2, "good"))
    write(folder / "d.yar", "rule twice { condition: true }\nrule twice { condition: true }\n")
    write(folder / "e.yara", "this is no rule {\n")
    write(folder / "sub" / "f.yar", 'include "/etc/passwd"\n' + many(1, "after"))
    with open_scanner(find_rule_files((folder,), own=False)) as scanner:
        refused = "\n".join(scanner.refused)
        found = scanner.scan(ScanRequest(data=b"needle-0-of-many needle-1-of-many"))
    assert "rule lost is not used" in refused
    assert "rule twice is not used" in refused
    assert "e.yara" in refused
    assert "f.yar" in refused
    matched = [match.rule for match in found.matches]
    assert matched.count("good0") == 2, "the same name in two files is two rules"
    assert {"kept0", "kept1", "twice", "after0"} <= set(matched)


def test_the_name_in_braces_quotes_and_expressions_does_not_confuse_the_mending() -> None:
    text = (
        'rule one { strings: $a = "} rule x {" $b = /[{}"]{1,3}\\/\\/ rule y/ $c = { 6a [2-4] (01 | 02) } /* } */\n'
        " condition: any of them // }\n}\nrule two { condition: nothing }\nprivate rule three { condition: true }\n"
    )
    usable = compile_usable({"a": str(_written(text))}, frozenset({"a"}))
    assert [rule.identifier for rule in usable.rules] == ["one", "three"]
    assert [(part.rule, part.line) for part in usable.refused] == [("two", 4)]


def _written(text: str) -> Path:
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".yar", delete=False) as file:
        file.write(text)
    return Path(file.name)


def test_a_single_bad_file_is_the_users_to_mend(tmp_path: Path) -> None:
    bad = write(tmp_path / "bad.yar", "rule x {\n condition: nothing\n}\n")
    with pytest.raises(RuleError, match=r"bad\.yar:2: "), open_scanner(find_rule_files((bad,))):
        pass
    good = write(tmp_path / "good.yar", many(1))
    with open_scanner(find_rule_files((bad, good))) as scanner:
        assert "bad.yar:2" in scanner.refused[0]
        assert [m.rule for m in scanner.scan(ScanRequest(data=b"needle-0-of-many")).matches] == ["r0"]


def test_a_compiled_set_is_used_only_when_it_is_ours_and_unchanged(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.yarc"
    yara.compile(source=many(1)).save(str(foreign))
    with (
        pytest.raises(RuleError, match="compiled rule set that this ir did not make"),
        open_scanner(find_rule_files((foreign,), own=False)),
    ):
        pass
    source = write(tmp_path / "mine.yar", many(3, "mine_of_this_test"))
    with open_scanner(find_rule_files((source,), own=False)):
        pass
    newest = max(compiled_sets(), key=lambda path: path.stat().st_mtime_ns)
    mine = tmp_path / "mine.yarc"
    mine.write_bytes(newest.read_bytes())
    with open_scanner(find_rule_files((mine,), own=False)) as scanner:
        assert scanner.rule_count == 3
    content = bytearray(mine.read_bytes())
    content[-1] ^= 1
    mine.write_bytes(content)
    with pytest.raises(RuleError), open_scanner(find_rule_files((mine,), own=False)):
        pass


def test_a_cache_that_somebody_touched_is_made_again(tmp_path: Path) -> None:
    source = write(tmp_path / "x.yar", many(2, "touched_in_cache"))
    files = find_rule_files((source,), own=False)
    with open_scanner(files):
        pass
    newest = max(compiled_sets(), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(b"YARA" + bytes(100))
    with open_scanner(files) as scanner:
        assert scanner.rule_count == 2
        assert scanner.scan(ScanRequest(data=b"needle-1-of-many")).matches


def test_matched_strings_come_with_offset_length_and_surroundings(tmp_path: Path) -> None:
    rule = write(tmp_path / "x.yar", 'rule x { strings: $a = "NEEDLE" condition: $a }')
    data = b"0123456789abcdefghij" + b"NEEDLE" + b"\x00\xff after"
    with open_scanner(find_rule_files((rule,), own=False)) as scanner:
        part = scanner.scan(ScanRequest(data=data)).matches[0].strings[0]
    assert (part.identifier, part.offset, part.length, part.data) == ("$a", 20, 6, b"NEEDLE")
    assert part.before == b"0123456789abcdefghij"
    assert part.after == b"\x00\xff after"


def test_files_larger_than_a_window_are_scanned_to_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forensics.scanning.client.WINDOW_BYTES", 256 << 10)
    assert WINDOW_BYTES > 256 << 10
    rule = write(tmp_path / "x.yar", 'rule x { strings: $a = "NEEDLE" condition: $a }')
    content = tmp_path / "big"
    at = [100, (256 << 10) - 3, 900_000]
    raw = bytearray(1 << 20)
    for offset in at:
        raw[offset : offset + 6] = b"NEEDLE"
    content.write_bytes(raw)
    with open_scanner(find_rule_files((rule,), own=False)) as scanner:
        result = scanner.scan_file(content)
        chunks = scanner.scan_chunks([bytes(raw[:500]), bytes(raw[500:])])
    assert sorted({part.offset for part in result.matches[0].strings}) == at
    assert {match.rule for match in chunks.matches} == {"x"}


def test_only_regular_files_are_opened_and_a_vanished_one_is_a_failure(tmp_path: Path) -> None:
    with open_scanner(find_rule_files(())) as scanner:
        assert scanner.scan(ScanRequest(path="/dev/zero")).failure == "it cannot be read: no regular file"
        assert "No such file" in scanner.scan(ScanRequest(path=str(tmp_path / "gone"))).failure
        assert scanner.scan(ScanRequest(data=b"<?php system($_GET['c']); ?>")).matches


def test_a_rule_that_never_ends_is_given_up_and_the_next_content_is_scanned(tmp_path: Path) -> None:
    slow = "rule slow { condition: for all i in (1..100000000) : (for all j in (1..1000000) : (i + j >= 0)) }"
    rule = write(tmp_path / "slow.yar", slow)
    with open_scanner(find_rule_files((rule,), own=False)) as scanner:
        assert "gave up after 1 seconds" in scanner.scan(ScanRequest(data=b"x", seconds=1)).failure
        assert scanner.scan(ScanRequest(data=b"x", seconds=1, yara=False, magic=True)).mime != ""


def test_the_room_knows_no_case_and_starts_without_yara() -> None:
    code = "import sys, forensics.scanning; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"yara", "magic", "forensics.evidence", "forensics.engine", "forensics.archive"} & set(loaded)
    assert Scanner({}).rule_count == 0
