"""The scanning process as this room uses it; it lives in :mod:`forensics.scanning`, below."""

from __future__ import annotations

from forensics.scanning import RuleFiles, Scanner, ScanRequest, ScanResult, find_rule_files, open_scanner, own_path

__all__ = ["RuleFiles", "ScanRequest", "ScanResult", "Scanner", "find_rule_files", "open_scanner", "own_path"]
