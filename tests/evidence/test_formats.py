"""Old cases verify forever; hostile records are problems, never crashes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evidence_cases import make_case, run_script
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forensics.errors import CaseError, IrError
from forensics.evidence.case import Case
from forensics.evidence.custody import parse_line
from forensics.evidence.export import import_case
from forensics.evidence.items import parse_item, parse_ledger
from forensics.evidence.place import redact
from forensics.evidence.verify import check_case

ASSETS = Path(__file__).parent / "assets"
HOSTILE = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"[" * 100_000,
    b'{"seq":' + b"9" * 5000 + b"}",
    b"\xff\xfe",
    b'{"id":"E0001","path":"data/../../etc/passwd"}',
]


@pytest.mark.parametrize("name", sorted(path.stem for path in ASSETS.glob("*.signers")))
def test_a_case_of_a_released_format_verifies_forever(name: str, tmp_path: Path) -> None:
    import_case(ASSETS / f"{name}.tar.zst", tmp_path / "case")
    signers = ASSETS / f"{name}.signers"
    result = check_case(tmp_path / "case", allowed_signers=signers)
    assert (result.problems, result.signature.principal, result.complete) == ((), "ana@example.org", True)
    assert run_script(tmp_path / "case", "-s", str(signers)) == (0, result.headline + "\n")
    case = Case.open(tmp_path / "case", read_only=True)
    assert len(case.items()) == result.items == 4
    assert len(case.custody()) == result.entries


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_lines_are_errors_of_ours(raw: bytes) -> None:
    for parse in (parse_line, parse_item, parse_ledger):
        with pytest.raises(CaseError):
            parse(raw)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    case = make_case(tmp_path_factory.mktemp("fuzz") / "case")
    case.close()
    return case.root


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(
        ["custody.jsonl", "data/items.jsonl", "data/ledger.jsonl", "data/case.json", "data/E0003-image.sha256"]
    ),
    position=st.integers(0, 10_000),
    noise=st.one_of(st.binary(max_size=40), st.sampled_from(HOSTILE[4:])),
)
def test_noise_in_any_record_never_crashes_the_reader(root: Path, name: str, position: int, noise: bytes) -> None:
    path = root / name
    content = path.read_bytes()
    path.write_bytes(content[: position % len(content)] + noise + content[position % len(content) :])
    try:
        check_case(root)
        case = Case.open(root, read_only=True)
        for read in (case.items, case.custody, case.ledger):
            read()
    except IrError:
        pass
    finally:
        path.write_bytes(content)


def test_secrets_on_the_command_line_stay_out_of_the_log() -> None:
    arguments = ["ir", "run", "--password", "hunter2", "--api-token=abc", "https://u:p@example.org/x", "web"]
    kept = redact(arguments)
    assert kept == [
        "ir",
        "run",
        "--password",
        "[redacted]",
        "--api-token=[redacted]",
        "https://[redacted]@example.org/x",
        "web",
    ]
    assert "hunter2" not in json.dumps(kept)


@pytest.mark.parametrize("change", [{"authority": {"noise": 1}}, {"authority": [1]}, {"engine": "docker"}])
def test_a_case_document_of_a_strange_form_is_an_error_of_ours(tmp_path: Path, change: dict[str, object]) -> None:
    root = make_case(tmp_path / "case").root
    path = root / "data/case.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}, indent=1))
    with pytest.raises(CaseError, match=r"data/case\.json"):
        Case.open(root, read_only=True)
