"""A small root file system out of this machine's own Debian packages: real files, real records, no network.

Files are taken as they lie here; documentation that this machine leaves out is left out there too.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

DPKG = Path("/var/lib/dpkg")
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_FOLDERS = ("dev", "etc", "proc", "root", "run", "srv", "sys", "tmp", "var/log", "var/tmp", "home")
_LEFT_OUT = ("/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/lib/python3/dist-packages/")
_ESSENTIAL = ("base-files", "base-passwd", "libc6", "dash", "coreutils", "dpkg", "bash", "sed", "grep")


def read_stanzas() -> dict[str, str]:
    """Return dpkg's stanzas of installed packages by name."""
    blocks = (DPKG / "status").read_text("utf-8").strip().split("\n\n")
    found = {match[1]: block for block in blocks if (match := re.match(r"Package: (\S+)", block))}
    return {name: block for name, block in found.items() if "\nStatus: install ok installed" in block}


def close(names: tuple[str, ...]) -> list[str]:
    """Return *names* and everything that they depend on and that is installed here."""
    stanzas = read_stanzas()
    todo, chosen = [*names, *_ESSENTIAL], dict[str, None]()
    while todo:
        name = todo.pop()
        if name in chosen or name not in stanzas:
            continue
        chosen[name] = None
        for line in re.findall(r"^(?:Pre-)?Depends: (.*)$", stanzas[name], re.MULTILINE):
            todo += [re.split(r"[ :(|]", part.strip())[0] for part in line.split(",")]
    return sorted(chosen)


def _info(name: str, kind: str) -> Path | None:
    return next((path for path in (DPKG / "info").glob(f"{name}*.{kind}") if path.stem.split(":")[0] == name), None)


def _list_files(name: str) -> Iterator[str]:
    listing = _info(name, "list")
    for path in listing.read_text("utf-8").splitlines() if listing else ():
        if not path.startswith(_LEFT_OUT) and not Path(path).is_dir() and os.path.lexists(path):
            yield str(Path(path).parent.resolve() / Path(path).name)


def make_root(names: tuple[str, ...], extra: dict[str, bytes] | None = None) -> bytes:
    """Return a tar of a root that holds the packages *names*, what they need, and the files *extra*."""
    packages, stanzas = close(names), read_stanzas()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for folder in _FOLDERS:
            member = tarfile.TarInfo(folder)
            member.type, member.mode = tarfile.DIRTYPE, 0o1777 if folder in {"tmp", "var/tmp"} else 0o755
            tar.addfile(member)
        for name, target in _LINKS.items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
        for path in sorted({path for name in packages for path in _list_files(name)}):
            tar.add(path, arcname=path.lstrip("/"), recursive=False)
        for name in packages:
            for path in filter(None, (_info(name, "list"), _info(name, "md5sums"))):
                tar.add(path, arcname=str(path).lstrip("/"))
        accounts = {
            f"etc/{kind}": Path(f"/usr/share/base-passwd/{kind}.master").read_bytes() for kind in ("passwd", "group")
        }
        status = "\n\n".join(stanzas[name] for name in packages) + "\n"
        for name, content in {"var/lib/dpkg/status": status.encode(), **accounts, **(extra or {})}.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            tar.addfile(member, io.BytesIO(content))
    return raw.getvalue()
