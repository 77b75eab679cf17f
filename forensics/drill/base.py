"""The smallest real system: the host's static busybox, a handful of stand-in system binaries, and a service.

No registry and no network: everything comes from this host. The service is what a drill's container runs: it serves a
folder over HTTP and works off a spool of jobs. The drill's plant arrives as such a job, the way a hole in a real
service would be used, so planted processes are children of the service and nothing is executed from outside.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from forensics.drill.image import RecipeFile, RecipeLayer
from forensics.drill.stub import build_stub
from forensics.errors import UsageError

SPOOL = "/var/spool/orders"
READY_LINE = b"order worked off"
COMMAND = ("/bin/sh", "/srv/orders/service")
_INTERPRETED = b"\x03\x00\x00\x00"
_SYSTEM = ("/usr/sbin/sshd", "/usr/bin/passwd", "/usr/bin/sudo", "/usr/bin/curl", "/usr/bin/openssl")
_SERVICE = f"""#!/bin/sh
# orders: serves the catalogue and works off the spool
httpd -p 8080 -h /var/www/html
echo "orders: ready"
while :; do
  for order in {SPOOL}/*.order; do
    [ -f "$order" ] || continue
    . "$order"
    rm -f "$order"
    echo "orders: {READY_LINE.decode()}"
  done
  usleep 100000
done
"""
_TEXTS = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\n",
    "/etc/group": "root:x:0:\nwww-data:x:33:\n",
    "/etc/shadow": "root:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\n",
    "/etc/os-release": 'NAME="Drill base"\nID=drill\n',
    "/etc/crontabs/root": "# m h dom mon dow command\n15 3 * * * find /var/log -name '*.gz' -mtime +30 -delete\n",
    "/var/www/html/index.html": "<!doctype html><title>Catalogue</title><h1>Catalogue</h1>\n",
    "/srv/orders/service": _SERVICE,
}
_EXECUTABLE = frozenset({"/srv/orders/service"})
_OPEN_FOLDERS = ("/tmp", "/var/tmp")  # noqa: S108 - folders of the image, not of this host
_FOLDERS = ("/dev", "/proc", "/sys", "/run", "/root", "/home", "/var/log", "/opt", SPOOL)


def read_busybox() -> bytes:
    """Return the host's static busybox.

    Raises:
        UsageError: there is none, or it is not static; the hint says what to install.
    """
    hint = "install it: apt-get install busybox-static; or name an image of your engine with --image"
    found = shutil.which("busybox")
    if not found:
        raise UsageError("drills are built from a static busybox, and this host has none", hint=hint)
    content = Path(found).read_bytes()
    if not content.startswith(b"\x7fELF") or _is_dynamic(content):
        raise UsageError(f"{found} is not a static program", hint=hint)
    return content


def build_base(busybox: bytes) -> RecipeLayer:
    """Return the bottom layer of a drill's image."""
    applets = _list_applets()
    files = [RecipeFile("/bin/busybox", busybox, 0o755)]
    files += [RecipeFile(f"/bin/{name}", target="busybox", mode=0o777) for name in sorted(applets)]
    files += [RecipeFile(path, build_stub(f"{Path(path).name} (stand-in)\n"), 0o755) for path in _SYSTEM]
    for path, text in _TEXTS.items():
        mode = 0o755 if path in _EXECUTABLE else 0o640 if path == "/etc/shadow" else 0o644
        files.append(RecipeFile(path, text.encode(), mode))
    files += [RecipeFile(path, folder=True, mode=0o755) for path in _FOLDERS]
    files += [RecipeFile(path, folder=True, mode=0o1777) for path in _OPEN_FOLDERS]
    return RecipeLayer("/bin/sh -c #(nop) ADD file:base in / ", tuple(files))


def _list_applets() -> set[str]:
    found = shutil.which("busybox") or "busybox"
    done = subprocess.run([found, "--list"], capture_output=True, text=True, check=True, timeout=10)
    return set(done.stdout.split()) - {"busybox"}


def _is_dynamic(content: bytes) -> bool:
    """Whether a 64-bit ELF names an interpreter (PT_INTERP): then it needs libraries that the image has not."""
    offset, size, count = (
        int.from_bytes(content[32:40], "little"),
        int.from_bytes(content[54:56], "little"),
        int.from_bytes(content[56:58], "little"),
    )
    headers = (content[offset + number * size :][:4] for number in range(count))
    return _INTERPRETED in headers
