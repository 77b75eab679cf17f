"""Build steps that trust what they should not: no checks of signatures, remote files, rights for everybody. Pure."""

# ruff: noqa: E501 - a pattern stands on one line
from __future__ import annotations

import re
from collections.abc import Iterator

from forensics.analyze.rule import Rule
from forensics.model import Confidence, Severity

_WHY = "The command stands in the image's own history; its result is in the image."
_NEXT = "Ask who built the image; rebuild it from reviewed steps."
UNCHECKED = Rule(
    "image.history.checks-disabled",
    "A build step switches the checking of signatures or certificates off",
    Severity.MEDIUM,
    ("T1195.002", "T1553"),
    "What was fetched may be anybody's; nothing proves whose it is.",
    "Builds behind a proxy that breaks certificates; local repositories without signatures.",
    _NEXT,
    Confidence.MEDIUM,
)
PIPED = Rule(
    "image.history.decoded-and-run",
    "A build step decodes a hidden text and runs it",
    Severity.HIGH,
    ("T1140", "T1027", "T1525"),
    "Who encodes a command hides it from whoever reads the build.",
    "Rarely, tools that carry a small file in a command.",
    _NEXT,
)
FETCHED = Rule(
    "image.history.fetched-and-run",
    "A build step pipes something fetched from the network into an interpreter",
    Severity.MEDIUM,
    ("T1105", "T1059", "T1525"),
    _WHY,
    "Vendors' installation scripts are often piped from their site into a shell.",
    _NEXT,
)
REMOTE = Rule(
    "image.history.remote-file",
    "A build step adds a file from an address without a checksum",
    Severity.LOW,
    ("T1105", "T1525"),
    "Whoever holds the address decides what is in the image.",
    "Common in old Dockerfiles.",
    "Compare the file with its publisher's digest.",
)
OPEN_RIGHTS = Rule(
    "image.history.rights-for-everybody",
    "A build step lets everybody write files",
    Severity.LOW,
    ("T1222.002",),
    "Any process in the container can exchange what others execute.",
    "Very common in careless images.",
    "See whether programs or start-up files lie there.",
)
_SINK = r"(?:sudo\s{1,4}(?:-\S{1,20}\s{1,4}){0,4})?(?:/\S{0,40}/)?(?:env\s{1,4})?(?:ba|da|a|z|k)?sh\b|(?:/\S{0,40}/)?(?:python|perl|ruby|node|php)[\d.]*\b"
_TABLE: tuple[tuple[Rule, str], ...] = (
    (PIPED, rf"base(?:64|32)\s{{1,4}}(?:-d|-D|--decode)\b[^|;&]{{0,200}}\|[^|;&]{{0,40}}(?:{_SINK})"),
    (PIPED, rf"(?:xxd\s+-r|openssl\s+(?:enc|base64)\b[^|;&]{{0,80}}-d)[^|;&]{{0,200}}\|\s{{0,8}}(?:{_SINK})"),
    (FETCHED, rf"\b(?:curl|wget|fetch|aria2c)\b[^|;&]{{0,400}}\|(?:[^|;&]{{0,80}}\|)?\s{{0,8}}(?:{_SINK})"),
    (FETCHED, rf"(?:{_SINK})\s{{1,4}}(?:-c\s{{1,4}})?[\"']?(?:<\(|\$\(|`)\s{{0,4}}(?:curl|wget)\b"),
    (UNCHECKED, r"--no-check-certificate\b|\bcurl\b[^|;&]{0,200}\s(?:-[a-zA-Z]{0,8}k[a-zA-Z]{0,8}|--insecure)\b"),
    (UNCHECKED, r"--allow-unauthenticated\b|--force-yes\b|Acquire::AllowInsecureRepositories\S{0,4}(?:true|1)|\[[^\]]{0,80}trusted=yes"),
    (UNCHECKED, r"--nogpgcheck\b|\bgpgcheck\s{0,2}=\s{0,2}0\b|--no-gpg-checks\b|--allow-untrusted\b|--trusted-host\b"),
    (UNCHECKED, r"strict-ssl\s{1,4}false\b|NODE_TLS_REJECT_UNAUTHORIZED=['\"]?0|GIT_SSL_NO_VERIFY=|http\.sslVerify\s{1,4}false|PYTHONHTTPSVERIFY=0"),
    (REMOTE, r"(?:^|#\(nop\)\s{0,4})ADD\s{1,4}(?!.{0,400}--checksum)(?:--\S{1,80}\s{1,4}){0,6}\[?\"?https?://\S{1,400}"),
    (OPEN_RIGHTS, r"\bchmod\s{1,4}(?:-\S{1,10}\s{1,4}){0,3}(?:0?[0-7]?777|a\+rwx|ugo\+rwx|o\+w|a\+w|666)\b[^;&|]{0,80}"),
)  # fmt: skip
_COMPILED = tuple((rule, re.compile(pattern)) for rule, pattern in _TABLE)
_MOST = 65_536


def find_steps(line: str) -> Iterator[tuple[Rule, str]]:
    """Yield the rules that a line of history meets, each once, with what matched."""
    seen: set[str] = set()
    for rule, pattern in _COMPILED:
        found = pattern.search(line[:_MOST])
        if found and rule.id not in seen:
            seen.add(rule.id)
            yield rule, found[0]
