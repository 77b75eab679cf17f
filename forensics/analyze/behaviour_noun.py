"""What a behaviour is, and the parts that several patterns are made of. Data only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from forensics.model import Severity


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One action that a command can take."""

    id: str
    title: str
    severity: Severity
    attack: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]
    needs: tuple[str, ...] = ()


SHELL = r"(?:sudo\s+)?(?:env\s+)?(?:/\S{0,40}/)?(?:busybox\s+)?(?:ba|z|da|k|a|)sh\b"
RUN = rf"(?:{SHELL}|(?:/\S{{0,40}}/)?(?:python[0-9.]*|perl|php|ruby|node)\b)"
FETCH = r"\b(?:curl|wget|fetch|lwp-download|aria2c|busybox\s+wget)\b"
TEMP = r"(?:/tmp|/var/tmp|/dev/shm|/run/shm)"


def compile_all(*sources: str) -> tuple[re.Pattern[str], ...]:
    """Return the patterns, case ignored."""
    return tuple(re.compile(source, re.IGNORECASE) for source in sources)
