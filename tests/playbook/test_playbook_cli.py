"""`ir playbook` and `ir run`, through the front door, on a real container."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import connect
from forensics.evidence.case import Case


def ir(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "forensics", *arguments], capture_output=True, text=True, check=False, timeout=120
    )


@pytest.fixture
def container(docker_host: str, base_image: str) -> Iterator[Container]:
    with connect(docker_host) as engine:
        running = engine.run(ContainerSpec(image=base_image, name="playbook-test", command=("sleep", "600")))
        yield running
        engine.remove_container(running, force=True)


@pytest.mark.usefixtures("own_folders")
def test_list_show_and_lint() -> None:
    assert "default" in ir("playbook", "list").stdout
    assert ir("playbook", "show", "default").stdout.startswith("# The main job")
    assert json.loads(ir("playbook", "show", "default", "--json").stdout)["id"] == "default"
    linted = ir("playbook", "lint")
    assert (linted.returncode, linted.stdout) == (0, "11 checked, nothing wrong\n")
    assert json.loads(ir("playbook", "schema").stdout)["title"] == "Playbook"
    assert "contain.isolate" in ir("playbook", "actions").stdout


@pytest.mark.usefixtures("own_folders")
def test_lint_names_everything_that_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "apiVersion: ir/v1\nkind: Playbook\nid: mine\nname: Mine\ndescription: d\n"
        "steps:\n  - {id: a, uses: contain.isolat}\n  - {id: b, uses: contain.isolate}\n"
    )
    done = ir("playbook", "lint", str(path))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{path}:7:19: unknown action 'contain.isolat'  (did you mean 'contain.isolate'?)",
        f"{path}:8:5: the containment step 'b' has no rollback  (add 'rollback: {{uses: contain.release}}')",
    ]


@pytest.mark.usefixtures("own_folders")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("defalt", "web"), 2, "ir: no playbook is called 'defalt'. Did you mean 'default'?"),
        (("default", "web", "--input", "x"), 2, "ir: --input x is not NAME=VALUE."),
        (("default", "web", "--input", "memory=yes"), 2, "ir: --input memory is no boolean. Write true or false."),
        (("default", "web", "--input", "x=1"), 2, "ir: 'default' has no input 'x'. It has: container, memory, reason."),
    ],
)
def test_wrong_use_is_one_sentence(arguments: tuple[str, ...], code: int, message: str) -> None:
    done = ir("run", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(message)


@pytest.mark.usefixtures("own_folders")
def test_a_dry_run_shows_the_plan_and_needs_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    done = ir("run", "default", "web", "--dry-run", "--json", "--input", "reason=alert 7")
    steps = json.loads(done.stdout)["steps"]
    assert [step["id"] for step in steps] == ["contain", "collect", "analyze", "seal", "report", "verify"]
    assert steps[0]["arguments"] == {"freeze": True, "reason": "alert 7", "cut_sharing": False}
    assert steps[0]["rollback"]["uses"] == "contain.release"


@pytest.mark.docker
@pytest.mark.usefixtures("own_folders")
def test_the_default_playbook_runs_to_a_sealed_case(container: Container, tmp_path: Path) -> None:
    case = tmp_path / "case"
    done = ir("run", "default", container.name, "--case", str(case), "--json", "--input", "reason=alert 7")
    document = json.loads(done.stdout)
    assert {step["step"]: step["outcome"] for step in document["steps"]} == dict.fromkeys(
        ("contain", "collect", "analyze", "report", "seal", "verify"), "done"
    )
    assert (done.returncode, document["schema"], document["verdict"]) == (0, "ir.run/1", "no-evidence")
    assert Path(document["report"]).is_file()
    assert ir("verify", str(case)).returncode == 0
    with Case.open(case, read_only=True) as opened:
        started = next(entry for entry in opened.custody() if entry.action == "playbook")
        assert started.details is not None
        assert started.details["playbook_sha256"] == document["playbook_sha256"]
        assert started.details["inputs"]["reason"] == "alert 7"
    assert ir("release", str(case)).returncode == 0


@pytest.mark.docker
@pytest.mark.usefixtures("own_folders")
def test_a_playbook_of_ones_own_runs_single_collectors_and_undoes_what_it_did(
    container: Container, docker_host: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "apiVersion: ir/v1\nkind: Playbook\nid: mine\nname: Mine\ndescription: d\n"
        "inputs: {container: {type: container, required: true}}\n"
        "steps:\n"
        "  - {id: contain, uses: contain.isolate, rollback: {uses: contain.release}}\n"
        "  - {id: sockets, uses: collect.sockets}\n"
        "  - {id: inspect, uses: collect.inspect, evidence: [{kind: inspect}]}\n"
        "  - {id: broken, uses: collect.host, when: '1 / 0 == 1', on_failure: rollback,"
        " rollback: {uses: contain.release}}\n"
    )
    done = ir("run", str(path), container.name, "--case", str(tmp_path / "case"), "--json")
    outcomes = {step["step"]: step["outcome"] for step in json.loads(done.stdout)["steps"]}
    assert outcomes == {"contain": "done", "sockets": "done", "inspect": "done", "broken": "failed"}
    assert done.returncode == 1
    with connect(docker_host) as engine:
        assert engine.find_container(container.id).status == "running"
        assert [network.name for network in engine.find_container(container.id).networks] == ["bridge"]
