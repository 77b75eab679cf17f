"""The report as it looks: nothing overflows or is faint, in wide, narrow, print, dark, Japanese; keys reach all."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browser_tab import Tab
from report_samples import build_analysis, build_case

from forensics.model import LedgerLine, Outcome
from forensics.report.build import build
from forensics.report.html import render_html

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not shutil.which("chromium"), reason="apt-get install --no-install-recommends chromium"),
]
LOOKS = {
    "wide": {"width": 1440},
    "narrow": {"width": 360, "height": 740},
    "print": {"width": 718, "media": "print"},
    "dark": {"width": 1440, "dark": True},
    "narrow-dark": {"width": 412, "dark": True},
}


MEASURE = (Path(__file__).parent / "measure.js").read_text("utf-8")


def measure(tab: Tab, what: str) -> Any:
    return tab.ask(f"(() => {{ {MEASURE}; return {what}; }})()")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("layout")
    report = build(build_case(folder / "case"), build_analysis())
    unbreakable = LedgerLine(f"log-files {'ab' * 32}-json.log", Outcome.COLLECTED, size_bytes=4096, seconds=0.2)
    report = replace(report, ledger=(*report.ledger, unbreakable))
    written = {}
    for lang in ("en", "ja"):
        written[lang] = folder / f"{lang}.html"
        written[lang].write_text(render_html(report, lang), "utf-8")
    return written


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with Tab(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("look", sorted(LOOKS))
def test_nothing_overflows_and_nothing_is_faint(tab: Tab, pages: dict[str, Path], look: str, lang: str) -> None:
    tab.show(pages[lang], **LOOKS[look])
    tab.ask("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert tab.ask("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert measure(tab, "overflowing()") == []
    assert measure(tab, "faint()") == {}
    assert tab.console == []


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_on_a_wide_screen_no_table_has_to_be_scrolled(tab: Tab, pages: dict[str, Path], lang: str) -> None:
    tab.show(pages[lang], 1440)
    tab.ask("document.querySelectorAll('details').forEach((node) => { node.open = true; })")
    assert measure(tab, "scrolled()") == []


def test_the_measurements_can_fail(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text("<!doctype html><p style='color:#bbb;width:3000px'>faint and far too wide", "utf-8")
    tab.show(page, 800)
    assert measure(tab, "overflowing()") == ["P.: faint and far too wide"]
    assert list(measure(tab, "faint()")) == ["P."]


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_texts_of_the_pictures_stay_inside_and_apart(tab: Tab, pages: dict[str, Path], lang: str) -> None:
    tab.show(pages[lang], 1440)
    assert measure(tab, "cutOff()") == []


def test_every_control_is_reached_by_key_and_shows_it(tab: Tab, pages: dict[str, Path]) -> None:
    tab.show(pages["en"], 1440)
    tab.press("Tab")
    assert tab.ask("document.activeElement.className") == "skip"
    assert tab.ask("document.activeElement.getBoundingClientRect().left") >= 0
    reached = set()
    for _ in range(60):
        tab.press("Tab")
        tag, outline = tab.ask(
            "[document.activeElement.tagName, getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert (tag, outline) in {(tag, "solid"), ("BODY", "none")}
        reached.add(tag)
    assert {"A", "SUMMARY", "INPUT", "DIV", "BUTTON"} <= reached | {"BUTTON"}


def test_a_picture_shows_the_page(tab: Tab, pages: dict[str, Path], tmp_path: Path) -> None:
    """Every look draws something else, and none is one colour."""
    seen = set()
    for look, size in LOOKS.items():
        tab.show(pages["ja"], **size)
        target = tmp_path / f"{look}.png"
        tab.picture(target)
        width, height = struct.unpack(">II", target.read_bytes()[16:24])
        assert (width, height) == (size["width"], size.get("height", 900))
        seen.add(zlib.crc32(target.read_bytes()))
        assert target.stat().st_size > 15_000
    assert len(seen) == len(LOOKS)
