"""Containment as the reader wants it: which actions, proved or not, and what the host saw afterwards. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from forensics.evidence.custody import CustodyEntry
from forensics.model import JsonObject
from forensics.report.document import ContainmentFacts, Fact
from forensics.report.fields import EvidenceReader, object_at, objects_at, strings_at, text_at

_PROOF = "ir.containment-proof/1"
_NANO = 1_000_000_000


def read_containment(evidence: EvidenceReader, entries: Sequence[CustodyEntry]) -> ContainmentFacts:
    """Return the last containment on record; proved only where the last proof says so, and not released since."""
    journal = [entry for entry in entries if entry.action == "containment"]
    begun = [entry for entry in journal if _event(entry) == "apply"]
    proofs = [entry for entry in journal if _event(entry) == "proof"]
    if not begun and not proofs:
        return ContainmentFacts(False, False, False, "", None, (), ())
    last = proofs[-1] if proofs else None
    start = (begun or proofs)[0]
    documents = [document for _, document in evidence.read("containment") if text_at(document, "schema") == _PROOF]
    return ContainmentFacts(
        attempted=True,
        proved=last is not None and last.result == "ok",
        released=any(
            _event(entry) == "released" and entry.result == "ok" for entry in journal[_index(journal, last) :]
        ),
        at=start.ts_utc,
        seconds=round((last.monotonic_ns - start.monotonic_ns) / _NANO, 3) if last else None,
        actions=tuple(_read_actions(begun)),
        proof=tuple(_read_proof(documents[-1] if documents else {})),
    )


def _event(entry: CustodyEntry) -> str:
    return text_at(entry.details, "event")


def _index(journal: list[CustodyEntry], entry: CustodyEntry | None) -> int:
    return journal.index(entry) if entry else 0


def _read_actions(begun: list[CustodyEntry]) -> Iterator[Fact]:
    """Yield each action once with its last result; one that was begun and never ended is interrupted."""
    results: dict[str, Fact] = {}
    for entry in begun:
        action = object_at(entry.details, "action")
        result = "interrupted" if entry.result == "begin" else entry.result
        result = f"{result}: {entry.error}" if entry.error else result
        results[text_at(action, "id")] = Fact(text_at(action, "effect"), result)
    yield from results.values()


def _read_proof(document: JsonObject) -> Iterator[Fact]:
    if not document:
        return
    for reason in strings_at(document, "reasons"):
        yield Fact("reason against", reason)
    yield Fact("processes", f"{text_at(document, 'processes')}, frozen: {text_at(document, 'frozen')}")
    yield Fact("networks that the engine lists", _join(strings_at(document, "engine_networks")))
    for when in ("before", "after"):
        namespaces = objects_at(document, f"namespaces_{when}")
        yield Fact(f"interfaces up {when}", _join(list(_read_interfaces(namespaces))))
        routes = [route for namespace in namespaces for route in strings_at(namespace, "routes_found_to")]
        yield Fact(f"ways out {when}", _join(sorted(set(routes))))
    yield Fact("connections held in the frozen container", text_at(document, "held_connections"))
    probe = object_at(document, "probe")
    for key, name in (("answered_before", "answered the probe before"), ("answered_after", "answered the probe after")):
        yield Fact(name, _join(strings_at(probe, key)))
    if problem := text_at(probe, "problem"):
        yield Fact("probe", problem)


def _read_interfaces(namespaces: list[JsonObject]) -> Iterator[str]:
    for namespace in namespaces:
        for interface in objects_at(namespace, "interfaces"):
            if interface.get("is_up") is True and interface.get("is_loopback") is not True:
                addresses = ", ".join(strings_at(interface, "addresses"))
                name = text_at(interface, "name")
                yield f"{name} ({addresses})" if addresses else name


def _join(values: list[str]) -> str:
    return ", ".join(values) or "none"
