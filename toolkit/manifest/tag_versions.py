"""The versions in image tags: which tag is newer, and which are within a range.

Tags follow no standard. PEP 440 knows neither `1.27.3-alpine` nor `21.0.5_11`, semantic versions want three numbers and
take a suffix for a pre-release, so these are the rules:

- The first number of a tag begins its version: `3.12-slim`, `v1.8.2`, `bookworm-20240513-slim`, `21.0.5_11-jdk`.
- `rc1`, `-beta.2`, `a1`, `-M3`, `-SNAPSHOT` and their like right after the numbers make it a pre-release; anything else
  that follows is a variant's suffix.
- Numbers are compared as numbers, zeros at the end count for nothing, and a pre-release is older than its release.
- A date or a build number beside versions is none: `20250108` and `2025.01.08` are not within `>=3.18`, but within
  `>=20240101` and `>=2024`.
- After three numbers, `_` stands for the `+` of semantic versions, which no tag can have: `1.2.3_build.4` of a Helm
  chart is version 1.2.3, and newer than `1.2.3` itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_STAGES = {
    **dict.fromkeys(("dev", "nightly", "snapshot", "canary"), 0),
    **dict.fromkeys(("a", "alpha"), 1),
    **dict.fromkeys(("b", "beta", "ea", "m", "milestone"), 2),
    **dict.fromkeys(("pre", "preview"), 3),
    **dict.fromkeys(("rc", "cr"), 4),
}
_FINAL = 5
_SEMANTIC = 3
_VERSION = re.compile(
    r"(?P<prefix>[^0-9]*)(?P<release>[0-9]+(?:[._][0-9]+)*)"
    r"(?:[._-]?(?P<stage>alpha|beta|rc|cr|preview|pre|dev|nightly|snapshot|canary|milestone|ea|[abm](?=[0-9]))"
    r"(?P<number>[._-]?[0-9]+(?:\.[0-9]+)*)?(?=[-_]|$))?"
    r"(?P<rest>.*)",
    re.IGNORECASE,
)
# These are no versions where the bounds are less than a hundredth of them: a number alone from here on, such as a year
# or a build, what begins with a number larger than a year, and a date. `2024.1` may be a version.
_LEAST_NUMBER = 1000
_LEAST_BUILD = 10_000
_MOST_TIMES = 100
_DATE = re.compile(r"(?:19|20)[0-9]{2}([._])[01][0-9]\1[0-3][0-9](?:\1.*)?")
_BOUND = re.compile(r"(?P<operator>>=|<=|!=|=|>|<)[ ]*(?P<version>[^ ,<>=!]+)[ ,]*")

Precedence = tuple[tuple[int, ...], int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TagVersion:
    """The version in a tag: its numbers, what stands before them, and what follows."""

    prefix: str
    release: tuple[int, ...]
    stage: int
    stage_numbers: tuple[int, ...]
    rest: str
    is_date: bool

    @property
    def is_prerelease(self) -> bool:
        """Whether it is older than the release of the same number."""
        return self.stage < _FINAL

    @property
    def suffix(self) -> str | None:
        """What follows the version and its `-`, "" for nothing; None in a tag that is not `[v]VERSION[-SUFFIX]`."""
        if self.prefix.lower() not in ("", "v"):
            return None
        if len(self.release) == _SEMANTIC and self.rest.startswith("_"):
            return ""
        return self.rest[1:] if self.rest.startswith("-") or not self.rest else None

    @property
    def precedence(self) -> Precedence:
        """Greater is newer; equal for `1.27` and `1.27.0`."""
        return _without_zeros(self.release), self.stage, self.stage_numbers


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Bounds, all of which have to hold, such as `>=1.24 <2`."""

    bounds: tuple[tuple[str, TagVersion], ...]

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Read a range; ValueError with a sentence's predicate if it is none."""
        bounds = []
        position = len(text) - len(text.lstrip(" "))
        while position < len(text):
            match = _BOUND.match(text, position)
            if match is None:
                raise ValueError("is not a range of versions: write bounds with a space between, such as `>=1.24 <2`")
            version = read_version(match["version"])
            if version is None or version.suffix != "":
                raise ValueError(f"has `{match['version']}`, which is not a version: write numbers, such as `1.24`")
            bounds.append((match["operator"], version))
            position = match.end()
        if not bounds:
            raise ValueError("is not a range of versions: write bounds such as `>=1.24 <2`")
        return cls(tuple(bounds))

    def has(self, version: TagVersion) -> bool:
        """Whether `version` is within. Pre-releases, dates and build numbers are not, unless a bound is one."""
        if version.is_prerelease and not any(bound.is_prerelease for _, bound in self.bounds):
            return False
        first, highest = version.release[0], max(bound.release[0] for _, bound in self.bounds)
        is_number = first >= _LEAST_BUILD or (len(version.release) == 1 and first >= _LEAST_NUMBER)
        if (is_number or version.is_date) and first > _MOST_TIMES * highest:
            return False
        return all(_holds(operator, version, bound) for operator, bound in self.bounds)


@lru_cache(maxsize=16384)
def read_version(tag: str) -> TagVersion | None:
    """The version in `tag`; None where it has no number."""
    match = _VERSION.fullmatch(tag)
    if match is None:
        return None
    stage = _FINAL if match["stage"] is None else _STAGES[match["stage"].lower()]
    return TagVersion(
        match["prefix"],
        _numbers(match["release"]),
        stage,
        _numbers(match["number"] or ""),
        match["rest"],
        is_date=_DATE.fullmatch(match["release"]) is not None,
    )


def age_key(tag: str) -> tuple[object, ...]:
    """Orders tags from old to new: by version, then by the rest, numbers as numbers. Tags without a number are oldest.

    No two tags have the same key, so the order does not depend on how a registry lists them.
    """
    version = read_version(tag)
    if version is None:
        return (False, (), 0, (), (), (), tag)
    rest = tuple((text, int(number or -1)) for text, number in re.findall(r"([^0-9]*)([0-9]*)", version.rest))
    return (True, *version.precedence, version.release, rest, tag)


def _holds(operator: str, version: TagVersion, bound: TagVersion) -> bool:
    mine, other = version.precedence, bound.precedence
    match operator:
        case ">=":
            return mine >= other
        case ">":
            return mine > other
        case "<=":
            return mine <= other
        case "<":
            # Below 2 means below everything that is called 2: `2.0-rc1` is not wanted either.
            return mine < other if bound.is_prerelease else mine[0] < other[0]
        case "=":
            return mine == other
        case _:
            return mine != other


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", text)))


def _without_zeros(release: tuple[int, ...]) -> tuple[int, ...]:
    end = len(release)
    while end > 1 and release[end - 1] == 0:
        end -= 1
    return release[:end]
