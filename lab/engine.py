#!/usr/bin/env python3
"""A private container engine for drills and tests, beside whatever this machine runs.

    lab/engine.py ensure     print the address of an engine that answers: the configured one, else the lab's own
    lab/engine.py start      start the lab's own engine (installing Debian's docker.io if needed); print its address
    lab/engine.py stop       stop it and remove everything it made
    lab/engine.py status     say which engine answers

The lab engine has its own network namespace, socket, data root, exec root, pid file and cgroup parent, all named after
this checkout; two checkouts never clash, and "host network" containers see only the lab's namespace. It starts over
what a killed engine left behind. Standard library only: it runs before the virtual environment exists.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LAB = f"ir-lab-{hashlib.sha256(os.fsencode(CHECKOUT)).hexdigest()[:8]}"
RUN = Path("/run") / LAB
DATA = Path("/var/lib") / LAB
SOCKET = RUN / "engine.sock"
PID_FILE = RUN / "engine.pid"
LOG = RUN / "engine.log"
URL = f"unix://{SOCKET}"
NEEDED = {
    "dockerd": "docker.io",
    "iptables": "iptables",
    "busybox": "busybox-static",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "ps": "procps",
}
START_SECONDS = 60
STOP_SECONDS = 30
UNAVAILABLE = 4


class LabError(Exception):
    """The lab engine cannot be had; the message says what to do."""


def main() -> int:
    """Run one verb; print an address on stdout, words on stderr."""
    verbs = {"ensure": ensure, "start": start, "stop": stop, "status": status}
    verb = verbs.get(" ".join(sys.argv[1:]))
    if verb is None:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        verb()
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return UNAVAILABLE
    return 0


def ensure() -> None:
    """Print the address of an engine that answers, starting the lab's own if none does."""
    for url in configured():
        if answers(url):
            print(url)
            return
    start()


def start() -> None:
    """Start the lab engine unless it answers already; print its address."""
    if not answers(URL):
        require_root()
        install_packages()
        sweep()
        launch()
    print(URL)


def stop() -> None:
    """Stop the lab engine and remove its namespace, mounts, sockets and data."""
    if not (RUN.exists() or DATA.exists()):
        return
    require_root()
    sweep()
    shutil.rmtree(DATA, ignore_errors=True)


def status() -> None:
    """Say which engine answers."""
    found = [url for url in [*configured(), URL] if answers(url)]
    print("\n".join(dict.fromkeys(found)) or "no engine answers")


def configured() -> list[str]:
    """Return the addresses where an engine of this machine would be."""
    if os.environ.get("DOCKER_HOST"):
        return [os.environ["DOCKER_HOST"]]
    rootless = Path(os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")) / "docker.sock"
    return ["unix:///var/run/docker.sock", f"unix://{rootless}"]


def answers(url: str) -> bool:
    """Tell whether an engine answers a ping at a unix-socket address (others are left to the toolkit itself)."""
    if not url.startswith("unix://"):
        return url.startswith(("tcp://", "ssh://", "http"))
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(url.removeprefix("unix://"))
        client.sendall(b"GET /_ping HTTP/1.0\r\nHost: lab\r\n\r\n")
        return client.recv(64).split(b"\r\n")[0].endswith(b"200 OK")
    return False


def require_root() -> None:
    """Refuse politely where a private engine cannot be started."""
    if os.geteuid() != 0:
        raise LabError(
            "no container engine answers, and starting a private one needs root. Start Docker, or set DOCKER_HOST, "
            "or run this as root"
        )


def install_packages() -> None:
    """Install what is missing with apt-get, without starting any service on this machine."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/bin:/bin"
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program, path=search)})
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"these programs are missing: {', '.join(missing)}; install them with your package manager")
    print(f"lab: installing {' '.join(missing)} ...", file=sys.stderr)
    run_apt("update", "-qq")
    with services_held():
        run_apt("install", "-y", "-qq", "--no-install-recommends", *missing)


def run_apt(*arguments: str) -> None:
    """Run apt-get quietly; its last words are shown if it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"apt-get {arguments[0]} failed: {(done.stderr or done.stdout).strip()[-600:]}")


@contextlib.contextmanager
def services_held() -> Iterator[None]:
    """Keep packages from starting their services while they are installed (policy-rc.d, invoke-rc.d(8))."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink(missing_ok=True)


def launch() -> None:
    """Start dockerd in the lab's network namespace and wait until it answers."""
    RUN.mkdir(mode=0o755, parents=True, exist_ok=True)
    DATA.mkdir(mode=0o711, parents=True, exist_ok=True)
    subprocess.run(["ip", "netns", "add", LAB], check=True)
    subprocess.run(["ip", "-n", LAB, "link", "set", "lo", "up"], check=True)
    with LOG.open("wb") as log:
        subprocess.Popen(daemon_command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    if not wait_until(lambda: answers(URL), START_SECONDS):
        last = "\n".join(LOG.read_text(errors="replace").splitlines()[-8:])
        raise LabError(f"the private engine did not come up; its last words in {LOG}:\n{last}")


def daemon_command() -> list[str]:
    """Return the command that runs the engine inside the lab's namespace (nsenter: `ip netns exec` remounts /sys)."""
    return [
        "nsenter", f"--net=/run/netns/{LAB}",
        "dockerd", "--host", URL, "--pidfile", str(PID_FILE),
        "--data-root", str(DATA), "--exec-root", str(RUN / "exec"),
        "--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{LAB}",
        "--add-runtime", f"lab={CHECKOUT / 'lab' / 'oci-runtime'}", "--default-runtime", "lab",
    ]  # fmt: skip


def sweep() -> None:
    """End everything that a running or killed lab engine left: processes, mounts, namespace, sockets."""
    end_daemon()
    kill_containers()
    for pid in pids_by_command_line():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not pids_by_command_line(), STOP_SECONDS)
    for target in mounts_below(RUN, DATA):
        subprocess.run(["umount", "--lazy", target], check=False, stderr=subprocess.DEVNULL)
    remove_namespace()
    shutil.rmtree(RUN, ignore_errors=True)
    remove_cgroups()


def end_daemon() -> None:
    """Ask the daemon to stop and kill its containers meanwhile. A pid file that names another process is only stale."""
    thaw_cgroups()
    text = PID_FILE.read_text().strip() if PID_FILE.is_file() else ""
    pid = int(text) if text.isdecimal() else 0
    if pid in pids_by_command_line():
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: kill_containers() or pid not in pids_by_command_line(), STOP_SECONDS)


def kill_containers() -> None:
    """Kill every process in the lab's cgroups."""
    for pid in pids_of_cgroups():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def pids_by_command_line() -> list[int]:
    """Return the processes (daemon, containerd, shims) that were started with a path of this lab."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            own_path = any(word.startswith((bytes(RUN) + b"/", b"unix://" + bytes(RUN))) for word in words)
            if own_path and int(path.parent.name) != os.getpid():
                found.append(int(path.parent.name))
    return found


def lab_cgroups() -> list[Path]:
    """Return the lab's cgroups in every hierarchy, innermost first."""
    tops = {*Path("/sys/fs/cgroup").glob(f"*/{LAB}"), *Path("/sys/fs/cgroup").glob(LAB)}
    return sorted({path for top in tops for path in [top, *top.rglob("*/")]}, key=lambda path: -len(path.parts))


def thaw_cgroups() -> None:
    """Thaw what a drill left frozen, or it could not die."""
    for path in lab_cgroups():
        for name, thawed in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            with contextlib.suppress(OSError):
                if (path / name).exists():
                    (path / name).write_text(thawed)


def pids_of_cgroups() -> list[int]:
    """Return the processes that still live in a cgroup of the lab."""
    found: set[int] = set()
    for path in lab_cgroups():
        with contextlib.suppress(OSError):
            found.update(int(line) for line in (path / "cgroup.procs").read_text().split())
    return sorted(found)


def remove_cgroups() -> None:
    """Remove the lab's empty cgroups."""
    wait_until(lambda: not pids_of_cgroups(), 5)
    for path in lab_cgroups():
        with contextlib.suppress(OSError):
            path.rmdir()


def mounts_below(*tops: Path) -> list[str]:
    """Return the mount points below the given folders, innermost first."""
    points = [line.split(" ")[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    own = (point for point in points if any(point == str(top) or point.startswith(f"{top}/") for top in tops))
    return sorted(own, key=len, reverse=True)


def remove_namespace() -> None:
    """Remove the lab's network namespace, also one whose mount a crash left half made."""
    handle = Path("/run/netns") / LAB
    subprocess.run(["umount", "--lazy", str(handle)], check=False, stderr=subprocess.DEVNULL)
    handle.unlink(missing_ok=True)


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Poll *condition* for at most *seconds*; tell whether it came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return bool(condition())


if __name__ == "__main__":
    sys.exit(main())
