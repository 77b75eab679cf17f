"""Lists of indicators: what is read of them, what is named as not used, and where in a case they are found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from analyze_cases import ELF, F, image, layer, make_case, process, rules, tcp

from forensics.analyze import build_analysis
from forensics.analyze.ioc import classify, read_ioc_file
from forensics.cli import cli
from forensics.cli.frame import run
from forensics.errors import UsageError
from forensics.model import Severity

TOOL = ELF + b"tool of the list"
BASE_TOOL = b"an old file of the base image"


def digest(name: str, content: bytes) -> str:
    return hashlib.new(name, content, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("hxxp://evil[.]example[.]net/a/", ("url", "http://evil.example.net/a")),
        ("evil(dot)example.net", ("domain", "evil.example.net")),
        ("*.Evil.example.net.", ("domain", "evil.example.net")),
        ("203[.]0[.]113[.]7", ("address", "203.0.113.7")),
        ("203.0.113.7:4444", ("address", "203.0.113.7")),
        ("203.0.113.0/24", ("address", "203.0.113.0/24")),
        ("2001:db8::1", ("address", "2001:db8::1")),
        ("a[at]evil.example", ("email", "a@evil.example")),
        ("SHA256:" + "AB" * 32, ("sha256", "ab" * 32)),
        ("d41d8cd98f00b204e9800998ecf8427e", ("md5", "d41d8cd98f00b204e9800998ecf8427e")),
        ("/var//tmp/x", ("path", "/var/tmp/x")),
        ("two words", None),
        ("1.2.3", None),
        ("ab" * 64, None),
    ],
)
def test_one_indicator(written: str, expected: tuple[str, str] | None) -> None:
    assert classify(written) == expected


def read(tmp_path: Path, name: str, text: str) -> Any:
    path = tmp_path / name
    path.write_text(text)
    return read_ioc_file(path)


def test_plain_list_with_comments_labels_and_lines(tmp_path: Path) -> None:
    text = "# a list\n\nevil.example.net  # first stage\n" + "a" * 64 + "  /usr/bin/x\nnot an indicator\n203.0.113.9\n"
    found = read(tmp_path, "plain.txt", text)
    assert [(e.kind, e.line, e.label) for e in found.entries] == [
        ("domain", 3, "first stage"), ("sha256", 4, "/usr/bin/x"), ("address", 6, ""),
    ]  # fmt: skip
    assert found.unused == ("line 5: not understood: not an indicator",)


def test_csv_with_and_without_a_header(tmp_path: Path) -> None:
    found = read(
        tmp_path, "a.csv", 'type,indicator,comment\nip,203.0.113.1,"c2, old"\nhash,' + "b" * 40 + ",x\n,what,\n"
    )
    assert [(e.kind, e.line, e.label) for e in found.entries] == [("address", 2, "c2, old"), ("sha1", 3, "x")]
    assert len(found.unused) == 1
    found = read(tmp_path, "b.csv", "c" * 32 + ";a miner\n203.0.113.2;a pool\n")
    assert [(e.kind, e.line) for e in found.entries] == [("md5", 1), ("address", 2)]


def indicator(pattern: str, number: int, **more: Any) -> dict[str, Any]:
    return {"type": "indicator", "id": f"indicator--{number}", "name": f"n{number}", "pattern": pattern,
            "pattern_type": "stix", **more}  # fmt: skip


def test_stix_patterns_of_equality_are_used_and_others_named(tmp_path: Path) -> None:
    sha, md5 = "d" * 64, "e" * 32
    objects = [
        indicator(f"[file:hashes.'SHA-256' = '{sha}']", 1),
        indicator(f"[file:hashes.'SHA-256' = '{'f' * 64}' AND file:hashes.MD5 = '{md5}']", 2),
        indicator("[domain-name:value = 'evil.example' OR ipv4-addr:value = '203.0.113.5']", 3),
        indicator("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", 4),
        indicator("[url:value IN ('http://a.example/x', 'http://b.example/y')] OR [file:name = 'x.elf']", 5),
        indicator("[network-traffic:dst_ref.value = '203.0.113.6' AND network-traffic:dst_port = 443]", 6),
        indicator("[file:name LIKE '%.locked']", 7),
        indicator("[domain-name:value = 'a.example'] FOLLOWEDBY [domain-name:value = 'b.example']", 8),
        indicator("rule x {}", 9, pattern_type="yara"),
        indicator("[domain-name:value = 'revoked.example']", 10, revoked=True),
        {"type": "ipv6-addr", "id": "ipv6-addr--1", "value": "2001:db8::5"},
        {"type": "file", "id": "file--1", "hashes": {"SHA-1": "a" * 40, "SSDEEP": "3:x"}},
        {"type": "malware", "id": "malware--1", "name": "m"},
    ]
    found = read(tmp_path, "bundle.json", json.dumps({"type": "bundle", "objects": objects}, indent=1))
    values = {entry.value for entry in found.entries}
    assert values == {
        sha, "f" * 64, md5, "evil.example", "203.0.113.5", "198.51.100.0/24", "http://a.example/x", "http://b.example/y",
        "x.elf", "2001:db8::5", "a" * 40,
    }  # fmt: skip
    lines = (tmp_path / "bundle.json").read_text().splitlines()
    first = next(entry for entry in found.entries if entry.value == "evil.example")
    assert "indicator--3" in lines[first.line - 1]
    assert first.label == "n3"
    named = "\n".join(found.unused)
    assert found.unused_count == 6
    assert all(word in named for word in ("dst_port", "LIKE", "FOLLOWEDBY", "yara", "revoked", "SSDEEP"))


@pytest.mark.parametrize("text", ["", "# nothing\n", "{broken", '{"type":"bundle","objects":[]}', "[" * 100_000])
def test_a_list_that_says_nothing_is_refused_in_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="holds no indicator that can be used"):
        read(tmp_path, "x.txt", text)


def test_a_case_is_compared_with_every_list(tmp_path: Path) -> None:
    files = {"opt/t": F(TOOL, 0o755), "etc/cron.d/x": "* * * * * root /opt/t pool.evil.example:3333\n"}
    lists = tmp_path / "a.txt", tmp_path / "b.csv"
    lists[0].write_text(
        f"{digest('sha256', TOOL)}\n{digest('md5', BASE_TOOL)}\n/etc/cron.d/x\n203.0.113.0/24\nevil.example\n"
        f"unseen.example\n"
        f"{digest('sha1', b'deleted')}\n"
    )
    lists[1].write_text("value,description\n198.51.100.77,named in the log\n/dev/shm/z,in memory\n")
    documents = {
        "processes": {"processes": [process(7, ["/dev/shm/z", "-o", "x.evil.example:1"], "/dev/shm/z")], "views": {}},
        "sockets": {"sockets": [tcp("172.17.0.2:1", "203.0.113.9:443", "ESTABLISHED", 1)]},
    }
    layers = [layer({"usr/share/old": BASE_TOOL, "srv/d": b"deleted"}), layer(files, ("srv/d",), later=60)]
    with make_case(tmp_path / "case", layers, documents) as case:
        case.add("logs", [b"2026-01-01T00:00:00Z connect 198.51.100.77\n"], source="t", method="t")
        analysis = build_analysis(case, yara=False, iocs=lists)
    found = {(f.rule, f.matched.split(" ")[0]): f for f in analysis.findings if f.rule.startswith("ioc.")}
    assert set(found) == {
        ("ioc.sha256", digest("sha256", TOOL)), ("ioc.md5", digest("md5", BASE_TOOL)), ("ioc.path", "/etc/cron.d/x"),
        ("ioc.address", "203.0.113.0/24"), ("ioc.domain", "evil.example"), ("ioc.address", "198.51.100.77"),
        ("ioc.path", "/dev/shm/z"), ("ioc.sha1", digest("sha1", b"deleted")),
    }  # fmt: skip
    base = found["ioc.md5", digest("md5", BASE_TOOL)]
    assert base.severity is Severity.HIGH
    assert "(a.txt:2): /usr/share/old" in base.matched
    assert "b.csv:2, named in the log" in found["ioc.address", "198.51.100.77"].matched
    assert found["ioc.address", "198.51.100.77"].severity is Severity.MEDIUM
    assert {ref.pid for ref in found["ioc.domain", "evil.example"].evidence} == {7, None}
    assert "deleted, recovered" in found["ioc.sha1", digest("sha1", b"deleted")].matched
    shown = [line.reason for line in analysis.ledger if line.artefact == "list of indicators"]
    assert shown[0].startswith("7 indicators of a.txt (sha256 ")


def test_no_list_no_line(tmp_path: Path) -> None:
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer({"b": "2"})]) as case:
        analysis = build_analysis(case, yara=False)
    assert not [rule for rule in rules(analysis.findings) if rule.startswith("ioc.")]
    assert not any("indicator" in line.artefact for line in analysis.ledger)


def test_the_commands_take_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suspect = tmp_path / "suspect.tar"
    suspect.write_bytes(image([layer({"etc/os-release": "x"}), layer({"opt/t": F(TOOL, 0o755)})]))
    bad = tmp_path / "bad.txt"
    bad.write_text(f"{digest('md5', TOOL)} known tool\n")
    assert run(cli, ["scan", str(suspect), "--ioc", str(bad), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["listed"]
    assert [(part["list"], part["line"], part["path"], part["label"]) for part in listed] == [
        ("bad.txt", 1, "/opt/t", "known tool")
    ]
    assert run(cli, ["examine", str(suspect), "--ioc", str(bad), "--case", str(tmp_path / "case"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "suspicious"
    assert run(cli, ["analyze", str(tmp_path / "case"), "--ioc", str(bad), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [f["rule"] for f in document["findings"] if f["rule"].startswith("ioc.")] == ["ioc.md5"]
    assert run(cli, ["analyze", str(tmp_path / "case"), "--ioc", str(tmp_path / "none"), "--json"]) == 2
    assert "cannot be read" in capsys.readouterr().err
