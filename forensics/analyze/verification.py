"""Files against the packages that brought them: modified, gone, owned by none; databases that were edited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from forensics.analyze.content import Kind
from forensics.analyze.evidence_view import CaseView
from forensics.analyze.package_check import find_lock_conflicts
from forensics.analyze.packages import Misfit
from forensics.analyze.rule import Rule
from forensics.model import Confidence, Finding, Severity
from forensics.text import from_bytes, show_path

_NEXT = "Compare with the package's own file (the distribution's archive, `ir diff`); rebuild from a trusted image."
MODIFIED = Rule(
    "package.file-modified",
    "A file is not the one that its package installed",
    Severity.HIGH,
    ("T1554", "T1036.005"),
    "Its digest differs from the record in the layer that installed the package: the file was exchanged or patched.",
    "A program compiled by hand over the package's; code of a library patched on purpose while the image was built.",
    _NEXT,
)
DATABASE = Rule(
    "system.package-database-edited",
    "The package database was edited so that it agrees with a changed file",
    Severity.CRITICAL,
    ("T1070", "T1554"),
    "The recorded digest changed although the package's version did not: somebody covers a replaced file.",
    "None known.",
    _NEXT,
)
DOUBTED = Rule(
    "package.record-contradicted",
    "The package database says what its own traces deny",
    Severity.HIGH,
    ("T1070", "T1036"),
    "An entry made by hand lets a foreign file pass as a package's.",
    "Package logs or documentation removed on purpose in the running container.",
    "Do not trust what the database says of this package; judge its files one by one.",
    Confidence.MEDIUM,
)
UNOWNED = Rule(
    "package.file-unowned",
    "A program lies in the distribution's own folders and belongs to no package",
    Severity.MEDIUM,
    ("T1036.005", "T1105"),
    "Those folders are the package manager's; what is put there by hand hides among the others.",
    "Images that copy their program to /usr/bin instead of /usr/local/bin.",
    "Find out where it came from: its layer, its history line, its digest.",
    Confidence.MEDIUM,
)
DELETED = Rule(
    "package.file-deleted",
    "A program or library of a package is gone",
    Severity.MEDIUM,
    ("T1070.004",),
    "Intruders remove the tools that would show or stop them.",
    "Images that are slimmed or hardened by deleting programs.",
    "Check whether something else now answers to its name.",
    Confidence.MEDIUM,
)
CHANGED = Rule(
    "package.changed-after-image",
    "Packages were installed, upgraded or removed in the running container",
    Severity.LOW,
    ("T1105",),
    "Containers are changed by new images; what was installed later shows what somebody wanted to do.",
    "An administrator's diagnosis; an entry point that installs what it needs.",
    "Read the list: compilers, network tools and scanners tell the purpose.",
)
UNLOCKED = Rule(
    "package.not-the-locked-version",
    "An installed package of Node is not the version that the lock file names",
    Severity.LOW,
    ("T1195.001",),
    "The lock file says what was reviewed; another version came past it.",
    "Packages updated by hand without writing the lock file.",
    "Install again from the lock file (`npm ci`) and compare.",
    Confidence.MEDIUM,
)
_MOST_IN_TEXT = 6


def analyze_packages(view: CaseView) -> Iterator[Finding]:
    """Report every disagreement; what came about while the image was built weighs less than what came later."""
    packages = view.files.packages
    modified = [misfit for misfit in packages.checked.modified if not _is_told_elsewhere(misfit, view)]
    yield from _report(MODIFIED, modified, view, later=Severity.HIGH, earlier=Severity.MEDIUM)
    yield from _report(DATABASE, packages.checked.tampered, view, later=Severity.CRITICAL, earlier=Severity.CRITICAL)
    yield from _report(DELETED, packages.checked.deleted, view, later=Severity.MEDIUM, earlier=Severity.INFO)
    yield from _report(UNOWNED, packages.checked.unowned, view, later=Severity.MEDIUM, earlier=Severity.LOW)
    if packages.doubted:
        text = "; ".join(f"{from_bytes(name)}: {why}" for name, why in sorted(packages.doubted.items()))
        databases = {package.database for package in packages.installed if package.name in packages.doubted}
        yield DOUBTED.found(text, [view.files.reference(path) for path in sorted(databases)])
    if packages.changed:
        paths = {package.database for package in packages.installed if package.type in {"deb", "apk", "rpm"}}
        text = f"{len(packages.changed)} packages: {', '.join(packages.changed[:20])}"
        yield CHANGED.found(text, [view.files.reference(path) for path in sorted(paths)])
    conflicts = list(find_lock_conflicts(packages))
    if conflicts:
        text = "; ".join(f"{show_path(path)}: {now} instead of {wanted}" for path, now, wanted in conflicts)
        yield UNLOCKED.found(text, [view.files.reference(path) for path, _, _ in conflicts])


def _is_told_elsewhere(misfit: Misfit, view: CaseView) -> bool:
    """Whether the comparison with the image's own file says it already: a system program replaced at run time."""
    files = view.files
    if misfit.type or not (misfit.is_runtime and misfit.is_program) or files.base is None or files.final is None:
        return False
    entry = files.final.get(misfit.path)
    is_native = entry is not None and files.kind_of(entry.sha256 or "") in {Kind.ELF, Kind.SCRIPT}
    return is_native and files.base.get(misfit.path) is not None


def _report(
    rule: Rule, misfits: Iterable[Misfit], view: CaseView, *, later: Severity, earlier: Severity
) -> Iterator[Finding]:
    """Yield one finding for what came at run time and one for what was built; mere data weighs little."""
    groups: dict[Severity, list[Misfit]] = {}
    for misfit in misfits:
        severity = later if misfit.is_runtime else earlier
        groups.setdefault(severity if misfit.is_program else Severity.LOW, []).append(misfit)
    for severity, group in groups.items():
        yield rule.found(_list(group), [view.files.reference(misfit.path) for misfit in group], severity=severity)


def _list(group: list[Misfit]) -> str:
    shown = [
        f"{show_path(misfit.path)} ({from_bytes(misfit.package)})" if misfit.package else show_path(misfit.path)
        for misfit in group[:_MOST_IN_TEXT]
    ]
    more = f" and {len(group) - _MOST_IN_TEXT} more" if len(group) > _MOST_IN_TEXT else ""
    return ", ".join(shown) + more
