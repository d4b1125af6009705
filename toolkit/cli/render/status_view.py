"""The state of every image as text, and as Markdown: the body of an issue that serves as a dashboard."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from toolkit.cli.render.amounts import format_count, format_size
from toolkit.cli.render.infra_view import attribute_texts, details_of, group_alike, headline
from toolkit.cli.render.lines import Paint, format_remarks, visible, wrap
from toolkit.cli.render.markdown import Part, code, comment, escape, hinted, marker, names, prose, row
from toolkit.cli.render.totals import sum_states
from toolkit.errors import some
from toolkit.lock.admission import in_words
from toolkit.oci.digest import Digest
from toolkit.plan.model import InfraChange
from toolkit.plan.severity import Severity
from toolkit.plan.status import ImageStatus, ReplicaStatus, Scan, State, StatusReport

SECTIONS: Mapping[str, Sequence[State]] = MappingProxyType(
    {
        "Needs a decision": (State.OVERWRITTEN, State.MISSING, State.GONE, State.UNKNOWN),
        "Cooling down": (State.COOLING,),
        "Behind": (State.HELD, State.SUSPENDED, State.BEHIND, State.PINNED),
        "Fine": (State.FINE,),
    }
)
"""The parts of a dashboard, with the states that are in each."""

WORDS: Mapping[State, str] = MappingProxyType(
    {
        State.OVERWRITTEN: "overwritten in ECR",
        State.MISSING: "not in ECR",
        State.GONE: "gone upstream",
        State.UNKNOWN: "cannot be judged",
        State.HELD: "held",
        State.SUSPENDED: "suspended",
        State.BEHIND: "behind",
        State.COOLING: "cooling down",
        State.PINNED: "pinned",
        State.FINE: "fine",
    }
)
_STYLES = {
    State.OVERWRITTEN: "magenta",
    State.MISSING: "red",
    State.GONE: "red",
    State.UNKNOWN: "red",
    State.FINE: "dim",
}
_WIDEST_NAME = 45
_HEADINGS = ("image", "state", "in ECR", "upstream", "behind")
_WIDTHS = (18, 12, 12)  # of the columns between the name and the last one
_HEAD = (row("image", "in ECR", "upstream", "behind", "why", "used by"), "|---|---|---|---|---|---|")
_FINE_HEAD = (row("image", "in ECR", "scan", "last pull"), "|---|---|---|---|")


def render_status(
    report: StatusReport, *, width: int = 100, colour: bool = False, shows_unchanged: bool = False
) -> str:
    """A table, the worst first, then what ECR has besides; `shows_unchanged` lists images that are fine."""
    paint = Paint(colour)
    shown = [one for one in report.images if shows_unchanged or one.state is not State.FINE]
    sections = [
        [paint("bold", visible(say_status(report))), *wrap(_about(report), width=width, indent="  ", first="")],
        _table(shown, report, width, paint),
        list(_replica_lines(report, width, has_names=shows_unchanged)),
        list(_extra_lines(report, width)),
        _drift_lines(report.drift, width, paint),
        _remark_lines(report, width, paint),
    ]
    return "\n".join("\n".join([*section, ""]) for section in sections if section)


def say_status(report: StatusReport) -> str:
    """The counts in one sentence, those of the worst state first."""
    counts = [f"{count} {WORDS[state]}" for state, count in sum_states(report).items() if count]
    left = f"; {report.unseen_images} not looked at" if report.unseen_images else ""
    if not counts:
        return f"No image was looked at{left}."
    return f"{format_count(len(report.images), 'image')}: {', '.join(counts)}{left}."


def _about(report: StatusReport) -> str:
    lock = f"lock {report.lock}" if report.lock else "no lock, so nobody knows since when an image is behind"
    return (
        f"{report.name}: account {report.account.account_id}, region {report.account.region}; "
        f"{_moment(report.at)} UTC; {lock}"
    )


def _table(images: Sequence[ImageStatus], report: StatusReport, width: int, paint: Paint) -> list[str]:
    if not images:
        return []
    names_ = [visible(one.key) for one in images]
    widest = max(len(name) for name in [*(n for n in names_ if len(n) <= _WIDEST_NAME), _HEADINGS[0]])
    state, *digests, last = _HEADINGS[1:]
    cells = [state.ljust(_WIDTHS[0]), *(text.ljust(size) for text, size in zip(digests, _WIDTHS[1:], strict=True))]
    lines = [paint("dim", f"  {_HEADINGS[0].ljust(widest)}  {'  '.join(cells)}  {last}".rstrip())]
    for name, one in zip(names_, images, strict=True):
        style = _STYLES.get(one.state, "yellow")
        if len(name) > widest:
            lines.append(f"  {name}")
            name = ""  # noqa: PLW2901  the rest of its line stands beneath
        cells = [
            paint(style, WORDS[one.state].ljust(_WIDTHS[0])),
            short(one.filtered_from or one.in_ecr).ljust(_WIDTHS[1]),
            short(one.newest).ljust(_WIDTHS[2]),
        ]
        lines.append(f"  {name.ljust(widest)}  {'  '.join(cells)}  {say_behind(one, report.at)}".rstrip())
        lines += wrap("; ".join(facts(one)), width=width, indent="      ")
    return lines


def facts(image: ImageStatus, *, with_users: bool = True, is_short: bool = False) -> list[str]:
    """The reason of its state, and what else is known of an image; in short, what is no column of a table."""
    found = [image.reason]
    if image.hold and image.state is not State.HELD:
        found.append(f"held: {image.hold.reason}")
    if image.fault and image.state is not State.UNKNOWN:
        found.append(f"upstream was not seen: {image.fault}")
    if image.is_gone and image.gone_since:
        found.append(f"gone since {_moment(image.gone_since)} at the latest")
    elif image.is_gone and image.state is not State.GONE:
        found.append("gone upstream")
    if is_short:
        return found
    if image.in_ecr:
        found += [", ".join(map(str, image.platforms))] if image.platforms else []
        found += [format_size(image.size)] if image.size is not None else []
        found += [say_scan(image.scan), say_pull(image)]
    found += [f"used by {', '.join(image.used_by)}"] if image.used_by and with_users else []
    return found


def say_behind(image: ImageStatus, at: datetime) -> str:
    """For how long an image is behind; "" if it is not."""
    if not image.is_behind:
        return ""
    return in_words(at - image.behind_since) if image.behind_since else "not known"


def say_scan(scan: Scan | None) -> str:
    """What ECR's scan found, and when it was; that there was none is said."""
    if scan is None:
        return "scan not asked for"
    parts = []
    if scan.counts is not None:
        parts.append(f"scan{f' of {scan.at:%Y-%m-%d}' if scan.at else ''}: {_counts(scan.counts)}")
    lacking = list(dict.fromkeys(scan.lacking))
    if lacking:
        count = f" ({format_count(len(scan.lacking), 'platform')})" if parts or len(scan.lacking) > 1 else ""
        parts.append(f"{', '.join(lacking)}{count}")
    return "; ".join(parts)


def say_findings(scan: Scan | None) -> str:
    """The counts alone."""
    if scan is None or scan.counts is None:
        return "not scanned" if scan else "not asked for"
    counts = _counts(scan.counts)
    return f"{counts}, {format_count(len(scan.lacking), 'platform')} not scanned" if scan.lacking else counts


def _counts(found: Mapping[Severity, int]) -> str:
    return ", ".join(f"{count} {severity}" for severity, count in found.items() if count) or "no findings"


def say_pull(image: ImageStatus) -> str:
    """When ECR recorded the last pull."""
    return f"last pull {image.last_pull:%Y-%m-%d}" if image.last_pull else "no pull recorded"


def short(digest: Digest | None) -> str:
    """As Docker shows it; a dash for none."""
    return digest.short if digest else "-"


def _moment(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _replica_lines(report: StatusReport, width: int, *, has_names: bool) -> Iterator[str]:
    if report.replicas:
        yield "Other regions"
    for one in report.replicas:
        yield from wrap(f"{one.region}: {say_replica(one)}", width=width, indent="      ", first="  ")
        if has_names:
            for word, keys in lacking(one):
                yield from wrap(f"{word}: {', '.join(keys)}", width=width, indent="        ", first="      ")


def say_replica(replica: ReplicaStatus, *, has_names: bool = False) -> str:
    """How many of the images in ECR a region has, and how many it lacks."""
    if replica.fault:
        return f"not known: {replica.fault}"
    total = replica.in_place + len(replica.late) + len(replica.missing)
    counts = [f"{replica.in_place} of {format_count(total, 'image')} in place"]
    for word, keys in lacking(replica):
        counts.append(f"{len(keys)} {word}{f' ({some(keys)})' if has_names else ''}")
    return ", ".join(counts)


def lacking(replica: ReplicaStatus) -> Iterator[tuple[str, Sequence[str]]]:
    """The images that a region lacks, by how."""
    yield from ((word, keys) for word, keys in (("late", replica.late), ("missing", replica.missing)) if keys)


def _extra_lines(report: StatusReport, width: int) -> Iterator[str]:
    by_repository: dict[str, list[str]] = defaultdict(list)
    for one in report.extra_tags:
        by_repository[one.repository].append(one.tag)
    if by_repository or report.extra_repositories:
        yield "In ECR and not in the manifest"
    for repository, tags in by_repository.items():
        yield from wrap(f"{repository}: {', '.join(tags)}", width=width, indent="      ", first="  ")
    for repository in report.extra_repositories:
        yield from wrap(f"{repository}: the whole repository", width=width, indent="      ", first="  ")
    if counted := say_counted(report):
        yield from wrap(counted, width=width, indent="    ", first="  ")


def say_counted(report: StatusReport) -> str:
    """How many tags in ECR belong to others; "" if there are none."""
    counts = [
        (report.keepers, "keeper tag", "of former digests"),
        (report.companions, "tag", "of signatures and referrers"),
    ]
    return ", ".join(f"{format_count(count, noun)} {of}" for count, noun, of in counts if count)


def _drift_lines(drift: Sequence[InfraChange] | None, width: int, paint: Paint) -> list[str]:
    if drift is None:
        return []
    if not drift:
        return ["No drift: nothing was changed outside of Terraform"]
    lines = [paint("bold", "Changed outside of Terraform")]
    for those in group_alike(drift):
        lines += wrap(f"! {headline(those, details_of(those))}", width=width, indent="    ", first="  ")
        for text in attribute_texts(those[0].changes[0]):
            lines += wrap(text, width=width, indent="        ", first="      ")
    return lines


def _remark_lines(report: StatusReport, width: int, paint: Paint) -> list[str]:
    notices = [(f"{one.message} [{one.code}]", one.hint) for one in report.notices]
    faults = [(f"{one.message} [{one.code}]", one.hint) for one in report.faults or ()]
    return [
        *format_remarks("notice", notices, style="yellow", width=width, paint=paint),
        *format_remarks("fails", faults, style="red", width=width, paint=paint),
        *(["The check passes."] if report.faults == () else []),
    ]


def render_status_markdown(report: StatusReport) -> str:
    """The same as the body of an issue, in which the images that are fine are folded."""
    top = [marker("status", manifest=report.name), f"**{escape(say_status(report))}**", "", escape(_about(report)), ""]
    parts = []
    faults = [f"- {prose(one.message)} ({code(one.code)}){hinted(one.hint)}" for one in report.faults or ()]
    parts.append(Part("**Fails the check**", faults))
    for title, states in SECTIONS.items():
        those = [one for one in report.images if one.state in states]
        if title == "Fine":
            rows = [_fine_row(one) for one in those]
            parts.append(Part(f"Fine: {format_count(len(those), 'image')}", rows, _FINE_HEAD, is_folded=True))
        else:
            parts.append(Part(f"**{title}**", [_row(one, report.at) for one in those], _HEAD))
    replicas = [f"- {code(one.region)}: {prose(say_replica(one, has_names=True))}" for one in report.replicas]
    parts.append(Part("**Other regions**", replicas))
    extra = [f"- {code(f'{one.repository}:{one.tag}')}" for one in report.extra_tags]
    extra += [f"- {code(name)}, the whole repository" for name in report.extra_repositories]
    parts.append(Part("**In ECR and not in the manifest**", extra))
    parts.append(Part("**Changed outside of Terraform**", list(_drift_items(report.drift or ()))))
    parts.append(
        Part("**Notices**", [f"- {prose(one.message)} ({code(one.code)}){hinted(one.hint)}" for one in report.notices])
    )
    return comment(top, parts)


def _row(one: ImageStatus, at: datetime) -> str:
    state, why = WORDS[one.state], "; ".join(prose(fact) for fact in facts(one, with_users=False))
    return row(
        code(one.key),
        code(short(one.filtered_from or one.in_ecr)),
        code(short(one.newest)),
        say_behind(one, at),
        # Some reasons begin with the state: `held until …`.
        f"**{state}**{why.removeprefix(state)}" if why.startswith(state) else f"**{state}**: {why}",
        names(one.used_by),
    )


def _fine_row(one: ImageStatus) -> str:
    pulled = f"{one.last_pull:%Y-%m-%d}" if one.last_pull else "-"
    return row(code(one.key), code(short(one.filtered_from or one.in_ecr)), escape(say_scan(one.scan)), pulled)


def _drift_items(drift: Iterable[InfraChange]) -> Iterator[str]:
    for those in group_alike(drift):
        details = "; ".join(attribute_texts(those[0].changes[0]))
        yield f"- {escape(headline(those, details_of(those)))}{f': {escape(details)}' if details else ''}"
