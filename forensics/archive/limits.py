"""What the readers allow, and what they saw that was wrong.

Every cap is a setting with a sane default: ``IR_LIMIT_MAX_ENTRIES=20M`` in the environment, or ``max_entries = "20M"``
in the table ``[limits]`` of config.toml. Hitting one is an :class:`Anomaly`, never a silent stop. Reads nothing else.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from forensics.errors import UsageError
from forensics.folders import read_config_table
from forensics.text import show

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps for hostile input. Sizes are bytes; the defaults fit every honest image we know."""

    max_header_bytes: int = MIB
    """One PAX or GNU long-name header (the same cap as Go's archive/tar)."""
    max_path_bytes: int = 16 * KIB
    """One path or link target; Linux itself stops at 4,096."""
    max_depth: int = 1024
    """Components of one path."""
    max_entries: int = 10_000_000
    """Members of one archive."""
    max_xattr_bytes: int = 64 * KIB
    """All extended attributes of one member that are kept (XATTR_SIZE_MAX of Linux)."""
    max_sparse_segments: int = 100_000
    """Data segments of one sparse file."""
    max_hole_bytes: int = 4 * GIB
    """Holes that one archive may have filled with zeros while its sparse files are read."""
    max_layer_bytes: int = 256 * GIB
    """Output of one decompressed stream."""
    max_ratio: int = 500
    """Output bytes for one input byte, once ``ratio_floor_bytes`` have come out."""
    ratio_floor_bytes: int = GIB
    """Where the ratio begins to count; an image of more than 16 layers shares 16 of them among its layers."""
    max_zstd_window_bytes: int = 128 * MIB
    """Memory that a zstd frame may ask for (the default of the zstd command)."""
    max_json_bytes: int = 16 * MIB
    """One manifest, index or configuration."""
    max_json_values: int = 1_000_000
    """Values of one such document, and of all configurations of one archive together: they are kept in memory."""
    max_layers: int = 10_000
    """Layers of one image."""
    max_all_layers: int = 100_000
    """Layers of all images of one archive."""
    max_repeated_bytes: int = 4 * GIB
    """Uncompressed layers that are read again because several places of the tables of contents list them."""
    max_images: int = 1_000
    """Images of one archive, all indexes together."""
    max_index_depth: int = 8
    """Nested OCI indexes."""
    max_anomalies: int = 200
    """Anomalies kept of one code; the rest are counted."""
    max_extract_bytes: int = 64 * GIB
    """Distinct content that one extraction writes."""
    memory_entries: int = 200_000
    """Entries that one tree holds in memory; beyond, the index goes to a temporary SQLite file."""
    memory_bytes: int = 32 * MIB
    """Names and attributes beyond 256 bytes that one tree holds in memory; as above."""
    memory_content_bytes: int = 4 * MIB
    """Content that one visited file holds in memory; beyond, it goes to a temporary file."""


DEFAULT_LIMITS = Limits()


def share(limits: Limits, layers: int) -> Limits:
    """Return the caps of one of *layers* layers: what each may claim for little is less where there are many."""
    if layers <= _SHARED_BY:
        return limits
    return replace(
        limits,
        ratio_floor_bytes=max(min(MIB, limits.ratio_floor_bytes), limits.ratio_floor_bytes * _SHARED_BY // layers),
        max_hole_bytes=max(min(MIB, limits.max_hole_bytes), limits.max_hole_bytes * _SHARED_BY // layers),
    )


_PREFIX = "IR_LIMIT_"
_UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": 1024 * GIB}
_MAX_PATH = 4096
_MAX_MESSAGE = 2000
_SHARED_BY = 16
_VALUE = re.compile(r"(\d{1,15})([KMGT]?)\Z")


def read_limits(environment: Mapping[str, str] = os.environ, configured: Mapping[str, object] | None = None) -> Limits:
    """Return the caps as the environment sets them (``IR_LIMIT_MAX_EXTRACT_BYTES=2T``), else as *configured* does.

    *configured* is the table ``[limits]`` of config.toml, read from there by default. K, M, G, T are powers of 1024.

    Raises:
        UsageError: a setting names no cap, or its value is no number.
    """
    configured = read_config_table(environment, "limits") if configured is None else configured
    chosen = {
        name: _parse(f"{name} in [limits] of config.toml", name, str(value)) for name, value in configured.items()
    }
    for variable, value in environment.items():
        if variable.startswith(_PREFIX):
            name = variable.removeprefix(_PREFIX).lower()
            chosen[name] = _parse(variable, name, value)
    return replace(DEFAULT_LIMITS, **chosen)


def _parse(setting: str, name: str, value: str) -> int:
    match = _VALUE.match(value.upper())
    if name not in Limits.__slots__:
        known = ", ".join(_PREFIX + item.upper() for item in Limits.__slots__)
        raise UsageError(f"{show(setting, 80)} names no limit", hint=f"there are {known}")
    if match is None:
        raise UsageError(f"{show(setting, 80)} is no number", hint="write for example 500, 64K, 20M or 2T")
    return int(match[1]) * _UNITS[match[2]]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """One thing that an honest writer would not have written.

    ``code`` is stable and machine readable; ``message`` is one sentence whose hostile parts are already made safe;
    ``offset`` counts bytes in the uncompressed archive, -1 where there is none; ``layer`` counts from 0.
    """

    code: str
    message: str
    offset: int = -1
    path: bytes = b""
    layer: int | None = None


DAMAGE = frozenset(
    {
        "bad-checksum",
        "bad-digest",
        "bad-json",
        "bad-manifest",
        "bad-sparse-map",
        "compression-bomb",
        "corrupt-compression",
        "cyclic-index",
        "diff-id-mismatch",
        "digest-mismatch",
        "document-too-large",
        "extraction-limit",
        "header-too-large",
        "layer-count-mismatch",
        "missing-blob",
        "nested-compression",
        "repeated-layer",
        "size-mismatch",
        "sparse-claim",
        "too-deep",
        "too-many",
        "too-many-entries",
        "too-many-folders",
        "too-many-hidden",
        "too-many-links",
        "too-many-recovered",
        "truncated-compression",
        "truncated-header",
        "truncated-member",
        "unreadable",
        "unreadable-image",
        "zstd-window",
    }
)
"""Codes of anomalies because of which something is not, or not surely, what it should be: commands end with 1."""

Report = Callable[[Anomaly], None]


class AnomalyLog:
    """Collects anomalies, at most ``Limits.max_anomalies`` of one code, and counts the others."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        """Start empty."""
        self._limit = limits.max_anomalies
        self._kept: list[Anomaly] = []
        self._counts: Counter[str] = Counter()
        self._known: set[Anomaly] = set()

    def report(self, anomaly: Anomaly) -> None:
        """Keep *anomaly* once, or count it when there are too many of its code."""
        count = self._counts[anomaly.code]
        if count > self._limit:
            self._counts[anomaly.code] += 1
            return
        if len(anomaly.path) > _MAX_PATH or len(anomaly.message) > _MAX_MESSAGE:
            anomaly = replace(anomaly, path=anomaly.path[:_MAX_PATH], message=anomaly.message[:_MAX_MESSAGE])
        if anomaly in self._known:
            return
        self._counts[anomaly.code] += 1
        if count < self._limit:
            self._kept.append(anomaly)
            self._known.add(anomaly)

    def for_layer(self, layer: int) -> Report:
        """Return a reporter that adds the layer to each anomaly."""
        return lambda anomaly: self.report(replace(anomaly, layer=layer))

    def __iter__(self) -> Iterator[Anomaly]:
        """Yield what was kept, then one line for each code that was cut."""
        yield from self._kept
        for code, count in self._counts.items():
            if count > self._limit:
                yield Anomaly(code, f"{count - self._limit} more of this kind were seen and not listed")

    def __len__(self) -> int:
        return sum(self._counts.values())

    @property
    def codes(self) -> frozenset[str]:
        """Every code that was seen."""
        return frozenset(self._counts)


def ignore(_anomaly: Anomaly) -> None:
    """Report to nobody; for callers that asked already."""
