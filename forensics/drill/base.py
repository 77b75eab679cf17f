"""The smallest real system: the host's static busybox, a handful of stand-in system binaries, and a service.

No registry and no network: everything comes from this host. The service is what a drill's container runs: it serves a
folder over HTTP and works off a spool of jobs. The drill's plant arrives as such a job, the way a hole in a real
service would be used, so planted processes are children of the service and nothing is executed from outside.
"""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from forensics.drill.image import RecipeFile, RecipeLayer
from forensics.drill.stub import build_stub
from forensics.engine.base import ContainerSpec, EngineAnswerError
from forensics.errors import UsageError
from forensics.text import show

if TYPE_CHECKING:
    from forensics.engine.docker import DockerEngine

SPOOL = "/var/spool/orders"
READY_LINE = b"order worked off"
COMMAND = ("/bin/sh", "/srv/orders/service")
_HINT = "install it: apt-get install busybox-static; or name an image of your engine that has one with --image"
_INTERPRETED = b"\x03\x00\x00\x00"
_APPLETS = """
awk base64 basename cat chgrp chmod chown cp crond crontab cut date dd df dirname du echo env expr false find free grep
gunzip gzip head hostname httpd id ifconfig ip kill killall ln ls md5sum mkdir mkfifo mknod mktemp mount mv nc netstat
nice nohup nslookup pgrep ping pkill printf ps pwd readlink realpath rm rmdir route sed seq setsid sh sha256sum sleep
sort stat su tail tar tee test timeout touch tr true umount uname uniq usleep vi wc wget which whoami xargs
"""
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
    found = shutil.which("busybox")
    if not found:
        raise UsageError("drills are built from a static busybox, and this host has none", hint=_HINT)
    return _check_static(Path(found).read_bytes(), found)


def read_busybox_of(engine: DockerEngine, image: str, labels: tuple[tuple[str, str], ...]) -> bytes:
    """Return the static busybox of an image that the engine has; the image is not started.

    Raises:
        UsageError: the image is unknown, or has no static /bin/busybox.
    """
    try:
        container = engine.create_container(ContainerSpec(image=image, command=("/bin/true",), labels=labels))
    except EngineAnswerError as error:
        raise UsageError(f"the engine has no usable image {show(image)}: {error.message}", hint=_HINT) from error
    try:
        raw = b"".join(engine.read_archive(container, "/bin/busybox"))
    except EngineAnswerError as error:
        raise UsageError(f"the image {show(image)} has no /bin/busybox", hint=_HINT) from error
    finally:
        engine.remove_container(container, force=True)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        member = tar.next()
        file = tar.extractfile(member) if member and member.isreg() else None
        content = file.read() if file else b""
    return _check_static(content, f"{show(image)}:/bin/busybox")


def _check_static(content: bytes, where: str) -> bytes:
    if not content.startswith(b"\x7fELF") or _is_dynamic(content):
        raise UsageError(f"{where} is not a static program", hint=_HINT)
    return content


def build_base(busybox: bytes) -> RecipeLayer:
    """Return the bottom layer of a drill's image."""
    files = [RecipeFile("/bin/busybox", busybox, 0o755)]
    files += [RecipeFile(f"/bin/{name}", target="busybox", mode=0o777) for name in _APPLETS.split()]
    files += [RecipeFile(path, build_stub(f"{Path(path).name} (stand-in)\n"), 0o755) for path in _SYSTEM]
    for path, text in _TEXTS.items():
        mode = 0o755 if path in _EXECUTABLE else 0o640 if path == "/etc/shadow" else 0o644
        files.append(RecipeFile(path, text.encode(), mode))
    files += [RecipeFile(path, folder=True, mode=0o755) for path in _FOLDERS]
    files += [RecipeFile(path, folder=True, mode=0o1777) for path in _OPEN_FOLDERS]
    return RecipeLayer("/bin/sh -c #(nop) ADD file:base in / ", tuple(files))


def _is_dynamic(content: bytes) -> bool:
    """Whether a 64-bit ELF names an interpreter (PT_INTERP): then it needs libraries that the image has not."""
    offset, size, count = (
        int.from_bytes(content[32:40], "little"),
        int.from_bytes(content[54:56], "little"),
        int.from_bytes(content[56:58], "little"),
    )
    headers = (content[offset + number * size :][:4] for number in range(count))
    return _INTERPRETED in headers
