"""The process that touches hostile content with YARA and libmagic: limited, killable, without the case.

Protocol on standard input and output: one JSON line asks, one JSON line answers. The first line names the rules; each
further one gives a content, in ``size`` bytes that follow or as a ``path`` to read. Ends when its input ends.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import mmap
import os
import resource
import stat
import sys
import time
from pathlib import Path
from typing import Any

from forensics.scanning.salvage import Usable, compile_usable

_MEMORY_BYTES = 3 << 30
_CPU_GRACE_SECONDS = 15
_MOST_STRINGS = 8
_MOST_DATA = 120
_BEFORE, _AFTER = 48, 48
_HEAD_BYTES = 64 * 1024


def main() -> None:
    """Answer until the input ends."""
    for limit, value in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(limit, (value, value))
    rule_sets = _prepare(json.loads(sys.stdin.buffer.readline()))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        data = sys.stdin.buffer.read(request["size"]) if request.get("size") else b""
        _limit_cpu(request.get("timeout", 0))
        _answer(_examine(rule_sets, request, data))


def _limit_cpu(seconds: int) -> None:
    """Have the kernel end this process when one content costs more than its share."""
    soft = int(time.process_time()) + seconds + _CPU_GRACE_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _answer(document: dict[str, Any], more: bytes = b"") -> None:
    sys.stdout.buffer.write(json.dumps(document, ensure_ascii=True).encode("ascii") + b"\n" + more)
    sys.stdout.buffer.flush()


def _prepare(request: dict[str, Any]) -> list[Any]:
    """Load and compile the rules, say how many and which not; with ``save`` the compiled set follows."""
    loaded, problems = [], []
    for path, sha256 in request["compiled"]:
        try:
            loaded.append(_load(path, sha256))
        except _load_errors() as error:
            problems.append(f"{path}: {error}")
    usable = compile_usable(request["rules"], frozenset(request["sets"]))
    content = _save(usable) if request["save"] else b""
    sets = [*loaded, *([usable.rules] if usable.rules is not None else [])]
    refused = [{"path": r.path, "rule": r.rule, "line": r.line, "what": r.what} for r in usable.refused]
    count = sum(1 for rules in sets for _ in rules)
    own = sum(1 for _ in usable.rules) if usable.rules is not None else 0
    answer = {"rules": count, "own": own, "refused": refused, "problems": problems, "size": len(content)}
    _answer({"ready": True, "yara": _yara_version(), "magic": _magic_version(), **answer}, content)
    return sets


def _load_errors() -> tuple[type[Exception], ...]:
    import yara  # noqa: PLC0415 - only where there are rules

    return (OSError, ValueError, yara.Error)


def _yara_version() -> str:
    import yara  # noqa: PLC0415 - loaded already

    return str(yara.__version__)


def _magic_version() -> str:
    """Return the version of libmagic, whose database is part of it."""
    import magic  # noqa: PLC0415 - in this process only

    try:
        return str(magic.version())  # type: ignore[no-untyped-call] # python-magic has no types
    except (AttributeError, NotImplementedError):  # older than 5.13
        return "unknown"


def _load(path: str, sha256: str) -> Any:  # noqa: ANN401 - yara has no types
    """Load a compiled set whose bytes are those that we wrote."""
    import yara  # noqa: PLC0415 - only where there are rules

    content = Path(path).read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("is not the set that was compiled")
    return yara.load(file=io.BytesIO(content))


def _save(usable: Usable) -> bytes:
    if usable.rules is None:
        return b""
    buffer = io.BytesIO()
    usable.rules.save(file=buffer)
    return buffer.getvalue()


def _examine(rule_sets: list[Any], request: dict[str, Any], data: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    try:
        if request.get("path"):
            data = _read(request["path"], request["offset"], request["length"])
        if request.get("magic"):
            answer |= _type(data)
        if request.get("yara"):
            answer |= _match(rule_sets, request, data)
    except (OSError, ValueError, MemoryError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        answer["error"] = f"it cannot be read: {reason}"
    finally:
        if isinstance(data, mmap.mmap):
            data.close()
    return answer


def _read(path: str, offset: int, length: int) -> Any:  # noqa: ANN401 - bytes, or a map of the whole file
    """Return the content of a regular file: nothing else is opened for reading, and its access time is kept."""
    descriptor = _open(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("no regular file")
        if length:
            return os.pread(descriptor, length, offset)
        return mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if status.st_size else b""
    finally:
        os.close(descriptor)


def _open(path: str) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(path, flags | os.O_NOATIME)
    except PermissionError:  # the owner's and root's right only
        return os.open(path, flags)


def _type(data: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    import magic  # noqa: PLC0415 - only where it is asked for

    try:
        return {"mime": magic.from_buffer(bytes(data[:_HEAD_BYTES]), mime=True)}
    except magic.MagicException as error:
        return {"error": f"libmagic: {error}"}


def _match(rule_sets: list[Any], request: dict[str, Any], data: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    import yara  # noqa: PLC0415 - loaded already

    matches: list[dict[str, Any]] = []
    given = {"externals": request["externals"], "timeout": request["timeout"], "fast": True}
    for rules in rule_sets:
        try:
            found = rules.match(data=data, **given)
        except yara.TimeoutError:
            return {"matches": matches, "error": f"YARA gave up after {request['timeout']} seconds"}
        except yara.Error as error:
            return {"matches": matches, "error": f"YARA: {error}"}
        matches += [_describe(match, data, request.get("offset", 0)) for match in found]
    return {"matches": matches}


def _describe(match: Any, data: Any, base: int) -> dict[str, Any]:  # noqa: ANN401 - yara has no types
    strings = [
        _describe_string(string.identifier, instance, data, base)
        for string in match.strings
        for instance in string.instances[:2]
    ]
    return {
        "rule": match.rule,
        "namespace": match.namespace,
        "tags": list(match.tags),
        "meta": {name: str(value) for name, value in match.meta.items()},
        "strings": strings[:_MOST_STRINGS],
    }


def _describe_string(identifier: str, instance: Any, data: Any, base: int) -> dict[str, Any]:  # noqa: ANN401 - as above
    start, end = instance.offset, instance.offset + instance.matched_length
    return {
        "id": identifier,
        "offset": base + start,
        "length": instance.matched_length,
        "data": _encode(data[start : min(end, start + _MOST_DATA)]),
        "before": _encode(data[max(0, start - _BEFORE) : start]),
        "after": _encode(data[end : end + _AFTER]),
    }


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


if __name__ == "__main__":
    main()
