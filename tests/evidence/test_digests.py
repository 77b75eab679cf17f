"""Digests beside the writing: those of the bytes on disk, for short and long streams and for buffers used again."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.evidence import digests
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.evidence.digests import StreamDigests, sha256, sha512
from forensics.evidence.files import hash_file
from forensics.model import Outcome, Subject

CONTENT = random.Random(4).randbytes(9 << 20)  # noqa: S311 - the same bytes every time


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with Case.create(tmp_path / "case", subject=Subject("container", "web"), actor=Actor("Ana")) as made:
        yield made


def split(content: bytes, seed: int, most: int) -> Iterator[bytes]:
    dice, start = random.Random(seed), 0  # noqa: S311 - the same pieces every time
    while start < len(content):
        size = dice.randrange(most)
        yield content[start : start + size]
        start += size


@pytest.mark.parametrize("most", [5000, 300_000, 3 << 20, 20 << 20])
@pytest.mark.parametrize("size", [0, 1, digests._LONG_BYTES, digests._LONG_BYTES + 1, len(CONTENT)])
def test_digests_are_those_of_the_pieces_in_their_order(size: int, most: int) -> None:
    content = CONTENT[:size]
    running = StreamDigests(sha256, sha512)
    for piece in split(content, 7, most):
        running.update(piece)
    expected = (hashlib.sha256(content).hexdigest(), hashlib.sha512(content).hexdigest())
    assert running.finish() == expected
    assert running.finish() == expected, "asking twice changes nothing"
    assert running.size_bytes == size
    running.update(b"more")
    assert running.finish()[0] == hashlib.sha256(content + b"more").hexdigest(), "going on is allowed"


def test_no_thread_outlives_a_stream_and_a_short_one_starts_none() -> None:
    before = threading.active_count()
    short, long = StreamDigests(sha256), StreamDigests(sha256)
    short.update(CONTENT[:4096])
    assert threading.active_count() == before
    long.update(CONTENT)
    assert threading.active_count() == before + 1
    long.finish()
    assert threading.active_count() == before


def test_a_buffer_that_its_owner_uses_again_is_recorded_as_it_was_written(case: Case) -> None:
    """A source may hand out one buffer over and over; what is hashed must be what was written, not what came later."""

    def reuse() -> Iterator[memoryview]:
        buffer = bytearray(1 << 20)
        for number in range(12):
            buffer[:] = bytes([number]) * len(buffer)
            yield memoryview(buffer)

    item = case.add("memory", reuse(), source="s", method="m")  # type: ignore[arg-type] # what no type checker can forbid
    on_disk = hash_file(case.path_of(item))
    assert (item.sha256, item.sha512, item.size_bytes) == (on_disk.sha256, on_disk.sha512, 12 << 20)
    assert case.read(item)[:1] == b"\0"


def test_a_long_stream_that_dies_leaves_the_digests_of_what_came(case: Case) -> None:
    def dying() -> Iterator[bytes]:
        yield from split(CONTENT, 3, 300_000)
        raise ConnectionResetError("the engine went away")

    with pytest.raises(ConnectionResetError):
        case.add("memory", dying(), source="s", method="m")
    (item,) = case.items()
    assert (item.outcome, item.size_bytes) == (Outcome.FAILED, len(CONTENT))
    assert (item.sha256, item.sha512) == (
        hashlib.sha256(CONTENT).hexdigest(), hashlib.sha512(CONTENT).hexdigest(),
    )  # fmt: skip


def test_a_digest_that_failed_is_not_given_out() -> None:
    class Failing:
        def update(self, _: bytes | memoryview) -> None:
            raise MemoryError

        def hexdigest(self) -> str:
            return "0" * 64

    running = StreamDigests(Failing)  # type: ignore[arg-type] # as much of a digest as is asked for
    running.size_bytes = digests._LONG_BYTES
    for _ in range(40):
        running.update(CONTENT[: 1 << 20])
    with pytest.raises(MemoryError):
        running.finish()
