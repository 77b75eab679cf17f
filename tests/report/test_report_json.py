from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from report_samples import HOSTILE, build_analysis, build_case

from forensics.report.build import build
from forensics.report.json import render_json


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    text = render_json(build(build_case(tmp_path_factory.mktemp("json") / "case"), build_analysis()))
    assert text.isascii()
    assert "\\ud" not in text
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_shape_is_the_published_one(document: dict[str, Any]) -> None:
    assert document["schema"] == "ir.report/1"
    assert document["verdict"] == "compromised"
    assert set(document["findings"][0]) >= {
        "rule", "title", "severity", "confidence", "attack", "evidence", "why", "benign", "next",
    }  # fmt: skip
    assert set(document["findings"][0]["evidence"][0]) == {"item", "layer", "path", "path_b64", "pid", "offset"}
    assert set(document["changes"][0]) == {"path", "path_b64", "kind", "fields", "layer"}
    assert set(document["ledger"][0]) >= {"artefact", "outcome", "reason", "bytes", "seconds"}
    assert document["containment"]["proved"] is True
    assert [action["effect"] for action in document["containment"]["actions"]] == [
        "freeze every process of the container",
        "disconnect it from network shop_backend (172.19.0.4)",
    ]
    assert set(document["custody"]) == {"entries", "head", "seals"}
    for key in ("reasons", "subject", "deleted_recovered", "timeline", "indicators"):
        assert document[key], key


def test_paths_are_shown_and_exact(document: dict[str, Any]) -> None:
    raw = b"app/uploads/" + HOSTILE["encoding"].encode("utf-8", "surrogateescape")
    row = next(row for row in document["changes"] if base64.b64decode(row["path_b64"]) == raw)
    assert (row["path"], row["kind"], row["layer"]) == ("/app/uploads/caf\\xe9\\xff", "added", 3)


def test_head_is_the_digest_that_anyone_computes(tmp_path: Path) -> None:
    import hashlib

    case = build_case(tmp_path / "case")
    custody = json.loads(render_json(build(case, build_analysis())))["custody"]
    lines = (case.root / "custody.jsonl").read_bytes().splitlines(keepends=True)
    assert custody["head"] == hashlib.sha256(lines[custody["entries"] - 1]).hexdigest()
