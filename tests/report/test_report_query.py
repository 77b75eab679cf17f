"""A question reads the tables of one case and nothing else, for a bounded time."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from report_samples import build_analysis, build_case

from forensics.analyze.store import write_analysis
from forensics.cli import cli
from forensics.errors import UsageError
from forensics.report.build import build
from forensics.report.document import Report
from forensics.report.json import to_document
from forensics.report.query import TABLES, ask, save_database

if TYPE_CHECKING:
    from click.testing import Result


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("query") / "case"
    with build_case(root) as opened:
        write_analysis(opened, build_analysis())
    return root


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return build(build_case(tmp_path_factory.mktemp("asked") / "case"), build_analysis())


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["query", *map(str, arguments)])


@pytest.mark.parametrize("table", list(TABLES))
def test_every_table_holds_what_the_report_document_says(report: Report, table: str) -> None:
    answer = ask(report, f'select * from "{table}"')  # noqa: S608 - our own names
    document = to_document(report)

    assert answer.columns == TABLES[table]
    if table == "evidence":
        assert len(answer.rows) == sum(len(finding["evidence"]) for finding in document["findings"])
        return
    assert len(answer.rows) == len(document[table])
    described = set(document[table][0]) - {"evidence"} if document[table] else set()
    assert described <= set(TABLES[table])


def test_findings_and_their_evidence_join(report: Report) -> None:
    answer = ask(report, "select number, path from findings join evidence on finding = number where path is not null")
    wanted = [
        (number, reference["path"])
        for number, finding in enumerate(to_document(report)["findings"], 1)
        for reference in finding["evidence"]
        if reference["path"] is not None
    ]

    assert sorted(answer.rows) == sorted(wanted)


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("attach '{0}' as other", "can only read the tables"),
        ("pragma journal_mode = wal", "can only read the tables"),
        ("delete from findings", "can only read the tables"),
        ("create table mine (a)", "can only read the tables"),
        ("select load_extension('{0}')", "can only read the tables"),
        ("vacuum into '{0}'", "cannot be answered|can only read"),
        ("begin", "can only read the tables"),
        ("select writefile('{0}', 'x')", "no such function"),
        ("select 1; select 2", "one statement"),
        ("select * from shadow", "no such table"),
        ("", "no question"),
        ("select 'a\0b'", "cannot be answered"),
        ("select '\ud800'", "cannot be answered"),
    ],
)
def test_a_question_reaches_nothing_else(report: Report, tmp_path: Path, question: str, sentence: str) -> None:
    outside = tmp_path / "outside"
    with pytest.raises(UsageError, match=sentence):
        ask(report, question.format(outside))
    assert not outside.exists()


def test_a_question_without_an_end_is_ended(report: Report) -> None:
    endless = "with recursive a(x) as (select 1 union all select x + 1 from a) select max(x) from a"
    with pytest.raises(UsageError, match="took too long"):
        ask(report, endless, seconds=0.2)


def test_rows_beyond_the_limit_are_said(report: Report) -> None:
    total = len(ask(report, "select * from timeline").rows)
    assert ask(report, "select * from timeline", limit=total).more is False
    limited = ask(report, "select * from timeline", limit=2)
    assert (len(limited.rows), limited.more) == (2, True)


def test_credentials_are_masked_in_every_cell(report: Report) -> None:
    answers = [ask(report, f'select * from "{table}"') for table in TABLES]  # noqa: S608 - our own names
    cells = [str(cell) for answer in answers for row in answer.rows for cell in row]
    assert not [cell for cell in cells if "hunter2-Sup3rS3cretValue" in cell]
    assert not [cell for cell in cells if "\x1b" in cell or "\u202e" in cell]


def test_the_command_answers_people_and_programs(case: Path) -> None:
    question = "select severity, count(*) as n from findings group by 1 order by 1"
    told, machine = run(case, question), run(case, question, "--json")
    document = json.loads(machine.stdout)

    assert told.exit_code == machine.exit_code == 0
    assert told.stdout.splitlines()[0].split() == ["severity", "n"]
    assert document["columns"] == ["severity", "n"]
    assert len(document["rows"]) == len(told.stdout.splitlines()) - 1
    assert run(case).stdout.splitlines()[0].startswith("findings")
    assert json.loads(run(case, "--json").stdout)["tables"] == {name: list(columns) for name, columns in TABLES.items()}


def test_the_tables_are_saved_for_other_tools_and_never_over_a_file(case: Path, report: Report, tmp_path: Path) -> None:
    target = tmp_path / "case.sqlite"
    assert run(case, "--save", target).exit_code == 0
    with closing(sqlite3.connect(target)) as database:
        (count,) = database.execute("select count(*) from findings").fetchone()
    assert count == len(report.analysis.findings)

    with pytest.raises(UsageError, match="cannot be written"):
        save_database(report, target)
