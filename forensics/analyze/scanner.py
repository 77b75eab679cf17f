"""Drives the worker that scans hostile content: one content at a time, a time limit for each.

The worker's death is a failure of that content only. Rules are compiled by the worker; one that does not compile is
the user's to mend. Never scans in this process.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forensics.analyze.content import OWN, Match, StringMatch
from forensics.errors import IrError, RuleError
from forensics.resources import find_rules_dir
from forensics.text import show

TIMEOUT_SECONDS = 60
_COMPILE_SECONDS = 300
_GRACE_SECONDS = 15
_SUFFIXES = (".yar", ".yara", ".rule", ".rules")


@dataclass(frozen=True, slots=True)
class ScanResult:
    """What the worker said of one content; ``failure`` when it could not say everything."""

    matches: tuple[Match, ...] = ()
    mime: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One content: its bytes, or a path that the worker can map."""

    externals: Mapping[str, str]
    data: bytes = b""
    path: str = ""
    yara: bool = True
    magic: bool = False


def find_rule_files(rules: tuple[Path, ...], *, own: bool = True) -> dict[str, str]:
    """Return namespace to path of the shipped rules and the user's files and folders; ours begin with :data:`OWN`.

    Raises:
        RuleError: a path does not exist, or a folder holds no rules.
    """
    files: list[Path] = sorted(find_rules_dir().glob("*.yar")) if own else []
    count = len(files)
    for path in rules:
        name = show(os.fsencode(path))
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
            if not found:
                raise RuleError(f"{name} holds no rule files", hint=f"rule files end in {', '.join(_SUFFIXES)}")
            files += found
        elif path.is_file():
            files.append(path)
        else:
            raise RuleError(f"{name} does not exist", hint="give a rule file or a folder of rule files")
    return {
        f"{OWN if index < count else 'user-'}{index:04d}:{file.name}": str(file) for index, file in enumerate(files)
    }


class Scanner:
    """A running worker; started again after it died. Use :func:`open_scanner`."""

    def __init__(self, rules: Mapping[str, str]) -> None:
        """Remember the rules; the worker starts with the first use."""
        self._rules = dict(rules)
        self._worker: subprocess.Popen[bytes] | None = None
        self.rule_count = 0
        self.deaths = 0

    def start(self) -> None:
        """Start the worker and have it compile the rules.

        Raises:
            RuleError: a rule does not compile; the message names file and line.
            IrError: the worker cannot be started at all.
        """
        if self._worker is not None:
            return
        command = [sys.executable, "-P", "-m", "forensics.analyze.scan_worker"]
        self._worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        answer = self._ask({"rules": self._rules}, b"", _COMPILE_SECONDS)
        if answer is None:
            self.stop()
            raise IrError("the scanning process did not start", hint="check yara-python with 'ir doctor'")
        if not answer.get("ready"):
            self.stop()
            where = f"{show(str(answer['file']))}:{answer['line']}: " if answer.get("file") else ""
            raise RuleError(f"{where}{show(str(answer.get('what')))}", hint="mend the rule or leave its file out")
        self.rule_count = int(answer["rules"])

    def scan(self, request: ScanRequest) -> ScanResult:
        """Return what the rules and libmagic say; never raises for what the content does to the worker."""
        self.start()
        header: dict[str, Any] = {
            "externals": dict(request.externals),
            "size": len(request.data),
            "path": request.path,
            "yara": request.yara and self.rule_count > 0,
            "magic": request.magic,
            "timeout": TIMEOUT_SECONDS,
        }
        answer = self._ask(header, request.data, TIMEOUT_SECONDS + _GRACE_SECONDS)
        if answer is None:
            self.stop()
            self.deaths += 1
            return ScanResult(failure="the scanning process died or hung on this content")
        return ScanResult(
            matches=tuple(_parse_match(part) for part in answer.get("matches", ())),
            mime=str(answer.get("mime", "")),
            failure=str(answer.get("error", "")),
        )

    def _ask(self, header: Mapping[str, Any], data: bytes, seconds: int) -> dict[str, Any] | None:
        """Return the answer, or None when the worker died or took too long."""
        worker = self._worker
        if worker is None or worker.stdin is None or worker.stdout is None:
            return None
        try:
            worker.stdin.write(json.dumps(header, ensure_ascii=True).encode("ascii") + b"\n")
            worker.stdin.write(data)
            worker.stdin.flush()
        except OSError:
            return None
        ready, _, _ = select.select([worker.stdout], [], [], seconds)
        line = worker.stdout.readline() if ready else b""
        if not line.endswith(b"\n"):
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def stop(self) -> None:
        """End the worker."""
        if self._worker is None:
            return
        worker, self._worker = self._worker, None
        for stream in (worker.stdin, worker.stdout):
            try:
                if stream:
                    stream.close()
            except OSError:  # the pipe broke with what was still buffered; the worker is gone anyway
                continue
        worker.kill()
        worker.wait()


@contextmanager
def open_scanner(rules: Mapping[str, str]) -> Iterator[Scanner]:
    """Start a scanner and end it on the way out.

    Raises:
        RuleError: a rule does not compile.
    """
    scanner = Scanner(rules)
    try:
        scanner.start()
        yield scanner
    finally:
        scanner.stop()


def own_path(descriptor: int) -> str:
    """Return a path by which the worker can map an open file of this process."""
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _parse_match(part: Mapping[str, Any]) -> Match:
    return Match(
        rule=str(part["rule"]),
        namespace=str(part["namespace"]),
        tags=tuple(part["tags"]),
        meta=dict(part["meta"]),
        strings=tuple(StringMatch(s["id"], int(s["offset"]), base64.b64decode(s["data"])) for s in part["strings"]),
    )
