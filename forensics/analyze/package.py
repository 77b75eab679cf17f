"""One installed package, and where the databases of packages stand. Nouns only; reads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DPKG_STATUS = b"var/lib/dpkg/status"
DPKG_FOLDER = b"var/lib/dpkg/status.d/"
DPKG_INFO = b"var/lib/dpkg/info/"
DPKG_DIVERSIONS = b"var/lib/dpkg/diversions"
DPKG_LOG = b"var/log/dpkg.log"
APK_DATABASES = (b"lib/apk/db/installed", b"usr/lib/apk/db/installed")
_MERGED = (b"bin/", b"sbin/", b"lib/", b"lib64/", b"lib32/", b"libx32/")


def canonical(path: bytes) -> bytes:
    """Return *path* as on a merged-/usr system, so that /bin/ls and /usr/bin/ls are the same file."""
    path = path.lstrip(b"/")
    return b"usr/" + path if path.startswith(_MERGED) else path


@dataclass(frozen=True, slots=True)
class Installed:
    """One package as a database lists it. ``files`` are canonical paths with ``algorithm:hex``, or nothing recorded.

    ``configuration`` are files that administrators change on purpose; ``forged`` says why the record itself is false.
    """

    type: str
    name: bytes
    version: str
    database: bytes
    files: Mapping[bytes, str] = field(default_factory=dict)
    architecture: str = ""
    source: str = ""
    licence: str = ""
    configuration: frozenset[bytes] = frozenset()
    forged: str = ""

    @property
    def key(self) -> tuple[str, bytes, str, bytes]:
        """What stays the same through an upgrade; a language's package is known by where it lies too."""
        place = self.database if self.type in {"pypi", "npm"} else b""
        return self.type, self.name, self.architecture, place
