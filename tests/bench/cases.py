"""What is measured, by which tools, and what ours should reach. A target is printed beside what was found, never asserted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.bench.results import Outcome, Tally

_OURS = ("toolkit",)
_BOTH_CACHES = ("toolkit", "toolkit, warm cache")
_AT_A_TIME = ("crane × 4", "regctl × 4", "regsync")
_FAR = 0.04


@dataclass(frozen=True, slots=True)
class Check:
    """A figure of ours, and the limit that it should not pass, if there is one.

    `value` gets ours and everything that was measured with it; None where what it is compared with was not measured.
    """

    what: str
    limit: float | None
    value: Callable[[Tally, Outcome], float | None]


@dataclass(frozen=True, slots=True)
class Case:
    """`before` is the generation that the destination has when a run begins, None for an empty one; `generation` the source's.

    `delay` is what each request waits, in seconds, at both sides; `first` leaves it at so many images of the set.
    """

    name: str
    about: str
    set_name: str
    tools: tuple[str, ...]
    checks: tuple[Check, ...]
    generation: int = 0
    before: int | None = None
    first: int | None = None
    delay: float = 0.0
    tls: bool = False
    jobs: int | None = None


def _wall(limit: float, *peers: str) -> Check:
    def value(ours: Tally, outcome: Outcome) -> float | None:
        found = [outcome.tallies[peer].wall for peer in peers if peer in outcome.tallies]
        return ours.wall / min(found) if found else None

    return Check(f"wall ÷ {peers[0] if len(peers) == 1 else 'the best of ' + ', '.join(peers)}", limit, value)


def _peak(limit: float) -> Check:
    return Check("peak memory, MB", limit, lambda ours, _: ours.peak_rss / 1e6)


_UNIQUE_BYTES = Check(
    "bytes received ÷ unique bytes", 1.0, lambda ours, o: ours.destination.bytes_received / o.new_bytes
)
_READ_ONCE = Check("blobs read more than once", 0.0, lambda ours, _: ours.source.blobs_read_again)
_NO_PULLS = Check("manifest GETs at the source", 0.0, lambda ours, _: ours.source.manifest_gets)
_ONE_REQUEST = (
    Check("requests per tag at the source", 1.0, lambda ours, outcome: ours.source.requests / outcome.images),
    Check("requests per tag at the destination", 1.0, lambda ours, outcome: ours.destination.requests / outcome.images),
)
_PER_HUNDRED = Check("seconds per 100 tags", None, lambda ours, outcome: ours.wall / outcome.images * 100)
_SKOPEO = ("skopeo copy", "skopeo sync")

CASES = (
    Case(
        "cold",
        "20 images, 1.13 GB, into an empty registry",
        "lib",
        (*_OURS, "skopeo copy", *_AT_A_TIME),
        (_wall(0.50, "skopeo copy"), _wall(0.65, *_AT_A_TIME), _UNIQUE_BYTES, _READ_ONCE),
    ),
    Case(
        "cold-tls",
        "the same with TLS on both sides",
        "lib",
        (*_OURS, "skopeo copy", *_AT_A_TIME),
        (_wall(0.65, "skopeo copy", *_AT_A_TIME), _UNIQUE_BYTES),
        tls=True,
    ),
    Case(
        "shared",
        "20 images over three big base layers",
        "dedup",
        (*_OURS, "skopeo sync", *_AT_A_TIME),
        (_wall(0.60, "skopeo sync"), _wall(0.15, "crane × 4"), _UNIQUE_BYTES, _READ_ONCE),
    ),
    Case(
        "incremental",
        "1 of 20 images rebuilt",
        "lib",
        (*_BOTH_CACHES, "skopeo sync", *_AT_A_TIME),
        (_wall(0.60, "skopeo sync"), _UNIQUE_BYTES),
        generation=1,
        before=0,
    ),
    Case(
        "incremental-40ms",
        "the same with 40 ms a request",
        "lib",
        (*_BOTH_CACHES, "skopeo sync", *_AT_A_TIME),
        (_wall(0.60, "skopeo sync", *_AT_A_TIME),),
        generation=1,
        before=0,
        delay=_FAR,
    ),
    Case(
        "nothing",
        "all 20 images are there",
        "lib",
        (*_BOTH_CACHES, "skopeo sync", *_AT_A_TIME),
        (_wall(0.60, "skopeo sync"), _NO_PULLS, *_ONE_REQUEST),
        before=0,
    ),
    Case(
        "nothing-40ms",
        "the same with 40 ms a request",
        "lib",
        (*_BOTH_CACHES, "skopeo sync", *_AT_A_TIME, "regsync, no `parallel`"),
        (_wall(0.40, "regsync"), _NO_PULLS, *_ONE_REQUEST),
        before=0,
        delay=_FAR,
    ),
    Case(
        "round-trips",
        "20 tiny images into an empty registry with 40 ms a request",
        "tiny",
        (*_OURS, *_SKOPEO, *_AT_A_TIME),
        (_wall(0.50, *_SKOPEO, *_AT_A_TIME),),
        delay=_FAR,
    ),
    Case("memory", "cold with --jobs 32", "lib", _OURS, (_peak(80),), jobs=32),
    Case("memory-big", "4 images of 300 MB, cold with --jobs 32", "big", _OURS, (_peak(80),), jobs=32),
    *(
        Case(
            f"thousand-{count}",
            f"{count} tags in {count // 5} repositories, all there",
            "thousand",
            (*_OURS, "skopeo sync", "regsync"),
            (_PER_HUNDRED, _NO_PULLS, *_ONE_REQUEST),
            before=0,
            first=count,
        )
        for count in (250, 500, 1000)
    ),
)
