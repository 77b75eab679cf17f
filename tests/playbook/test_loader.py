"""The strict reader refuses what ordinary loaders expand, guess or overwrite; each by its exact sentence and place."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.errors import PlaybookError
from forensics.playbook.loader import MAX_BYTES, parse_yaml

REFUSED = {
    "anchor": (b"a: &x 1\n", "f:1:4: anchors and aliases are not allowed"),
    "alias": (b"a: *x\n", "f:1:4: anchors and aliases are not allowed"),
    "merge key": (b"<<: {a: 1}\n", "f:1:1: merge keys are not allowed"),
    "duplicate key": (b"a: 1\nb: 2\na: 3\n", "f:3:1: the key 'a' stands here twice"),
    "object tag": (b"a: !!python/object:os.system x\n", "f:1:4: tags are not allowed"),
    "plain tag": (b"a: !!str 1\n", "f:1:4: tags are not allowed"),
    "second document": (b"a: 1\n---\nb: 1\n", "f:2:1: a second document"),
    "empty file": (b"# nothing\n", "f:1:1: the file is empty"),
    "unfinished list": (b"a: [1\nb: 2", "f:2:2: not YAML: did not find expected ',' or ']'"),
    "control character": (b"a: \x07", "f:1:1: a character that YAML does not allow"),
    "not UTF-8": (b"a: 1\nb: \xff", "f:2:4: not UTF-8"),
    "too deep": (b"- " * 100 + b"x", "f:1:51: nested deeper than 24 levels"),
    "not a number": (b"a: .nan", "f:1:4: not a finite number"),
    "infinite by exponent": (b"a: 1e999", "f:1:4: not a finite number"),
    "huge integer": (b"a: " + b"9" * 5000, "f:1:4: a number with too many digits"),
    "list as key": (b"? [a]\n: b\n", "f:1:3: a key must be plain text"),
    "too large": (b"a" * (MAX_BYTES + 1), "f:1:1: larger than 1 MiB"),
    "too many values": (b"- x\n" * 60_000, "f:50000:3: more than 50000 values"),
}


@pytest.mark.parametrize(("raw", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses_with_place_and_hint(raw: bytes, message: str) -> None:
    with pytest.raises(PlaybookError) as caught:
        parse_yaml(raw, "f")
    assert caught.value.message == message
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_refuses_a_merge_key_bomb_in_milliseconds() -> None:
    levels = [b"a0: &a0 {x: 1}\n"]
    levels += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n".encode() for n in range(1, 30)]
    started = time.perf_counter()
    with pytest.raises(PlaybookError, match="anchors and aliases"):
        parse_yaml(b"".join(levels), "bomb.yaml")
    assert time.perf_counter() - started < 0.1


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("NO", "NO"), ("true", True), ("False", False), ("~", None),
        ("", None), ("null", None), ("017", 17), ("0o17", 15), ("0x1f", 31), ("1_000", "1_000"), ("1.5", 1.5),
        ("1e3", 1000.0), ("-7", -7), ("'5'", "5"), ('"true"', "true"), ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"),
    ],
)  # fmt: skip
def test_resolves_by_the_yaml_1_2_core_schema(scalar: str, value: object) -> None:
    assert parse_yaml(f"a: {scalar}\n".encode(), "f").root == {"a": value}


def test_knows_where_everything_stands() -> None:
    document = parse_yaml(b"steps:\n  - id: one\n    with: {x: 1}\n", "f")
    assert document.locate(("steps", 0, "id")) == (2, 9)
    assert document.locate(("steps", 0, "id"), key=True) == (2, 5)
    assert document.locate(("steps", 0, "with", "x")) == (3, 15)
    assert document.locate(("steps", 0, "missing", "deeper")) == (2, 5)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with contextlib.suppress(PlaybookError):
        assert parse_yaml(raw, "f").file == "f"
