"""`dataclass` with methods that are written once, instead of six that are compiled for each class.

To compile them takes more than half a millisecond a class, which was a tenth of a run that finds nothing to do. A type
checker sees `dataclasses.dataclass` itself, and `fields`, `replace`, `asdict` and `match` work on these classes too.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

__all__ = ["dataclass"]

Read = Callable[[Any], tuple[Any, ...]]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(*, frozen=False, slots=False, eq=True, order=False):
        """As `dataclasses.dataclass`; of a field's settings it knows `default`, `default_factory` and `repr`."""

        def make(cls):
            cls.__doc__ = cls.__doc__ or cls.__name__  # else one is made from its signature, which takes long
            made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
            fields = dataclasses.fields(made)
            read = _reader(tuple(field.name for field in fields))
            methods = {"__init__": _init(made, fields), "__repr__": _repr(fields), "__reduce__": _reduce(read)}
            if eq:
                methods |= {"__eq__": _comparison(operator.eq, read), "__hash__": _hash(read) if frozen else None}
            if order:
                orders = (operator.lt, operator.le, operator.gt, operator.ge)
                methods |= {f"__{one.__name__}__": _comparison(one, read) for one in orders}
            if frozen:
                methods |= {"__setattr__": _refuse, "__delattr__": _refuse}
            for name, method in methods.items():
                if name not in vars(made):
                    setattr(made, name, method)
            return made

        return make


def _init(cls: type, fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    names = tuple(field.name for field in fields)
    defaults = {field.name: field.default for field in fields if field.default is not dataclasses.MISSING}
    factories = {f.name: f.default_factory for f in fields if f.default_factory is not dataclasses.MISSING}
    completes = hasattr(cls, "__post_init__")
    put = object.__setattr__

    def init(self: Any, /, *given: Any, **named: Any) -> None:
        for name, value in zip(names, given, strict=False):
            put(self, name, value)
        for name in names[len(given) :]:
            if name in named:
                put(self, name, named.pop(name))
            elif name in defaults:
                put(self, name, defaults[name])
            elif name in factories:
                put(self, name, factories[name]())
            else:
                raise TypeError(f"{cls.__name__} needs `{name}`")
        if named or len(given) > len(names):
            raise TypeError(f"{cls.__name__} has {len(names)} fields: {', '.join(names)}; too many values were given")
        if completes:
            self.__post_init__()

    return init


def _reader(names: tuple[str, ...]) -> Read:
    """All values at once; of less than two names `attrgetter` makes no tuple."""
    return operator.attrgetter(*names) if len(names) > 1 else lambda value: tuple(getattr(value, n) for n in names)


def _repr(fields: tuple[dataclasses.Field[Any], ...]) -> Callable[[Any], str]:
    names = [field.name for field in fields if field.repr]
    return lambda self: f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def _comparison(compare: Callable[[Any, Any], bool], read: Read) -> Callable[[Any, Any], bool]:
    return lambda self, other: compare(read(self), read(other)) if type(other) is type(self) else NotImplemented


def _hash(read: Read) -> Callable[[Any], int]:
    return lambda self: hash(read(self))


def _reduce(read: Read) -> Callable[[Any], tuple[type, tuple[Any, ...]]]:
    """Copies are made like the first one: nothing can be set in a frozen one afterwards."""
    return lambda self: (type(self), read(self))


def _refuse(self: Any, name: str, value: object = None) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"`{name}` of {type(self).__name__} cannot be changed")
