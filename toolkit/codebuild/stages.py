"""The stages of a Dockerfile, and which of them needs which."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence


class Stages:
    """Stages by number and name, "" for one without; names are in lower case, as Docker compares them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._count = len(names)
        self._numbers: defaultdict[str, list[int]] = defaultdict(list)
        for number, name in enumerate(names):
            self._numbers[name].append(number)
        self._needs: defaultdict[int, set[int]] = defaultdict(set)

    def find(self, name: str, *, before: int | None = None) -> int | None:
        """The last stage of this name, of those `before` a number where it is given."""
        numbers = self._numbers.get(name.lower(), []) if name else []
        end = len(numbers) if before is None else bisect_left(numbers, before)
        return numbers[end - 1] if end else None

    def find_target(self, target: str | None) -> int | None:
        """What `--target` names, by name or number; the last stage without one."""
        if target is None:
            return self._count - 1
        found = self.find(target)
        return found if found is not None else self.numbered(target)

    def numbered(self, text: str) -> int | None:
        """The stage of a number, counted from 0."""
        is_number = text.isascii() and text.isdecimal() and len(text) < 10
        return int(text) if is_number and int(text) < self._count else None

    def need(self, stage: int, other: int) -> None:
        """Note that `stage` starts or copies from `other`."""
        self._needs[stage].add(other)

    def reached_from(self, stage: int) -> set[int]:
        """The stages that are built for `stage`, itself included."""
        reached: set[int] = set()
        waiting = [stage]
        while waiting:
            number = waiting.pop()
            if number not in reached:
                reached.add(number)
                waiting += self._needs[number]
        return reached
