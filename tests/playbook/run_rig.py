"""What the tests of runs share: actions that only these tests have, and a case without an engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics.errors import StorageError
from forensics.evidence.case import Case
from forensics.evidence.custody import Actor
from forensics.model import JsonObject, Subject
from forensics.playbook import actions
from forensics.playbook.actions import Action, Parameter
from forensics.playbook.context import Done, RunContext
from forensics.playbook.plan import Playbook, parse_playbook
from forensics.playbook.validate import validate_playbook

HEAD = "apiVersion: ir/v1\nkind: Playbook\nid: t\nname: T\ndescription: d\n"
CALLS: list[str] = []
MEETING = threading.Barrier(2)


def meet(_context: RunContext, arguments: JsonObject) -> Done:
    """End only when another step is in here at the same time."""
    MEETING.wait(10)
    CALLS.append(str(arguments["say"]))
    return Done()


def alone(_context: RunContext, arguments: JsonObject) -> Done:
    """Note the beginning and the end, so that overlaps show."""
    CALLS.append(f"+{arguments['say']}")
    time.sleep(0.05)
    CALLS.append(f"-{arguments['say']}")
    return Done()


def wait(_context: RunContext, _arguments: JsonObject) -> Done:
    """Take long, in small pieces."""
    for _ in range(100):
        time.sleep(0.05)
    return Done()


def hang(context: RunContext, arguments: JsonObject) -> Done:
    """Take long in one system call, then try to write evidence and the log."""
    time.sleep(3)
    for act in (
        lambda: context.case.record("note", purpose="too late"),
        lambda: context.case.add("late", (b"x",), source="test", method="test"),
    ):
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test asks for
            CALLS.append(f"{arguments['say']} {type(error).__name__}")
    return Done()


def bug(_context: RunContext, _arguments: JsonObject) -> Done:
    """Fail as only a bug does."""
    raise KeyError("nothing of this name")


def fail(_context: RunContext, arguments: JsonObject) -> Done:
    """Fail as a room does."""
    CALLS.append(f"fail {arguments['say']}")
    raise StorageError("the disk is full", hint="free space")


def note(context: RunContext, arguments: JsonObject) -> Done:
    """Say something, also into the log."""
    CALLS.append(str(arguments["say"]))
    context.case.record("note", purpose=str(arguments["say"]))
    return Done({"said": arguments["say"]})


@pytest.fixture
def own_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    CALLS.clear()
    MEETING.reset()
    say = (Parameter("say", "string", "text", default="nothing"),)
    for function in (meet, alone, wait, hang, bug, fail, note):
        for effects in ("read", "contain", "mutate", "destroy"):
            name = f"{effects}.{function.__name__}"
            action = Action(name, f"{__name__}:{function.__name__}", effects, "for tests", say, ("image",))
            monkeypatch.setitem(actions.ACTIONS, name, action)


@pytest.fixture
def context(own_folders: Path) -> Iterator[RunContext]:
    case = Case.create(own_folders / "case", subject=Subject("container", "web", "abc"), actor=Actor(name="tester"))
    with case:
        yield RunContext(case, "abc", open_engine=lambda: pytest.fail("no step needs the engine"))


def parse(text: str, digest: str = "d" * 64) -> Playbook:
    """Return the playbook of these steps; the whole check is made."""
    return parse_playbook(validate_playbook((HEAD + text).encode(), "t.yaml"), digest=digest, source="t.yaml")
