"""The process that touches hostile content with YARA and libmagic: limited, killable, without the case.

Protocol on standard input and output: one JSON line asks, one JSON line answers. The first line names the rules; each
further one gives a content, in ``size`` bytes that follow or as a ``path`` to map. Ends when its input ends.
"""

from __future__ import annotations

import base64
import json
import re
import resource
import sys
from pathlib import Path
from typing import Any

EXTERNALS = {"filename": "", "filepath": "", "extension": "", "filetype": "", "owner": ""}
_MEMORY_BYTES = 3 << 30
_MOST_STRINGS = 8
_MOST_DATA = 120
_WHERE = re.compile(r"^(?P<file>.*?)\((?P<line>\d+)\): (?P<what>.*)$", re.DOTALL)


def main() -> None:
    """Answer until the input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    rules = _compile(json.loads(sys.stdin.buffer.readline()))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        data = sys.stdin.buffer.read(request["size"]) if request.get("size") else b""
        _answer(_examine(rules, request, data))


def _answer(document: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(document, ensure_ascii=True).encode("ascii") + b"\n")
    sys.stdout.buffer.flush()


def _compile(request: dict[str, Any]) -> Any:  # noqa: ANN401 - yara has no types
    files: dict[str, str] = request["rules"]
    if not files:
        _answer({"ready": True, "rules": 0})
        return None
    import yara  # noqa: PLC0415 - only where there are rules

    try:
        rules = yara.compile(filepaths=files, externals=EXTERNALS, includes=False)
    except yara.Error as error:
        found = _WHERE.match(str(error))
        where = (
            {"file": found["file"], "line": int(found["line"]), "what": found["what"]}
            if found
            else {"what": str(error)}
        )
        _answer({"ready": False, **where})
        sys.exit(0)
    _answer({"ready": True, "rules": sum(1 for _ in rules)})
    return rules


def _examine(rules: Any, request: dict[str, Any], data: bytes) -> dict[str, Any]:  # noqa: ANN401 - yara has no types
    answer: dict[str, Any] = {}
    if request.get("magic"):
        import magic  # noqa: PLC0415 - only where it is asked for

        try:
            answer["mime"] = magic.from_buffer(data or _head(request["path"]), mime=True)
        except (magic.MagicException, OSError) as error:
            answer["error"] = f"libmagic: {error}"
    if rules is None or not request.get("yara"):
        return answer
    import yara  # noqa: PLC0415 - loaded already

    content = {"filepath": request["path"]} if request.get("path") else {"data": data}
    try:
        found = rules.match(**content, externals=request["externals"], timeout=request["timeout"], fast=True)
    except yara.TimeoutError:
        answer["error"] = f"YARA gave up after {request['timeout']} seconds"
    except yara.Error as error:
        answer["error"] = f"YARA: {error}"
    else:
        answer["matches"] = [_describe(match) for match in found]
    return answer


def _head(path: str) -> bytes:
    with Path(path).open("rb") as file:
        return file.read(64 * 1024)


def _describe(match: Any) -> dict[str, Any]:  # noqa: ANN401 - yara has no types
    strings = [
        {"id": string.identifier, "offset": instance.offset, "data": _encode(instance.matched_data)}
        for string in match.strings
        for instance in string.instances[:2]
    ]
    meta = {name: str(value) for name, value in match.meta.items()}
    return {
        "rule": match.rule,
        "namespace": match.namespace,
        "tags": list(match.tags),
        "meta": meta,
        "strings": strings[:_MOST_STRINGS],
    }


def _encode(data: bytes) -> str:
    return base64.b64encode(data[:_MOST_DATA]).decode("ascii")


if __name__ == "__main__":
    main()
