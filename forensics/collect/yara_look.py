"""The process that searches changed files for what is known to be malicious, beside the collection.

It starts and compiles its rules while other things are collected. Nothing hostile is parsed in this process.
"""

from __future__ import annotations

import base64
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.scanning.client import Scanner
from forensics.scanning.nouns import Match, ScanRequest
from forensics.scanning.rule_files import find_rule_files

if TYPE_CHECKING:
    from forensics.model import JsonObject


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in one file: each match as JSON with the name of its rule; ``failure`` where it is not all."""

    matches: tuple[JsonObject, ...] = ()
    failure: str = ""


class FirstLook:
    """Searches single files with the shipped YARA rules and those of the user."""

    def __init__(self, rules: tuple[Path, ...] = ()) -> None:
        """Start the process beside this one; what is wrong with the rules is told by :meth:`describe`."""
        self._rules = rules
        self._scanner: Scanner | None = None
        executor = ThreadPoolExecutor(1)
        self._starting: Future[JsonObject] = executor.submit(self._start)
        executor.shutdown(wait=False)

    def _start(self) -> JsonObject:
        files = find_rule_files(self._rules)
        self._scanner = Scanner(files)
        self._scanner.start()
        digests = {file.namespace: file.sha256 for file in files.files}
        return {"count": self._scanner.rule_count, "files": digests, "refused": list(self._scanner.refused)}

    def describe(self) -> JsonObject:
        """Return the number of rules, the SHA-256 of each of their files, and which rules cannot be used.

        Raises:
            IrError: no rule compiles, or the process does not start.
        """
        return self._starting.result()

    def look(self, path: str, name: bytes, seconds: int) -> Look:
        """Search the file at *path* (a descriptor in /proc), which the container knows as *name*.

        The death of the process is a failure of that file only.
        """
        if self._scanner is None:
            return Look(failure="the scanning process did not start")
        shown = "/" + name.decode("utf-8", "replace").replace("\x00", "?")
        last = shown.rsplit("/", 1)[-1]
        extension = "." + last.rsplit(".", 1)[-1] if "." in last[1:] else ""
        externals = {"filename": last, "filepath": shown, "extension": extension}
        result = self._scanner.scan(ScanRequest(externals, path=path, seconds=seconds))
        return Look(tuple(map(_describe, result.matches)), result.failure)

    def close(self) -> None:
        """End the process."""
        if self._scanner:
            self._scanner.stop()


def _describe(match: Match) -> JsonObject:
    return {
        "rule": match.rule,
        "ruleset": match.namespace.partition(":")[2],
        "tags": list(match.tags),
        "meta": {name: str(value) for name, value in match.meta.items()},
        "strings": [
            {"id": string.identifier, "offset": string.offset, "data_base64": base64.b64encode(string.data).decode()}
            for string in match.strings
        ],
    }
