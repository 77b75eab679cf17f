"""The case folder, and the ONE door by which bytes become evidence: :meth:`Case.add`.

Nothing else in the package writes below ``data/``. Bytes are hashed while they are first written, fsynced, renamed,
and only then does the custody entry exist. Names below the case are ours, never the attacker's. A case never runs,
follows or deletes what it holds.
"""

from __future__ import annotations

import json
import os
import weakref
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from forensics.errors import RefusedError
from forensics.evidence.activity import conduct
from forensics.evidence.custody import (
    LOG_NAME,
    Act,
    Actor,
    Authority,
    Clock,
    CustodyEntry,
    SourceAltered,
    Writer,
)
from forensics.evidence.door import Door
from forensics.evidence.items import check_filename, check_kind
from forensics.evidence.lock import acquire_lock, is_shared, release_lock
from forensics.evidence.place import read_location, read_tool
from forensics.evidence.view import CaseView, read_context, read_document
from forensics.frozen import replace
from forensics.model import EvidenceItem, JsonObject, LedgerLine, Subject

if TYPE_CHECKING:
    from forensics.evidence.image_parts import ImageParts

_READ_ONLY = "the case is open for reading only"
_GIVE_OUTPUT = "give an --output folder for what is written"


class Case(CaseView):
    """One incident's folder. Make it with :meth:`create` or :meth:`open`; close it, or use it as a context manager."""

    def __init__(  # noqa: PLR0913 - internal, all by name
        self, root: Path, document: JsonObject, *, actor: Actor, clock: Clock, lock: bool, wait: float
    ) -> None:
        """Internal: use :meth:`create` or :meth:`open`."""
        super().__init__(root, document)
        self.writable = lock
        self._output: Path | None = None
        engine, authority = read_context(document)
        writer = Writer(
            case_id=self.id,
            actor=actor,
            authority=authority,
            clock=clock,
            location=read_location(root.absolute(), engine.get("id")),
            tool=read_tool(engine.get("version")),
        )
        self.door = Door(root, writer)
        key = acquire_lock(root / LOG_NAME, wait) if lock else None
        self._finalizer = weakref.finalize(self, _close, self.door, key)

    @classmethod
    def create(  # noqa: PLR0913 - the facts of a new case, all by name
        cls,
        root: Path,
        *,
        subject: Subject,
        actor: Actor,
        engine_info: JsonObject | None = None,
        authority: Authority | None = None,
        purpose: str = "",
        clock: Clock | None = None,
    ) -> Self:
        """Make a new case in *root*, which must not exist or be an empty folder; it is verifiable from here on.

        *engine_info* is kept as it is; its keys ``id`` and ``version`` go into every custody entry.

        Raises:
            CaseExistsError: something is there already.
        """
        from forensics.evidence.create import clear, lay_out, make_document  # noqa: PLC0415 - opening a case needs none

        clock = clock or Clock()
        digest = lay_out(root, document := make_document(subject, actor, engine_info, authority or Authority(), clock))
        case = cls(root, document, actor=actor, clock=clock, lock=True, wait=0.0)
        try:
            case.record(
                "store", purpose=purpose or "case opened", hash_after=digest, details={"path": "data/case.json"}
            )
        except BaseException:
            case.close()
            clear(root)
            raise
        return case

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        read_only: bool = False,
        actor: Actor | None = None,
        output: Path | None = None,
        wait_seconds: float = 0.0,
    ) -> Self:
        """Open an existing case; a writable one is locked, and what an earlier crash left is put on record first.

        With *output* the case itself stays untouched: analysis, report and the record of this access go there.

        Raises:
            CaseError: it is no case.
            RefusedError: another process writes to it; the message names its pid.
        """
        document = read_document(root)
        actor = actor or Actor(name=f"uid {os.getuid()}")
        if read_only or output:
            case = cls(root, document, actor=actor, clock=Clock(), lock=False, wait=0.0)
            if output:
                case.door.divert(output)
                case._output, case.writable = output, True
            return case
        from forensics.evidence.clock import read_clock  # noqa: PLC0415 - ctypes costs 4 ms; a new case need not pay
        from forensics.evidence.recover import recover  # noqa: PLC0415 - only an existing case can need it

        case = cls(root, document, actor=actor, clock=read_clock(), lock=True, wait=wait_seconds)
        if not is_shared(root / LOG_NAME):
            recover(case.door)
        return case

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Close the case; what goes wrong carries its path, so that a person is told where the evidence is."""
        if error is not None:
            error.add_note(f"case {os.fspath(self.root)}")
        self.close()

    def close(self) -> None:
        """Give up the lock and the descriptors; the case can be opened again."""
        self.writable = False
        self._finalizer()

    @property
    def authority(self) -> Authority:
        """Under which authority entries are made from now on; a playbook sets it for each of its steps."""
        return self.door.writer.authority

    @authority.setter
    def authority(self, authority: Authority) -> None:
        self.door.writer = replace(self.door.writer, authority=authority)

    @property
    def clock(self) -> Clock:
        """What the time stamps of new entries rest on; the collector of the clock sets what it measured."""
        return self.door.writer.clock

    @clock.setter
    def clock(self, clock: Clock) -> None:
        self.door.writer = replace(self.door.writer, clock=clock)

    @property
    def actor(self) -> Actor:
        """Who acts."""
        return self.door.writer.actor

    @property
    def diverted(self) -> bool:
        """Whether what is written goes to an output folder, because the case must stay untouched."""
        return self._output is not None

    @property
    def head(self) -> tuple[int, str]:
        """Number of custody entries, and the SHA-256 of the last raw line."""
        return self.door.log.count, self.door.log.head

    def add(  # noqa: PLR0913 - the record of an acquisition, all by name
        self,
        kind: str,
        chunks: Iterable[bytes],
        *,
        source: str,
        method: str,
        filename: str = "content.bin",
        attributes: JsonObject | None = None,
        purpose: str = "",
    ) -> EvidenceItem:
        """Stream *chunks* to disk as one item of evidence, hashed in the same pass; on record when this returns.

        When the stream or the disk fails half-way, what came is kept as an item whose outcome is *failed*, and the
        error goes on to the caller. May be called from several threads.

        Raises:
            RefusedError: the case is sealed or read-only, or the place is taken by something that is not ours.
        """
        from forensics.evidence.acquire import acquire_file, draft_item  # noqa: PLC0415 - a new case may need none

        check_kind(kind)
        check_filename(filename)
        self._refuse_closed()
        return acquire_file(self.door, draft_item(kind, source, method, attributes), chunks, filename, purpose)

    def add_json(self, kind: str, document: JsonObject, *, source: str, method: str) -> EvidenceItem:
        """Add a JSON document as ``content.json``: ASCII, sorted keys; unknown encodings as lone surrogates."""
        text = json.dumps(document, ensure_ascii=True, sort_keys=True, indent=1)
        return self.add(kind, (text.encode("ascii"), b"\n"), source=source, method=method, filename="content.json")

    def add_image(
        self, chunks: Iterable[bytes], *, source: str, method: str, attributes: JsonObject | None = None
    ) -> EvidenceItem:
        """Stream an engine's ``save`` into an OCI image layout that ``docker load`` reads; no byte is dropped.

        The item's path is the folder; its sha256 is that of the listing of its files, ``data/E....-image.sha256``.
        Its attributes hold image ids, tags, digest and size of the whole stream, and what was wrong with it.

        Raises:
            ArchiveError: the stream ended early or is no image; what came is kept as a *failed* item.
        """
        from forensics.evidence.acquire import draft_item  # noqa: PLC0415 - a new case may need none
        from forensics.evidence.snapshot import acquire_image  # noqa: PLC0415 - brings the archive reader

        self._refuse_closed()
        return acquire_image(self.door, draft_item("image", source, method, attributes), chunks)

    def add_image_parts(
        self, image: ImageParts, *, source: str, method: str, attributes: JsonObject | None = None
    ) -> EvidenceItem:
        """Store an image that was not read through the engine, each layer checked against its ``diff_id``.

        Raises:
            ArchiveError: a layer is not what its digest says; what came is kept as a *failed* item.
        """
        from forensics.evidence.acquire import draft_item  # noqa: PLC0415 - a new case may need none
        from forensics.evidence.image_parts import acquire_parts  # noqa: PLC0415 - brings the archive reader

        self._refuse_closed()
        return acquire_parts(self.door, draft_item("image", source, method, attributes), image)

    def note(self, line: LedgerLine) -> None:
        """Append one line to the completeness ledger."""
        self._refuse_closed()
        self.door.note(line)

    def record(  # noqa: PLR0913 - the fields of a custody entry, all by name
        self,
        action: str,
        *,
        evidence_ids: Iterable[str] = (),
        purpose: str = "",
        result: str = "ok",
        error: str | None = None,
        hash_before: str | None = None,
        hash_after: str | None = None,
        witness: str | None = None,
        counterparty: str | None = None,
        source_altered: SourceAltered | None = None,
        details: JsonObject | None = None,
        authority: Authority | None = None,
    ) -> CustodyEntry:
        """Append one custody entry; it is on disk when this returns. Allowed on a sealed case.

        Raises:
            RefusedError: the case was opened read-only without an output folder.
        """
        if not self.writable:
            raise RefusedError(_READ_ONLY, hint=_GIVE_OUTPUT)
        act = Act(
            action=action,
            evidence_ids=tuple(evidence_ids),
            purpose=purpose,
            result=result,
            error=error,
            hash_before=hash_before,
            hash_after=hash_after,
            witness=witness,
            counterparty=counterparty,
            source_altered=source_altered,
            details=details,
        )
        return self.door.append(act, authority)

    def activity(
        self, action: str, name: str, purpose: str = "", *, plan: Iterable[str] = (), finishes: Iterable[str] = ()
    ) -> AbstractContextManager[str]:
        """Put begin and end of a longer act on record, and give its name there; `ir verify` names *unfinished* ones.

        *plan* is kept with the begin. *finishes* names interrupted acts that are settled once this one has succeeded.
        """
        return conduct(self, action, name, purpose, plan=plan, finishes=finishes)

    def write_analysis(self, contents: Iterable[tuple[str, bytes | Iterable[bytes]]], purpose: str = "") -> None:
        """Replace the derived, rebuildable files of ``analysis/`` (name and content), and record their digests."""
        self._replace_derived(
            "analysis",
            contents,
            lambda digests: self.record(
                "analyze", purpose=purpose, details={f"analysis/{name}": digest for name, digest in digests.items()}
            ),
        )

    def write_report(self, name: str, content: bytes, details: JsonObject | None = None) -> Path:
        """Replace one rendered report in ``report/`` and record its digest with *details*; return its path."""
        self._replace_derived(
            "report",
            [(name, content)],
            lambda digests: self.record(
                "report", hash_after=f"sha256:{digests[name]}", details={**(details or {}), "path": f"report/{name}"}
            ),
        )
        return (self._output or self.root) / "report" / name

    def _replace_derived(
        self,
        folder: str,
        contents: Iterable[tuple[str, bytes | Iterable[bytes]]],
        record: Callable[[dict[str, str]], CustodyEntry],
    ) -> None:
        from forensics.evidence.derived import replace_derived  # noqa: PLC0415 - a collection derives nothing

        if not self.writable:
            raise RefusedError(_READ_ONLY, hint=_GIVE_OUTPUT)
        replace_derived(self._output or self.root, folder, contents, record)

    def _refuse_closed(self) -> None:
        if not self.writable or self._output:
            raise RefusedError(f"{_READ_ONLY}; nothing can be added to it")
        if self.sealed:
            raise RefusedError(
                "the case is sealed; its data folder is closed",
                hint="collect into a new case; custody entries can still be added to this one",
            )


def _close(door: Door, key: tuple[int, int] | None) -> None:
    door.close()
    if key:
        release_lock(key)
