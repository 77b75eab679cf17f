"""Each export is read by the tool, or by the rules, that it is for."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from report_samples import FINDINGS, HOSTILE, build_analysis, build_case, change, entry

from forensics.model import Change, ChangeKind
from forensics.report.bodyfile import render_bodyfile
from forensics.report.build import build
from forensics.report.csv import render_csv
from forensics.report.document import Report
from forensics.report.formats import FORMATS, render
from forensics.report.stix import render_stix
from forensics.report.timesketch import render_timesketch


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return build(build_case(tmp_path_factory.mktemp("exports") / "case"), build_analysis())


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "pdf"])
def test_every_listed_format_is_there_and_deterministic(report: Report, name: str) -> None:
    first = render(report, name).decode("utf-8")
    assert first == render(report, name).decode("utf-8")
    assert first
    assert not re.search(r"[\u202a-\u202e\u2028\x00\x07\x1b\ud800-\udfff]", first)


def test_timesketch_lines_have_the_required_fields(report: Report) -> None:
    lines = [json.loads(line) for line in render_timesketch(report).splitlines()]
    assert len(lines) == 47
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", line["datetime"])
        assert line["message"]
        assert line["timestamp_desc"]
    assert [line["datetime"] for line in lines] == sorted(line["datetime"] for line in lines)


def test_body_file_has_eleven_fields_however_hostile_the_name(report: Report) -> None:
    hostile = tuple(change(f"x|{name}|y\n".encode("utf-8", "surrogateescape")) for name in HOSTILE.values())
    body = render_bodyfile(replace(report, analysis=replace(report.analysis, changes=hostile, recovered=())))
    assert [line.count("|") for line in body.splitlines()] == [10] * len(HOSTILE)


def test_body_file_tells_modes_and_fate(report: Report) -> None:
    held = replace(entry(b"bin/su"), mode=0o4755, mtime_ns=1_700_000_000_999_999_999)
    gone = Change(ChangeKind.DELETED, b"bin/su", held, None)
    body = render_bodyfile(replace(report, analysis=replace(report.analysis, changes=(gone,), recovered=())))
    assert body == "0|/bin/su (deleted)|0|r/rrwsr-xr-x|0|0|120|0|1700000000|0|0\n"


@pytest.mark.skipif(not shutil.which("mactime"), reason="apt-get install --no-install-recommends sleuthkit")
def test_mactime_reads_the_body_file(report: Report, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_text(render_bodyfile(report))
    done = subprocess.run(
        ["mactime", "-b", str(body), "-d", "-y", "-z", "UTC"], capture_output=True, text=True, check=True
    )
    assert '"/tmp/.x/xmrig (added)"' in done.stdout
    assert '"/root/.ssh/id_ed25519 (recovered from layer 1)"' in done.stdout


def test_csv_runs_nothing_in_a_spreadsheet(report: Report) -> None:
    risky = tuple(
        replace(FINDINGS[0], matched=text) for text in ("=cmd|'/C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1")
    )
    text = render_csv(replace(report, analysis=replace(report.analysis, findings=risky)))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["matched"][0] for row in rows] == ["'", "'", "'", "'", "\\", "\\"]
    assert rows[0]["evidence"].startswith("E0004 pid 4402; E0009 /tmp/.x/xmrig")


def test_stix_bundle_is_accepted_by_the_oasis_library(report: Report) -> None:
    stix2 = pytest.importorskip("stix2")
    bundle = stix2.parse(render_stix(report), allow_custom=False)
    assert [entry.type for entry in bundle.objects].count("indicator") == 5


def test_stix_bundle_is_accepted_by_the_validator_without_a_warning(report: Report) -> None:
    from stix2validator import ValidationOptions, validate_string

    options = ValidationOptions(version="2.1", strict=True)
    result = validate_string(render_stix(report), options)
    assert (result.is_valid, [*result.errors, *result.warnings]) == (True, [])
    broken = render_stix(report).replace("[ipv4-addr:value =", "[ipv4-addr:value")
    assert not validate_string(broken, options).is_valid


def test_stix_patterns_quote_what_evidence_says(report: Report) -> None:
    objects = json.loads(render_stix(report))["objects"]
    patterns = [entry["pattern"] for entry in objects if entry["type"] == "indicator"]
    assert "[ipv4-addr:value = '198.41.0.4']" in patterns
    assert any("href=\\'//attacker.invalid\\'" in pattern for pattern in patterns)
    assert len({entry["id"] for entry in objects}) == len(objects)


def test_case_graph_gives_every_item_its_exhibit_number_and_digest(report: Report) -> None:
    graph = json.loads(render(report, "case"))["@graph"]
    exhibits = [node["case-investigation:exhibitNumber"] for node in graph if "exhibitNumber" in "".join(node)]
    assert exhibits == [item.id for item in report.items]
    files = [node for node in graph if node["@type"] == "uco-observable:File"]
    digests = [
        node["uco-core:hasFacet"][1]["uco-observable:hash"][0]["uco-types:hashValue"]["@value"] for node in files
    ]
    assert digests == [item.sha256 for item in report.items]
    ids = [node["@id"] for node in graph]
    assert len(ids) == len(set(ids))


CASE_VALIDATE = shutil.which("case_validate", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")


@pytest.mark.skipif(not CASE_VALIDATE, reason="case-utils is not installed")
def test_case_graph_conforms_to_the_ontology(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "case.jsonld"
    path.write_bytes(render(report, "case"))
    done = subprocess.run([str(CASE_VALIDATE), str(path)], capture_output=True, text=True, check=False)
    assert "Conforms: True" in done.stdout, done.stdout


def test_sarif_has_a_rule_for_every_result_and_says_that_it_is_partial(report: Report) -> None:
    run = json.loads(render(report, "sarif"))["runs"][0]
    rules = run["tool"]["driver"]["rules"]
    assert all(rules[result["ruleIndex"]]["id"] == result["ruleId"] for result in run["results"])
    assert [result["level"] for result in run["results"]] == ["error", "error", "error", "error", "warning", "note"]
    assert run["invocations"][0]["executionSuccessful"] is False
    places = [place for result in run["results"] for place in result["locations"]]
    uris = [place["physicalLocation"]["artifactLocation"]["uri"] for place in places if "physicalLocation" in place]
    assert all(re.fullmatch(r"[\w.~%/-]+", uri) for uri in uris)
