"""Programs under other names and in folders that are gone: what the digest and the links of a process tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from analyze_cases import ELF, MTIME, F, layer, make_case, process, rules, tcp

from forensics.analyze import build_analysis
from forensics.model import Finding, Severity

PERL, BASH, SLEEP = (ELF + name for name in (b"perl", b"bash", b"sleep"))
BASE = {
    "usr/bin/perl": F(PERL, 0o755),
    "usr/bin/bash": F(BASH, 0o755),
    "usr/bin/sleep": F(SLEEP, 0o755),
    "usr/bin/perl5.36.0": F(PERL, 0o755),
}


def examine(
    root: Path,
    table: list[dict[str, Any]],
    running: dict[int, bytes] | None = None,
    changed: dict[str, F] | None = None,
    sockets: list[dict[str, Any]] | None = None,
) -> dict[str, Finding]:
    documents = {"processes": {"processes": table, "views": {}}, "sockets": {"sockets": sockets or []}}
    with make_case(root / "case", [layer(BASE), layer(changed or {}, later=60)], documents) as case:
        for pid, content in (running or {}).items():
            case.add("executable", [content], source="test", method="test", attributes={"pids": [pid]})
        return rules(build_analysis(case, yara=False).findings)


def test_a_renamed_interpreter_is_recognised_by_its_content(tmp_path: Path) -> None:
    table = [process(40, ["nginx", "-e", "sleep 9"], "/usr/local/bin/nginx")]
    found = examine(tmp_path, table, {40: PERL}, {"usr/local/bin/nginx": F(PERL, 0o755)})
    finding = found["process.program-under-another-name"]
    assert finding.severity is Severity.HIGH
    assert "is /usr/bin/perl under another name" in finding.matched
    assert len({reference.item for reference in finding.evidence}) == 2


def test_a_program_replaced_by_an_interpreter_and_a_deleted_copy(tmp_path: Path) -> None:
    table = [
        process(40, ["/usr/bin/sleep"], "/usr/bin/sleep"),
        process(41, ["app"], "/opt/app (deleted)", exe_deleted=True),
    ]
    found = examine(tmp_path, table, {40: PERL, 41: BASH}, {"usr/bin/sleep": F(PERL, 0o755)})
    assert "process.program-under-another-name" in found


def test_a_renamed_shell_on_a_socket_is_a_shell_on_a_socket(tmp_path: Path) -> None:
    table = [process(40, ["nginx"], "/usr/local/bin/nginx", fds=dict.fromkeys(range(3), "socket:[9]"))]
    sockets = [tcp("172.17.0.2:5000", "192.0.2.7:4444", "ESTABLISHED", 9)]
    found = examine(tmp_path, table, {40: BASH}, {"usr/local/bin/nginx": F(BASH, 0o755)}, sockets)
    assert found["process.shell-on-socket"].severity is Severity.CRITICAL


def test_copies_of_the_image_itself_and_of_the_same_name_are_ordinary(tmp_path: Path) -> None:
    table = [
        process(40, ["perl", "app.pl"], "/usr/bin/perl"),
        process(41, ["perl", "app.pl"], "/usr/bin/perl5.36.0"),
        process(42, ["perl5", "app.pl"], "/opt/app/perl5"),
        process(43, ["app"], "/opt/app/app"),
    ]
    found = examine(tmp_path, table, {40: PERL, 41: PERL, 42: PERL, 43: ELF + b"app"})
    assert "process.program-under-another-name" not in found


def test_a_copy_of_anything_else_is_only_mentioned(tmp_path: Path) -> None:
    found = examine(tmp_path, [process(40, ["app"], "/opt/app")], {40: SLEEP}, {"opt/app": F(SLEEP, 0o755, MTIME + 60)})
    assert found["process.program-under-another-name"].severity is Severity.LOW


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ({"cwd": "/tmp/w (deleted)"}, Severity.MEDIUM),
        ({"cwd": "/dev/shm/.x (deleted)"}, Severity.MEDIUM),
        ({"cwd": "/", "root": "/var/tmp/r (deleted)"}, Severity.MEDIUM),
        ({"cwd": "/srv/releases/41 (deleted)"}, Severity.LOW),
        ({"cwd": "/tmp"}, None),
        ({"cwd": "/tmp/w", "root": "/"}, None),
    ],
)
def test_a_folder_that_is_gone(tmp_path: Path, more: dict[str, Any], severity: Severity | None) -> None:
    found = examine(tmp_path, [process(40, ["sleep", "9"], "/usr/bin/sleep", **more)])
    assert (found["process.deleted-folder"].severity if severity else found) == (severity or {})
