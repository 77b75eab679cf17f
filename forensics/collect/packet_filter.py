"""Collects the packet-filter rules of the container's network namespaces, with the host's own programs.

`nsenter` changes the network namespace only: the programs and their libraries are the host's, never the container's.
The `-save` and `list` forms read; they create no table that is not there.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace

from forensics.collect.context import CollectContext, collected, empty, failed, not_applicable
from forensics.model import JsonObject, LedgerLine

_PROGRAMS = (
    ("nft", "list", "ruleset"),
    ("iptables-legacy-save",),
    ("ip6tables-legacy-save",),
)
_TIMEOUT_SECONDS = 10
_LIMIT_CHARACTERS = 16 << 20


def collect_packet_filter(context: CollectContext) -> Iterator[LedgerLine]:
    """Keep what each program of the host shows of each network namespace."""
    present = [(path, command) for command in _PROGRAMS if (path := shutil.which(command[0]))]
    nsenter = shutil.which("nsenter")
    if not present or not nsenter:
        yield not_applicable("packet-filter", "this host has no nsenter with nft or iptables-legacy-save")
        return
    rules: list[JsonObject] = []
    for inode, pid in _one_of_each(context).items():
        for path, command in present:
            shown = _run([nsenter, f"--net=/proc/{pid}/ns/net", "--", path, *command[1:]])
            if isinstance(shown, LedgerLine):
                yield replace(shown, artefact=f"{shown.artefact} in namespace {inode}")
            else:
                rules.append({"namespace": inode, "command": " ".join(command), "output": shown})
    item = context.keep_json(
        "packet-filter", {"rules": rules}, source=f"container {context.container.id}", method="the host's own programs"
    )
    found = any(rule["output"].strip() for rule in rules)
    yield collected("packet-filter", item) if found else empty("packet-filter", "no rule", item)


def _one_of_each(context: CollectContext) -> dict[int, int]:
    return {process.namespace("net"): process.pid for process in reversed(context.processes)}


def _run(command: list[str]) -> str | LedgerLine:
    try:
        done = subprocess.run(
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return failed(f"packet-filter by {command[3]}", f"no answer within {_TIMEOUT_SECONDS} s")
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip()[:200]
        return failed(f"packet-filter by {command[3]}", reason or f"it ended with {done.returncode}")
    return done.stdout.decode("utf-8", "surrogateescape")[:_LIMIT_CHARACTERS]
