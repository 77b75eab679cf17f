"""The one door through which every sentence of the report passes on its way to a reader's language.

English is the source. Another language is a gettext catalogue, `lang/<code>.po` beside the templates, and `<code>.mo`
made of it by `lab/translations.py` (Babel), which this module reads with the standard library. A sentence that a
catalogue lacks stays English: a report is never refused for want of a translation. Evidence is never translated.
"""

from __future__ import annotations

import gettext
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from forensics.errors import UsageError
from forensics.report.phrases import Phrasebook

Translate = Callable[..., str]
SOURCE_LANGUAGE = "en"
_DEEPEST = 3
"""Sentences within sentences that are looked for; evidence may pretend to hold any number."""


def list_languages(folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the languages there are catalogues for, English first."""
    codes = {path.stem for folder in folders for path in (folder / "lang").glob("*.mo")}
    return (SOURCE_LANGUAGE, *sorted(codes - {SOURCE_LANGUAGE}))


def make_translator(language: str, folders: tuple[Path, ...]) -> Translate:
    """Return the function that turns an English sentence, with ``{named}`` values, into *language*.

    A sentence that was put together before it came here is told by its pattern; what it quotes is carried over.

    Raises:
        UsageError: there is no catalogue for *language*, or it is no gettext catalogue.
    """
    if language not in list_languages(folders):
        known = ", ".join(list_languages(folders))
        raise UsageError(f"there is no report language {language!r}", hint=f"choose one of: {known}")
    catalogue = read_catalogue(language, folders)
    book = Phrasebook(catalogue)

    @lru_cache(maxsize=4096)
    def find(sentence: str, deep: int = 0) -> str:
        other = sentence[:1].swapcase() + sentence[1:]  # titles are set after a colon, and phrases begin findings
        known = catalogue.get(sentence) or catalogue.get(other)
        if known or deep > _DEEPEST:
            return known or sentence

        def find_inner(part: str) -> str:
            return find(part, deep + 1)

        return book.translate(sentence, find_inner) or book.translate(other, find_inner) or sentence

    def translate(sentence: str, **values: object) -> str:
        if values:
            return catalogue.get(sentence, sentence).format(**values)
        return find(sentence) if catalogue else sentence

    return translate


def read_catalogue(language: str, folders: tuple[Path, ...]) -> dict[str, str]:
    """Return sentence to sentence; a folder that stands first wins, so that a team can replace single sentences.

    Raises:
        UsageError: a file is no gettext catalogue.
    """
    merged: dict[str, str] = {}
    for path in reversed([folder / "lang" / f"{language}.mo" for folder in folders]):
        if not path.is_file():
            continue
        try:
            with path.open("rb") as stream:
                loaded = gettext.GNUTranslations(stream)
        except (OSError, ValueError, LookupError, AttributeError) as error:
            hint = "make it again with msgfmt or pybabel"
            raise UsageError(f"{path} is not a gettext catalogue: {error}", hint=hint) from error
        table = vars(loaded)["_catalog"]
        merged.update({source: target for source, target in table.items() if source and isinstance(target, str)})
    return merged
