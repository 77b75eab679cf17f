"""Nodes for disks: who made one, the engine for a container that is allowed everything, or somebody inside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forensics.analyze.evidence_view import CaseView
from forensics.analyze.files import Artifact, Origin
from forensics.analyze.places import in_dev
from forensics.analyze.rule import Rule
from forensics.analyze.runtime import object_of, objects_of, text_of
from forensics.analyze.system_files import iterate_entries
from forensics.model import EntryType, FileEntry, Finding, Severity
from forensics.text import show_path, to_bytes

DEVICE = Rule(
    "privilege.block-device-node",
    "A node for a disk was made",
    Severity.HIGH,
    ("T1611",),
    "Through a disk's device node the host's file system can be read and written.",
    "None in a container that is not privileged.",
    "Look at what the numbers name on the host (lsblk); see whether its file system was mounted or written.",
)
_BY_ENGINE = "The container was given nodes of the host's disks"
_MOST_SHOWN = 12


def analyze_devices(view: CaseView) -> Iterator[Finding]:
    """Report the nodes made by somebody as one finding, those that the settings explain as another, for information."""
    made: list[tuple[Artifact, FileEntry]] = []
    given: list[tuple[Artifact, FileEntry]] = []
    for artifact, entry, before in iterate_entries(view):
        if entry.type is EntryType.BLOCK_DEVICE and (before is None or before.type is not EntryType.BLOCK_DEVICE):
            (given if _is_given(artifact, view) else made).append((artifact, entry))
    if made:
        yield DEVICE.found(_list_nodes(made), [artifact.reference for artifact, _ in made])
    if given:
        references = [artifact.reference for artifact, _ in given]
        yield DEVICE.found(_list_nodes(given), references, severity=Severity.INFO, title=_BY_ENGINE)


def _is_given(artifact: Artifact, view: CaseView) -> bool:
    """Whether the container's settings explain the node: then the settings are the finding (``posture.*``).

    Engines fill the /dev of a privileged container with the host's nodes, and put there what ``--device`` names. They
    never write a node into a layer.
    """
    if artifact.origin not in {Origin.TMPFS, Origin.VOLUME} or not in_dev(artifact.path):
        return False
    settings = object_of(view.inspect.get("HostConfig"))
    if settings.get("Privileged") is True:
        return True
    devices = [text_of(device.get("PathInContainer")) for device in objects_of(settings.get("Devices"))]
    mounts = [text_of(mount.get("Destination")) for mount in objects_of(view.inspect.get("Mounts"))]
    return any(_is_below(artifact.path, to_bytes(place)) for place in (*devices, *mounts) if place.strip("/"))


def _is_below(path: bytes, place: bytes) -> bool:
    return (path.strip(b"/") + b"/").startswith(place.strip(b"/") + b"/")


def _list_nodes(nodes: Iterable[tuple[Artifact, FileEntry]]) -> str:
    shown = sorted(f"{show_path(entry.path)} ({_number(entry)})" for _, entry in nodes)
    more = f" and {len(shown) - _MOST_SHOWN} more" if len(shown) > _MOST_SHOWN else ""
    return ", ".join(shown[:_MOST_SHOWN]) + more


def _number(entry: FileEntry) -> str:
    return f"block {entry.device[0]}:{entry.device[1]}" if entry.device else "block, number unknown"
