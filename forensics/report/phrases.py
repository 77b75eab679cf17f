"""Recognises sentences of ours that quote evidence, and says them in another language. Pure; quotes stay as they are.

A phrase is a sentence with ``{named}`` gaps. A gap whose name says that it holds a number matches digits only; one
whose name begins with ``t_`` holds another sentence of ours, which is translated too; a few may hold one that the
catalogue knows word for word; any other holds evidence. Evidence is the attacker's: every phrase must match from end to
end, and the phrase with the most words of its own is taken.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_GAP = re.compile(r"\{(\w+)\}")
_NUMBERS = frozenset({"n", "n2", "m", "pid", "pid2", "tracer_pid", "count", "size_bytes", "offset", "index"})
_OWN = frozenset(
    (
        "attachment", "what", "where", "why", "method", "reason", "status", "place", "state", "whole", "kind", "error",
        "message", "left", "more", "unlisted", "peer", "document", "document2", "end", "failure", "claim", "level",
    )
)  # fmt: skip
"""Gaps in which a sentence of ours may stand, word for word."""
_NUMBER = r"\d[\d., ]{0,200}"
_LONGEST = 6000
_START = 3
_SENTENCE_WEIGHT = 12
_FEWEST_LETTERS = 9


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence with gaps in English and in another language."""

    source: str
    target: str

    @property
    def words(self) -> str:
        """What of the sentence is not a gap."""
        return _GAP.sub("", self.source)

    @property
    def weight(self) -> int:
        """How much of a sentence it explains: its words, and something for being told that a gap is a sentence."""
        return len(self.words) + (_SENTENCE_WEIGHT if "{t_" in self.source else 0)

    @property
    def is_distinct(self) -> bool:
        """Whether evidence is unlikely to look like it: enough words, or no gap that evidence could fill."""
        names = _GAP.findall(self.source)
        closed = all(name in _NUMBERS or name.startswith("t_") for name in names)
        return sum(map(str.isalpha, self.words)) >= _FEWEST_LETTERS or closed or "t_" in self.source


class Phrasebook:
    """Finds the phrase of a sentence. Every repetition of its patterns is lazy and without nesting (CWE-1333)."""

    def __init__(self, catalogue: Mapping[str, str]) -> None:
        """Take the phrases that begin with words of their own or have enough of them; others would match evidence."""
        self._catalogue = catalogue
        phrases = (Phrase(source, target) for source, target in catalogue.items() if _GAP.search(source))
        by_start: dict[str, list[Phrase]] = defaultdict(list)
        for phrase in phrases:
            start = _read_start(phrase.source)
            if start or phrase.is_distinct:
                by_start[start].append(phrase)
        anywhere = by_start.pop("", [])
        self._tails = [(_compile("{head}" + each.source), each) for each in anywhere if each.source[0] in " ,;"]
        self._counts = [(pattern, each) for pattern, each in self._tails if set(_GAP.findall(each.source)) <= _NUMBERS]
        whole = [each for each in anywhere if each.source[0] not in " ,;"]
        self._by_start = {start: _sort([*own, *whole]) for start, own in by_start.items()}
        self._anywhere = _sort(whole)

    def translate(self, sentence: str, find: Callable[[str], str]) -> str | None:
        """Return *sentence* in the other language, its inner sentences by *find*; None where no phrase fits."""
        if len(sentence) > _LONGEST:
            return None
        for pattern, phrase in self._by_start.get(sentence[:_START], self._anywhere):
            if match := pattern.fullmatch(sentence):
                return self._fill(phrase.target, match.groupdict(), find)
        return _tell_tail(self._tails, sentence, find)

    def _fill(self, target: str, values: dict[str, str], find: Callable[[str], str]) -> str:
        told = dict(values)
        for name, value in values.items():
            if name.startswith("t_"):
                told[name] = find(value)
            elif name in _OWN and " " in value:
                told[name] = self._catalogue.get(value, value)
            else:
                told[name] = _tell_tail(self._counts, value, str) or value
        return _GAP.sub(lambda gap: told.get(gap[1], gap[0]), target)


def _tell_tail(tails: list[tuple[re.Pattern[str], Phrase]], sentence: str, find: Callable[[str], str]) -> str | None:
    """Translate what we add behind evidence (" and 3 more"); the evidence before it goes through *find*."""
    for pattern, phrase in tails:
        if match := pattern.fullmatch(sentence):
            return find(match["head"]) + _GAP.sub(lambda gap: match[gap[1]], phrase.target)
    return None


def _sort(phrases: list[Phrase]) -> list[tuple[re.Pattern[str], Phrase]]:
    ranked = sorted(phrases, key=lambda each: (-each.weight, each.source))
    return [(_compile(each.source), each) for each in ranked]


def _read_start(source: str) -> str:
    """Return the first letters, where the sentence begins with words of its own."""
    words = _GAP.split(source, maxsplit=1)[0]
    return words[:_START] if len(words) >= _START and not words.startswith((" ", ",", ";")) else ""


def _compile(source: str) -> re.Pattern[str]:
    parts: list[str] = []
    seen: set[str] = set()
    for index, part in enumerate(_GAP.split(source)):
        if index % 2 == 0:
            parts.append(re.escape(part))
        elif part in seen:
            parts.append(f"(?P={part})")
        else:
            seen.add(part)
            parts.append(f"(?P<{part}>{_NUMBER if part in _NUMBERS else '.+?'})")
    return re.compile("".join(parts), re.DOTALL)
