"""What a scan found, as text for a terminal and as Markdown for a pull request."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from toolkit.cli.render.amounts import format_count
from toolkit.cli.render.lines import Paint, format_remark, visible, wrap
from toolkit.cli.render.markdown import Part, code, comment, escape, marker, prose, row, yaml_block
from toolkit.codebuild.coverage import Verdict
from toolkit.codebuild.scan_report import ScannedUse, ScanReport
from toolkit.manifest.strategy import Strategy
from toolkit.oci.reference import Reference

_STYLES = {
    "stays": "green",
    "ignored": "dim",
    "leaves": "red",
    "wrong": "red",
    "refused": "yellow",
    "unknown": "red",
    "unreached": "yellow",
}
_WORDS = ("leaves", "wrong", "refused", "unknown", "unreached", "ignored", "stays")
"""The verdicts in the order in which they are shown."""
_SHOWN_ADDITIONS = 100
_LOST_HEAD = ("| | where | image | why | what to do |", "|---|---|---|---|---|")
_T = TypeVar("_T")
SHOWN_STRATEGIES = tuple(strategy for strategy in Strategy if strategy.serves)


def word_of(use: ScannedUse) -> str:
    """The verdict in one word: `unknown` if nobody can tell what is fetched, `unreached` if no build needs it."""
    if use.is_unreached and not use.is_kept:
        return "unreached"
    return use.outcome.verdict.value if use.is_read else "unknown"


def reason_of(use: ScannedUse) -> str:
    """Why it does not come from ECR, as one clause."""
    if use.is_unreached and not use.is_kept:
        return f"no build that was found needs its stage; for one that does: {_reason_of_built(use)}"
    return _reason_of_built(use)


def _reason_of_built(use: ScannedUse) -> str:
    if use.is_read:
        return use.outcome.why
    if use.doubt:
        return use.doubt
    if use.unset:
        return f"{', '.join(f'`{name}`' for name in use.unset)} has no value, so the image is not known"
    return "it is no image name"


def places_of(uses: Iterable[ScannedUse]) -> list[str]:
    """Where they stand, each line once."""
    return list(dict.fromkeys(f"{use.file}:{use.line}" for use in uses))


_ENTRY = re.compile("`- [^`]*`")
_DIGEST = re.compile("(@sha256:[0-9a-f]{12})[0-9a-f]{52}")


@dataclass(frozen=True, slots=True)
class _Group:
    """Images with one verdict for one reason, each with its uses; `remedy` helps them all."""

    word: str
    reason: str
    remedy: str
    images: Mapping[str, list[ScannedUse]]


def _groups(report: ScanReport) -> list[_Group]:
    """The uses by verdict, what does not stay first; then by reason, remedy and image."""
    found: dict[tuple[str, str, str], dict[str, list[ScannedUse]]] = {}
    for use in report.uses:
        remedy = "" if use.is_kept else _ENTRY.sub("it", use.remedy) or _others(use)
        reason = f"built by {use.built_by}" if use.built_by else reason_of(use)
        if word_of(use) == "unknown" and use.unset and not use.doubt:
            reason, remedy = "it needs a value that no file gives", "give values: `--build-arg NAME=...`"
        name = Reference.parse(use.reference).familiar if use.reference else use.written
        found.setdefault((word_of(use), reason, remedy), {}).setdefault(name, []).append(use)
    groups = [_Group(*key, dict(sorted(images.items()))) for key, images in found.items()]
    return sorted(groups, key=lambda group: _WORDS.index(group.word))


def render_scan(report: ScanReport, *, has_places: bool = False, width: int = 100, colour: bool = False) -> str:
    """The text of `report`, its last line a summary. `has_places` lists each use by file, else each image once."""
    paint = Paint(colour)
    lines = [*(_place_lines if has_places else _image_lines)(report, width, paint)]
    if report.troubles:
        lines.append(paint("bold", "Not understood"))
        lines += _trouble_lines(report, width, paint, has_places=has_places)
        lines.append("")
    lines += _strategy_lines(report, width, paint)
    if report.missing:
        lines += [
            paint("bold", "To be added to `images` (--write does it)"),
            *(f"  - {text}" for text in report.missing),
        ]
        lines.append("")
    return "\n".join([*lines, say_scan(report)])


def _image_lines(report: ScanReport, width: int, paint: Paint) -> Iterator[str]:
    """One line for each image, below what holds for all images of its group."""
    for group in _groups(report):
        about = [group.reason, f"-> {group.remedy}" if group.remedy else ""]
        first, *rest = [
            line for text in about if text for line in wrap(visible(text), width=width, indent=" " * 9)
        ] or [""]
        yield f"{paint(_STYLES[group.word], group.word.ljust(8))} {first.lstrip()}".rstrip()
        yield from rest
        for name, uses in group.images.items():
            places = places_of(uses)
            what = ", ".join(dict.fromkeys(part for use in uses for part in _about(use)))
            count = format_count(len(places), "place").rjust(11)
            shown = _DIGEST.sub(r"\1...", visible(name))
            yield f"{count}  {shown}  ({visible(what)})  {_shown_places(places, 1)}"
        yield ""


def _trouble_lines(report: ScanReport, width: int, paint: Paint, *, has_places: bool) -> Iterator[str]:
    for message, is_fault, places in _troubles(report, has_places=has_places):
        style = "red" if is_fault else "yellow"
        word = visible(places[0])
        text = f"{message} (and in {format_count(len(places) - 1, 'more place')})" if len(places) > 1 else message
        yield from (f"  {line}" for line in format_remark(word, text, None, style=style, width=width - 2, paint=paint))


def _troubles(report: ScanReport, *, has_places: bool) -> Iterator[tuple[str, bool, list[str]]]:
    """What was not understood, whether it fails `--check`, and where: each message once, or with `has_places` each."""
    alike: dict[tuple[str, bool, str], list[str]] = {}
    for trouble in report.troubles:
        place = f"{trouble.file}:{trouble.line}"
        alike.setdefault((trouble.message, trouble.is_fault, place if has_places else ""), []).append(place)
    for (message, is_fault, _), places in alike.items():
        yield message, is_fault, places


def _shown_places(places: list[str], most: int) -> str:
    more = f" and {len(places) - most} more" if len(places) > most else ""
    return visible(", ".join(places[:most])) + more


def _place_lines(report: ScanReport, width: int, paint: Paint) -> Iterator[str]:
    """Each use of an image, by file."""
    for file, uses in groupby(report.uses, key=lambda use: use.file):
        yield paint("bold", visible(file))
        alike: dict[tuple[object, ...], list[ScannedUse]] = {}
        for use in uses:
            alike.setdefault(
                (use.line, word_of(use), use.written, use.reference, reason_of(use), use.remedy), []
            ).append(use)
        for same in alike.values():
            yield from _use_lines(same, width, paint)
        yield ""


def _strategy_lines(report: ScanReport, width: int, paint: Paint) -> Iterator[str]:
    """The mirrored images that each strategy would not serve, and the lines that use them."""
    defeats = {strategy: report.defeats(strategy) for strategy in SHOWN_STRATEGIES}
    if not any(defeats.values()):
        return
    yield paint("bold", "What defeats which strategy")
    for strategy, reasons in defeats.items():
        name = strategy.value.ljust(10)
        if not reasons:
            yield f"  {paint('green', name)} nothing"
        for why, uses in reasons.items():
            places = places_of(uses)
            first, *rest = wrap(f"{why}: {_shown_places(places, 4)}", width=width, indent=" " * 13, first="")
            yield f"  {paint('yellow', name)} {first}"
            yield from rest
            name = " " * 10
    yield ""


def _use_lines(uses: list[ScannedUse], width: int, paint: Paint) -> Iterator[str]:
    """One line for uses that are alike in several builds, with remarks beneath."""
    use = uses[0]
    word = word_of(use)
    about = ", ".join(dict.fromkeys(part for one in uses for part in _about(one)))
    yield f"  {paint(_STYLES[word], word.ljust(7))} {use.line:>4}  {visible(_shown_name(use))}  ({visible(about)})"
    beneath = [f"mirrored by {use.mirror.path} in {use.mirror.repository}:{use.mirror.tag}"] if use.mirror else []
    beneath += [f"built by {visible(use.built_by)}"] if use.built_by else []
    beneath.append(reason_of(use))
    if not use.is_kept:
        beneath.append(f"-> {use.remedy or _others(use)}")
    for text in filter(None, beneath):
        yield from wrap(text, width=width, indent=" " * 16)


def _about(use: ScannedUse) -> Iterator[str]:
    yield use.kind.value
    if use.platform:
        yield use.platform
    if use.is_pinned:
        yield "by digest"
    if use.pulls_always:
        yield "--pull"
    if use.is_builder_named:
        yield f"builder {use.builder.value}"


def _shown_name(use: ScannedUse) -> str:
    """The image as written, and its reference if that differs."""
    if "$" in use.written and use.reference:
        return f"{use.written} = {Reference.parse(use.reference).familiar}"
    return use.written


def say_scan(report: ScanReport) -> str:
    """What was scanned and found, in one sentence."""
    counts = Counter(word_of(use) for use in report.uses)
    found = ", ".join(f"{counts[word]} {meaning}" for word, meaning in MEANINGS.items() if counts[word])
    kinds = Counter(report.files.values())
    files = ", ".join(format_count(count, _NOUNS[kind]) for kind, count in sorted(kinds.items())) or "no file to read"
    against = ", ".join([report.manifest or "no manifest", *([f"build {report.build}"] if report.build else [])])
    text = f"Scanned {files} against {against}, strategy {report.strategy}, Docker {report.docker_version}: "
    text += f"{format_count(len(report.uses), 'use')} of images"
    text += f", {found}" if found else ""
    text += f"; {format_count(len(report.faults), 'fault')}" if report.faults else ""
    return f"{text}."


_NOUNS = {
    "bake": "bake file",
    "buildspec": "buildspec",
    "ci": "CI file",
    "compose": "compose file",
    "dockerfile": "Dockerfile",
    "tests": "test file",
}
MEANINGS = {
    "stays": "from ECR",
    "ignored": "not looked at",
    "leaves": "from an upstream",
    "wrong": "for the wrong platform",
    "refused": "refused",
    "unknown": "unknown",
    "unreached": "in stages that no build reaches",
}


def render_scan_markdown(report: ScanReport, *, has_places: bool = False) -> str:
    """The report as a comment: faults first, then everything in a table that folds. `has_places` lists each use."""
    top = [marker("scan", manifest=report.manifest, build=report.build), escape(say_scan(report)), ""]
    added = report.missing[:_SHOWN_ADDITIONS]
    left = len(report.missing) - len(added)
    parts = [
        Part("**Not kept home**", _once(_lost_rows(report, has_places=has_places)), head=_LOST_HEAD),
        Part("**Not understood**", _once(_trouble_items(report, has_places=has_places))),
        Part(
            f"To be added to `images`{f', and {left} more' if left else ''}:",
            [yaml_block("\n".join(f"- {text}" for text in added))] if added else [],
        ),
        Part(
            f"Every {'use' if has_places else 'image'}, by strategy",
            _once(_strategy_rows(report, has_places=has_places)),
            head=(row("where", "image", *SHOWN_STRATEGIES), f"|---|---|{'---|' * len(SHOWN_STRATEGIES)}"),
            is_folded=True,
        ),
    ]
    return comment(top, parts)


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))


def _lost_rows(report: ScanReport, *, has_places: bool) -> Iterator[str]:
    def about(use: ScannedUse) -> tuple[str, str]:
        return word_of(use), f"{prose(reason_of(use))} | {prose(use.remedy or _others(use))}"

    for place, (word, why) in _alike(report.lost, about, has_places=has_places):
        yield f"| {word} | {place} | {why} |"


def _strategy_rows(report: ScanReport, *, has_places: bool) -> Iterator[str]:
    def marks(use: ScannedUse) -> str:
        return " | ".join(_mark(use, strategy) for strategy in SHOWN_STRATEGIES)

    for place, cells in _alike(report.uses, marks, has_places=has_places):
        yield f"| {place} | {cells} |"


def _alike(
    uses: Iterable[ScannedUse], about: Callable[[ScannedUse], _T], *, has_places: bool
) -> Iterator[tuple[str, _T]]:
    """The cells of where and what, and what `about` says: once for the uses of an image that share it, or for each."""
    found: dict[tuple[str, _T, str], list[ScannedUse]] = {}
    for use in uses:
        place = f"{use.file}:{use.line}" if has_places else ""
        found.setdefault((_shown_name(use), about(use), place), []).append(use)
    for (name, said, _), same in found.items():
        yield f"{_first_place(places_of(same))} | {code(name)}", said


def _trouble_items(report: ScanReport, *, has_places: bool) -> Iterator[str]:
    for message, _, places in _troubles(report, has_places=has_places):
        yield f"- {_first_place(places)} {prose(message)}"


def _first_place(places: list[str]) -> str:
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{code(places[0])}{more}"


def _others(use: ScannedUse) -> str:
    return f"kept home by {', '.join(use.kept_by)}" if use.kept_by else "no strategy keeps it home"


def _mark(use: ScannedUse, strategy: Strategy) -> str:
    if not use.is_read:
        return "unknown"
    verdict = use.under(strategy).verdict
    return verdict.value if verdict is not Verdict.STAYS else "ok"
