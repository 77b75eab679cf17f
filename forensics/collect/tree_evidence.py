"""Keeps a tree as one tar in the case, and says in the ledger what of it is not in there."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from forensics.collect.context import CollectContext, collected, empty, failed
from forensics.collect.streams import peek
from forensics.collect.treetar import Tally, pack_file, pack_tree
from forensics.collect.walk import reopen_directory
from forensics.model import EvidenceItem, JsonObject, LedgerLine
from forensics.text import from_bytes


@dataclass(frozen=True, slots=True)
class TreeSource:
    """A tree to keep: its evidence kind, its name in the ledger, where it was read, and what else is known of it."""

    kind: str
    artefact: str
    source: str
    attributes: JsonObject


def keep_tree(context: CollectContext, handle: int, tree: TreeSource) -> Iterator[LedgerLine]:
    """Keep the directory or single file behind the ``O_PATH`` descriptor *handle* within the budget of its kind."""
    tally = Tally()
    item = _store(context, handle, tree, tally)
    if item is None and not tally.omitted:
        yield empty(tree.artefact, "nothing in it")
        return
    if item is not None:
        yield collected(tree.artefact, item, reason=f"{tally.entries} entries, {tally.content_bytes} bytes of content")
    if tally.omitted:
        yield _keep_omissions(context, tree, tally)


def _store(context: CollectContext, handle: int, tree: TreeSource, tally: Tally) -> EvidenceItem | None:
    budget = context.budget(tree.kind)
    if not stat.S_ISDIR(os.fstat(handle).st_mode):
        return _add(context, tree, peek(pack_file(handle, budget, tally)))
    directory = reopen_directory(handle)
    try:
        return _add(context, tree, peek(pack_tree(directory, budget, tally)))
    finally:
        os.close(directory)


def _add(context: CollectContext, tree: TreeSource, chunks: Iterator[bytes] | None) -> EvidenceItem | None:
    if chunks is None:
        return None
    return context.case.add(
        tree.kind, chunks, source=tree.source, method="read on the host, no link followed; tar written by ir",
        filename="content.tar", attributes=tree.attributes,
    )  # fmt: skip


def _keep_omissions(context: CollectContext, tree: TreeSource, tally: Tally) -> LedgerLine:
    omissions = [asdict(omission) | {"path": from_bytes(omission.path)} for omission in tally.omissions]
    document = {"of": tree.attributes, "count": tally.omitted, "bytes": tally.omitted_bytes, "omissions": omissions}
    item = context.keep_json(f"{tree.kind}-omissions", document, source=tree.source, method="written by ir")
    first = tally.omissions[0].reason
    reason = (
        f"{tally.omitted} entries ({tally.omitted_bytes} bytes) are not in it, the first: {first}; list in {item.id}"
    )
    return failed(f"{tree.artefact}, parts", reason, item)
