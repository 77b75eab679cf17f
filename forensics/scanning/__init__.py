"""YARA and libmagic over hostile bytes, in a process of its own. Knows no case, no image and no engine.

`open_scanner(find_rule_files(...))` gives a :class:`Scanner`; `scan`, `scan_chunks` and `scan_file` give matches. What
could not be scanned, and what rules could not be used, is said, never dropped.
"""

from __future__ import annotations

from forensics.scanning.client import Scanner, open_scanner, own_path
from forensics.scanning.nouns import EXTERNALS, OWN, Match, ScanRequest, ScanResult, StringMatch
from forensics.scanning.rule_files import RuleFiles, find_rule_files

__all__ = [
    "EXTERNALS", "OWN", "Match", "RuleFiles", "ScanRequest", "ScanResult", "Scanner", "StringMatch", "find_rule_files",
    "open_scanner", "own_path",
]  # fmt: skip
