"""What destroys happens only with an approval of exactly that: this playbook, its inputs, step and run, in time."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from run_rig import CALLS, HEAD, context, own_actions, parse

from forensics.engine.base import Container, ContainerSpec
from forensics.engine.docker import connect
from forensics.errors import RefusedError, UsageError
from forensics.evidence.case import Case
from forensics.playbook.approval import Approvals, Teller, read_request, request_path
from forensics.playbook.context import RunContext
from forensics.playbook.run import run_playbook
from forensics.playbook.signature import sign_statement
from forensics.playbook.statement import encode_statement

__all__ = ["context", "own_actions"]
KILL = (
    "inputs: {{target: {{type: string, default: web}}}}\n"
    "steps:\n  - {{id: keep, uses: read.note, evidence: [{{kind: image}}]}}\n"
    "  - {{id: kill, uses: destroy.note, needs: [keep], with: {{say: '{said}'}}, "
    "approval: {{approvers: [ir-lead], expires: {expires}}}}}\n"
)


def ir(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "forensics", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env=env)


def make_key(folder: Path, name: str) -> Path:
    key = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)], check=True)
    return key


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    return {name: make_key(tmp_path, name) for name in ("lead", "other")}


@pytest.fixture
def approvers(tmp_path: Path, keys: dict[str, Path]) -> Path:
    path = tmp_path / "approvers"
    lines = [
        f'ir-lead namespaces="ir-approval" {keys["lead"].with_suffix(".pub").read_text()}',
        f'somebody namespaces="ir-approval" {keys["other"].with_suffix(".pub").read_text()}',
    ]
    path.write_text("".join(lines))
    return path


class Recorder(Teller):
    """Keeps what a person would be told."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def show_refusal(self, why: str) -> None:
        self.refused.append(why)


def run(
    context: RunContext, approvals: Approvals, *, expires: str = "10s", said: str = "x", digest: str = "d" * 64
) -> str:
    if not context.case.find("image"):
        context.case.add("image", [b"x"], source="test", method="test")
    context.approve = approvals
    results = run_playbook(parse(KILL.format(expires=expires, said=said), digest), context)
    return {result.step: result.outcome.value for result in results}["kill"]


def approve_when_asked(context: RunContext, sign: Callable[[bytes], bytes]) -> threading.Thread:
    """Sign as soon as the request lies there, as an approver on this host would."""
    path = request_path(context.case.id, "kill")

    def work() -> None:
        deadline = time.monotonic() + 10
        while not path.is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.05)
        Path(f"{path}.sig").write_bytes(sign(path.read_bytes()))

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.usefixtures("own_actions")
def test_a_signature_over_the_request_approves_it_and_is_on_record(
    context: RunContext, keys: dict[str, Path], approvers: Path
) -> None:
    thread = approve_when_asked(context, lambda statement: sign_statement(statement, keys["lead"]))
    assert run(context, Approvals(context.case, "op", approvers)) == "done"
    thread.join()
    (entry,) = [entry for entry in context.case.custody() if entry.action == "approve"]
    details = entry.details or {}
    assert (details["approver"], details["method"], entry.authority.step) == ("ir-lead", "signature", "kill")
    said = json.loads(details["statement"])
    assert (said["playbook_sha256"], said["step"], said["inputs"], said["arguments"]) == (
        "d" * 64, "kill", {"target": "web"}, {"say": "x"},
    )  # fmt: skip
    assert (said["case"], said["container"], said["run"]) == (context.case.id, "abc", details["run"])
    assert "BEGIN SSH SIGNATURE" in details["signature"]
    assert not request_path(context.case.id, "kill").exists()


WRONG: dict[str, Callable[[bytes, dict[str, Path]], bytes]] = {
    "a key that nobody named": lambda statement, keys: sign_statement(statement, keys["other"]),
    "another text": lambda statement, keys: sign_statement(statement.replace(b'"web"', b'"db"'), keys["lead"]),
    "no signature": lambda _statement, _keys: b"yes\n",
    "half a signature": lambda statement, keys: sign_statement(statement, keys["lead"])[:120],
}


@pytest.mark.usefixtures("own_actions")
@pytest.mark.parametrize("sign", WRONG.values(), ids=WRONG.keys())
def test_any_other_signature_approves_nothing_and_time_denies(
    context: RunContext, keys: dict[str, Path], approvers: Path, sign: Callable[[bytes, dict[str, Path]], bytes]
) -> None:
    thread = approve_when_asked(context, lambda statement: sign(statement, keys))
    teller = Recorder()
    assert run(context, Approvals(context.case, "op", approvers, teller=teller), expires="2s") == "denied"
    thread.join()
    assert len(teller.refused) == 1
    assert "x" not in CALLS
    assert [entry.action for entry in context.case.custody() if entry.action in {"approve", "deny"}] == ["deny"]


@pytest.mark.usefixtures("own_actions")
def test_a_signature_for_another_purpose_approves_nothing(
    context: RunContext, keys: dict[str, Path], approvers: Path, tmp_path: Path
) -> None:
    def sign(statement: bytes) -> bytes:
        path = tmp_path / "statement"
        path.write_bytes(statement)
        arguments = ["ssh-keygen", "-q", "-Y", "sign", "-n", "ir-custody", "-f", str(keys["lead"]), str(path)]
        subprocess.run(arguments, check=True, capture_output=True)
        return path.with_name("statement.sig").read_bytes()

    thread = approve_when_asked(context, sign)
    assert run(context, Approvals(context.case, "op", approvers), expires="2s") == "denied"
    thread.join()


@pytest.mark.usefixtures("own_actions")
@pytest.mark.parametrize("yes", [True, False])
def test_yes_never_approves_what_destroys(context: RunContext, yes: bool) -> None:
    assert run(context, Approvals(context.case, "op", yes=yes)) == "denied"
    text = "steps:\n  - {id: a, uses: read.note, with: {say: a}, approval: {approvers: [lead], expires: 1s}}\n"
    (result,) = run_playbook(parse(text), context)
    assert result.outcome == ("done" if yes else "denied")
    methods = [(e.details or {}).get("method") for e in context.case.custody() if e.action == "approve"]
    assert methods == (["--yes"] if yes else [])


@pytest.fixture
def signed(context: RunContext, keys: dict[str, Path], tmp_path: Path) -> Callable[..., Path]:
    """Return what signs a statement beforehand, as `ir playbook approve` does."""
    from forensics.playbook.context import fill_inputs
    from forensics.playbook.run import plan_run
    from forensics.playbook.statement import describe_step

    def sign(*, digest: str = "d" * 64, said: str = "x", key: str = "lead", **changes: object) -> Path:
        playbook = parse(KILL.format(expires="10s", said=said), digest)
        planned = plan_run(playbook, {})[1]
        bound = {"container": "any", "case": "any", "run": "any", "nonce": "a" * 32, "expires": "2099-01-01T00:00:00Z"}
        document = describe_step(playbook, fill_inputs(playbook, {}), planned) | bound | changes
        path = tmp_path / f"statement-{len(list(tmp_path.iterdir()))}.json"
        path.write_bytes(encode_statement(document))
        Path(f"{path}.sig").write_bytes(sign_statement(path.read_bytes(), keys[key]))
        return path

    assert context
    return sign


@pytest.mark.usefixtures("own_actions")
def test_a_statement_signed_beforehand_is_good_once(
    context: RunContext, approvers: Path, signed: Callable[..., Path]
) -> None:
    teller = Recorder()
    given = Approvals(context.case, "op", approvers, (signed(),), teller=teller)
    assert run(context, given) == "done"
    context.results.clear()
    assert run(context, given, expires="1s") == "denied"
    assert "it has been used before" in teller.refused[0]


MISFITS: dict[str, tuple[dict[str, object], str]] = {
    "the playbook was swapped": ({"digest": "e" * 64}, "it is about another playbook sha256"),
    "other inputs": ({"inputs": {"target": "db"}}, "it is about another inputs"),
    "other arguments": ({"said": "y"}, "it is about another arguments"),
    "another step": ({"step": "keep"}, "it is about another step"),
    "another case": ({"case": "IR-X"}, "it is about another case"),
    "another run": ({"run": "0" * 32}, "it is about another run"),
    "another container": ({"container": "def"}, "it is about another container"),
    "expired": ({"expires": "2020-01-01T00:00:00Z"}, "it has expired"),
    "expires nobody knows when": ({"expires": "never"}, "it does not say when it expires"),
    "expires without a zone": ({"expires": "2099-01-01T00:00:00"}, "it has expired"),
    "something more": ({"extra": 1}, "it is no statement in the form"),
    "nobody's key": ({"key": "other"}, "its signature is none of an approver"),
    "a nonce that leads elsewhere": ({"nonce": "../../x"}, "it has been used before"),
}


@pytest.mark.usefixtures("own_actions")
@pytest.mark.parametrize(("change", "why"), MISFITS.values(), ids=MISFITS.keys())
def test_a_statement_about_anything_else_approves_nothing(
    context: RunContext, approvers: Path, signed: Callable[..., Path], change: dict[str, object], why: str
) -> None:
    teller = Recorder()
    given = Approvals(context.case, "op", approvers, (signed(**change),), teller=teller)
    assert run(context, given, expires="1s") == "denied"
    assert why in teller.refused[0]


@pytest.mark.usefixtures("own_actions")
def test_a_linked_or_missing_or_rewritten_statement_approves_nothing(
    context: RunContext, approvers: Path, signed: Callable[..., Path], tmp_path: Path
) -> None:
    good = signed()
    link = tmp_path / "link.json"
    link.symlink_to(good)
    Path(f"{link}.sig").symlink_to(f"{good}.sig")
    loose = tmp_path / "loose.json"
    loose.write_text(json.dumps(json.loads(good.read_text())))
    Path(f"{loose}.sig").write_bytes(Path(f"{good}.sig").read_bytes())
    teller = Recorder()
    paths = (link, tmp_path / "nothing.json", loose)
    assert run(context, Approvals(context.case, "op", approvers, paths, teller=teller), expires="1s") == "denied"
    assert [".sig, is missing" in why for why in teller.refused] == [True, True, False]


def test_the_approvers_keys_come_from_outside_and_nobody_else_can_change_them(
    context: RunContext, approvers: Path
) -> None:
    inside = context.case.root / "approvers"
    inside.write_text(approvers.read_text())
    with pytest.raises(RefusedError, match="come from the case itself"):
        Approvals(context.case, "op", inside)
    approvers.chmod(0o666)
    with pytest.raises(RefusedError, match="others may change the approvers' keys"):
        Approvals(context.case, "op", approvers)
    with pytest.raises(UsageError, match="there is no file of approvers"):
        Approvals(context.case, "op", approvers.with_name("nothing"))
    with pytest.raises(UsageError, match="an approval needs the approvers' keys"):
        Approvals(context.case, "op", None, (approvers,))


def test_nothing_waits_unless_a_run_asks(context: RunContext) -> None:
    with pytest.raises(UsageError, match="no step 'kill' of this case waits"):
        read_request(context.case.id, "kill")


@pytest.fixture
def container(docker_host: str, base_image: str) -> Iterator[Container]:
    with connect(docker_host) as engine:
        spec = ContainerSpec(image=base_image, name="playbook-approve", command=("sleep", "600"))
        running = engine.run(spec)
        yield running
        engine.remove_container(running, force=True)


def write_real_playbook(folder: Path) -> Path:
    path = folder / "end-it.yaml"
    path.write_text(
        f"{HEAD}inputs: {{container: {{type: container, required: true}}}}\nsteps:\n"
        "  - {id: keep, uses: collect.snapshot, evidence: [{kind: image}]}\n"
        "  - {id: kill, uses: remediate.kill, needs: [keep], approval: {approvers: [ir-lead], expires: 60s}}\n"
        "finally:\n  - {id: seal, uses: case.seal}\n"
    )
    return path


def state_of(host: str, container: Container) -> str:
    with connect(host) as engine:
        return engine.find_container(container.id).status


@pytest.mark.docker
def test_a_waiting_run_goes_on_when_it_is_approved_from_elsewhere(
    container: Container, docker_host: str, own_folders: Path, keys: dict[str, Path], approvers: Path
) -> None:
    root, playbook = own_folders / "case", write_real_playbook(own_folders)
    command = [
        "run",
        str(playbook),
        container.name,
        "--case",
        str(root),
        "--approvers",
        str(approvers),
        "--yes",
        "--json",
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "forensics", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    printed = ir("approve", str(root), "kill", "--print")
    while printed.returncode and time.monotonic() < deadline:
        time.sleep(0.2)
        printed = ir("approve", str(root), "kill", "--print")
    assert state_of(docker_host, container) == "running"
    document = json.loads(printed.stdout)
    assert (document["action"], document["container"]) == ("remediate.kill", container.id)
    assert ir("approve", str(root), "kill").returncode == 2
    statement = own_folders / "kill.json"
    statement.write_text(printed.stdout)
    subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "ir-approval", "-f", str(keys["lead"]), str(statement)],
        check=True, capture_output=True,
    )  # fmt: skip
    handed = ir("approve", str(root), "kill", "--signature", f"{statement}.sig")
    assert handed.returncode == 0, handed.stderr
    assert "remediate.kill" in handed.stderr
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert {step["step"]: step["outcome"] for step in json.loads(output)["steps"]}["kill"] == "done"
    assert state_of(docker_host, container) == "exited"
    with Case.open(root, read_only=True) as case:
        (entry,) = [entry for entry in case.custody() if entry.action == "approve"]
    details = entry.details or {}
    (own_folders / "s").write_text(details["statement"])
    (own_folders / "s.sig").write_text(details["signature"])
    verify = ["ssh-keygen", "-Y", "verify", "-f", str(approvers), "-I", "ir-lead", "-n", "ir-approval"]
    with (own_folders / "s").open("rb") as file:
        arguments = [*verify, "-s", str(own_folders / "s.sig")]
        assert subprocess.run(arguments, stdin=file, check=False, capture_output=True).returncode == 0
    assert ir("verify", str(root)).returncode == 0


@pytest.mark.docker
@pytest.mark.parametrize("typed", ["yes\n", "no\n"])
def test_at_the_terminal_a_person_sees_what_and_says_yes_or_no(
    container: Container, docker_host: str, own_folders: Path, typed: str
) -> None:
    root, playbook = own_folders / "case", write_real_playbook(own_folders)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "forensics", "run", str(playbook), container.name, "--case", str(root), "--yes"],
        stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(slave)
    os.write(master, typed.encode())
    _, errors = process.communicate(timeout=60)
    os.close(master)
    assert process.returncode == (0 if typed == "yes\n" else 5)
    assert b"arguments" in errors
    assert b"remediate.kill" in errors
    assert state_of(docker_host, container) == ("exited" if typed == "yes\n" else "running")


@pytest.mark.docker
def test_approved_beforehand_by_the_command(
    container: Container, docker_host: str, own_folders: Path, keys: dict[str, Path], approvers: Path
) -> None:
    playbook, statement = write_real_playbook(own_folders), own_folders / "approval.json"
    arguments = [str(playbook), container.name, "kill", "--key", str(keys["lead"]), "-o", str(statement)]
    assert ir("playbook", "approve", *arguments).returncode == 0
    assert ir("playbook", "approve", *arguments).returncode == 2
    asked = ["--approvers", str(approvers), "--approval", str(statement)]
    done = ir("run", str(playbook), container.name, "--case", str(own_folders / "case"), *asked)
    assert (done.returncode, state_of(docker_host, container)) == (0, "exited"), done.stderr


@pytest.mark.usefixtures("own_actions")
@pytest.mark.parametrize("approved_again", [True, False])
def test_an_interrupted_step_that_destroys_asks_again_even_with_the_approval_on_record(
    context: RunContext, approved_again: bool
) -> None:
    from forensics.playbook.context import Answer, Request
    from forensics.playbook.journal import read_runs

    context.case.add("image", [b"x"], source="test", method="test")
    playbook = parse(KILL.format(expires="10s", said="x"))
    context.approve = lambda _: Answer("ir-lead")
    run_playbook(playbook, context)
    log = context.case.root / "custody.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    begun = [n for n, line in enumerate(lines) if b'"action":"step"' in line and b'"result":"begin"' in line][-1]
    log.write_bytes(b"".join(lines[: begun + 1]))
    record = read_runs(context.case)[-1]
    assert (set(record.begun), set(record.results)) == ({"keep", "kill"}, {"keep"})
    CALLS.clear()
    context.results.clear()
    asked: list[str] = []

    def answer(request: Request) -> Answer | None:
        asked.append(request.step.id)
        return Answer("ir-lead") if approved_again else None

    context.approve = answer
    outcomes = {result.step: result.outcome.value for result in run_playbook(playbook, context, record=record)}
    assert asked == ["kill"]
    assert outcomes == {"keep": "done", "kill": "done" if approved_again else "denied"}
    assert (["x"] if approved_again else []) == CALLS
