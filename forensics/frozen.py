"""Makes frozen, slotted dataclasses in a fraction of the time: `ir isolate` makes sixty of them before the cut.

`dataclasses.dataclass` compiles six methods a class (0.8 ms on Python 3.11). Here only the constructor is compiled; the
methods that look alike everywhere are shared. What comes out is a dataclass in every respect that this package uses:
fields, asdict, replace, equality, hash, repr, pattern matching, pickling. Type checkers see the original.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass", "field"]

if TYPE_CHECKING:
    from dataclasses import dataclass, field
else:
    field = dataclasses.field

    def dataclass(*, frozen: bool, slots: bool) -> Callable[[type], type]:
        """Return the decorator; *frozen* and *slots* must be true and stand there for the reader."""
        if not (frozen and slots):
            raise TypeError("only frozen, slotted dataclasses are made here")
        return _make


_MISSING = dataclasses.MISSING
_FIELD: Any = vars(dataclasses)["_FIELD"]
"""The mark by which dataclasses.fields() knows an ordinary field."""


def _make(cls: type) -> type:
    if any(hasattr(base, "__dataclass_fields__") for base in cls.__bases__):
        raise TypeError("a noun does not inherit fields")
    fields = {name: _describe(cls, name) for name in inspect.get_annotations(cls)}
    namespace = {
        name: value for name, value in cls.__dict__.items() if name not in {*fields, "__dict__", "__weakref__"}
    }
    namespace |= {
        "__slots__": tuple(fields),
        "__match_args__": tuple(fields),
        "__dataclass_fields__": fields,
        "__init__": _compile_init(cls, fields),
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__getstate__": _get_state,
        "__setstate__": _set_state,
    }
    for name, method in (("__repr__", _represent), ("__eq__", _equals), ("__hash__", _hash)):
        namespace.setdefault(name, method)
    return type(cls)(cls.__name__, cls.__bases__, namespace)


def _describe(cls: type, name: str) -> Any:  # noqa: ANN401 - dataclasses.Field is generic in what we do not know
    given = cls.__dict__.get(name, _MISSING)
    described: Any = given if isinstance(given, dataclasses.Field) else dataclasses.field(default=given)
    described.name, described.type = name, cls.__annotations__[name]
    described._field_type = _FIELD
    return described


def _compile_init(cls: type, fields: dict[str, Any]) -> Any:  # noqa: ANN401 - a function with the class's own parameters
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
    init.__annotations__ = {name: described.type for name, described in fields.items()}
    return init


def _values(noun: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any class made here
    return tuple([getattr(noun, name) for name in noun.__slots__])


def _represent(self: Any) -> str:  # noqa: ANN401 - any class made here
    shown = ", ".join(
        f"{name}={getattr(self, name)!r}" for name in self.__slots__ if self.__dataclass_fields__[name].repr
    )
    return f"{type(self).__qualname__}({shown})"


def _compared(self: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any class made here
    return tuple([getattr(self, name) for name in self.__slots__ if self.__dataclass_fields__[name].compare])


def _equals(self: Any, other: object) -> Any:  # noqa: ANN401 - True, False or NotImplemented
    return _compared(self) == _compared(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:  # noqa: ANN401 - any class made here
    return hash(_compared(self))


def _refuse(self: Any, name: str, *_value: object) -> None:  # noqa: ANN401 - any class made here
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__name__}")


def _get_state(self: Any) -> list[Any]:  # noqa: ANN401 - any class made here
    return list(_values(self))


def _set_state(self: Any, state: list[Any]) -> None:  # noqa: ANN401 - any class made here
    for name, value in zip(self.__slots__, state, strict=True):
        object.__setattr__(self, name, value)
