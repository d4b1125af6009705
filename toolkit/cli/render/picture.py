"""The picture of a result: where images come from, where they lie in ECR, which builds use them.

It is a graph in three columns, laid out for an SVG. However many images there are, boxes and lines are few: what does
not fit is drawn together, and what changes keeps a box of its own for longest.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.cli.render.lines import visible

# How many repositories and builds have a box of their own, tried in this order until the lines are few enough.
_LIMITS = ((14, 14), (10, 10), (6, 8), (0, 8), (0, 3), (0, 0))
_MOST_UPSTREAMS = 8
_MOST_LINES = 72
# A unit is a CSS pixel where the page is wide enough: the left edge and the width of each column.
_COLUMNS = ((0, 260), (380, 360), (860, 260))
_HEIGHT, _GAP, _TOP = 42, 12, 30
# What is left and right of a text, and how wide letters are: monospaced ones of 12 pixels, and others of 11.
_MARGIN, _LETTER, _SMALL_LETTER = 44, 7.3, 6.2
_STRAIGHT = "straight from upstream"


@dataclass(frozen=True, slots=True)
class Flow:
    """Images on their way, mostly one: from the registry `upstream` into `repository`, for the builds `users`.

    `upstream` is "" where it is not known, as for images that are destroyed. `repository` is "" where builds fetch the
    image from its upstream. `link` is the fragment of its row in the page.
    """

    upstream: str
    repository: str
    users: Sequence[str]
    state: str
    link: str
    images: int = 1


@dataclass(frozen=True, slots=True)
class Box:
    """A place of the picture. `about` counts its images by state; `label` and `summary` are both texts, cut to fit.

    `state` is the most important one. `link` is the row of its only image, if it has only one.
    """

    id: str
    x: int
    y: int
    width: int
    height: int
    label: str
    name: str
    about: str
    summary: str
    state: str
    stands_for: int
    link: str | None


@dataclass(frozen=True, slots=True)
class Line:
    """The images between two boxes; `path` is for an SVG, and the line is thicker for more images."""

    start: str
    end: str
    path: str
    thickness: float
    state: str
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything with its place. Lines of an important state come last, which is on top."""

    width: int
    height: int
    headings: Sequence[tuple[int, str]]
    boxes: Sequence[Box]
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Column:
    """What stands in a column: its heading, and a noun for many."""

    heading: str
    many: str


_Place = tuple[int, str, str]  # the column, the name or "" for what is drawn together, and with which


def draw(flows: Sequence[Flow], words: Mapping[str, str], columns: Sequence[Column]) -> Picture | None:
    """The picture of `flows`, None if there are none; `words` has a word for each state, the most important first."""
    if not flows:
        return None
    rank = {state: number for number, state in enumerate(words)}
    states: dict[str, str] = {}
    for flow in sorted(flows, key=lambda one: rank[one.state]):
        states.setdefault(flow.repository, flow.state)
    upstreams = _own_boxes([(flow.upstream, flow.state) for flow in flows], _MOST_UPSTREAMS, rank)
    for most_repositories, most_builds in _LIMITS:
        repositories = _own_boxes([(flow.repository, flow.state) for flow in flows], most_repositories, rank)
        builds = _own_boxes([(user, flow.state) for flow in flows for user in flow.users], most_builds, rank)
        members: dict[_Place, set[str]] = defaultdict(set)
        inside: dict[_Place, list[Flow]] = defaultdict(list)
        between: dict[tuple[_Place, _Place], list[Flow]] = defaultdict(list)
        for flow in flows:
            start = (0, flow.upstream if flow.upstream in upstreams else "", "")
            middle = (1, flow.repository, "")
            if flow.repository and flow.repository not in repositories:
                middle = (1, "", f"{start[1]} {states[flow.repository]}")
            ends = {(2, user if user in builds else "", ""): user for user in flow.users}
            if flow.upstream:
                between[start, middle].append(flow)
                members[start].add(flow.upstream)
                inside[start].append(flow)
            members[middle].add(flow.repository)
            inside[middle].append(flow)
            for user in flow.users:
                members[2, user if user in builds else "", ""].add(user)
            for end in ends:
                between[middle, end].append(flow)
                inside[end].append(flow)
        if len(between) <= _MOST_LINES:
            break
    return _lay_out(members, inside, between, rank, words, columns)


def _own_boxes(found: Sequence[tuple[str, str]], most: int, rank: Mapping[str, int]) -> frozenset[str]:
    """All names, or, of too many, the ones with the most important states; those with the least important have none."""
    best: dict[str, int] = {}
    count: Counter[str] = Counter()
    for name, state in found:
        best[name] = min(best.get(name, rank[state]), rank[state])
        count[name] += 1
    if len(best) <= most:
        return frozenset(best)
    least = max(rank.values())
    busy = sorted((name for name in best if best[name] < least), key=lambda name: (best[name], -count[name], name))
    return frozenset(busy[:most])


def _lay_out(
    members: Mapping[_Place, set[str]],
    inside: Mapping[_Place, Sequence[Flow]],
    between: Mapping[tuple[_Place, _Place], Sequence[Flow]],
    rank: Mapping[str, int],
    words: Mapping[str, str],
    columns: Sequence[Column],
) -> Picture:
    """Boxes stand near those that they are joined with, as far as one pass from left to right can do it."""
    best = {place: min((flow.state for flow in those), key=rank.__getitem__) for place, those in inside.items()}
    order: dict[_Place, int] = {}
    stacks: list[list[_Place]] = []
    for column in range(3):
        near: dict[_Place, list[int]] = defaultdict(list)
        for start, end in between:
            if end[0] == column:
                near[end].append(order[start])
        stack = sorted(
            (place for place in members if place[0] == column),
            key=lambda place: (
                not place[1],  # what is drawn together comes last
                sum(near[place]) / len(near[place]) if near[place] else -1 if column else 0,
                rank[best[place]],
                -len(inside[place]),
                place,
            ),
        )
        order.update({place: number for number, place in enumerate(stack)})
        stacks.append(stack)
    tallest = max(map(len, stacks)) * (_HEIGHT + _GAP) - _GAP
    boxes: dict[_Place, Box] = {}
    for stack, (x, width), column_words in zip(stacks, _COLUMNS, columns, strict=True):
        top = _TOP + (tallest - len(stack) * (_HEIGHT + _GAP) + _GAP) // 2
        others = any(place[1] for place in stack)
        for number, place in enumerate(stack):
            name = _name(members[place], column_words, place, others=others)
            flows = inside[place]
            about = count_states(((flow.state, flow.images) for flow in flows), words)
            room = int((width - _MARGIN) / _SMALL_LETTER)
            boxes[place] = Box(
                id=f"b{len(boxes)}",
                x=x,
                y=top + number * (_HEIGHT + _GAP),
                width=width,
                height=_HEIGHT,
                label=_fit(name, int((width - _MARGIN) / _LETTER)),
                name=name,
                about=about,
                summary=about if len(about) <= room else f"{about[: room - 1]}…",
                state=best[place],
                stands_for=len(members[place]),
                link=flows[0].link if len(flows) == 1 and place[0] == 1 else None,
            )
    lines = [_line(boxes[start], boxes[end], flows, rank, words) for (start, end), flows in between.items()]
    return Picture(
        width=max(box.x + box.width for box in boxes.values()),
        height=_TOP + tallest + 2,
        headings=[
            (x, column.heading) for stack, (x, _), column in zip(stacks, _COLUMNS, columns, strict=True) if stack
        ],
        boxes=list(boxes.values()),
        lines=sorted(lines, key=lambda line: -rank[line.state]),
    )


def _line(start: Box, end: Box, flows: Sequence[Flow], rank: Mapping[str, int], words: Mapping[str, str]) -> Line:
    x1, y1 = start.x + start.width, start.y + start.height // 2
    x2, y2 = end.x, end.y + end.height // 2
    middle = (x1 + x2) // 2
    return Line(
        start=start.id,
        end=end.id,
        path=f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}",
        thickness=round(1.5 + math.log2(len(flows)) * 0.8, 1),
        state=min((flow.state for flow in flows), key=rank.__getitem__),
        title=f"{start.name} to {end.name}: {count_states(((flow.state, flow.images) for flow in flows), words)}",
    )


def _name(names: set[str], words: Column, place: _Place, *, others: bool) -> str:
    if len(names) == 1:
        (name,) = names
        return visible(name) or _STRAIGHT
    upstream = place[2].rpartition(" ")[0]
    what = f"{'more ' if others else ''}{words.many}{f' of {upstream}' if upstream else ''}"
    return f"{len(names)} {visible(what)}"


def count_states(found: Iterable[tuple[str, int]], words: Mapping[str, str]) -> str:
    """How many images there are in each state, of states with numbers of images."""
    counts: Counter[str] = Counter()
    for state, images in found:
        counts[state] += images
    return ", ".join(f"{counts[state]} {word}" for state, word in words.items() if counts[state]) or "no images"


def _fit(text: str, most: int) -> str:
    """`text` without its middle, if it is too long: the end tells names apart."""
    if len(text) <= most:
        return text
    head = most // 3
    return f"{text[:head]}…{text[head - most + 1 :]}"
