"""The table of analyzers, in the order in which their findings are shown within one severity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from forensics.analyze.accounts import analyze_accounts
from forensics.analyze.collection import analyze_collection
from forensics.analyze.devices import analyze_devices
from forensics.analyze.entry_point import analyze_entry_point
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.exposed_secrets import analyze_secrets
from forensics.analyze.file_types import analyze_file_types
from forensics.analyze.image_identity import analyze_identity
from forensics.analyze.impact import analyze_impact
from forensics.analyze.ioc_match import analyze_iocs
from forensics.analyze.matches import analyze_matches
from forensics.analyze.network import analyze_network
from forensics.analyze.persistence import analyze_persistence, analyze_preload
from forensics.analyze.posture import analyze_posture
from forensics.analyze.processes import analyze_commands, analyze_processes
from forensics.analyze.provenance import analyze_archive, analyze_provenance
from forensics.analyze.recovered import analyze_recovered
from forensics.analyze.running_code import analyze_running_code
from forensics.analyze.scrambled import analyze_scrambled
from forensics.analyze.shells import analyze_shells
from forensics.analyze.system_files import analyze_privileges, analyze_system_files
from forensics.analyze.traces import analyze_histories, analyze_names, analyze_times
from forensics.analyze.typed import analyze_code, analyze_events, analyze_histories_text, analyze_logs, analyze_scripts
from forensics.analyze.verification import analyze_packages
from forensics.analyze.view_files import analyze_file_views
from forensics.analyze.view_mounts import analyze_mounts
from forensics.analyze.views import analyze_views
from forensics.analyze.web_roots import analyze_web_roots
from forensics.model import Finding

FILES = "files"
"""A need: a file system (snapshot, tmpfs, volumes). Other needs are kinds of evidence items."""


@dataclass(frozen=True, slots=True)
class Analyzer:
    """One analyzer: its name in the ledger, its function, the evidence that it cannot do without."""

    name: str
    analyze: Callable[[CaseView], Iterator[Finding]]
    needs: str


ANALYZERS: tuple[Analyzer, ...] = (
    Analyzer("shells", analyze_shells, "processes"),
    Analyzer("processes", analyze_processes, "processes"),
    Analyzer("commands", analyze_commands, "processes"),
    Analyzer("running code", analyze_running_code, "processes"),
    Analyzer("network", analyze_network, "sockets"),
    Analyzer("views", analyze_views, "processes"),
    Analyzer("views of mounts", analyze_mounts, "mounts"),
    Analyzer("views of files", analyze_file_views, "changed-files"),
    Analyzer("yara", analyze_matches, FILES),
    Analyzer("file types", analyze_file_types, FILES),
    Analyzer("system files", analyze_system_files, FILES),
    Analyzer("packages", analyze_packages, FILES),
    Analyzer("privileges", analyze_privileges, FILES),
    Analyzer("disk nodes", analyze_devices, FILES),
    Analyzer("preload", analyze_preload, FILES),
    Analyzer("persistence", analyze_persistence, FILES),
    Analyzer("entry point", analyze_entry_point, FILES),
    Analyzer("accounts", analyze_accounts, FILES),
    Analyzer("web roots", analyze_web_roots, FILES),
    Analyzer("scripts", analyze_scripts, FILES),
    Analyzer("code in files", analyze_code, FILES),
    Analyzer("typed commands", analyze_histories_text, FILES),
    Analyzer("histories and logs", analyze_histories, FILES),
    Analyzer("times", analyze_times, FILES),
    Analyzer("names", analyze_names, FILES),
    Analyzer("scrambled data", analyze_scrambled, FILES),
    Analyzer("recovered deletions", analyze_recovered, FILES),
    Analyzer("archive", analyze_archive, FILES),
    Analyzer("provenance", analyze_provenance, FILES),
    Analyzer("image identity", analyze_identity, FILES),
    Analyzer("gathered data", analyze_collection, FILES),
    Analyzer("encrypted data", analyze_impact, FILES),
    Analyzer("added secrets", analyze_secrets, FILES),
    Analyzer("container output", analyze_logs, "logs"),
    Analyzer("engine events", analyze_events, "events"),
    Analyzer("posture", analyze_posture, "inspect"),
)
LISTS = Analyzer("lists of indicators", analyze_iocs, "")
"""Runs where the user gave lists, whatever the case holds."""
