"""The inventory as CycloneDX: valid by the official schema, however hostile the names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL
from report_samples import build_analysis, build_case

from forensics.analyze.inventory import make_purl
from forensics.analyze.package import Installed
from forensics.model import Package
from forensics.report.build import build
from forensics.report.formats import render

DEBIAN = {"ID": "debian", "VERSION_ID": "12"}
SOURCES = (
    Installed("deb", b"libstdc++6", "12.2.0-14+deb12u1", b"var/lib/dpkg/status", architecture="amd64"),
    Installed("rpm", b"bash", "1:5.2-3.fc40", b"var/lib/rpm/rpmdb.sqlite", architecture="x86_64", licence="GPLv3+"),
    Installed("apk", b"musl", "1.2.4-r2", b"lib/apk/db/installed"),
    Installed("pypi", b"Big_Lib", "2.0", b"x.dist-info/METADATA"),
    Installed("npm", b"@scope/name", "1.0.0-rc.1", b"node_modules/@scope/name/package.json", licence="MIT"),
    Installed("npm", b'ev\xffil"\x1b[2J</script>?#@%', "1 ?&\n", b"\xff\n"),
)


def make_package(source: Installed) -> Package:
    purl = make_purl(source, DEBIAN if source.type == "deb" else {})
    name = source.name.decode("utf-8", "surrogateescape")
    return Package(source.type, name, source.version, purl, source.database, "sha256:" + "a" * 64, source.licence)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    analysis = replace(build_analysis(), packages=tuple(map(make_package, SOURCES)))
    with build_case(tmp_path_factory.mktemp("cyclonedx") / "case") as case:
        return render(build(case, analysis), "cyclonedx")


def test_the_official_schema_accepts_it(document: str) -> None:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)
    assert error is None, error


def test_the_schema_would_refuse_a_wrong_one(document: str) -> None:
    broken: dict[str, Any] = json.loads(document)
    broken["components"][0]["type"] = "thing"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_every_package_url_is_read_back_to_what_it_names(document: str) -> None:
    found = [PackageURL.from_string(component["purl"]) for component in json.loads(document)["components"]]
    assert [(url.type, url.namespace, url.name, url.version, url.qualifiers) for url in found[:5]] == [
        ("deb", "debian", "libstdc++6", "12.2.0-14+deb12u1", {"arch": "amd64", "distro": "debian-12"}),
        ("rpm", None, "bash", "5.2-3.fc40", {"arch": "x86_64", "epoch": "1"}),
        ("apk", "alpine", "musl", "1.2.4-r2", {}),
        ("pypi", None, "big-lib", "2.0", {}),
        ("npm", "@scope", "name", "1.0.0-rc.1", {}),
    ]
    assert found[5].type == "npm"


def test_what_could_not_be_read_makes_it_incomplete(tmp_path: Path) -> None:
    with build_case(tmp_path / "case") as case:
        report = build(case, build_analysis())
    assert json.loads(render(report, "cyclonedx"))["compositions"][0]["aggregate"] == "incomplete"
    assert json.loads(render(replace(report, gaps=()), "cyclonedx"))["compositions"][0]["aggregate"] == "unknown"
