"""Keeps a tree as one tar in the case, and says in the ledger what of it is not in there.

It is opened and read in a child process: the file system below it may hang.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field

from forensics.collect.apart import stream_apart
from forensics.collect.context import CollectContext, collected, empty, failed, not_applicable
from forensics.collect.streams import peek
from forensics.collect.treetar import Budget, Tally, pack_file, pack_tree
from forensics.collect.walk import explain, reopen_directory
from forensics.model import EvidenceItem, JsonObject, LedgerLine, Outcome
from forensics.text import from_bytes


@dataclass(frozen=True, slots=True)
class TreeSource:
    """A tree to keep: its evidence kind, its name in the ledger, where it was read, and what else is known of it."""

    kind: str
    artefact: str
    source: str
    attributes: JsonObject


@dataclass(slots=True)
class _Packing:
    """The stream of a tar that is written in a child process; ``result`` is there once it has been consumed."""

    open_tree: Callable[[], int]
    budget: Budget
    result: JsonObject = field(default_factory=dict)

    def stream(self) -> Iterator[bytes]:
        self.result = yield from stream_apart(self._pack)
        self.budget.left_bytes = self.result["left"]

    def _pack(self) -> Generator[bytes, None, JsonObject]:
        tally = Tally()
        handle = self.open_tree()
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            yield from pack_tree(reopen_directory(handle), self.budget, tally)
        elif stat.S_ISREG(mode):
            yield from pack_file(handle, self.budget, tally)
        return {
            "is_special": not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)),
            "left": self.budget.left_bytes,
            "entries": tally.entries,
            "content_bytes": tally.content_bytes,
            "omitted": tally.omitted,
            "omitted_bytes": tally.omitted_bytes,
            "omissions": [
                {"path": from_bytes(one.path), "reason": one.reason, "size_bytes": one.size_bytes}
                for one in tally.omissions
            ],
        }


def keep_tree(context: CollectContext, open_tree: Callable[[], int], tree: TreeSource) -> Iterator[LedgerLine]:
    """Keep the directory or single file that *open_tree* opens (``O_PATH``) within the budget of its kind."""
    packing = _Packing(open_tree, context.budget(tree.kind))
    try:
        item = _add(context, tree, peek(packing.stream()))
    except OSError as error:
        yield failed(tree.artefact, explain(error), *_find_torn(context, tree))
        return
    result = packing.result
    if result["is_special"]:
        yield not_applicable(tree.artefact, "a socket, FIFO or device is mounted here: recorded, never opened")
    elif item is None and not result["omitted"]:
        yield empty(tree.artefact, "nothing in it")
    elif item is not None:
        reason = f"{result['entries']} entries, {result['content_bytes']} bytes of content"
        yield collected(tree.artefact, item, reason=reason)
    if result["omitted"]:
        yield _keep_omissions(context, tree, result)


def _add(context: CollectContext, tree: TreeSource, chunks: Iterator[bytes] | None) -> EvidenceItem | None:
    if chunks is None:
        return None
    return context.case.add(
        tree.kind, chunks, source=tree.source, method="read on the host, no link followed; tar written by ir",
        filename="content.tar", attributes=tree.attributes,
    )  # fmt: skip


def _find_torn(context: CollectContext, tree: TreeSource) -> tuple[EvidenceItem, ...]:
    """Return the item that holds what came before it failed."""
    last = context.case.items()[-1:]
    return tuple(item for item in last if item.outcome is Outcome.FAILED and item.source == tree.source)


def _keep_omissions(context: CollectContext, tree: TreeSource, result: JsonObject) -> LedgerLine:
    count, size_bytes = result["omitted"], result["omitted_bytes"]
    document = {"of": tree.attributes, "count": count, "bytes": size_bytes, "omissions": result["omissions"]}
    item = context.keep_json(f"{tree.kind}-omissions", document, source=tree.source, method="written by ir")
    first = result["omissions"][0]["reason"]
    reason = f"{count} entries ({size_bytes} bytes) are not in it, the first: {first}; list in {item.id}"
    return failed(f"{tree.artefact}, parts", reason, item)
