"""What a scan found, as text for a terminal, as Markdown for a pull request, and as JSON-safe values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from toolkit.cli.render.amounts import format_count
from toolkit.cli.render.lines import Paint, format_remark, visible, wrap
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
_LONGEST_MARKDOWN = 60_000
_SHOWN_STRATEGIES = tuple(strategy for strategy in Strategy if strategy.serves)


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


def scan_document(report: ScanReport) -> dict[str, object]:
    """The report as JSON-safe values."""
    return {
        "schema_version": 1,
        "manifest": report.manifest,
        "build": report.build,
        "strategy": report.strategy.value,
        "docker_version": report.docker_version,
        "is_clean": report.is_clean,
        "files": [{"path": path, "kind": kind} for path, kind in report.files.items()],
        "images": [_use_document(use) for use in report.uses],
        "not_understood": [
            {"file": one.file, "line": one.line, "message": one.message, "fails_check": one.is_fault}
            for one in report.troubles
        ],
        "defeats": {strategy.value: _defeat_documents(report, strategy) for strategy in _SHOWN_STRATEGIES},
        "missing": list(report.missing),
        "upstreams": dict(report.upstreams),
    }


def _use_document(use: ScannedUse) -> dict[str, object]:
    mirror = use.mirror
    return {
        "file": use.file,
        "line": use.line,
        "kind": use.kind.value,
        "written": use.written,
        "reference": use.reference,
        "platform": use.platform,
        "pinned_by_digest": use.is_pinned,
        "pulls_always": use.pulls_always,
        "unset_variables": list(use.unset),
        "mirror": mirror and {"entry": mirror.path, "repository": mirror.repository, "tag": mirror.tag},
        "built_by": use.built_by,
        "builder": use.builder.value,
        "builder_is_named": use.is_builder_named,
        "verdict": word_of(use),
        "decided_by": use.outcome.by.value,
        "reason": reason_of(use) or None,
        "remedy": use.remedy or None,
        "kept_by": [strategy.value for strategy in use.kept_by] if use.is_read else [],
        "verdicts": {
            strategy.value: {builder.value: verdict.value for builder, verdict in row.items()}
            for strategy, row in use.verdicts.items()
        },
    }


def _defeat_documents(report: ScanReport, strategy: Strategy) -> list[dict[str, object]]:
    reasons = report.defeats(strategy).items()
    return [{"reason": why, "lines": _places(uses)} for why, uses in reasons]


def _places(uses: Iterable[ScannedUse]) -> list[str]:
    return list(dict.fromkeys(f"{use.file}:{use.line}" for use in uses))


def render_scan(report: ScanReport, *, width: int = 100, colour: bool = False) -> str:
    """The text of `report`, its last line a summary."""
    paint = Paint(colour)
    lines: list[str] = []
    for file, uses in groupby(report.uses, key=lambda use: use.file):
        lines.append(paint("bold", visible(file)))
        alike: dict[tuple[object, ...], list[ScannedUse]] = {}
        for use in uses:
            alike.setdefault(
                (use.line, word_of(use), use.written, use.reference, reason_of(use), use.remedy), []
            ).append(use)
        for same in alike.values():
            lines += _use_lines(same, width, paint)
        lines.append("")
    if report.troubles:
        lines.append(paint("bold", "Not understood"))
        for trouble in report.troubles:
            word = f"{visible(trouble.file)}:{trouble.line}"
            style = "red" if trouble.is_fault else "yellow"
            lines += [
                "  " + line
                for line in format_remark(word, trouble.message, None, style=style, width=width - 2, paint=paint)
            ]
        lines.append("")
    lines += _strategy_lines(report, width, paint)
    if report.missing:
        lines += [
            paint("bold", "To be added to `images` (--write does it)"),
            *(f"  - {text}" for text in report.missing),
        ]
        lines.append("")
    return "\n".join([*lines, _summary(report)])


def _strategy_lines(report: ScanReport, width: int, paint: Paint) -> Iterator[str]:
    """The mirrored images that each strategy would not serve, and the lines that use them."""
    defeats = {strategy: report.defeats(strategy) for strategy in _SHOWN_STRATEGIES}
    if not any(defeats.values()):
        return
    yield paint("bold", "What defeats which strategy")
    for strategy, reasons in defeats.items():
        name = strategy.value.ljust(10)
        if not reasons:
            yield f"  {paint('green', name)} nothing"
        for why, uses in reasons.items():
            places = _places(uses)
            shown = ", ".join(places[:4]) + (f" and {len(places) - 4} more" if len(places) > 4 else "")
            first, *rest = wrap(f"{why}: {shown}", width=width, indent=" " * 13, first="")
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


def _summary(report: ScanReport) -> str:
    counts = Counter(word_of(use) for use in report.uses)
    found = ", ".join(f"{counts[word]} {meaning}" for word, meaning in _MEANINGS.items() if counts[word])
    kinds = Counter(report.files.values())
    files = ", ".join(format_count(count, _NOUNS[kind]) for kind, count in sorted(kinds.items())) or "no file to read"
    against = ", ".join([report.manifest or "no manifest", *([f"build {report.build}"] if report.build else [])])
    text = f"Scanned {files} against {against}, strategy {report.strategy}, Docker {report.docker_version}: "
    text += f"{format_count(len(report.uses), 'use')} of images"
    text += f", {found}" if found else ""
    text += f"; {format_count(len(report.faults), 'fault')}" if report.faults else ""
    return f"{text}."


_NOUNS = {"bake": "bake file", "buildspec": "buildspec", "compose": "compose file", "dockerfile": "Dockerfile"}
_MEANINGS = {
    "stays": "from ECR",
    "ignored": "not looked at",
    "leaves": "from an upstream",
    "wrong": "for the wrong platform",
    "refused": "refused",
    "unknown": "unknown",
    "unreached": "in stages that no build reaches",
}


def render_markdown(report: ScanReport) -> str:
    """The report for a pull request: faults first, then everything in a table that folds.

    A comment on GitHub has at most 65,536 characters, so each part shows what fits into its share.
    """
    lines = ["### Base images", "", _cell(_summary(report)), ""]
    if report.lost:
        lines += ["| | where | image | why | what to do |", "|---|---|---|---|---|"]
        lines += _fitting(
            f"| {word_of(use)} | {_place(use)} | {_cell(reason_of(use))} | {_cell(use.remedy or _others(use))} |"
            for use in report.lost
        )
        lines.append("")
    if report.troubles:
        lines += ["**Not understood**", ""]
        lines += _fitting(f"- `{_cell(one.file)}:{one.line}` {_cell(one.message)}" for one in report.troubles)
        lines.append("")
    if report.missing:
        lines += [
            "To be added to `images`:",
            "",
            "```yaml",
            *_fitting(f"- {text}" for text in report.missing),
            "```",
            "",
        ]
    if report.uses:
        lines += ["<details><summary>Every use, by strategy</summary>", ""]
        lines += [f"| where | image | {' | '.join(_SHOWN_STRATEGIES)} |", f"|---|---|{'---|' * len(_SHOWN_STRATEGIES)}"]
        lines += _fitting(
            f"| {_place(use)} | {' | '.join(_mark(use, strategy) for strategy in _SHOWN_STRATEGIES)} |"
            for use in report.uses
        )
        lines += ["", "</details>", ""]
    return "\n".join(lines)


def _fitting(lines: Iterable[str]) -> list[str]:
    """The lines, each once, as far as they fit into a quarter of a comment."""
    found = list(dict.fromkeys(lines))
    room = _LONGEST_MARKDOWN // 4 - 500
    kept: list[str] = []
    for line in found:
        room -= len(line) + 1
        if room < 0:
            return (
                [*kept, f"\n... and {len(found) - len(kept)} more"] if kept else [f"... {len(found)} that are too long"]
            )
        kept.append(line)
    return kept


def _place(use: ScannedUse) -> str:
    """The cells of where and what."""
    return f"`{_cell(use.file)}:{use.line}` | `{_cell(_shown_name(use))}`"


def _others(use: ScannedUse) -> str:
    return f"kept home by {', '.join(use.kept_by)}" if use.kept_by else "no strategy keeps it home"


def _mark(use: ScannedUse, strategy: Strategy) -> str:
    if not use.is_read:
        return "unknown"
    verdict = use.under(strategy).verdict
    return verdict.value if verdict is not Verdict.STAYS else "ok"


def _cell(text: str) -> str:
    """Text that stays in its cell and is not markup."""
    return visible(text).replace("|", "\\|").replace("<", "&lt;")
