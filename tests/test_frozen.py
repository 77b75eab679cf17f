"""The quick frozen dataclasses behave like the standard ones, as far as this package uses them."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle

import pytest

from forensics import model
from forensics.frozen import dataclass, field


@dataclass(frozen=True, slots=True)
class Quick:
    """Made by us."""

    name: str
    size_bytes: int = 3
    tags: tuple[str, ...] = ()
    raw: dict[str, int] = field(default_factory=dict, repr=False, compare=False)

    @property
    def loud(self) -> str:
        return self.name.upper()


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """Made by the standard library."""

    name: str
    size_bytes: int = 3
    tags: tuple[str, ...] = ()
    raw: dict[str, int] = dataclasses.field(default_factory=dict, repr=False, compare=False)


def test_it_looks_like_a_standard_dataclass() -> None:
    quick, standard = Quick("a", tags=("x",)), Standard("a", tags=("x",))
    assert repr(quick) == repr(standard).replace("Standard", "Quick")
    assert dataclasses.asdict(quick) == dataclasses.asdict(standard)
    assert [item.name for item in dataclasses.fields(Quick)] == [item.name for item in dataclasses.fields(Standard)]
    assert list(inspect.signature(Quick).parameters) == list(inspect.signature(Standard).parameters)
    assert Quick.__match_args__ == Standard.__match_args__
    assert Quick.__doc__ == "Made by us."
    assert quick.loud == "A"


def test_equality_and_hash_leave_out_what_is_not_compared() -> None:
    assert Quick("a", raw={"x": 1}) == Quick("a")
    assert hash(Quick("a", raw={"x": 1})) == hash(Quick("a"))
    assert Quick("a") != Quick("b")
    assert Quick("a") != Standard("a")


def test_each_one_has_its_own_default() -> None:
    first, second = Quick("a"), Quick("b")
    assert first.raw is not second.raw


def test_nothing_can_be_changed_or_added() -> None:
    quick = Quick("a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        quick.name = "b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del quick.name
    assert not hasattr(quick, "__dict__")


def test_replace_copy_and_pickle_keep_the_values() -> None:
    quick = Quick("a", 7, ("x",), {"y": 1})
    assert dataclasses.replace(quick, name="b") == Quick("b", 7, ("x",))
    assert copy.deepcopy(quick) == quick
    again = pickle.loads(pickle.dumps(quick))  # noqa: S301 - our own bytes
    assert again == quick
    assert again.raw == {"y": 1}


def test_missing_and_unknown_arguments_are_type_errors() -> None:
    with pytest.raises(TypeError, match="name"):
        Quick()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="colour"):
        Quick("a", colour=1)  # type: ignore[call-arg]


def test_pattern_matching_works_on_nouns() -> None:
    match model.Digest("00"):
        case model.Digest(digits, algorithm):
            assert (digits, algorithm) == ("00", "sha256")


def test_what_is_not_supported_is_refused() -> None:
    with pytest.raises(TypeError, match="inherit"):

        @dataclass(frozen=True, slots=True)
        class Child(Quick):
            """Would inherit fields."""

    with pytest.raises(TypeError, match="frozen"):
        dataclass(frozen=False, slots=True)
