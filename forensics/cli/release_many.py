"""Many releases at once: which contained containers are meant, and what became of each."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from forensics.cli.output import emit_json, say
from forensics.cli.session import read_actor
from forensics.cli.settings import read_settings
from forensics.containment.actions import ActionKind
from forensics.containment.batch import Released, release_many
from forensics.containment.engines import open_containment_engine
from forensics.containment.journal import Journal
from forensics.containment.pointers import list_contained
from forensics.errors import UsageError
from forensics.evidence.case import Case
from forensics.text import show

if TYPE_CHECKING:
    from pathlib import Path

    from forensics.containment.actions import Action
    from forensics.containment.port import ContainmentEngine
    from forensics.model import JsonObject


def run_releases(network: str | None, label: str | None) -> Released:
    """Release every contained container that was cut off this network, or that has this label.

    Raises:
        UsageError: none fits.
    """
    settings = read_settings()
    actor = read_actor(settings)
    with open_containment_engine(settings.engine) as engine:
        labelled = _find_labelled(engine, label) if label else set()
        found = []
        for container_id, root in list_contained():
            open_actions = _read_open(container_id, root)
            cut = [one.parameters["attachment"] for one in open_actions if one.kind is ActionKind.DISCONNECT]
            names = {str(one[key]) for one in cut for key in ("name", "network_id")}
            if (open_actions and container_id in labelled) or (network and network in names):
                found.append((_order(cut), (container_id, root)))
        targets = tuple(target for _, target in sorted(found))
        if not targets:
            raise UsageError(
                f"no contained container fits {show(network or label or '')!r}, as far as this host knows",
                hint="release one by its name or its case: ir release CASE",
            )
        return release_many(engine, targets, lambda root: Case.open(root, actor=actor))


def show_releases(released: Released, *, as_json: bool) -> int:
    """Print what became of each; 1 when something is not as it was."""
    if as_json:
        emit_json(
            {
                "schema": "ir.releases/1",
                "releases": [result.to_document() for result in released.results],
                "failed": [{"container": one, "error": error.message} for one, error in released.failed],
            }
        )
    for result in () if as_json else released.results:
        word = "RESTORED     " if result.restored else "NOT RESTORED "
        say(f"{word} {result.container_id[:12]}  {'; '.join(result.reasons) or show(str(result.case))}")
    for one, error in released.failed:
        say(f"NOT RELEASED  {show(one[:12])}: {error.message}", err=True)
    return int(bool(released.failed) or not all(result.restored for result in released.results))


def _find_labelled(engine: ContainmentEngine, label: str) -> set[str]:
    key, _, value = label.partition("=")
    return {
        item.id
        for item in engine.list_containers(all=True)
        if key in dict(item.labels) and value in {"", dict(item.labels)[key]}
    }


def _read_open(container_id: str, root: Path) -> tuple[Action, ...]:
    """What was done and not undone: the engine no longer tells which networks it was cut off."""
    with Case.open(root, read_only=True) as case:
        return Journal(case, container_id).read_open()


def _order(cut: list[JsonObject]) -> list[tuple[str, bytes]]:
    """By network and address."""
    return sorted((str(one["network_id"]), _pack(str(one["ipv4"]))) for one in cut)


def _pack(address: str) -> bytes:
    try:
        return socket.inet_aton(address)
    except OSError:
        return b""
