"""The one door into ``data/``: ids, folders, item lines and custody entries, in the order that survives a crash.

Only the modules of this room use it; everybody else goes through :class:`forensics.evidence.case.Case`. The order is
always: bytes, item line, custody entry. What has no custody entry was never acquired.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from forensics.errors import RefusedError
from forensics.evidence import files
from forensics.evidence.custody import LOG_NAME, Act, Authority, CustodyEntry, CustodyLog, Writer
from forensics.evidence.items import ITEMS_NAME, LEDGER_NAME, item_line, ledger_raw
from forensics.frozen import replace
from forensics.model import EvidenceItem, LedgerLine, Outcome

_T = TypeVar("_T")
ACCESS_NAME = "access.jsonl"
"""The custody log of an access to a case on a read-only medium, kept in the output folder."""
RESERVE_NAME = ".reserve"
RESERVE_BYTES = 128 << 10
"""Kept free for the log: a disk that fills up must still take the record of that."""


class Mandate:
    """On whose behalf a thread writes: the authority of its entries, until it is withdrawn from a lost step."""

    def __init__(self, authority: Authority) -> None:
        """Take the authority; it holds until :meth:`withdraw`."""
        self.authority = authority
        self.is_withdrawn = False

    def withdraw(self) -> None:
        """Let nothing more be recorded on its behalf."""
        self.is_withdrawn = True

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let what this thread records within the body be recorded on its behalf."""
        token = _mandate.set(self)
        try:
            yield
        finally:
            _mandate.reset(token)


_mandate: ContextVar[Mandate | None] = ContextVar("mandate", default=None)


def _read_authority() -> Authority | None:
    mandate = _mandate.get()
    if mandate is None:
        return None
    if mandate.is_withdrawn:
        raise RefusedError("this step was given up; nothing more is recorded for it")
    return mandate.authority


class Door:
    """The descriptors and logs of one case that is open for writing. Safe to use from several threads."""

    def __init__(self, root: Path, writer: Writer) -> None:
        """Open the folders of the case without following links."""
        self.root = root
        self.writer = writer
        self.mutex = threading.RLock()
        self.root_fd = files.open_directory(root)
        self.data_fd = files.open_directory("data", parent=self.root_fd)
        self.output_fd: int | None = None
        self.log = CustodyLog(self.root_fd, root / LOG_NAME)

    def append(self, act: Act, authority: Authority | None = None) -> CustodyEntry:
        """Append one custody entry; it is on disk when this returns."""
        authority = authority or _read_authority()
        writer = replace(self.writer, authority=authority) if authority else self.writer
        with self.mutex:
            return self.sparing(lambda: self.log.append(act, writer))

    def claim(self, draft: EvidenceItem) -> tuple[EvidenceItem, int]:
        """Give the draft the next free id and make its folder; return both, the folder's descriptor open."""
        _read_authority()
        with self.mutex:
            numbers = [int(digits) for name in files.list_names(self.data_fd) if (digits := _digits(name))]
            item_id = f"E{max(numbers, default=0) + 1:04d}"
            name = f"{item_id}-{draft.kind}"
            descriptor = files.make_directory(name, self.data_fd)
            os.fsync(self.data_fd)
        return replace(draft, id=item_id, path=f"data/{name}"), descriptor

    def commit(self, item: EvidenceItem, purpose: str = "") -> EvidenceItem:
        """Put a finished item on record: its line, then its custody entry."""
        raw = item_line(item)
        _read_authority()
        with self.mutex:
            self.sparing(lambda: files.append_line(ITEMS_NAME, self.data_fd, raw))
            self.attest(item, raw, purpose)
        return item

    def attest(self, item: EvidenceItem, raw: bytes, purpose: str = "") -> None:
        """Append the custody entry of an item whose line is *raw*."""
        failed = item.outcome is Outcome.FAILED
        act = Act(
            "acquire",
            (item.id,),
            purpose or f"{item.kind} of the subject",
            result="failed" if failed else "ok",
            error=item.reason if failed else None,
            hash_after=f"sha256:{item.sha256}",
            details={"item_line": hashlib.sha256(raw + b"\n").hexdigest(), "size_bytes": item.size_bytes},
        )
        self.append(act)

    def note(self, line: LedgerLine) -> None:
        """Append one line to the completeness ledger."""
        _read_authority()
        with self.mutex:
            self.sparing(lambda: files.append_line(LEDGER_NAME, self.data_fd, ledger_raw(line)))

    def sparing(self, write: Callable[[], _T]) -> _T:
        """Write a record; on a full disk give the reserve back first, so that the failure itself gets recorded."""
        try:
            return write()
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT} or not files.exists(RESERVE_NAME, self.root_fd):
                raise
            os.unlink(RESERVE_NAME, dir_fd=self.root_fd)
            return write()

    def divert(self, output: Path) -> None:
        """Keep the record of access in another folder, chained to the case's head; the case stays untouched."""
        output.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.output_fd = files.open_directory(output)
        self.log = CustodyLog(self.output_fd, output / ACCESS_NAME, first_prev=self.log.head)

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.data_fd)
        os.close(self.root_fd)
        if self.output_fd is not None:
            os.close(self.output_fd)


def make_reserve(root_fd: int) -> None:
    """Set aside :data:`RESERVE_BYTES` of the disk, where there is room and the file system can."""
    if files.exists(RESERVE_NAME, root_fd):
        return
    descriptor = files.create_file(RESERVE_NAME, root_fd)
    try:
        os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EOPNOTSUPP, errno.EINVAL}:
            raise
    finally:
        os.close(descriptor)


def _digits(name: str) -> str:
    head = name.partition("-")[0]
    return head[1:] if head[:1] == "E" and head[1:].isdigit() else ""
