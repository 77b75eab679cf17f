from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from report_page import Page
from report_samples import FINDINGS, HOSTILE, TIMELINE, build_analysis, build_case, change

from forensics.errors import UsageError
from forensics.model import Analysis, Verdict
from forensics.report.build import build
from forensics.report.document import Report
from forensics.report.html import render_html

ALLOWED = {"a", "b", "bdi", "body", "br", "caption", "code", "dd", "details", "div", "dl", "dt", "fieldset"}
ALLOWED |= {"footer", "g", "h1", "h2", "h3", "h4", "head", "header", "html", "input", "label", "legend", "li", "line"}
ALLOWED |= {"main", "meta", "nav", "ol", "p", "path", "pre", "rect", "script", "section", "span", "strong", "style"}
ALLOWED |= {"summary", "svg", "table", "tbody", "td", "text", "th", "thead", "time", "title", "tr", "ul", "wbr"}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return build(build_case(tmp_path_factory.mktemp("html") / "case"), build_analysis())


@pytest.fixture(scope="module")
def page(report: Report) -> Page:
    return Page(render_html(report))


def test_evidence_makes_no_element_and_no_attribute(page: Page) -> None:
    assert set(page.tags) <= ALLOWED
    assert page.open == []
    assert (page.tags["script"], page.tags["style"]) == (1, 1)
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in {"style", "src", "srcset"}]
    ours = re.compile(r"[\w .:#%'/,;=+~()\u2026-]*")
    hidden = {"content", "d", "title"}
    for tag, name, value in page.attributes:
        if name not in hidden and not name.startswith("aria-"):
            assert ours.fullmatch(value), (tag, name, value)


def test_every_link_stays_in_the_page_and_arrives(page: Page) -> None:
    links = {value for _, name, value in page.attributes if name == "href"}
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert links <= {f"#{value}" for value in ids}


def test_evidence_cannot_deceive_the_eye(page: Page) -> None:
    text = "".join(page.text)
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u2028\x00\x07\x1b\ud800-\udfff]", text)
    assert "invoice\\u202egpj.exe" in text
    assert "one\\x0d\\x0atwo\\u2028three\\x00four\\x1b[31mred\\x07" in text
    assert "caf\\xe9\\xff" in text
    assert HOSTILE["template"] in text


def test_headings_do_not_skip_a_level(page: Page) -> None:
    assert page.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))


def test_sections_stand_in_the_order_of_the_reader(page: Page) -> None:
    sections = [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")]
    assert sections == [
        "actions", "story", "timeline", "findings", "processes", "connections", "changes", "recovered", "layers",
        "settings", "blast-radius", "indicators", "secrets", "ledger", "custody", "versions",
    ]  # fmt: skip


def test_policy_forbids_everything_but_our_own_style_and_script(report: Report) -> None:
    html = render_html(report)
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    assert policy[1].replace("&#39;", "'").startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict.COMPROMISED, "Compromised"),
        (Verdict.SUSPICIOUS, "Suspicious"),
        (Verdict.NO_EVIDENCE, "No evidence of compromise"),
    ],
)
def test_verdict_is_the_title_and_absence_is_never_called_clean(report: Report, verdict: Verdict, words: str) -> None:
    html = render_html(replace(report, analysis=replace(report.analysis, verdict=verdict)))
    assert f"<h1>{words}</h1>" in html
    if verdict is Verdict.NO_EVIDENCE:
        assert "That is not the same as clean" in html


def test_an_empty_section_says_why_it_is_empty(report: Report) -> None:
    html = render_html(replace(report, processes=()))
    section = html[html.index('<section id="processes"') : html.index('<section id="connections"')]
    assert "Not examined, so nothing can be said here." in section
    assert "not asked for (--memory)" in section


def test_a_team_replaces_one_template(report: Report, tmp_path: Path) -> None:
    (tmp_path / "versions.html.j2").write_text("<p>House rules: {{ report.subject.name }}</p>")
    html = render_html(report, templates=tmp_path)
    assert "<p>House rules: shop-web-1</p>" in html
    assert "<h1>Compromised</h1>" in html


@pytest.mark.parametrize("broken", ["{% if %}", "{{ nothing_of_the_kind }}"])
def test_a_broken_template_is_one_sentence(report: Report, tmp_path: Path, broken: str) -> None:
    (tmp_path / "versions.html.j2").write_text(broken)
    with pytest.raises(UsageError, match=r"versions\.html\.j2|template"):
        render_html(report, templates=tmp_path)


def test_an_unfiltered_string_of_a_replaced_template_is_still_escaped(report: Report, tmp_path: Path) -> None:
    (tmp_path / "versions.html.j2").write_text("<p>{{ analysis.findings[5].title }}</p>")
    assert "<p>invoice\\u202egpj.exe" in render_html(report, templates=tmp_path)


def test_an_unknown_language_is_a_usage_error(report: Report) -> None:
    with pytest.raises(UsageError, match="there is no report language 'xx'"):
        render_html(report, "xx")


def test_a_huge_case_still_makes_a_page(tmp_path: Path) -> None:
    paths = (b"usr/share/d%d/e%d/f%d" % (n % 300, n % 7, n) for n in range(200_000))
    huge = replace(
        build_analysis(),
        changes=tuple(map(change, paths)),
        findings=FINDINGS * 3400,
        timeline=TIMELINE * 800,
    )
    case = build_case(tmp_path / "case")
    html = render_html(build(case, huge))
    assert len(html.encode()) < 15_000_000
    assert "Shown: 400 of 20\u202f400" in html
    assert '<span class="count">200\u202f000</span>' in html


def test_an_empty_analysis_makes_a_page(report: Report) -> None:
    empty = Analysis(Verdict.NO_EVIDENCE, (), (), (), (), (), (), (), ())
    html = render_html(replace(report, analysis=empty, story=(), ledger=(), gaps=(), items=(), steps=()))
    assert "This case has no completeness ledger" in html


def test_what_was_never_collected_is_not_told_as_absent(report: Report) -> None:
    html = render_html(replace(report, processes=(), gaps=(), items=()))
    section = html[html.index('<section id="processes"') : html.index('<section id="connections"')]
    assert "Not collected in this case, so nothing can be said here." in section
