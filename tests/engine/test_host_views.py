"""Where the container's cgroup is, in the forms that engines, drivers and cgroup versions give it."""

from __future__ import annotations

import pytest

from forensics.engine.host_views import own_cgroup, parse_cgroup_mounts

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("path", "own"),
    [
        (f"/docker/{ID}", f"/docker/{ID}"),
        (f"/docker/{ID}/init.scope", f"/docker/{ID}"),
        (f"/system.slice/docker-{ID}.scope", f"/system.slice/docker-{ID}.scope"),
        (f"/machine.slice/libpod-{ID}.scope/container", f"/machine.slice/libpod-{ID}.scope"),
        (f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope", None),
        (f"/../../docker/{ID}", ""),
        ("/system.slice/ssh.service", ""),
        ("/", ""),
    ],
)
def test_own_cgroup(path: str, own: str | None) -> None:
    assert own_cgroup(path, ID) == (path if own is None else own)


def test_an_empty_id_is_in_no_cgroup() -> None:
    assert own_cgroup("/docker/x", "") == ""


V2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot"
HYBRID = """31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"""
NESTED = "32 31 0:29 /docker/outer /sys/fs/cgroup/pids ro,relatime - cgroup cgroup rw,pids"


def test_cgroup_v2() -> None:
    assert parse_cgroup_mounts(V2) == {"": ("", "/sys/fs/cgroup")}


def test_cgroup_v1_with_v2_beside_it() -> None:
    assert parse_cgroup_mounts(HYBRID) == {
        "cpu,cpuacct": ("", "/sys/fs/cgroup/cpu,cpuacct"),
        "name=systemd": ("", "/sys/fs/cgroup/systemd"),
        "": ("", "/sys/fs/cgroup/unified"),
    }


def test_an_engine_inside_a_container() -> None:
    assert parse_cgroup_mounts(NESTED) == {"pids": ("/docker/outer", "/sys/fs/cgroup/pids")}
