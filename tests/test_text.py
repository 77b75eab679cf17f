"""Hostile text never reaches a reader raw."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from forensics import text


def test_plain_ascii_is_shown_as_it_is() -> None:
    assert text.show(b"/usr/bin/python3 --version") == "/usr/bin/python3 --version"


def test_deceptions_are_visible() -> None:
    assert text.show("a\x1b[31mb") == "a\\x1b[31mb"
    assert text.show("invoice\u202egpj.exe") == "invoice\\u202egpj.exe"
    assert text.show(b"caf\xe9") == "caf\\xe9"
    assert text.show("two\nlines\r") == "two\\x0alines\\x0d"
    assert text.show("back\\slash") == "back\\\\slash"
    assert text.show("日本語 ü") == "日本語 ü"


def test_a_cut_says_how_much_is_missing() -> None:
    assert text.show("x" * 5000, limit=10) == "x" * 10 + "… [4990 more]"


def test_the_limit_counts_characters_of_the_original() -> None:
    assert text.show("\n" * 6, limit=5) == "\\x0a" * 5 + "… [1 more]"


@given(st.binary(max_size=200))
def test_nothing_shown_can_move_the_cursor_or_the_line(raw: bytes) -> None:
    for character in text.show(raw):
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_different_bytes_are_shown_differently(one: bytes, other: bytes) -> None:
    assert (text.show(one) == text.show(other)) == (one == other)


@given(st.binary(max_size=500))
def test_bytes_survive_the_way_through_json_text(raw: bytes) -> None:
    assert text.to_bytes(text.from_bytes(raw)) == raw


def test_spreadsheets_get_no_formula() -> None:
    for cell in ("=cmd()", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"):
        assert not text.csv_cell(cell).lstrip().startswith(("=", "+", "-", "@"))


def test_body_file_cells_hold_no_separator() -> None:
    assert "|" not in text.bodyfile_cell(b"a|b")
