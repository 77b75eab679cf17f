"""False positives, measured: benign containers of Debian packages that really run, collected and analysed whole.

    debootstrap --variant=minbase bookworm /tmp/root
    DOCKER_HOST=... .venv/bin/python -m benchmarks.benign /tmp/root [NAME ...]

Builds an image for each row on top of the given root with `apt-get install`, with this machine's own apt
configuration and network; runs it, lets it work, collects, analyses, prints a table. Ends with 1 if a container shows
a finding of high or critical severity, or more than three of medium. Not part of `make bench`: it needs a network and
some minutes. Rules are mended in general, never by the name of an image.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

MOST_MEDIUM = 3
BASE = "ir-benign-base:1"
_APT = Path("/etc/apt")


@dataclass(frozen=True)
class Row:
    """One container: what is installed, further build steps, its command, and what is done in it meanwhile."""

    packages: str
    steps: tuple[str, ...]
    command: tuple[str, ...]
    work: str = "true"


ROWS = {
    "nginx": Row(
        "nginx curl", (), ("nginx", "-g", "daemon off;"), "for i in 1 2 3; do curl -s localhost >/dev/null; done"
    ),
    "python": Row(
        "python3 python3-pip curl",
        ("RUN mkdir /srv/www && echo hello > /srv/www/index.html",),
        ("python3", "-m", "http.server", "-d", "/srv/www", "8000"),
        "for i in 1 2 3; do curl -s localhost:8000/ >/dev/null; done",
    ),
    "node": Row(
        "nodejs npm curl",
        ('RUN printf \'require("http").createServer((q,r)=>r.end("ok")).listen(3000)\' > /srv/server.js',),
        ("node", "/srv/server.js"),
        "for i in 1 2 3; do curl -s localhost:3000/ >/dev/null; done",
    ),
    "postgres": Row(
        "postgresql",
        ("USER postgres",),
        (
            *("/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql/15/main"),
            *("-c", "config_file=/etc/postgresql/15/main/postgresql.conf"),
        ),
        "psql -c 'create table t (a int)'",
    ),
    "redis": Row(
        "redis-server",
        ("USER redis",),
        ("redis-server", "--save", "1 1", "--dir", "/var/lib/redis"),
        "for i in 1 2 3; do redis-cli set k$i v; done",
    ),
    "box": Row("curl ca-certificates", (), ("sleep", "infinity"), "date > /var/log/noted.log; ls /"),
    "admin": Row(
        "git gcc make libc6-dev sudo openssh-server cron curl wget netcat-openbsd vim-tiny procps iproute2",
        ("RUN mkdir -p /run/sshd && useradd -m -s /bin/bash dev",),
        ("sh", "-c", "cron && exec /usr/sbin/sshd -D -e"),
        "cd /root && git init -q r && ssh -o BatchMode=yes -o StrictHostKeyChecking=no localhost true",
    ),
}


def main(arguments: list[str]) -> int:
    """Measure the rows named, or all; 1 if a limit does not hold."""
    if not arguments or not Path(arguments[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    _import_base(Path(arguments[0]))
    missed = []
    print(f"{'container':12}{'critical':>9}{'high':>6}{'medium':>8}{'low':>5}{'info':>6}{'seconds':>9}")
    for name in arguments[1:] or ROWS:
        found, seconds = measure(name, ROWS[name])
        counts = Counter(part["severity"] for part in found)
        shown = (counts[key] for key in ("critical", "high", "medium", "low", "info"))
        print("{:12}{:9}{:6}{:8}{:5}{:6}{:9.0f}".format(name, *shown, seconds), flush=True)
        for part in found:
            if part["severity"] in {"critical", "high", "medium"}:
                print(f"    {part['severity']} {part['rule']}: {part['matched'][:160]!r}")
        if counts["critical"] or counts["high"] or counts["medium"] > MOST_MEDIUM:
            missed.append(name)
    print(f"limits missed: {', '.join(missed)}" if missed else "no benign container raised an alarm")
    return 1 if missed else 0


def _import_base(root: Path) -> None:
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(["docker", "import", "-", BASE], stdin=tar.stdout, check=True, capture_output=True)


def measure(name: str, row: Row) -> tuple[list[dict[str, str]], float]:
    """Build, run, collect and analyse one row; return its findings, and how long the analysis took."""
    image, container = f"ir-benign-{name}:1", f"ir-benign-{name}"
    with tempfile.TemporaryDirectory(prefix="ir-benign-") as folder:
        _build(Path(folder), image, row)
        _docker("rm", "-f", container, check=False)
        _docker("run", "-d", "--name", container, image, *row.command)
        try:
            time.sleep(3)
            _docker("exec", container, "sh", "-c", row.work, check=False)
            case = Path(folder) / "case"
            _ir("collect", container, "--case", str(case))
            begun = time.monotonic()
            _ir("analyze", str(case), "--json")
            lines = (case / "analysis" / "findings.jsonl").read_text("ascii").splitlines()
            return [json.loads(line) for line in lines], time.monotonic() - begun
        finally:
            _docker("rm", "-f", container, check=False)


def _build(folder: Path, image: str, row: Row) -> None:
    (folder / "apt").mkdir()
    for part in ("sources.list.d", "apt.conf.d"):
        if (_APT / part).is_dir():
            shutil.copytree(_APT / part, folder / "apt" / part)
    install = f"apt-get update && apt-get install -y --no-install-recommends {row.packages}"
    lines = [f"FROM {BASE}", "COPY apt /etc/apt", f"RUN {install} && rm -rf /var/lib/apt/lists/*", *row.steps]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    _docker("build", "-q", "--network", "host", "-t", image, str(folder))


def _docker(*arguments: str, check: bool = True) -> None:
    environment = {**os.environ, "DOCKER_BUILDKIT": "0"}
    subprocess.run(["docker", *arguments], check=check, capture_output=True, env=environment)


def _ir(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "forensics", *arguments], check=False, capture_output=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
