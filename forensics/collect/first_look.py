"""Asks, before the slow snapshot, what is known to be malicious among the changed files.

Hostile content is never parsed here but in a process of its own, with limits. A file that could not be searched is a
line, never a clean result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forensics.collect.context import collected, empty, failed, name_some
from forensics.collect.walk import Node, explain_source, hash_content
from forensics.errors import IrError
from forensics.model import JsonObject, LedgerLine
from forensics.text import from_bytes, show_path, to_bytes

if TYPE_CHECKING:
    from forensics.collect.context import CollectContext
    from forensics.collect.yara_look import FirstLook, Look

MOST_BYTES = 256 << 20
"""A larger file is left to the analysis of the snapshot."""

MOST_SECONDS = 20.0
"""Nobody may delay the snapshot for longer by leaving many files, or files that are slow to examine."""

FILE_SECONDS = 5
"""For one file."""

_NAMED_AT_MOST = 20


@dataclass(slots=True)
class _Tally:
    """What was searched, found, and not searched."""

    searched: int = 0
    left: int = 0
    matches: list[JsonObject] = field(default_factory=list)
    failures: list[JsonObject] = field(default_factory=list)

    def omit(self, path: bytes, reason: str, size_bytes: int = 0) -> None:
        """Keep what could not be searched."""
        self.failures.append({"path": from_bytes(path), "reason": reason, "size": size_bytes})


def look_at(context: CollectContext, nodes: Iterator[Node], source: str) -> Iterator[LedgerLine]:
    """Search the regular files among *nodes* and keep what matched as one item."""
    first_look = context.first_look
    if first_look is None:
        return
    tally = _Tally()
    try:
        rules = first_look.describe()
        _search(first_look, nodes, tally)
    except IrError as error:
        yield failed("yara", error.message)
        return
    except OSError as error:
        tally.omit(b"", explain_source(error))
    document = {
        "rules": rules,
        "searched": tally.searched,
        "left": tally.left,
        "matches": tally.matches,
        "failures": tally.failures,
    }
    item = context.keep_json("yara", document, source=source, method="YARA in a process of its own, on the host")
    reason = _summarise(tally, rules)
    yield collected("yara", item, reason=reason) if tally.matches else empty("yara", reason, item)
    yield from _report_failures(tally, item.id)


def _report_failures(tally: _Tally, item_id: str) -> Iterator[LedgerLine]:
    for failure in tally.failures[:_NAMED_AT_MOST]:
        yield failed(f"yara {show_path(to_bytes(failure['path']))}", failure["reason"])
    if (more := len(tally.failures) - _NAMED_AT_MOST) > 0:
        yield failed("yara, the rest", f"{more} more could not be searched; they are named in {item_id}")


def _search(first_look: FirstLook, nodes: Iterator[Node], tally: _Tally) -> None:
    end = time.monotonic() + MOST_SECONDS
    for node in nodes:
        if not node.is_file or not node.status.st_size:
            continue
        if node.status.st_size > MOST_BYTES or time.monotonic() > end:
            tally.left += 1
            continue
        tally.searched += 1
        found = first_look.look(f"/proc/{os.getpid()}/fd/{node.handle}", node.path, FILE_SECONDS)
        if found.failure:
            tally.omit(node.path, found.failure, node.status.st_size)
        if found.matches:
            _keep_matches(node, found, tally)


def _keep_matches(node: Node, found: Look, tally: _Tally) -> None:
    sha256 = None
    try:
        sha256 = hash_content(node.handle, MOST_BYTES)
    except OSError as error:
        tally.omit(node.path, f"no digest: {explain_source(error)}", node.status.st_size)
    tally.matches += [{"path": from_bytes(node.path), "sha256": sha256, **match} for match in found.matches]


def _summarise(tally: _Tally, rules: JsonObject) -> str:
    hits = name_some(f"{match['rule']} in {show_path(to_bytes(match['path']))}" for match in tally.matches)
    left = f"; {tally.left} large or late ones are left to the analysis of the snapshot" if tally.left else ""
    return f"{tally.searched} changed files, {rules['count']} rules, matches: {hits}{left}"
