"""Sequences of any length in bounded memory: short ones are kept, long ones lie in a temporary file.

Long ones are decoded anew each time they are walked. The file has no name and is gone when the process is.
"""

from __future__ import annotations

import marshal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, BinaryIO, TypeVar, overload

from forensics.text import show

T = TypeVar("T")
KEPT = 60_000
"""Nouns of one kind that stay in memory, about a kilobyte each; an archive can hold millions."""
_BATCH = 2_000
_MOST_NAMED = 1_000


class Spool:
    """Tuples of numbers, texts and bytes in a temporary file, in the order in which they were added."""

    def __init__(self) -> None:
        """Start empty."""
        self._file: BinaryIO = tempfile.TemporaryFile(prefix="ir-analysis-")  # noqa: SIM115 - as long as this object
        self._batch: list[tuple[Any, ...]] = []
        self._places: list[tuple[int, int]] = []
        self._length = 0

    def append(self, item: tuple[Any, ...]) -> None:
        """Add one."""
        self._batch.append(item)
        self._length += 1
        if len(self._batch) >= _BATCH:
            packed = marshal.dumps(self._batch)
            self._places.append((self._file.seek(0, 2), len(packed)))
            self._file.write(packed)
            self._batch = []

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for batch in range(len(self._places) + 1):
            yield from self.read_batch(batch)

    def read_batch(self, number: int) -> list[tuple[Any, ...]]:
        """Return the batch of this number; the last one is the one not yet written."""
        if number == len(self._places):
            return self._batch
        offset, size = self._places[number]
        self._file.seek(offset)
        batch: list[tuple[Any, ...]] = marshal.loads(self._file.read(size))  # noqa: S302 - written by this process
        return batch

    def batch_of(self, position: int) -> int:
        """Return the number of the batch that holds the item at *position*."""
        return position // _BATCH


def keep_or_spool(
    items: Iterable[T], encode: Callable[[T], tuple[Any, ...]], decode: Callable[[tuple[Any, ...]], T], kept: int = KEPT
) -> Sequence[T]:
    """Return *items* as a tuple where they are few, else as a sequence that decodes them each time it is walked."""
    stream = iter(items)
    first = tuple(islice(stream, kept + 1))
    if len(first) <= kept:
        return first
    spool = Spool()
    for item in chain(first, stream):
        spool.append(encode(item))
    return _Spooled(spool, decode)


class _Spooled(Sequence[T]):
    """Decodes its members each time, and holds none of them."""

    def __init__(self, spool: Spool, decode: Callable[[tuple[Any, ...]], T]) -> None:
        self._spool = spool
        self._decode = decode

    def __iter__(self) -> Iterator[T]:
        return map(self._decode, self._spool)

    def __len__(self) -> int:
        return len(self._spool)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """Return one member, or those of a slice as a tuple; walks up to them."""
        chosen = range(len(self))[index]
        if isinstance(chosen, range):
            if chosen.step < 0:
                raise ValueError("only forwards")
            return tuple(islice(self, chosen.start, chosen.stop, chosen.step))
        return next(islice(self, chosen, None))


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
