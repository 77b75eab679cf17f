"""The one door through which every sentence of the report passes on its way to a reader's language.

English is the source; another language is a JSON catalogue `lang/<code>.json` beside the templates (sentence to
sentence). A sentence that a catalogue lacks stays English: a report is never refused for want of a translation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from forensics.errors import UsageError

Translate = Callable[..., str]
SOURCE_LANGUAGE = "en"


def list_languages(folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the languages there are catalogues for, English first."""
    codes = {path.stem for folder in folders for path in (folder / "lang").glob("*.json")}
    return (SOURCE_LANGUAGE, *sorted(codes - {SOURCE_LANGUAGE}))


def make_translator(language: str, folders: tuple[Path, ...]) -> Translate:
    """Return the function that turns an English sentence, with ``{named}`` values, into *language*.

    Raises:
        UsageError: there is no catalogue for *language*, or it is no JSON object.
    """
    if language not in list_languages(folders):
        known = ", ".join(list_languages(folders))
        raise UsageError(f"there is no report language {language!r}", hint=f"choose one of: {known}")
    catalogue = _read_catalogue(language, folders)

    def translate(sentence: str, **values: object) -> str:
        translated = catalogue.get(sentence, sentence)
        return translated.format(**values) if values else translated

    return translate


def _read_catalogue(language: str, folders: tuple[Path, ...]) -> Mapping[str, str]:
    merged: dict[str, str] = {}
    for path in reversed([folder / "lang" / f"{language}.json" for folder in folders]):
        if not path.is_file():
            continue
        try:
            merged.update(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise UsageError(f"{path} is not a catalogue: {error}", hint="it is one JSON object of strings") from error
    return merged
