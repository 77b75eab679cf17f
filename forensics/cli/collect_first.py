"""The first answers of `ir collect`, shown before the slow snapshot: who is connected, what runs, what changed.

Reads what is in the case by then. A person sees what matters most of each; a machine everything, as one event.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from forensics.cli.frame import say
from forensics.model import JsonObject, LedgerLine
from forensics.text import show

if TYPE_CHECKING:
    from forensics.collect import Progress
    from forensics.evidence.case import Case

_KINDS = ("sockets", "processes", "changed-files", "yara")
_SHOWN = 10
_MOST_BYTES = 16 << 20
"""A larger document is named, not read: whoever made a million files shall not fill our memory."""


class FirstAnswers:
    """A progress that passes everything on, and gives the answers as soon as the changed files have been listed."""

    def __init__(self, case: Case, inner: Progress, *, as_json: bool, started: float) -> None:
        """Take the case to read, whom to pass on to, and when the command began (monotonic seconds)."""
        self._case, self._inner, self._as_json, self._started = case, inner, as_json, started
        self._items: dict[str, str] = {}
        self._is_due = False

    def start(self, artefact: str) -> None:
        """Pass it on; what follows the changed files waits for the answers."""
        self.close()
        self._is_due = artefact == "changes"
        self._inner.start(artefact)

    def done(self, line: LedgerLine) -> None:
        """Pass it on, and remember where the answers are. The engine's own diff, which can be slow, comes after."""
        if line.artefact in _KINDS and line.items:
            self._items[line.artefact] = line.items[0]
        self._inner.done(line)
        if line.artefact == _KINDS[-1]:
            self.close()

    def close(self) -> None:
        """Give the answers if they are due."""
        if not self._is_due:
            return
        self._is_due = False
        answers = self._gather()
        if self._as_json:
            say(json.dumps({"event": "first-answers", **answers}, ensure_ascii=True), err=True)
        else:
            _tell(answers, self._items.get("changed-files", "the case"))

    def _gather(self) -> JsonObject:
        found = {kind: self._read(kind) for kind in _KINDS}
        matched: dict[str, list[str]] = {}
        for match in found["yara"].get("matches", ()):
            matched.setdefault(match["path"], []).append(match["rule"])
        files = [
            {"path": f"/{entry['path']}", "sha256": entry["sha256"], "yara": matched.get(entry["path"], [])}
            for entry in found["changed-files"].get("entries", ())
            if entry["type"] != "directory"
        ]
        return {
            "seconds": round(time.monotonic() - self._started, 3),
            "connections": [socket for socket in found["sockets"].get("sockets", ()) if _counts(socket)],
            "processes": [_describe_process(process) for process in found["processes"].get("processes", ())],
            "changed_files": sorted(files, key=lambda file: not file["yara"]),
            "yara": {key: found["yara"].get(key) for key in ("searched", "left")},
        }

    def _read(self, kind: str) -> JsonObject:
        wanted = self._items.get(kind)
        item = next((item for item in self._case.find(kind) if item.id == wanted), None)
        return self._case.read_json(item) if item and item.size_bytes <= _MOST_BYTES else {}


def _counts(socket: JsonObject) -> bool:
    return bool(socket["proto"] in {"tcp", "udp", "raw", "packet"} or socket["pid"])


def _describe_process(process: JsonObject) -> JsonObject:
    return {key: process[key] for key in ("pid", "ppid", "uid", "exe", "argv", "start_time_utc")}


def _tell(answers: JsonObject, item: str) -> None:
    say(f"first answers, {answers['seconds']:.1f} s after the command:")
    peers = [socket for socket in answers["connections"] if socket["local_port"] or socket["remote_port"]]
    _tell_some("connections", [_show_socket(socket) for socket in peers])
    _tell_some("processes", [f"{one['pid']} {show(' '.join(one['argv']), 90)} [{show(one['exe'], 60)}]"
                             for one in answers["processes"]])  # fmt: skip
    files = [f"{show(one['path'], 80)} {(one['sha256'] or 'no digest')}{_show_rules(one['yara'])}"
             for one in answers["changed_files"]]  # fmt: skip
    searched, left = answers["yara"]["searched"], answers["yara"]["left"]
    _tell_some("changed files", files, f", all in {item}; {searched or 0} searched with YARA, {left or 0} not")


def _tell_some(title: str, lines: list[str], where: str = "") -> None:
    say(f"  {title}: {len(lines)}{where}")
    for line in lines[:_SHOWN]:
        say(f"    {line}")
    if len(lines) > _SHOWN:
        say(f"    and {len(lines) - _SHOWN} more")


def _show_rules(rules: list[str]) -> str:
    return f"  !! {show(', '.join(rules), 120)}" if rules else ""


def _show_socket(socket: JsonObject) -> str:
    ends = f"{socket['local_addr']}:{socket['local_port']}"
    if socket["remote_port"]:
        ends += f" -> {socket['remote_addr']}:{socket['remote_port']}"
    return show(f"{socket['proto']} {ends} {socket['state']} pid {socket['pid'] or 'unknown'}")
