"""Nodes for disks: the engine's own are for information, one that somebody made is grave; numbers are shown."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from analyze_cases import F, layer, make_case

from forensics.analyze import build_analysis
from forensics.model import Analysis, Finding, Severity

BASE = layer({"etc/os-release": "x"})


def nodes(*names: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.type, info.devmajor, info.devminor = tarfile.BLKTYPE, 253, number
            archive.addfile(info)
    return raw.getvalue()


def examine(tmp_path: Path, changed: bytes, tmpfs: dict[str, bytes], **settings: Any) -> Analysis:
    inspect = {"HostConfig": settings, "Config": {}}
    with make_case(tmp_path / "case", [BASE, changed], {"inspect": inspect}) as case:
        for mount, content in tmpfs.items():
            case.add("tmpfs", [content], source="test", method="test", attributes={"mount": mount})
        return build_analysis(case, yara=False)


def found_in(analysis: Analysis) -> list[Finding]:
    return [finding for finding in analysis.findings if finding.rule == "privilege.block-device-node"]


def test_the_nodes_of_a_privileged_container_are_one_finding_for_information(tmp_path: Path) -> None:
    analysis = examine(tmp_path, layer({}), {"/dev": nodes("vda", "loop0")}, Privileged=True)
    assert [finding.severity for finding in found_in(analysis)] == [Severity.INFO]
    assert found_in(analysis)[0].matched == "/dev/loop0 (block 253:1), /dev/vda (block 253:0)"
    assert len(found_in(analysis)[0].evidence) == 2


def test_a_device_that_was_given_is_for_information_and_its_neighbour_is_not(tmp_path: Path) -> None:
    given = [{"PathOnHost": "/dev/vda", "PathInContainer": "/dev/vda", "CgroupPermissions": "rwm"}]
    analysis = examine(tmp_path, layer({}), {"/dev": nodes("vda", "vda1")}, Devices=given)
    assert [(finding.severity, finding.matched) for finding in found_in(analysis)] == [
        (Severity.HIGH, "/dev/vda1 (block 253:1)"),
        (Severity.INFO, "/dev/vda (block 253:0)"),
    ]


@pytest.mark.parametrize("privileged", [True, False])
def test_a_node_in_a_layer_or_outside_dev_is_grave(tmp_path: Path, privileged: bool) -> None:
    analysis = examine(tmp_path, nodes("dev/sda", "opt/.d"), {"/run": nodes("x")}, Privileged=privileged)
    assert [finding.severity for finding in found_in(analysis)] == [Severity.HIGH]
    assert found_in(analysis)[0].matched == "/dev/sda (block 253:0), /opt/.d (block 253:1), /run/x (block 253:0)"


def _see_mount(root: Path, destination: str, seen: str, files: dict[str, F]) -> set[str]:
    inspect = {"Id": "a" * 64, "Mounts": [{"Type": "bind", "Source": "/x.sock", "Destination": destination}]}
    mounts = {"namespaces": [{"mounts": [{"path": seen, "type": "ext4", "source": "/dev/vda", "root": "/x.sock"}]}]}
    with make_case(root, [layer(files)], {"inspect": inspect, "mounts": mounts}) as case:
        return {finding.rule for finding in build_analysis(case, yara=False).findings}


def test_a_mount_asked_for_behind_a_link_is_the_engines_own(tmp_path: Path) -> None:
    linked = {"var/run": F(target="/run"), "srv": F(target="data/../mnt"), "mnt/a": F(b"")}
    views = {"views.mount-not-in-inspect", "views.mount-missing"}
    assert not views & _see_mount(tmp_path / "1", "/var/run/docker.sock", "/run/docker.sock", linked)
    assert not views & _see_mount(tmp_path / "2", "/srv/x", "/mnt/x", linked)
    assert views <= _see_mount(tmp_path / "3", "/srv/x", "/elsewhere/x", linked)
