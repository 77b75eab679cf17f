# ruff: noqa: RUF001 - Japanese punctuation
"""The report in Japanese: every sentence has a translation, none of ours stays English, evidence stays as it is."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_page import VOID
from report_samples import HOSTILE, build_analysis, build_case

from forensics.analyze import build_analysis as examine
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import Subject
from forensics.report.build import build
from forensics.report.html import render_html
from forensics.report.language import list_languages, make_translator, read_catalogue
from forensics.resources import find_resource_dir

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))

import translations  # noqa: E402 - a script of lab/

FOLDERS = (find_resource_dir("templates"),)
ENGLISH = re.compile(r"\b(?!ir\b)[a-z]{3,} [a-z]{3,}\b")
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
GAP = re.compile(r"\{\w+\}")


class Ours(HTMLParser):
    """Text and readable attributes of a page that are not evidence, commands, times, or the chart's hints."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.texts += [known[name] or "" for name in ("aria-label", "title", "placeholder") if name in known]
        if tag not in VOID:
            self.open.append((tag, known.get("class") or ""))

    def handle_endtag(self, _: str) -> None:
        self.open.pop()

    def handle_data(self, data: str) -> None:
        inert = {"style", "script", "code", "pre", "time"}
        if not any(tag in inert or "ev" in kind.split() for tag, kind in self.open):
            self.texts.append(data.strip())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    report = build(build_case(tmp_path_factory.mktemp("japanese") / "case"), build_analysis())
    return render_html(report), render_html(report, "ja")


def test_every_sentence_has_a_translation() -> None:
    how = "python lab/translations.py update; translate what is empty in templates/lang/ja.po; ... compile"
    assert translations.list_missing("ja") == [], how


def test_the_catalogue_that_is_read_is_the_one_that_is_written() -> None:
    path = FOLDERS[0] / "lang" / "ja.mo"
    assert path.read_bytes() == translations.compile_catalogue("ja"), "run: python lab/translations.py compile"


def test_no_gap_is_lost_in_translation() -> None:
    catalogue = read_catalogue("ja", FOLDERS)
    assert len(catalogue) > 1500
    assert [
        source for source, target in catalogue.items() if set(GAP.findall(source)) != set(GAP.findall(target))
    ] == []


def test_a_new_sentence_without_translation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translations, "WORDS", (*translations.WORDS, "a sentence that nobody has translated"))
    assert translations.list_missing("ja") == ["a sentence that nobody has translated"]


def test_the_page_says_its_language(pages: tuple[str, str]) -> None:
    assert list_languages(FOLDERS) == ("en", "ja")
    assert '<html lang="en">' in pages[0]
    assert '<html lang="ja">' in pages[1]


def test_no_sentence_of_the_page_stays_english(pages: tuple[str, str]) -> None:
    known = {sentence for sentence in translations.list_sentences() if " " in sentence}
    english = {text for text in Ours(pages[0]).texts if text in known}
    assert len(english) > 60
    assert {text for text in Ours(pages[1]).texts if text in known} == set()


def test_what_is_left_in_latin_letters_is_evidence(tmp_path: Path) -> None:
    """A case of the tool's own making, examined by the tool: nothing in it was written for this test."""
    subject = Subject(kind="image file", name="intruded-web")
    with Case.create(tmp_path / "case", subject=subject, actor=Actor(name="tester")) as case:
        with (ROOT / "evidence-samples" / "intruded-web.tar").open("rb") as stream:
            case.add("image", iter(lambda: stream.read(1 << 20), b""), source="file", method="copied")
        report = build(case, examine(case))
    assert len(report.analysis.findings) > 5
    left = [text for text in Ours(render_html(report, "ja")).texts if ENGLISH.search(text)]
    assert [text for text in left if not JAPANESE.search(text)] == []


def test_evidence_stays_as_it_is(pages: tuple[str, str]) -> None:
    evidence = re.compile(r'<pre class="match">.*?</pre>', re.DOTALL)
    assert evidence.findall(pages[1]) == evidence.findall(pages[0])
    for text in ("shop-web-1", "registry.example/shop/web:2.4.1", "kworker/0:1", "server.js", "198[.]41[.]0[.]4"):
        assert text in pages[1]


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("A program is hidden (high): /usr/lib/.x and 3 more", "プログラムが隠されている（高）: /usr/lib/.x ほか 3 件"),
        ("Cron configuration: downloads something and runs it", "Cronの設定：何かをダウンロードして実行する"),
        ("disconnect from network none (no address)", "ネットワーク none（アドレスなし）から切断"),
        ("executable of pid 7, 12 and 3 more", "PID 7, 12 ほか 3 件の実行ファイル"),
        ("pid 7 started: nothing found", "PID 7 起動：nothing found"),
        ("10 files ending in .x: /a, /b and 4 more", ".x で終わるファイル 10 個：/a, /b ほか 4 件"),
        (
            "0 min 1 s, from A to B (contained); first sign: /etc/x: content changed",
            "0 分 1 秒（A から B まで、封じ込め済み）；最初の兆候：/etc/x：内容の変更",
        ),
        ("engine API: commit (pause=0) to sha256:ab, save", "エンジン API：commit（pause=0）で sha256:ab, save を作成"),
        ("engine API: inspect", "エンジン API：コンテナ設定（inspect）"),
        ("pid 7: sh -c x, peer 1.2.3.4", "PID 7：sh -c x、相手 1.2.3.4"),
        ("analysis: yara: switched off", "解析：YARA：無効化されています"),
    ],
)
def test_sentences_that_quote_evidence(english: str, japanese: str) -> None:
    assert make_translator("ja", FOLDERS)(english) == japanese


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_evidence_is_not_mistaken_for_a_sentence(name: str) -> None:
    assert make_translator("ja", FOLDERS)(HOSTILE[name]) == HOSTILE[name]


def test_long_evidence_takes_no_long_time_to_recognise() -> None:
    translate = make_translator("ja", FOLDERS)
    for text in ("pid 1: " + "a" * 5900, "disconnect from network " * 250, " and 1 more" * 500):
        assert "1" in translate(text) or text.startswith("disconnect")
    assert translate("x" * 100_000) == "x" * 100_000


def test_a_team_can_add_a_language_and_replace_a_sentence(tmp_path: Path) -> None:
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    (tmp_path / "lang").mkdir()
    for code, word in (("de", "Befunde"), ("ja", "所見")):
        catalog = Catalog(locale=code)
        catalog.add("Findings", word)
        with (tmp_path / "lang" / f"{code}.mo").open("wb") as stream:
            write_mo(stream, catalog)
    folders = (tmp_path, *FOLDERS)
    assert list_languages(folders) == ("en", "de", "ja")
    assert make_translator("de", folders)("Findings") == "Befunde"
    assert make_translator("ja", folders)("Findings") == "所見"
    assert make_translator("ja", folders)("Timeline") == "タイムライン"
