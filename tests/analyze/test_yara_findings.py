"""Matches as findings: strings with their surroundings, credit to the rule's maker, memory, rules that are not used."""

from __future__ import annotations

from pathlib import Path

from analyze_cases import F, layer, make_case, rules

from forensics.analyze import analyze, build_analysis
from forensics.model import Outcome

MINE = (
    'rule mine { meta: author = "Jane" reference = "https://example.org/r" license = "DRL-1.1" severity = "high"'
    ' strings: $a = "NEEDLE" condition: $a }\n'
)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_strings_surroundings_and_credit(tmp_path: Path) -> None:
    rule = write(tmp_path / "set.yar", MINE)
    files = {"opt/a": b"before \x1b[31m NEEDLE after", "opt/b": b"password=hunter2secret NEEDLE"}
    with make_case(tmp_path / "case", [layer({"x": "1"}), layer(files)]) as case:
        found = rules(build_analysis(case, rules=(rule,)).findings)["yara.mine"]
    text = "\n".join(found.details)
    assert "rule mine of set.yar" in text
    assert {"author: Jane", "reference: https://example.org/r", "license: DRL-1.1"} <= set(found.details)
    line = next(part for part in found.details if part.startswith("/opt/a"))
    assert "$a at 0xd, 6 bytes: " in line
    assert "\u00bbNEEDLE\u00ab after" in line
    assert line.endswith("| 4e 45 45 44 4c 45")
    assert "\x1b" not in text
    assert "hunter2secret" not in text
    assert {(ref.path, ref.offset) for ref in found.evidence} == {(b"opt/a", 13), (b"opt/b", 23)}


def test_process_memory_is_scanned_and_shows_the_address(tmp_path: Path) -> None:
    rule = write(tmp_path / "set.yar", MINE)
    with make_case(tmp_path / "case") as case:
        item = case.add("memory", [bytes(5000) + b"NEEDLE" + bytes(99)], source="t", method="t", attributes={"pid": 40})
        run = {"start": 0x7F0000001000, "end": 0x7F0000001000 + 8192, "offset": 4096}
        case.add_json("memory-map", {"pid": 40, "memory_item": item.id, "runs": [run]}, source="t", method="t")
        found = rules(build_analysis(case, rules=(rule,)).findings)["yara.mine"]
    assert [(ref.pid, ref.item, ref.offset) for ref in found.evidence] == [(40, item.id, 5000)]
    assert "(address 0x7f0000001388)" in "\n".join(found.details)


def test_rules_that_are_not_used_are_a_gap_and_no_damage(tmp_path: Path) -> None:
    write(tmp_path / "set" / "good.yar", MINE)
    write(tmp_path / "set" / "bad.yar", "rule bad { condition: unknown_thing }\n")
    with make_case(tmp_path / "case", [layer({"x": "1"}), layer({"y": "2"})]) as case:
        analysis = build_analysis(case, rules=(tmp_path / "set",))
    failed = [line for line in analysis.ledger if line.outcome is Outcome.FAILED]
    assert [line.artefact for line in failed] == ["yara rules"]
    assert "bad.yar:1: rule bad is not used" in failed[0].reason
    assert analysis.verdict.value == "no-evidence"
    assert any("yara rules" in reason for reason in analysis.reasons)


def test_the_same_case_gives_the_same_bytes(tmp_path: Path) -> None:
    rule = write(tmp_path / "set.yar", MINE)
    lists = write(tmp_path / "l.txt", "/opt/a\nevil.example\n")
    files = {f"opt/{name}": F(f"NEEDLE {name} http://evil.example/{name}".encode(), 0o755) for name in "abcdefgh"}
    with make_case(tmp_path / "case", [layer({"x": "1"}), layer(files)]) as case:
        stored = []
        for _ in range(2):
            analyze(case, rules=(rule,), iocs=(lists,))
            stored.append({path.name: path.read_bytes() for path in sorted((case.root / "analysis").iterdir())})
    assert stored[0] == stored[1]
