"""A real cron reads the crontab that `ir drill schedule` wrote, and a drill result appears in the history.

The daemon runs in a mount namespace of its own, with a spool and a /run of its own: the crontabs of this machine are
neither read nor changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.drill.history import read_runs

pytestmark = pytest.mark.docker

_SCRIPT = """
set -eu
mkdir -p "$OWN/spool/crontabs" "$OWN/cron.d" "$OWN/run"
chmod 1730 "$OWN/spool/crontabs"
chgrp crontab "$OWN/spool/crontabs"
: >"$OWN/crontab"
mount --make-rprivate /
mount --bind "$OWN/spool" /var/spool/cron
mount --bind "$OWN/cron.d" /etc/cron.d
[ ! -e /etc/crontab ] || mount --bind "$OWN/crontab" /etc/crontab
mount --rbind /run "$OWN/run"
mount -t tmpfs tmpfs /run
for there in "$OWN"/run/*; do
  [ "${there##*/}" = crond.pid ] || ln -s "$there" /run/
done
"$PYTHON" -m forensics drill schedule memory-only --cron '* * * * *' --crontab
crontab -l >"$OWN/installed"
exec cron -f
"""


@pytest.fixture
def cron(docker_host: str, own_folders: Path) -> Iterator[Path]:
    """Run cron with the crontab of a drill; return the folder that it works in."""
    assert docker_host
    folder = own_folders / "cron"
    folder.mkdir()
    environment = {**os.environ, "OWN": str(folder), "PYTHON": sys.executable}
    environment["PATH"] += ":/usr/sbin:/sbin"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _SCRIPT], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    yield folder
    process.terminate()
    process.wait(10)


@pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace for cron needs root")
@pytest.mark.timeout(280)
def test_cron_runs_the_drill_and_its_result_is_in_the_history(cron: Path) -> None:
    assert shutil.which("cron", path=f"{os.environ['PATH']}:/usr/sbin"), "lab/packages.sh test installs it"
    deadline = time.monotonic() + 200
    while not read_runs() and time.monotonic() < deadline:
        time.sleep(0.5)
    assert "ir-drill:memory-only" in (cron / "installed").read_text(), (cron / "log").read_text()
    assert read_runs(), (cron / "log").read_text()
    run = read_runs()[0]
    assert (run.scenario, run.passed, run.document["problems"]) == ("memory-only", True, [])
