"""Sequences of any length in bounded memory: short ones are kept, long ones are made anew each time they are walked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TypeVar, overload

from forensics.text import show

T = TypeVar("T")
KEPT = 60_000
"""Nouns of one kind that stay in memory, about a kilobyte each; an archive can hold millions."""
_MOST_NAMED = 1_000


def make_replayable(
    make: Callable[[], Iterator[T]], make_again: Callable[[], Iterator[T]] | None = None, kept: int = KEPT
) -> Sequence[T]:
    """Return what *make* yields: as a tuple while it is short, else as a sequence that makes it anew each time.

    *make_again* must yield the same, in a form that costs less to make and is not kept.
    """
    first = tuple(islice(make(), kept + 1))
    return first if len(first) <= kept else _Replay(make_again or make)


class _Replay(Sequence[T]):
    """Knows how to make its members, and holds none of them."""

    def __init__(self, make: Callable[[], Iterator[T]]) -> None:
        self._make = make
        self._length = -1

    def __iter__(self) -> Iterator[T]:
        return self._make()

    def __len__(self) -> int:
        if self._length < 0:
            self._length = sum(1 for _ in self._make())
        return self._length

    def __bool__(self) -> bool:
        return True

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Return one member, or those of a slice as a tuple; walks up to them."""
        if isinstance(index, slice):
            start, stop, step = index.start or 0, index.stop, index.step or 1
            if start < 0 or stop is None or stop < 0 or step < 0:
                return tuple(self[number] for number in range(*index.indices(len(self))))
            return tuple(islice(self, start, stop, step))
        for item in islice(self, index if index >= 0 else index + len(self), None):
            return item
        raise IndexError(index)


class NamedFailures:
    """Sentences of one kind: the first thousand are kept, each once; the others are counted."""

    def __init__(self, sentences: Sequence[str] = ()) -> None:
        """Start with *sentences*."""
        self._kept: dict[str, None] = {}
        self._more = 0
        for sentence in sentences:
            self.append(sentence)

    def append(self, sentence: str) -> None:
        """Add one."""
        if len(self._kept) < _MOST_NAMED:
            self._kept[sentence] = None
        elif sentence not in self._kept:
            self._more += 1

    def __iter__(self) -> Iterator[str]:
        """Yield what was kept, then how many more there were."""
        yield from self._kept
        if self._more:
            yield f"{self._more} more like {show(next(reversed(self._kept)), 120)}"

    def __len__(self) -> int:
        return len(self._kept) + self._more
