#!/usr/bin/env python3
"""OCI runtime wrapper of the lab engine: asks only for what this machine can grant, then becomes runc.

Where the machine lacks a capability (virtual machines, nested CI) or has a low open-files limit, runc refuses
`--privileged` and `--cap-add ALL` outright. Removing what cannot be granted from config.json lets the rest be tested.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

# capability(7), in the order of linux/capability.h
CAPABILITIES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
""".split()  # noqa: SIM905 - forty quoted names would be no easier to read


def read_grantable() -> set[str]:
    """Return the capabilities in this process's bounding set."""
    lines = Path("/proc/self/status").read_text().splitlines()
    bounding = next(int(line.split()[1], 16) for line in lines if line.startswith("CapBnd"))
    return {f"CAP_{name}" for bit, name in enumerate(CAPABILITIES) if bounding >> bit & 1}


def trim(config: dict[str, Any]) -> None:
    """Remove from an OCI runtime configuration what this machine cannot grant."""
    process = config.get("process", {})
    grantable = read_grantable()
    for kind, names in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in names if name in grantable]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limits = process.get("rlimits") or []
    process["rlimits"] = [limit for limit in limits if limit["type"] != "RLIMIT_NOFILE" or limit["hard"] <= hard]
    if "CAP_SYS_RESOURCE" not in grantable:
        process.pop("oomScoreAdj", None)


def main() -> None:
    """Trim the bundle of a `create`, then replace this process by runc."""
    arguments = sys.argv[1:]
    if "create" in arguments and "--bundle" in arguments:
        path = Path(arguments[arguments.index("--bundle") + 1]) / "config.json"
        config = json.loads(path.read_text())
        trim(config)
        path.write_text(json.dumps(config))
    runc = shutil.which("runc", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin") or "/usr/sbin/runc"
    os.execv(runc, [runc, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
