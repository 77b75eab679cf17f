"""Drives the worker that scans hostile content: one content at a time, a time limit for each.

The worker's death is a failure of that content only. Rules are compiled by the worker, and what it compiled is kept for
the next time. Never scans in this process.
"""

from __future__ import annotations

import base64
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from forensics.errors import IrError, RuleError
from forensics.scanning.compiled import CompiledSet, accept_compiled, find_compiled, keep_compiled
from forensics.scanning.nouns import Match, ScanRequest, ScanResult, StringMatch
from forensics.scanning.remembered import Remembered, make_key
from forensics.scanning.rule_files import RuleFiles, name_rule_files
from forensics.text import show

WINDOW_BYTES = 256 << 20
"""Larger content is scanned in windows of this size."""

_OVERLAP_BYTES = 64 << 10
_COMPILE_SECONDS = 600
_GRACE_SECONDS = 15
_MOST_CHUNKED = 64 << 20
_MOST_STRINGS = 16


class Scanner:
    """A running worker; started again after it died. Use :func:`open_scanner`.

    ``refused`` says in sentences what of the rules is not used; ``rule_count`` how many are.
    """

    def __init__(self, rules: RuleFiles | Mapping[str, str]) -> None:
        """Remember the rules (or namespaces and paths of them); the worker starts with the first use."""
        self._rules = rules if isinstance(rules, RuleFiles) else name_rule_files(rules)
        self._worker: subprocess.Popen[bytes] | None = None
        self._remembered: Remembered | None = None
        self._magic = ""
        self.rule_count = 0
        self.deaths = 0
        self.refused: tuple[str, ...] = ()

    def start(self) -> None:
        """Start the worker and have it load or compile the rules.

        Raises:
            RuleError: no rule of the user's compiles, or a compiled set is not of ours; the message says where.
            IrError: the worker cannot be started at all.
        """
        if self._worker is not None:
            return
        version = _yara_version()
        given = [accept_compiled(file, version) for file in self._rules.compiled]
        kept = find_compiled(self._rules, version) if self._rules.sources else None
        if not self._start([*given, *([kept] if kept else [])], compile_sources=kept is None) and kept:
            self._start(given, compile_sources=True)
            kept = None
        if kept:
            self.refused = kept.refused
        if self._remembered is None:
            compiled = "".join(f"\n{file.namespace} {file.sha256}" for file in self._rules.compiled)
            self._remembered = Remembered(self._rules.digest + compiled, f"yara {version}, libmagic {self._magic}")

    def _start(self, sets: list[CompiledSet], *, compile_sources: bool) -> bool:
        """Start the worker with *sets*; return whether it could load all of them."""
        command = [sys.executable, "-P", "-m", "forensics.scanning.worker"]
        self.stop()
        self._worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        sources = self._rules.sources if compile_sources else ()
        answer = self._ask(
            {
                "rules": {file.namespace: file.path for file in sources},
                "sets": [file.namespace for file in sources if file.is_set],
                "compiled": [[str(part.path), part.sha256] for part in sets],
                "save": bool(sources),
            },
            b"",
            _COMPILE_SECONDS,
        )
        if answer is None:
            self.stop()
            raise IrError("the scanning process did not start", hint="check yara-python with 'ir doctor'")
        if answer["problems"]:
            self.stop()
            return False
        content = self._read(int(answer["size"]))
        self.rule_count = int(answer["rules"])
        self._magic = str(answer["magic"])
        if sources:
            self._take_over(answer, content)
        return True

    def _take_over(self, answer: Mapping[str, Any], content: bytes) -> None:
        """Remember what was refused, refuse where nothing of the user's is left, keep what was compiled."""
        refused = tuple(dict.fromkeys(_describe_refused(part) for part in answer["refused"]))
        lost = {str(part["path"]) for part in answer["refused"] if not part["rule"]}
        users = [file for file in self._rules.files if file.namespace.startswith("user-")]
        if refused and users and all(file.path in lost for file in users):
            self.stop()
            raise RuleError(refused[-1], hint="mend the rule or leave its file out")
        self.refused = refused
        if content:
            keep_compiled(self._rules, _yara_version(), content, int(answer["own"]), refused)

    def scan(self, request: ScanRequest) -> ScanResult:
        """Return what the rules and libmagic say; never raises for what the content does to the worker."""
        self.start()
        key = make_key(request) if request.sha256 else b""
        answer = self._remembered.find(key) if key and self._remembered else None
        if answer is None:
            answer = self._ask_worker(request)
            if answer is None:
                return ScanResult(failure="the scanning process died or hung on this content")
            if key and self._remembered:
                self._remembered.keep(key, answer)
        return ScanResult(
            matches=tuple(_parse_match(part) for part in answer.get("matches", ())),
            mime=str(answer.get("mime", "")),
            failure=str(answer.get("error", "")),
        )

    def _ask_worker(self, request: ScanRequest) -> dict[str, Any] | None:
        """Return what the worker says; None, and no worker, where the content was too much for it."""
        header: dict[str, Any] = {
            "externals": dict(request.externals),
            "size": len(request.data),
            "path": request.path,
            "offset": request.offset,
            "length": request.length,
            "yara": request.yara and self.rule_count > 0,
            "magic": request.magic,
            "timeout": request.seconds,
        }
        answer = self._ask(header, request.data, request.seconds + _GRACE_SECONDS)
        if answer is None:
            self.stop()
            self.deaths += 1
        return answer

    def scan_file(
        self, path: str | Path, externals: Mapping[str, str] | None = None, *, magic: bool = False
    ) -> ScanResult:
        """Scan a file of any size; larger ones in windows that overlap, offsets are those of the file."""
        size = Path(path).stat().st_size
        request = ScanRequest(externals or {}, path=str(path), magic=magic)
        if size <= WINDOW_BYTES:
            return self.scan(request) if size else ScanResult()
        found = ScanResult()
        for offset in range(0, size, WINDOW_BYTES - _OVERLAP_BYTES):
            part = self.scan(replace(request, offset=offset, length=WINDOW_BYTES, magic=magic and not offset))
            found = _join(found, part)
        return found

    def scan_chunks(self, chunks: Iterable[bytes], externals: Mapping[str, str] | None = None) -> ScanResult:
        """Scan content that comes in pieces; what is beyond 64 MiB is not scanned, and that is said."""
        data = bytearray()
        for chunk in chunks:
            data += chunk[: _MOST_CHUNKED + 1 - len(data)]
            if len(data) > _MOST_CHUNKED:
                break
        cut = len(data) > _MOST_CHUNKED
        result = self.scan(ScanRequest(externals or {}, data=bytes(data[:_MOST_CHUNKED]))) if data else ScanResult()
        if cut and not result.failure:
            return replace(result, failure=f"larger than {_MOST_CHUNKED >> 20} MiB, the rest was not scanned")
        return result

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

    def _read(self, size: int) -> bytes:
        """Return what the worker sends after an answer; nothing where it is not all there."""
        stream = self._worker.stdout if self._worker else None
        content = stream.read(size) if stream and size else b""
        return content if len(content) == size else b""

    def close(self) -> None:
        """End the worker, and keep what it said."""
        self.stop()
        if self._remembered:
            self._remembered.close()
            self._remembered = None

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
def open_scanner(rules: RuleFiles) -> Iterator[Scanner]:
    """Start a scanner and end it on the way out.

    Raises:
        RuleError: no rule of the user's compiles, or a compiled set is not of ours.
    """
    scanner = Scanner(rules)
    try:
        scanner.start()
        yield scanner
    finally:
        scanner.close()


def own_path(descriptor: int) -> str:
    """Return a path by which the worker can map an open file of this process."""
    return f"/proc/{os.getpid()}/fd/{descriptor}"


def _yara_version() -> str:
    """Return the version of YARA without loading it: a compiled set is of one version."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - only where rules are used

    try:
        return version("yara-python")
    except PackageNotFoundError as error:
        raise IrError("yara-python is not installed", hint="check with 'ir doctor'") from error


def _describe_refused(part: Mapping[str, Any]) -> str:
    path, line, rule = show(str(part["path"])), part["line"], part["rule"]
    where = f"{path}:{line}" if line else path
    return f"{where}: {f'rule {rule} is not used: ' if rule else ''}{show(str(part['what']))}"


def _join(first: ScanResult, second: ScanResult) -> ScanResult:
    """Return both as one: each rule once, strings of the overlap once."""
    merged = {(match.namespace, match.rule): match for match in first.matches}
    for match in second.matches:
        known = merged.get((match.namespace, match.rule))
        strings = tuple(dict.fromkeys((*known.strings, *match.strings)))[:_MOST_STRINGS] if known else match.strings
        merged[match.namespace, match.rule] = replace(match, strings=strings)
    return ScanResult(tuple(merged.values()), first.mime or second.mime, first.failure or second.failure)


def _parse_match(part: Mapping[str, Any]) -> Match:
    return Match(
        rule=str(part["rule"]),
        namespace=str(part["namespace"]),
        tags=tuple(part["tags"]),
        meta=dict(part["meta"]),
        strings=tuple(map(_parse_string, part["strings"])),
    )


def _parse_string(part: Mapping[str, Any]) -> StringMatch:
    data, before, after = (base64.b64decode(part[name]) for name in ("data", "before", "after"))
    return StringMatch(str(part["id"]), int(part["offset"]), data, int(part["length"]), before, after)
