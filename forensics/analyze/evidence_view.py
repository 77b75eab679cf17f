"""A lazy, typed view of one case for the analyzers. Reads evidence only; asks no engine and writes nothing."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from forensics.analyze.files import FileView
from forensics.analyze.runtime import Process, Socket, object_of, parse_processes, parse_sockets, text_of
from forensics.model import EvidenceItem, EvidenceRef, JsonObject, Outcome

if TYPE_CHECKING:
    from forensics.analyze.ioc_match import IocIndex
    from forensics.evidence.case import Case
    from forensics.evidence.custody import CustodyEntry


class CaseView:
    """What analyzers may see of a case; every property is read when first asked for."""

    def __init__(self, case: Case, files: FileView, iocs: IocIndex | None = None) -> None:
        """Look at *case*; *files* is what the file systems in it hold, *iocs* the user's lists."""
        self._case = case
        self.files = files
        self._iocs = iocs

    @property
    def iocs(self) -> IocIndex:
        """The user's lists of indicators; empty where none was given."""
        if self._iocs is None:
            from forensics.analyze.ioc_match import IocIndex  # noqa: PLC0415 - it looks at this class

            self._iocs = IocIndex(())
        return self._iocs

    @cached_property
    def custody(self) -> tuple[CustodyEntry, ...]:
        """The custody log, oldest first."""
        return self._case.custody()

    @cached_property
    def items(self) -> tuple[EvidenceItem, ...]:
        """The items that were really collected."""
        return tuple(item for item in self._case.items() if item.outcome is Outcome.COLLECTED)

    def find(self, kind: str) -> tuple[EvidenceItem, ...]:
        """Return the collected items of *kind*."""
        return tuple(item for item in self.items if item.kind == kind)

    def documents(self, kind: str) -> tuple[tuple[EvidenceItem, object], ...]:
        """Return the JSON documents of *kind* with their items, oldest first."""
        return tuple((item, self._case.read_json(item)) for item in self.find(kind))

    def read(self, item: EvidenceItem, limit: int) -> bytes:
        """Return at most *limit* bytes of an item's content."""
        with self._case.path_of(item).open("rb") as file:
            return file.read(limit)

    @cached_property
    def processes(self) -> tuple[Process, ...]:
        """The process table; of several, the one taken first after the suspect was found."""
        documents = self.documents("processes")
        return parse_processes(object_of(documents[0][1]), documents[0][0].id) if documents else ()

    @cached_property
    def sockets(self) -> tuple[Socket, ...]:
        """The connection table; of several all, since connections die with containment."""
        return tuple(
            socket
            for item, document in self.documents("sockets")
            for socket in parse_sockets(object_of(document), item.id)
        )

    @cached_property
    def inspect(self) -> JsonObject:
        """The engine's description of the container, or an empty object."""
        return _last_object(self.documents("inspect"))

    @cached_property
    def image_inspect(self) -> JsonObject:
        """The engine's description of the image that the container was made from, or an empty object."""
        return _last_object(self.documents("image-inspect"))

    @cached_property
    def image_history(self) -> tuple[str, ...]:
        """The commands that made the image, oldest first."""
        return self.files.history

    @property
    def engine_url(self) -> str:
        """Where the engine listened, as the case's own document says; empty where it says nothing."""
        return text_of(object_of(self._case.document.get("engine")).get("url"))

    def reference(self, kind: str) -> EvidenceRef:
        """Return a reference to the last item of *kind*; to the case itself where there is none."""
        items = self.find(kind)
        return EvidenceRef(items[-1].id if items else "case")

    @cached_property
    def shares_host_network(self) -> bool:
        """Whether the sockets seen are the host's."""
        return text_of(object_of(self.inspect.get("HostConfig")).get("NetworkMode")) == "host"


def _last_object(documents: tuple[tuple[EvidenceItem, object], ...]) -> JsonObject:
    if not documents:
        return {}
    document = documents[-1][1]
    if isinstance(document, list) and document:
        document = document[0]
    return object_of(document)
