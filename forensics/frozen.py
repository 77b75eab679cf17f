"""Makes frozen, slotted dataclasses in a fraction of the time: `ir isolate` makes seventy of them before the cut.

`dataclasses.dataclass` compiles six methods a class (0.8 ms on Python 3.11), and importing it brings the whole of
`inspect` (7 ms). Here the constructor is compiled when the first noun is made, the methods that look alike everywhere
are shared, and `dataclasses` is imported only when somebody asks for it. What comes out is a dataclass in every respect
that this package uses: fields, asdict, replace, equality, hash, repr, pattern matching, pickling. Type checkers see the
original.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

__all__ = ["dataclass", "field", "replace", "to_dict"]

T = TypeVar("T")
_MISSING: Any = type("MISSING", (), {})()


class _Field:
    """What was said of one field; the dataclasses.Field is made of it when somebody asks."""

    def __init__(self, default: Any, default_factory: Any, *, repr: bool, compare: bool) -> None:  # noqa: A002, ANN401
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.compare = compare


if TYPE_CHECKING:
    from dataclasses import dataclass, field
else:

    def field(*, default=_MISSING, default_factory=_MISSING, repr=True, compare=True):  # noqa: A002, ANN001, ANN201
        """Say more of a field than its type, as dataclasses.field does."""
        return _Field(default, default_factory, repr=repr, compare=compare)

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """Return the decorator; *frozen* and *slots* must be true and stand there for the reader."""
        if not (frozen and slots):
            raise TypeError("only frozen, slotted dataclasses are made here")
        return _make


def replace(noun: T, /, **changes: Any) -> T:  # noqa: ANN401 - the fields' own types
    """Return a copy with some fields changed; as dataclasses.replace, for the nouns made here."""
    names: tuple[str, ...] = noun.__slots__  # type: ignore[attr-defined]  # every noun made here has them
    values = {name: getattr(noun, name) for name in names}
    return type(noun)(**(values | changes))


def to_dict(noun: object) -> dict[str, Any]:
    """Return the fields of a noun by name; what they hold is not copied, and nouns inside stay nouns."""
    names: tuple[str, ...] = noun.__slots__  # type: ignore[attr-defined]  # every noun made here has them
    return {name: getattr(noun, name) for name in names}


class _Constructor:
    """Stands for ``__init__`` until the class is first used, then compiles it and steps aside."""

    def __init__(self, fields: dict[str, _Field]) -> None:
        self._fields = fields

    def __get__(self, instance: Any, owner: type) -> Any:  # noqa: ANN401 - any class made here
        init = _compile_init(owner, self._fields)
        owner.__init__ = init  # type: ignore[misc]  # the class is ours, and nothing was made of it yet
        return init.__get__(instance, owner)


class _StandardFields:
    """Stands for ``__dataclass_fields__`` until somebody asks, then imports dataclasses and steps aside."""

    def __init__(self, fields: dict[str, _Field]) -> None:
        self._fields = fields

    def __get__(self, _instance: object, owner: type) -> Any:  # noqa: ANN401 - dataclasses.Field is generic
        import dataclasses  # noqa: PLC0415 - brings inspect, see above

        missing: Any = dataclasses.MISSING
        made: dict[str, Any] = {}
        for name, given in self._fields.items():
            default, factory = (
                missing if value is _MISSING else value for value in (given.default, given.default_factory)
            )
            described: Any = dataclasses.field(
                default=default, default_factory=factory, repr=given.repr, compare=given.compare
            )
            described.name, described.type = name, owner.__annotations__[name]
            described._field_type = vars(dataclasses)["_FIELD"]
            made[name] = described
        owner.__dataclass_fields__ = made  # type: ignore[attr-defined]  # as dataclasses does
        return made


def _make(cls: type) -> type:
    if any("__dataclass_fields__" in vars(base) for parent in cls.__bases__ for base in parent.__mro__):
        raise TypeError("a noun does not inherit fields")
    fields = {name: _describe(cls, name) for name in cls.__annotations__}
    namespace = {
        name: value for name, value in cls.__dict__.items() if name not in {*fields, "__dict__", "__weakref__"}
    }
    namespace |= {
        "__slots__": tuple(fields),
        "__match_args__": tuple(fields),
        "__dataclass_fields__": _StandardFields(fields),
        "__shown__": tuple([name for name, given in fields.items() if given.repr]),
        "__compared__": tuple([name for name, given in fields.items() if given.compare]),
        "__init__": _Constructor(fields),
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__getstate__": _get_state,
        "__setstate__": _set_state,
    }
    for name, method in (("__repr__", _represent), ("__eq__", _equals), ("__hash__", _hash)):
        namespace.setdefault(name, method)
    return type(cls)(cls.__name__, cls.__bases__, namespace)


def _describe(cls: type, name: str) -> _Field:
    given = cls.__dict__.get(name, _MISSING)
    return given if isinstance(given, _Field) else _Field(given, _MISSING, repr=True, compare=True)


def _compile_init(cls: type, fields: dict[str, _Field]) -> Any:  # noqa: ANN401 - a function with the class's own parameters
    variables: dict[str, Any] = {"_set": object.__setattr__, "_unset": _MISSING}
    parameters, body = [], []
    for name, described in fields.items():
        value = name
        if described.default_factory is not _MISSING:
            variables[f"_make_{name}"] = described.default_factory
            parameters.append(f"{name}=_unset")
            value = f"_make_{name}() if {name} is _unset else {name}"
        elif described.default is not _MISSING:
            variables[f"_default_{name}"] = described.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        body.append(f" _set(self, {name!r}, {value})")
    if "__post_init__" in cls.__dict__:
        body.append(" self.__post_init__()")
    source = f"def __init__(self, {', '.join(parameters)}):\n" + "\n".join(body or [" pass"])
    exec(source, variables)  # noqa: S102 - the same way as dataclasses: names of our own fields only
    init = variables["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__module__ = cls.__module__
    init.__annotations__ = dict(cls.__annotations__)
    return init


def _values(noun: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any class made here
    return tuple([getattr(noun, name) for name in noun.__slots__])


def _represent(self: Any) -> str:  # noqa: ANN401 - any class made here
    shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in self.__shown__])
    return f"{type(self).__qualname__}({shown})"


def _compared(self: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any class made here
    return tuple([getattr(self, name) for name in self.__compared__])


def _equals(self: Any, other: object) -> Any:  # noqa: ANN401 - True, False or NotImplemented
    return _compared(self) == _compared(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:  # noqa: ANN401 - any class made here
    return hash(_compared(self))


def _refuse(self: Any, name: str, *_value: object) -> None:  # noqa: ANN401 - any class made here
    from dataclasses import FrozenInstanceError  # noqa: PLC0415 - brings inspect, see above

    raise FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__name__}")


def _get_state(self: Any) -> list[Any]:  # noqa: ANN401 - any class made here
    return list(_values(self))


def _set_state(self: Any, state: list[Any]) -> None:  # noqa: ANN401 - any class made here
    for name, value in zip(self.__slots__, state, strict=True):
        object.__setattr__(self, name, value)
