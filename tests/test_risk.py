"""The risk signals, on documents of the engine's own shape; the real engine's are in tests/cli/test_ps.py."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forensics.model import Severity
from forensics.risk import assess_risk, choose_level, list_violations, mask_secrets, total_score

SAFE: dict[str, Any] = {
    "AppArmorProfile": "docker-default",
    "Config": {"User": "1000:1000", "Env": ["PATH=/bin"]},
    "HostConfig": {
        "Privileged": False,
        "SecurityOpt": ["no-new-privileges"],
        "ReadonlyRootfs": True,
        "Memory": 1 << 26,
        "PidsLimit": 64,
        "NanoCpus": 10**9,
        "NetworkMode": "bridge",
        "CapAdd": ["CHOWN", "CAP_NET_BIND_SERVICE"],
        "MaskedPaths": ["/proc/asound"],
    },
    "Mounts": [{"Type": "volume", "Source": "/var/lib/docker/volumes/v/_data", "Destination": "/data", "RW": True}],
    "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": None}},
}


def with_host(**changes: Any) -> dict[str, Any]:
    return {**SAFE, "HostConfig": {**SAFE["HostConfig"], **changes}}


def with_mount(source: str, *, rw: bool = True, kind: str = "bind") -> dict[str, Any]:
    return {**SAFE, "Mounts": [{"Type": kind, "Source": source, "Destination": "/x", "RW": rw}]}


def rules(document: dict[str, Any]) -> list[str]:
    return [signal.rule for signal in assess_risk(document)]


def test_a_hardened_container_has_no_signal() -> None:
    assert assess_risk(SAFE) == ()


def test_an_empty_document_is_assessed_without_failing() -> None:
    assert "risk.root-user" in rules({})


@pytest.mark.parametrize(
    ("changes", "rule", "cis"),
    [
        ({"Privileged": True}, "risk.privileged", "5.5"),
        ({"NetworkMode": "host"}, "risk.host-network", "5.10"),
        ({"PidMode": "host"}, "risk.host-pid", "5.16"),
        ({"IpcMode": "host"}, "risk.host-ipc", "5.17"),
        ({"UTSMode": "host"}, "risk.host-uts", "5.21"),
        ({"UsernsMode": "host"}, "risk.host-user", "5.31"),
        ({"NetworkMode": "container:abc"}, "risk.shared-network", ""),
        ({"CapAdd": ["SYS_ADMIN"]}, "risk.capability", "5.4"),
        ({"CapAdd": ["CAP_BPF"]}, "risk.capability", "5.4"),
        ({"CapAdd": ["ALL"]}, "risk.capability", "5.4"),
        ({"CapAdd": ["NEW_UNHEARD_OF"]}, "risk.capability", "5.4"),
        ({"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]}, "risk.no-seccomp", "5.22"),
        ({"SecurityOpt": ["no-new-privileges", "seccomp:unconfined"]}, "risk.no-seccomp", "5.22"),
        ({"SecurityOpt": ["no-new-privileges", "apparmor=unconfined"]}, "risk.no-apparmor", "5.2"),
        ({"SecurityOpt": ["no-new-privileges", "label=disable"]}, "risk.no-selinux", "5.3"),
        ({"SecurityOpt": []}, "risk.new-privileges", "5.26"),
        ({"MaskedPaths": []}, "risk.unmasked-paths", ""),
        ({"ReadonlyRootfs": False}, "risk.writable-root", "5.13"),
        ({"Memory": 0}, "risk.no-memory-limit", "5.11"),
        ({"PidsLimit": None}, "risk.no-processes-limit", "5.29"),
        ({"PidsLimit": -1}, "risk.no-processes-limit", "5.29"),
        ({"NanoCpus": 0}, "risk.no-processor-limit", "5.12"),
        ({"AutoRemove": True}, "risk.auto-remove", ""),
        ({"Devices": [{"PathOnHost": "/dev/sda1"}]}, "risk.device", "5.18"),
        ({"Devices": [{"PathOnHost": "/dev/mem"}]}, "risk.device", "5.18"),
    ],
)
def test_each_setting_gives_exactly_its_signal(changes: dict[str, Any], rule: str, cis: str) -> None:
    signals = assess_risk(with_host(**changes))

    assert [(signal.rule, signal.cis) for signal in signals] == [(rule, cis)]
    assert signals[0].why


@pytest.mark.parametrize(
    ("source", "rule", "severity"),
    [
        ("/", "risk.host-root", Severity.CRITICAL),
        ("//", "risk.host-root", Severity.CRITICAL),
        ("/etc/..", "risk.host-root", Severity.CRITICAL),
        ("/var/run/docker.sock", "risk.engine-socket", Severity.CRITICAL),
        ("/run/containerd/containerd.sock", "risk.engine-socket", Severity.CRITICAL),
        ("/run/podman/podman.sock", "risk.engine-socket", Severity.CRITICAL),
        ("/srv/hidden/docker.sock", "risk.engine-socket", Severity.CRITICAL),
        ("/var/run", "risk.engine-socket", Severity.CRITICAL),
        ("/etc", "risk.host-mount", Severity.CRITICAL),
        ("/root", "risk.host-mount", Severity.CRITICAL),
        ("/root/.ssh", "risk.host-mount", Severity.CRITICAL),
        ("/proc", "risk.host-mount", Severity.CRITICAL),
        ("/sys", "risk.host-mount", Severity.HIGH),
        ("/dev", "risk.host-mount", Severity.CRITICAL),
        ("/var/lib/docker", "risk.host-mount", Severity.CRITICAL),
        ("/var/log/nginx", "risk.host-mount", Severity.LOW),
    ],
)
def test_sensitive_mounts(source: str, rule: str, severity: Severity) -> None:
    signals = assess_risk(with_mount(source))

    assert [(signal.rule, signal.severity) for signal in signals] == [(rule, severity)]
    assert signals[0].cis in {"5.6", "5.32"}


@pytest.mark.parametrize("source", ["/data/app", "/etcetera", "/etc/localtime", "/usr/share/zoneinfo/UTC"])
def test_harmless_mounts(source: str) -> None:
    assert rules(with_mount(source)) == []


def test_a_volume_below_the_engines_own_folder_is_no_host_mount() -> None:
    assert rules(with_mount("/var/lib/docker/volumes/x/_data", kind="volume")) == []


def test_a_read_only_mount_scores_less() -> None:
    writable, read_only = assess_risk(with_mount("/etc")), assess_risk(with_mount("/etc", rw=False))

    assert total_score(read_only) < total_score(writable)


def test_privileged_does_not_count_capabilities_twice() -> None:
    assert rules(with_host(Privileged=True, CapAdd=["SYS_ADMIN"], SecurityOpt=["seccomp=unconfined"])) == [
        "risk.privileged"
    ]


def test_published_on_all_addresses() -> None:
    ports = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "80"}, {"HostIp": "::", "HostPort": "80"}]}  # noqa: S104
    (signal,) = assess_risk({**SAFE, "NetworkSettings": {"Ports": ports}})

    assert (signal.rule, signal.matched, signal.cis) == ("risk.exposed-port", "80 → 80/tcp", "5.14")


@pytest.mark.parametrize(
    "entry",
    [
        "DB_PASSWORD=hunter2hunter2",
        "API_KEY=0123456789",
        "apikey=0123456789",
        "X=AKIAIOSFODNN7EXAMPLE",
        "DATABASE_URL=postgres://app:s3cr3tvalue@db/app",
        "K=ghp_" + "a" * 36,
        "JWT=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijkl",
    ],
)
def test_secrets_in_the_environment_are_found_and_never_shown(entry: str) -> None:
    config = {**SAFE["Config"], "Env": [entry]}
    (signal,) = assess_risk({**SAFE, "Config": config})

    assert (signal.rule, signal.cis) == ("risk.secret-environment", "4.10")
    assert entry.partition("=")[2] not in str(signal)
    assert signal.matched.startswith(entry.partition("=")[0])


@pytest.mark.parametrize(
    "entry", ["PASSWORD_FILE=/run/secrets/db", "TOKEN=", "DEBUG=1", "SECRET=/run/secrets/x", "PATH=/bin", "KEYBOARD=de"]
)
def test_what_is_no_secret(entry: str) -> None:
    assert rules({**SAFE, "Config": {**SAFE["Config"], "Env": [entry]}}) == []


def test_a_secret_of_the_image_is_told_from_one_of_the_container() -> None:
    config = {**SAFE["Config"], "Env": ["A_TOKEN=0123456789", "B_TOKEN=0123456789"]}
    image = {"Config": {"Env": ["A_TOKEN=0123456789"]}}
    titles = [signal.title for signal in assess_risk({**SAFE, "Config": config}, image)]

    assert titles == ["secret built into the image", "secret in the environment"]


@pytest.mark.parametrize(
    ("step", "shown"),
    [
        ("ENV DB_PASSWORD=hunter2", "ENV DB_PASSWORD=**** (7 characters)"),
        ("ENV DB_PASSWORD hunter2", "ENV DB_PASSWORD **** (7 characters)"),
        ("RUN curl --password s3cret x", "RUN curl --password **** (6 characters) x"),
        ("RUN git clone https://u:p4ss@h/r", "RUN git clone https://u:**** (4 characters)@h/r"),
        ('{"token": "abcdef"}', '{"token": **** (6 characters)}'),
    ],
)
def test_secrets_in_the_history_are_masked(step: str, shown: str) -> None:
    (signal,) = assess_risk(SAFE, None, [{"CreatedBy": step}])

    assert (signal.rule, signal.matched) == ("risk.secret-history", shown)


@pytest.mark.parametrize(
    "step",
    [
        *("RUN apt-get install -y libsecret-1-0 curl", "ENV TOKEN=$TOKEN", "ENV TOKEN_FILE=/run/t", "CMD [sh]"),
        "RUN echo 'bob ALL=(ALL) NOPASSWD:/usr/bin/vim' > /etc/sudoers.d/bob",
    ],
)
def test_history_without_secrets_stays_as_it_is(step: str) -> None:
    assert mask_secrets(step) == step
    assert assess_risk(SAFE, None, [{"CreatedBy": step}]) == ()


@pytest.mark.parametrize(
    "text", ["a" * 65_000, "password" * 8_000, "a://" * 16_000, "ENV " * 16_000, "-----BEGIN " * 6_000]
)
def test_hostile_text_does_not_slow_the_search(text: str) -> None:
    started = time.monotonic()
    mask_secrets(text)
    assess_risk({**SAFE, "Config": {**SAFE["Config"], "Env": [f"{text}={text}"]}})

    assert time.monotonic() - started < 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = (
    *("Privileged", "CapAdd", "SecurityOpt", "MaskedPaths", "NetworkMode", "Devices", "PortBindings", "Memory"),
    *("PidsLimit", "NanoCpus", "AutoRemove"),
)


@given(
    host=st.dictionaries(st.sampled_from(KEYS), JSON) | JSON,
    config=st.dictionaries(st.sampled_from(("User", "Env")), JSON) | JSON,
    mounts=st.lists(st.dictionaries(st.sampled_from(("Type", "Source", "RW", "Propagation")), JSON)) | JSON,
    network=st.dictionaries(st.just("Ports"), JSON) | JSON,
)
def test_a_document_of_any_shape_is_assessed_without_failing(
    host: object, config: object, mounts: object, network: object
) -> None:
    """A case may come from an engine we never met, or from an attacker."""
    document = {"HostConfig": host, "Config": config, "Mounts": mounts, "NetworkSettings": network}
    for signal in assess_risk(document, {"Config": config}, [{"CreatedBy": host}]):
        assert signal.why
        assert signal.score >= 0


def test_signals_are_sorted_worst_first() -> None:
    document = {
        **with_mount("/var/run/docker.sock"),
        "HostConfig": {**SAFE["HostConfig"], "Privileged": True, "Memory": 0},
    }
    scores = [signal.score for signal in assess_risk(document)]

    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 100


@pytest.mark.parametrize(
    ("source", "destination", "engine"),
    [
        ("/opt/odd/d.sock", "/var/run/docker.sock", ""),
        ("/opt/odd/d.sock", "/run/docker.sock", ""),
        ("/opt/odd/p", "/run/podman/podman.sock", ""),
        ("/opt/odd/c", "/run/containerd/containerd.sock", ""),
        ("/opt/odd/c", "/var/run/crio/crio.sock", ""),
        ("/opt/odd/d.sock", "/innocent", "unix:///opt/odd/d.sock"),
        ("/opt/odd//./d.sock", "/innocent", "/opt/odd/d.sock"),
        ("/run/mine.sock", "/innocent", "unix:///var/run/mine.sock"),
        ("/opt/odd", "/innocent", "unix:///opt/odd/d.sock"),
    ],
)
def test_an_engine_socket_is_known_under_any_name(source: str, destination: str, engine: str) -> None:
    mount = {"Type": "bind", "Source": source, "Destination": destination, "RW": True}
    signals = assess_risk({**SAFE, "Mounts": [mount]}, engine_socket=engine)
    assert [(signal.rule, signal.severity) for signal in signals] == [("risk.engine-socket", Severity.CRITICAL)]


@pytest.mark.parametrize("engine", ["", "unix:///opt/odd/d.sock", "tcp://10.0.0.1:2376", "ssh://root@/opt/app"])
@pytest.mark.parametrize("source", ["/opt/other/d.sock", "/data/app", "/opt/od"])
def test_other_mounts_are_no_engine_sockets(source: str, engine: str) -> None:
    mount = {"Type": "bind", "Source": source, "Destination": "/x", "RW": True}
    signals = assess_risk({**SAFE, "Mounts": [mount]}, engine_socket=engine)
    assert "risk.engine-socket" not in [signal.rule for signal in signals]


@pytest.mark.parametrize(
    ("document", "level", "control"),
    [
        (with_host(Privileged=True), "baseline", "Privileged Containers"),
        (with_host(NetworkMode="host"), "baseline", "Host Namespaces"),
        (with_host(CapAdd=["SYS_ADMIN"]), "baseline", "Capabilities"),
        (with_host(CapAdd=["NET_ADMIN"]), "baseline", "Capabilities"),
        (with_host(SecurityOpt=["no-new-privileges", "seccomp=unconfined"]), "baseline", "Seccomp"),
        (with_host(MaskedPaths=[]), "baseline", "/proc Mount Type"),
        (with_host(Sysctls={"kernel.core_pattern": "|/x"}), "baseline", "Sysctls"),
        (with_mount("/var/run/docker.sock"), "baseline", "HostPath Volumes"),
        (with_mount("/etc"), "baseline", "HostPath Volumes"),
        (with_host(SecurityOpt=[]), "restricted", "Privilege Escalation"),
        ({**SAFE, "Config": {"User": ""}}, "restricted", "Running as Non-root"),
        (SAFE, "restricted", "Capabilities"),
    ],
)
def test_pod_security_standards(document: dict[str, Any], level: str, control: str) -> None:
    violations = list(list_violations(document, assess_risk(document)))

    assert (level, control) in violations
    assert choose_level(violations) == ("privileged" if level == "baseline" else "baseline")


def test_a_hardened_container_is_admitted_by_restricted() -> None:
    document = with_host(CapDrop=["ALL"])

    assert list(list_violations(document, assess_risk(document))) == []
    assert choose_level([]) == "restricted"


@pytest.mark.parametrize(
    ("changes", "rule", "severity"),
    [
        ({"DeviceCgroupRules": ["a *:* rwm"]}, "risk.device", Severity.HIGH),
        ({"DeviceCgroupRules": ["c 10:200 rwm"]}, "risk.device", Severity.LOW),
        ({"Sysctls": {"kernel.shm_rmid_forced": "0"}}, None, None),
        ({"Sysctls": {"net.ipv4.ip_forward": "1"}}, "risk.sysctl", Severity.LOW),
        ({"OomKillDisable": True}, "risk.no-oom-kill", Severity.LOW),
    ],
)
def test_kernel_settings(changes: dict[str, Any], rule: str | None, severity: Severity | None) -> None:
    found = [(signal.rule, signal.severity) for signal in assess_risk(with_host(**changes))]

    assert found == ([(rule, severity)] if rule else [])


@pytest.mark.parametrize(
    "entry", ["ALLOW_EMPTY_PASSWORD=yes", "TOKEN_LIMIT=1000", "SECRET=${FROM_VAULT}", "A_KEY=<none>"]
)
def test_switches_and_holes_of_templates_are_no_secrets(entry: str) -> None:
    assert rules({**SAFE, "Config": {**SAFE["Config"], "Env": [entry]}}) == []
