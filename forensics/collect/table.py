"""The collectors, most volatile first (RFC 3227). Adding one is adding a row."""

from __future__ import annotations

from forensics.collect.address_maps import collect_address_maps
from forensics.collect.blast_radius import collect_blast_radius
from forensics.collect.changes import collect_changes
from forensics.collect.clock import collect_clock
from forensics.collect.context import Collector, Need
from forensics.collect.deleted_files import collect_deleted_files
from forensics.collect.engine_documents import collect_engine, collect_inspect
from forensics.collect.events import collect_events
from forensics.collect.executables import collect_executables
from forensics.collect.host_facts import collect_host
from forensics.collect.logs import collect_logs
from forensics.collect.memory import collect_memory
from forensics.collect.mounts import collect_mounts
from forensics.collect.packet_filter import collect_packet_filter
from forensics.collect.processes import collect_engine_top, collect_processes
from forensics.collect.snapshot import collect_snapshot
from forensics.collect.sockets import collect_sockets
from forensics.collect.tmpfs import collect_tmpfs
from forensics.collect.volumes import collect_volumes

_LIVE = frozenset({Need.LOCAL, Need.ROOT, Need.RUNNING})
_HOST = frozenset({Need.LOCAL, Need.ROOT})
_SNAPSHOT_DISTURBS = "a temporary image in the engine, removed afterwards; two lines in the engine's event log"

COLLECTORS = (
    Collector("clock", 0, collect_clock, "clocks of host and engine"),
    Collector("sockets", 10, collect_sockets, "connections, listeners, interfaces, routes, neighbours", _LIVE),
    Collector("packet-filter", 15, collect_packet_filter, "packet-filter rules of its network namespaces", _LIVE),
    Collector("processes", 20, collect_processes, "process table as the host sees it", _LIVE),
    Collector("engine-top", 25, collect_engine_top, "process table as the engine tells it", frozenset({Need.RUNNING})),
    Collector("maps", 28, collect_address_maps, "what is mapped where in every process", _LIVE),
    Collector("executables", 30, collect_executables, "what runs, deleted and memory-only files included", _LIVE),
    Collector("deleted-files", 35, collect_deleted_files, "files without a name that are still held", _LIVE),
    Collector("memory", 40, collect_memory, "present pages of every process", _LIVE, optional=True),
    Collector("mounts", 50, collect_mounts, "mount tables, and the engine's own files in the container", _HOST),
    Collector("tmpfs", 55, collect_tmpfs, "content of tmpfs, /dev/shm included", _LIVE),
    Collector("changes", 60, collect_changes, "changed paths with digests, before the snapshot"),
    Collector("snapshot", 70, collect_snapshot, "commit and save of the file system", disturbs=_SNAPSHOT_DISTURBS),
    Collector("volumes", 80, collect_volumes, "volumes and bind mounts, within the budget", _HOST),
    Collector("logs", 90, collect_logs, "output of the container, and the log files"),
    Collector("inspect", 100, collect_inspect, "inspect of container, image, networks, volumes; image history"),
    Collector("events", 105, collect_events, "the engine's events of this container"),
    Collector("blast-radius", 110, collect_blast_radius, "other containers that share something with it"),
    Collector("engine", 115, collect_engine, "engine version and info"),
    Collector("host", 120, collect_host, "kernel, security modules, who reaches the socket", frozenset({Need.LOCAL})),
)
