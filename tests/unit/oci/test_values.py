"""Our `dataclass` does what the standard library's does: every test runs on both."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, field, replace
from typing import Any, ClassVar

import pytest

from toolkit.oci import values

Decorate = Callable[..., Callable[[type], Any]]
both = pytest.mark.parametrize("dataclass", [dataclasses.dataclass, values.dataclass], ids=["theirs", "ours"])


def make_place(dataclass: Decorate, **settings: bool) -> Any:
    @dataclass(**{"frozen": True, "slots": True, **settings})
    class Place:
        """A place."""

        kind: ClassVar[str] = "place"
        host: str
        path: str = "library"
        secret: str = field(default="", repr=False)
        marks: list[str] = field(default_factory=list)

        def __post_init__(self) -> None:
            if not self.host:
                raise ValueError("no host")

    return Place


@both
def test_values_come_by_position_name_and_default(dataclass: Decorate) -> None:
    place = make_place(dataclass)
    assert asdict(place("a", secret="s")) == {"host": "a", "path": "library", "secret": "s", "marks": []}
    assert place("a").marks is not place("a").marks


@both
@pytest.mark.parametrize(
    ("given", "named"), [((), {}), (("a",), {"host": "b"}), (("a",), {"port": 1}), ((*"abcde",), {})]
)
def test_other_values_than_the_fields_are_refused(dataclass: Decorate, given: Any, named: Any) -> None:
    with pytest.raises(TypeError):
        make_place(dataclass)(*given, **named)


@both
def test_what_must_hold_is_checked_in_copies_too(dataclass: Decorate) -> None:
    with pytest.raises(ValueError, match="no host"):
        replace(make_place(dataclass)("a"), host="")


@both
def test_it_shows_its_fields_but_no_secret(dataclass: Decorate) -> None:
    assert repr(make_place(dataclass)("a", secret="s")).endswith("Place(host='a', path='library', marks=[])")


@both
def test_it_cannot_be_changed_nor_extended(dataclass: Decorate) -> None:
    place = make_place(dataclass)("a")
    for change in (lambda: setattr(place, "host", "b"), lambda: delattr(place, "host")):
        with pytest.raises(FrozenInstanceError):
            change()
    assert not hasattr(place, "__dict__")


@both
def test_one_that_is_not_frozen_can_be_changed_and_is_no_key(dataclass: Decorate) -> None:
    place = make_place(dataclass, frozen=False)("a")
    place.host = "b"
    assert place.host == "b"
    with pytest.raises(TypeError):
        hash(place)


@both
def test_equal_is_what_has_the_same_class_and_values(dataclass: Decorate) -> None:
    @dataclass(frozen=True, slots=True)
    class One:
        value: object

    @dataclass(frozen=True, slots=True)
    class Other:
        value: object

    assert One(1) == One(1)
    assert len({One(1), One(1), One(2), One((1,))}) == 3
    assert One(1) != Other(1)
    with pytest.raises(TypeError):
        hash(One([]))


@both
def test_without_equality_it_is_itself_only(dataclass: Decorate) -> None:
    place = make_place(dataclass, eq=False)
    assert place("a") != place("a")
    assert len({place("a"), place("a")}) == 2


@both
def test_order_is_that_of_the_values_in_one_class(dataclass: Decorate) -> None:
    place = make_place(dataclass, order=True)
    low, high = place("a", "z"), place("b", "a")
    assert (low < high, low <= low, high > low, high >= high, high < low) == (True, True, True, True, False)
    with pytest.raises(TypeError):
        assert low < make_place(dataclass, order=True)("c")


@both
def test_a_subclass_has_the_fields_of_both(dataclass: Decorate) -> None:
    @dataclass(frozen=True, slots=True)
    class Fact:
        name: ClassVar[str] = ""

    @dataclass(frozen=True, slots=True)
    class Ended(Fact):
        name = "ended"
        seconds: float

    @dataclass(frozen=True, slots=True)
    class Failed(Ended):
        code: str = "bug"

    assert Fact() == Fact()
    assert repr(Failed(1.0)).endswith("Failed(seconds=1.0, code='bug')")
    assert (Failed(1.0, "c").code, Failed(1.0).name, Failed(1.0) == Ended(1.0)) == ("c", "ended", False)


@both
def test_copies_are_equal(dataclass: Decorate) -> None:
    place = make_place(dataclass)("a", marks=["m"])
    twin = copy.deepcopy(place)
    assert (copy.copy(place), twin) == (place, place)
    assert twin.marks is not place.marks


def test_it_travels_in_a_pickle() -> None:
    from toolkit.oci.descriptor import Platform

    assert pickle.loads(pickle.dumps(Platform("linux", "arm64"))) == Platform("linux", "arm64")


@both
def test_it_can_be_matched_by_position(dataclass: Decorate) -> None:
    place = make_place(dataclass)
    match place("a", "b"):
        case place(host, path):
            assert (host, path) == ("a", "b")
        case _:
            pytest.fail("not matched")
