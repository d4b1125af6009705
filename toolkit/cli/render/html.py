"""A result as one page that needs no network: the verdict, what is dangerous, the picture, every image and change.

The page is made of values by `templates/page.html.j2`, which escapes whatever it shows. Nothing foreign is put into a
script or a style. The page's own, `page.js` and `page.css`, are the only ones that its Content-Security-Policy allows.
Everything can be read without the script, which filters, sorts and unfolds.
"""

from __future__ import annotations

import base64
import difflib
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from toolkit.cli.render import infra_view
from toolkit.cli.render.amounts import (
    format_count,
    format_duration,
    format_moment,
    format_range,
    format_sentence,
    format_size,
)
from toolkit.cli.render.doctor_view import say_diagnosis
from toolkit.cli.render.lines import visible
from toolkit.cli.render.lock_view import STATES, beneath, say_lock, state_of
from toolkit.cli.render.picture import Column, Flow, Picture, count_states, draw
from toolkit.cli.render.plan_markdown import say_harmless, say_plan
from toolkit.cli.render.plan_view import (
    PUT_OFF,
    judge_cost,
    replica_facts,
    say_division,
    say_left,
    say_overwritten,
    say_refused,
)
from toolkit.cli.render.preview_view import say_previews
from toolkit.cli.render.prune_view import in_order, say_prune, say_pulled, say_saved, say_why
from toolkit.cli.render.refresh_view import say_moves, say_refresh
from toolkit.cli.render.report_markdown import say_report
from toolkit.cli.render.report_view import say_blobs, say_late, say_next_step
from toolkit.cli.render.result import Result, result_document, saved_file_lines
from toolkit.cli.render.scan_view import MEANINGS, places_of, reason_of, say_scan, word_of
from toolkit.cli.render.totals import (
    PlanTotals,
    count_changes,
    skipped_images,
    sum_infra,
    sum_plan,
    sum_prune,
    sum_report,
)
from toolkit.codebuild.scan_report import ScannedUse, ScanReport
from toolkit.lock.admission import in_words
from toolkit.oci.auth import CredentialUse
from toolkit.oci.companions import kind_of
from toolkit.oci.errors import InvalidReference
from toolkit.oci.reference import Reference
from toolkit.plan.model import (
    AttributeChange,
    Grant,
    InfraAction,
    InfraChange,
    Plan,
    PullCost,
    Refusal,
    Replica,
    Seed,
    SeedAction,
)
from toolkit.plan.pruning import PrunePlan, Removal
from toolkit.plan.pull_budget import postponed
from toolkit.report import (
    CheckState,
    CopyPreview,
    Finding,
    LockChanges,
    RefreshReport,
    Report,
    SeedOutcome,
    SeedStatus,
)

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True, slots=True)
class Mark:
    """How a state is shown: the symbol and the word say what `tone`, a colour, says."""

    symbol: str
    word: str
    tone: str


# The states of each kind of result, the most important first; in the last one nothing happens.
_PLANNED = {
    "refused": Mark("✕", "refused", "bad"),
    "destroy": Mark("−", "to destroy", "bad"),
    "overwritten": Mark("!", "overwritten in ECR", "odd"),
    "move": Mark("~", "to move", "moved"),
    "copy": Mark("+", "to copy", "new"),
    "keep": Mark("=", "unchanged", "quiet"),
}
_DONE = {
    "failed": Mark("✕", "failed", "bad"),
    "refused": Mark("✕", "refused", "bad"),
    "skipped": Mark("»", "skipped", "moved"),
    "copied": Mark("+", "copied", "new"),
    "unchanged": Mark("=", "unchanged", "quiet"),
}
_PREVIEWED = {state: _PLANNED[state] for state in ("refused", "move", "copy", "keep")}
_SCANNED = {
    "leaves": Mark("↗", MEANINGS["leaves"], "bad"),
    "wrong": Mark("✕", MEANINGS["wrong"], "bad"),
    "unknown": Mark("?", MEANINGS["unknown"], "bad"),
    "refused": Mark("✕", MEANINGS["refused"], "moved"),
    "unreached": Mark("–", MEANINGS["unreached"], "quiet"),
    "ignored": Mark("–", MEANINGS["ignored"], "quiet"),
    "stays": Mark("=", MEANINGS["stays"], "quiet"),
}
_CHECKED = {
    "failed": Mark("✕", "failed", "bad"),
    "warning": Mark("!", "warning", "odd"),
    "skipped": Mark("–", "skipped", "quiet"),
    "ok": Mark("=", "ok", "quiet"),
}
_PRUNED = {
    "failed": Mark("✕", "failed", "bad"),
    "left": Mark("!", "still there", "odd"),
    "planned": Mark("−", "to delete", "bad"),
    "deleted": Mark("−", "deleted", "new"),
}
_LOCKED = {
    "admitted": Mark("+", STATES["admitted"].word, "new"),
    "rolled_back": Mark("↶", STATES["rolled_back"].word, "odd"),
    "released": Mark(">", STATES["released"].word, "new"),
    "begun": Mark("<", STATES["begun"].word, "new"),
    "removed": Mark("−", STATES["removed"].word, "moved"),
    "unreached": Mark("?", STATES["unreached"].word, "bad"),
    "held": Mark("!", STATES["held"].word, "odd"),
    "waiting": Mark("~", STATES["waiting"].word, "moved"),
    "unchanged": Mark("=", STATES["unchanged"].word, "quiet"),
}
_LONGEST_DIFF = 4_000
"""Lines, old and new. Aligning twice as many takes two seconds, and five times as many twenty."""
IMAGE = {"name": "Image"}
_SIZES = {"size": "Size", "pulls": "Pulls"}
_USERS = {"users": "Used by"}
_PLAN_LABELS = {**IMAGE, "state": "Action", "digest": "Digest", "since": "In ECR since", **_SIZES, **_USERS}
_REPORT_LABELS = {**IMAGE, "state": "Result", "digest": "Digest", "size": "Moved", "seconds": "Time", **_USERS}
_SCAN_LABELS = {**IMAGE, "state": "Verdict", "users": "Where"}
_PRUNE_LABELS = {**IMAGE, "state": "Fate", "since": "Pushed", "size": "Size"}
_LOCK_LABELS = {**IMAGE, "state": "State", "digest": "Digest", **_USERS}
_CHECK_LABELS = {"name": "Check", "state": "State"}

_ACTIONS = {
    InfraAction.DELETE: ("−", "bad"),
    InfraAction.REPLACE: ("±", "bad"),
    InfraAction.FORGET: ("·", "moved"),
    InfraAction.UPDATE: ("~", "moved"),
    InfraAction.IMPORT: ("<", "quiet"),
    InfraAction.CREATE: ("+", "new"),
}
PLACES = (
    Column("Upstream", "registries"),
    Column("Repository in ECR", "repositories"),
    Column("Build", "builds"),
)
_FILES = (*PLACES[:2], Column("File", "files"))
_TONES = {"fits": "", "may not fit": "moved", "does not fit": "bad"}


@dataclass(frozen=True, slots=True)
class Remark:
    """A sentence with its code and hint; `link` is the fragment of what it is about."""

    text: str
    code: str | None = None
    hint: str | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """What a reviewer must see, with each case of it."""

    heading: str
    tone: str
    remarks: Sequence[Remark]


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure of the summary. `bar` has what is used already, needed at most, and the limit of a pull budget."""

    label: str
    value: str
    detail: str = ""
    tone: str = ""
    bar: tuple[int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An image in the table, or a check. `anchor` is its fragment, and `alias` another one: the name that people type.

    Texts have numbers to sort by. `is_made`: the new digest is only known after the copy, and `new` is what it is made
    of. `beneath` stands below the name, `more` unfolds. A repository that is destroyed has a row for all its `images`.
    """

    name: str
    state: str
    alias: str = ""
    beneath: Sequence[str] = ()
    old: str = ""
    new: str = ""
    is_made: bool = False
    since: str = ""
    size: int | None = None
    size_text: str = ""
    pulls: int | None = None
    pulls_text: str = ""
    seconds: float | None = None
    behind: str = ""
    scan: str = ""
    severity: int = -1
    users: Sequence[str] = ()
    more: Sequence[tuple[str, str]] = ()
    upstream: str = ""
    repository: str = ""
    anchor: str = ""
    images: int = 1


@dataclass(frozen=True, slots=True)
class Attribute:
    """A changed attribute of a resource; a text of many lines has a `diff` instead of values."""

    path: str
    before: str = ""
    after: str = ""
    note: str = ""
    diff: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Resources that change alike, and their names if they are more than one."""

    title: str
    names: Sequence[str]
    attributes: Sequence[Attribute] = ()
    has_rights: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes of one kind; `count` is the number of resources."""

    heading: str
    symbol: str
    tone: str
    count: int
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Right:
    """A right, and the resources which give it."""

    grant: Grant
    owners: Sequence[str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a time line: where it begins and how long it is, of 1000; `about` says what was so."""

    start: float
    length: float
    state: str
    about: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """What images were from `first` to `last`, by their names; `still` are so many that did not change."""

    first: str
    last: str
    lines: Mapping[str, Sequence[Stretch]]
    still: int


@dataclass(frozen=True, slots=True)
class Page:
    """What the template shows; a part without content is left out."""

    command: str
    verdict: str
    word: str
    tone: str
    about: Sequence[str] = ()
    calm: str = ""
    step: str = ""
    alarms: Sequence[Alarm] = ()
    tiles: Sequence[Tile] = ()
    picture: Picture | None = None
    states: Mapping[str, Mark] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    things: str = "Images"
    rows: Sequence[Row] = ()
    timeline: Timeline | None = None
    extra: Sequence[str] = ()
    changes: Sequence[Changes] = ()
    rights: Sequence[Right] = ()
    drift: Sequence[Changes] = ()
    settings: Sequence[tuple[Sequence[str], str]] = ()
    notices: Sequence[Remark] = ()
    not_understood: Sequence[Remark] = ()
    to_add: Sequence[str] = ()
    credentials: Sequence[CredentialUse] = ()
    shards: Sequence[str] = ()
    text: Sequence[str] = ()


def render_html(result: Result) -> str:
    """The page of `result`, with its JSON inside."""
    page = _page(result)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            columns=_columns(page),
            found=Counter(row.state for row in page.rows),
            rank={state: number for number, state in enumerate(page.states)},
            parts=list(_parts(page)),
            data=_embedded(result_document(result)),
        )
    )


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        """Text as it is shown: foreign text must not hide or reorder letters. Markup is the page's own."""
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    loader = PackageLoader("toolkit.cli.render")
    environment = Environment(
        loader=loader,
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for kind in ("css", "js"):
        text = loader.get_source(environment, f"page.{kind}")[0]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        environment.globals[kind] = {"text": Markup(text), "hash": f"sha256-{digest}"}  # noqa: S704  our own files
    environment.globals["count"] = format_count
    environment.filters.update(
        fragment=lambda name: quote(visible(name), safe="/:@!$'()*+,;=~"),
        size=format_size,
        moment=format_moment,
        duration=format_duration,
    )
    return environment


def _embedded(result: Mapping[str, Any]) -> object:
    """The JSON for a `script` element: no text in it can end the element or begin a comment."""
    from markupsafe import Markup

    text = json.dumps(result, separators=(",", ":"))
    for letter in "<>&":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # noqa: S704  escaped by the line above


def _columns(page: Page) -> list[tuple[str, str]]:
    """The columns in which any row has something, with their labels."""
    filled = {
        "digest": any(row.old or row.new for row in page.rows),
        "since": any(row.since for row in page.rows),
        "size": any(row.size_text for row in page.rows),
        "pulls": any(row.pulls_text for row in page.rows),
        "seconds": any(row.seconds is not None for row in page.rows),
        "behind": any(row.behind for row in page.rows),
        "scan": any(row.scan for row in page.rows),
        "users": any(row.users for row in page.rows),
    }
    return [(key, label) for key, label in page.labels.items() if filled.get(key, True)]


def _parts(page: Page) -> Iterator[tuple[str, str, int | None]]:
    """The parts of the page that are there, with how much is in each."""
    resources, drifted = (sum(group.count for group in groups) for groups in (page.changes, page.drift))
    for id_, label, is_there, count in (
        ("_alarms", "Look at this first", page.alarms, None),
        ("_picture", "Picture", page.picture, None),
        ("_images", page.things, page.rows, len(page.rows)),
        ("_timeline", "Time line", page.timeline, None),
        ("_extra", "Not in the manifest", page.extra, len(page.extra)),
        ("_changes", "Infrastructure", page.changes, resources),
        ("_rights", "Rights", page.rights, len(page.rights)),
        ("_drift", "Drift", page.drift, drifted),
        ("_notices", "Notices", page.notices, len(page.notices)),
        ("_lines", "Not understood", page.not_understood, len(page.not_understood)),
        ("_shards", "Shards", page.shards, None),
        ("_data", "Data", True, None),
    ):
        if is_there:
            yield id_, label, count


def _page(result: Result) -> Page:
    values, command = result.values, result.command
    if "report" in values:
        page = _report_page(command, values["report"], values.get("plan"))
    elif "plan" in values:
        page = _plan_page(command, values["plan"])
    elif "preview" in values:
        page = _preview_page(command, values["preview"])
    elif "scan" in values:
        page = _scan_page(command, values["scan"])
    elif "diagnosis" in values:
        page = _diagnosis_page(command, values["diagnosis"])
    elif "prune" in values:
        page = _prune_page(command, values["prune"])
    elif "lock" in values:
        page = _lock_page(command, values["lock"])
    elif "status" in values:
        from toolkit.cli.render.status_page import status_page

        page = status_page(command, values["status"])
    else:
        page = Page(command, f"The run ended with exit code {result.exit_code}.", "Ended", "quiet")
    if "refresh" in values:
        page = _with_refresh(page, values["refresh"], values.get("lock"))
    if "saved_plan" in values:
        page = replace(page, text=saved_file_lines(values["saved_plan"]))
    return _with_error(page, result.error) if result.error else page


def _with_error(page: Page, error: Mapping[str, Any]) -> Page:
    """`page` with the reason why the run failed; without a result that is all there is."""
    remarks = [Remark(error["message"], error["code"], error["hint"])]
    for issue in error.get("issues") or ():
        place = f"{issue['file']}:{issue['line']}"
        remarks.append(Remark(": ".join(part for part in (place, issue["path"], issue["message"]) if part)))
    if not page.states:
        page = replace(page, word="Failed", tone="bad")
    return replace(page, alarms=[Alarm("The run failed", "bad", remarks), *page.alarms], calm="")


def _plan_page(command: str, plan: Plan) -> Page:
    totals = sum_plan(plan)
    rows = _planned_rows(plan)
    alarms = list(_alarms(plan))
    if plan.blocking_refusals:
        word, tone = "Refused", "bad"
    elif alarms:
        word, tone = "Look closely", "odd"
    elif plan.has_changes:
        word, tone = "Changes", "new"
    else:
        word, tone = "No changes", "quiet"
    resources = ", ".join(count_changes(totals.infra)) or ("no change" if plan.covers_infra else "not looked at")
    page = Page(
        command,
        say_plan(plan, totals) or format_sentence(say_refused(totals.refusals)),
        word,
        tone,
        calm="" if alarms else _calm(plan),
        alarms=alarms,
        tiles=[
            *image_tile(rows, _PLANNED),
            Tile("Resources", resources),
            *_size_tile(totals),
            *map(_pull_tile, plan.pull_costs),
            *map(_replica_tile, plan.replicas),
        ],
        picture=picture_of(rows, _PLANNED, PLACES),
        states=_PLANNED,
        labels=_PLAN_LABELS,
        rows=rows,
        changes=list(_changes(plan.infra_changes, is_done=False)),
    )
    return _with_plan(page, plan)


def _with_plan(page: Page, plan: Plan) -> Page:
    """`page` with what a plan says beside its changes."""
    drift = infra_view.split_drift(plan)
    return replace(
        page,
        about=[plan.name, f"account {plan.account.account_id}", plan.account.region],
        rights=_rights(plan.infra_changes),
        drift=[
            Changes(words, "!", "odd", len(drift[fate]), each_alike(drift[fate]))
            for fate, words in infra_view.FATES.items()
            if drift[fate]
        ],
        settings=[(names, text) for text, names in infra_view.settings_to_keep(plan.adopted).items()],
        notices=[Remark(notice.message, notice.code, notice.hint) for notice in plan.notices],
        credentials=plan.credentials,
        shards=say_division(plan.division),
    )


def _replica_tile(replica: Replica) -> Tile:
    keeps, *more = replica_facts(replica)
    return Tile(f"Replicas in {replica.region}", keeps, "; ".join([*more, f"prices as of {replica.prices_of}"]))


def _calm(plan: Plan) -> str:
    """What a reviewer need not fear, said of what was looked at."""
    parts = ["nothing is destroyed" if plan.covers_infra else "the infrastructure was not looked at"]
    return format_sentence("; ".join([*parts, *say_harmless(plan)]))


def _alarms(plan: Plan) -> Iterator[Alarm]:
    """What is dangerous, the worst first."""
    if plan.blocking_refusals:
        refusals = plan.blocking_refusals
        yield Alarm(say_refused(len(refusals)), "bad", list(map(_refused, refusals)))
    gone = [change for change in plan.infra_changes if change.destroys]
    if gone:
        remarks = [Remark(change.title, link="_changes") for change in _whole(gone)]
        for loss in plan.losses:
            link = loss.name if loss.kind == "repository" else None
            remarks.append(Remark(f"lost for good: {infra_view.loss_text(loss)}", link=link))
        yield Alarm(f"Destroys {format_count(len(gone), 'resource')}", "bad", remarks)
    widened = [right for right in _rights(plan.infra_changes) if right.grant.is_widening]
    if widened:
        texts = [Remark(_right_text(right), link="_rights") for right in widened]
        yield Alarm("Widens rights", "odd", texts)
    overwritten = [seed for seed in plan.seeds if seed.is_overwritten]
    if overwritten:
        texts = [Remark(f"{seed.key}: {_overwritten(seed)}", link=seed.key) for seed in overwritten]
        yield Alarm("Overwritten in ECR by somebody else", "odd", texts)
    skipped = skipped_images(plan)
    if skipped:
        heading = f"Skips {format_count(len(skipped), 'image')} (--keep-going)"
        yield Alarm(heading, "moved", list(map(_refused, skipped)))


def _refused(refusal: Refusal) -> Remark:
    return Remark(refusal.message, refusal.code, refusal.hint, refusal.image)


def _right_text(right: Right) -> str:
    return f"{'' if right.grant.is_added else 'removed: '}{right.grant.statement}"


def _overwritten(seed: Seed) -> str:
    return f"{say_overwritten(seed)}; {'copied again' if seed.is_pending else f'kept: {seed.reason}'}"


def _planned_rows(plan: Plan) -> list[Row]:
    """Images, those that are refused too, and repositories that are destroyed."""
    late = postponed(plan.costs, plan.pull_costs, plan.on_budget)
    rows = [_planned_row(seed, plan, is_late=seed.key in late) for seed in plan.seeds]
    known = {seed.key for seed in plan.seeds}
    for refusal in plan.refusals:
        if refusal.image and refusal.image not in known:
            known.add(refusal.image)
            rows.append(row_of(refusal.image, "refused", refusal.source, beneath=[refusal.message]))
    for loss in plan.losses:
        if loss.kind == "repository":
            rows.append(
                Row(
                    loss.name,
                    "destroy",
                    beneath=[infra_view.loss_facts(loss)],
                    old=str(loss.digests[0]) if len(loss.digests) == 1 else "",
                    size=loss.size,
                    size_text=format_size(loss.size),
                    more=[("Destroyed", str(digest)) for digest in loss.digests],
                    repository=loss.name,
                    images=len(loss.digests),
                )
            )
    return sort_rows(rows, _PLANNED)


def _planned_row(seed: Seed, plan: Plan, *, is_late: bool) -> Row:
    wanted, source = seed.wanted_digest, replace(seed.source, digest=None if seed.source.tag else seed.source.digest)
    pulls = format_range(*seed.pulls) if seed.pulls[1] != 0 else ""
    platforms = "all" if seed.subset.platforms is None else ", ".join(map(str, seed.subset.platforms))
    attestations = "" if seed.subset.keeps_attestations else ", without attestations"
    facts = [
        ("Source", str(seed.source)),
        ("Destination", f"{plan.account.registry_host}/{seed.key}"),
        ("What it is", f"{kind_of(seed.tag)} of {seed.subject}" if seed.subject else ""),
        ("Platforms", f"{platforms}{attestations}" if not seed.subject else ""),
        ("Bytes from", f"{seed.bytes_from}, which costs no counted pull" if seed.bytes_from else ""),
        ("ECR has it", f"{seed.stored_name}: only the tag moves" if seed.stored_as else ""),
        ("The old one stays", f"as {seed.keeper}" if seed.keeper else ""),
    ]
    moves = seed.action is not SeedAction.KEEP
    return Row(
        seed.key,
        "overwritten" if seed.is_overwritten else seed.action.value,
        alias=source.familiar,
        beneath=[
            f"from {source.familiar}",
            seed.reason,
            *([_overwritten(seed)] if seed.is_overwritten else []),
            *([PUT_OFF[plan.on_budget]] if is_late else []),
        ],
        old=str(seed.current_digest or ""),
        new=str(wanted or seed.source.digest) if moves else "",
        is_made=moves and wanted is None,
        since=seed.pushed_at or "",
        size=seed.size,
        size_text="" if seed.size is None or seed.stored_as is not None else format_size(seed.size),
        pulls=seed.pulls[1] if seed.pulls[1] is not None else seed.pulls[0],
        pulls_text=pulls if moves else "",
        users=seed.used_by,
        more=[fact for fact in facts if fact[1]],
        upstream=seed.source.registry,
        repository=seed.repository,
    )


def row_of(name: str, state: str, source: str | None, **fields: Any) -> Row:
    """A row of which the source and the destination are names only."""
    upstream, alias = source or "", source or ""
    try:
        reference = Reference.parse(source or "")
        upstream = reference.registry
        alias = replace(reference, digest=None if reference.tag else reference.digest).familiar
    except InvalidReference:
        pass
    repository = name.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    return Row(name, state, alias=alias, upstream=upstream, repository=repository, **fields)


def sort_rows(rows: Iterable[Row], states: Mapping[str, Mark]) -> list[Row]:
    """The most important first; an anchor that several rows would have is that of the first."""
    order = list(states)
    found = sorted(rows, key=lambda row: order.index(row.state))
    taken: dict[str, Row] = {}
    for row in found:
        taken.setdefault(row.name, row)
    for row in found:
        taken.setdefault(row.alias, row)
    return [
        replace(
            row,
            anchor=row.name if taken[row.name] is row else "",
            alias=row.alias if row.alias != row.name and taken[row.alias] is row else "",
        )
        for row in found
    ]


def _report_page(command: str, report: Report, plan: Plan | None) -> Page:
    plan = report.plan or plan
    totals = sum_report(report)
    rows = _done_rows(report, plan)
    alarms = []
    for status in (SeedStatus.FAILED, SeedStatus.SKIPPED):
        those = [outcome for outcome in report.failed if outcome.status is status]
        if those:
            mark = _DONE[status.value]
            heading = f"{format_count(len(those), 'image')} {mark.word}"
            alarms.append(Alarm(heading, mark.tone, list(map(_not_done, those))))
    if report.late:
        late = [
            Remark(sentence, one.error_code, one.hint)
            for one, sentence in zip(report.late, say_late(report), strict=True)
        ]
        alarms.append(Alarm("Other regions lack images", "bad", late))
    if plan and plan.refusals:
        alarms.append(Alarm(say_refused(len(plan.refusals)), "bad", list(map(_refused, plan.refusals))))
    resources = ", ".join(count_changes(sum_infra(report.infra_changes), is_done=True))
    page = Page(
        command,
        say_report(report),
        "Done" if report.is_complete else "Not finished",
        "new" if report.is_complete else "bad",
        step=say_next_step(report),
        alarms=alarms,
        tiles=[
            *image_tile(rows, _DONE),
            *([Tile("Resources", resources)] if resources else []),
            Tile("Blobs", say_blobs(totals)),
            *(
                Tile(f"Arrived in {one.region}", f"{one.arrived} of {one.arrived + len(one.missing)} images")
                for one in report.replicas
            ),
            Tile("Time", format_duration(report.seconds)),
        ],
        picture=picture_of(rows, _DONE, PLACES),
        states=_DONE,
        labels=_REPORT_LABELS,
        rows=rows,
        changes=list(_changes(report.infra_changes, is_done=True)),
    )
    return _with_plan(page, plan) if plan else page


def _not_done(outcome: SeedOutcome) -> Remark:
    text = ": ".join(part for part in (outcome.key, outcome.error_message) if part)
    return Remark(text, outcome.error_code, outcome.hint, outcome.key)


def _done_rows(report: Report, plan: Plan | None) -> list[Row]:
    seeds = {seed.key: seed for seed in plan.seeds} if plan else {}
    rows = [_done_row(outcome, seeds.get(outcome.key)) for outcome in report.outcomes]
    known = {outcome.key for outcome in report.outcomes}
    for refusal in plan.refusals if plan else ():
        if refusal.image and refusal.image not in known:
            known.add(refusal.image)
            rows.append(row_of(refusal.image, "refused", refusal.source, beneath=[refusal.message]))
    return sort_rows(rows, _DONE)


def _done_row(outcome: SeedOutcome, seed: Seed | None) -> Row:
    error = outcome.error_message and f"{outcome.error_message} [{outcome.error_code}]"
    facts = [("Source", outcome.source), ("Destination", outcome.destination), ("Hint", outcome.hint)]
    row = row_of(
        outcome.key,
        outcome.status.value,
        outcome.source,
        beneath=[text for text in (error, f"from {outcome.source.partition('@')[0]}") if text],
        new=outcome.digest or "",
        size=outcome.moved_bytes,
        size_text=f"{format_size(outcome.moved_bytes)} of {format_size(outcome.total_bytes)}"
        if outcome.total_bytes
        else "",
        seconds=outcome.seconds if outcome.status is not SeedStatus.SKIPPED else None,
        users=seed.used_by if seed else (),
        more=[(label, text) for label, text in facts if text],
    )
    if seed is None:
        return row
    return replace(row, upstream=seed.source.registry, repository=seed.repository)


def _preview_page(command: str, previews: Sequence[CopyPreview]) -> Page:
    rows = sort_rows(
        [
            row_of(
                one.destination,
                one.action.value if one.action else "refused",
                one.source,
                beneath=[
                    text
                    for text in (one.error_message and f"{one.error_message} [{one.error_code}]", f"from {one.source}")
                    if text
                ],
                old=one.current_digest or "",
                new=one.source.partition("@")[2] if one.action and one.action is not SeedAction.KEEP else "",
                more=[("Source", one.source), *([("Hint", one.hint)] if one.hint else [])],
            )
            for one in previews
        ],
        _PREVIEWED,
    )
    refused = [
        Remark(f"{one.destination}: {one.error_message}", one.error_code, one.hint, one.destination)
        for one in previews
        if one.error_message
    ]
    return Page(
        command,
        say_previews(previews),
        "Refused" if refused else "Dry run",
        "bad" if refused else "new",
        alarms=[Alarm(f"{format_count(len(refused), 'image')} refused", "bad", refused)] if refused else [],
        tiles=image_tile(rows, _PREVIEWED),
        picture=picture_of(rows, _PREVIEWED, PLACES),
        states=_PREVIEWED,
        labels=_PLAN_LABELS,
        rows=rows,
    )


def _scan_page(command: str, scan: ScanReport) -> Page:
    """Each image once for each verdict and its reason, with the places that use it."""
    alike: dict[tuple[str, ...], list[ScannedUse]] = defaultdict(list)
    for use in scan.uses:
        repository = use.mirror.repository if use.mirror else ""
        name = Reference.parse(use.reference).familiar if use.reference else use.written
        alike[name, word_of(use), reason_of(use), use.remedy, repository].append(use)
    rows = []
    for (name, verdict, reason, remedy, repository), uses in alike.items():
        written = [f"{use.written} in {use.file}:{use.line}" for use in uses if use.written != name]
        row = Row(
            name,
            verdict,
            beneath=[text for text in (reason, remedy) if text],
            users=places_of(uses),
            more=[
                *(("Written", text) for text in written),
                *(("Platform", text) for text in dict.fromkeys(use.platform for use in uses) if text),
                *(("Kept home by", strategy.value) for strategy in uses[0].kept_by if not uses[0].is_kept),
            ],
            upstream=uses[0].registry or "",
            repository=repository,
        )
        rows.append(row)
    rows = sort_rows(rows, _SCANNED)
    # An image that a build makes itself, or takes from ECR by its whole name, comes from no upstream.
    drawn = [replace(row, users=_files(row.users)) for row in rows if row.repository or row.state != "stays"]
    alarms = []
    lost = [row for row in rows if _SCANNED[row.state].tone != "quiet"]
    if lost:
        remarks = [Remark(": ".join((row.name, *row.beneath)), link=row.name) for row in lost]
        alarms.append(Alarm(f"{format_count(len(lost), 'image')} not from ECR", "bad", remarks))
    troubles = [(one.is_fault, Remark(f"{one.file}:{one.line}: {one.message}")) for one in scan.troubles]
    if scan.faults:
        alarms.append(Alarm("Not understood", "bad", [remark for is_fault, remark in troubles if is_fault]))
    return Page(
        command,
        say_scan(scan),
        "Clean" if scan.is_clean else "Not clean",
        "new" if scan.is_clean else "bad",
        about=[f"strategy {scan.strategy}", f"Docker {scan.docker_version}"],
        calm="Every build gets its images from ECR only, as far as the files show." if scan.is_clean else "",
        alarms=alarms,
        picture=picture_of(drawn, _SCANNED, _FILES),
        states=_SCANNED,
        labels=_SCAN_LABELS,
        rows=rows,
        not_understood=[remark for is_fault, remark in troubles if not is_fault],
        to_add=scan.missing,
    )


def _diagnosis_page(command: str, findings: Sequence[Finding]) -> Page:
    rows = []
    faults: dict[CheckState, list[Remark]] = {CheckState.FAILED: [], CheckState.WARNING: []}
    for one in findings:
        rows.append(Row(one.name, one.state.value, beneath=[one.reason, *([f"cure: {one.cure}"] if one.cure else [])]))
        if one.state in faults:
            faults[one.state].append(Remark(f"{one.name}: {one.reason}", one.code, one.cure, one.name))
    alarms = [
        Alarm(state.value.capitalize(), _CHECKED[state.value].tone, those) for state, those in faults.items() if those
    ]
    return Page(
        command,
        say_diagnosis(findings),
        "Failed" if faults[CheckState.FAILED] else "Ready",
        "bad" if faults[CheckState.FAILED] else "new",
        alarms=alarms,
        states=_CHECKED,
        labels=_CHECK_LABELS,
        things="Checks",
        rows=sort_rows(rows, _CHECKED),
    )


def _prune_page(command: str, plan: PrunePlan) -> Page:
    totals = sum_prune(plan)
    rows = sort_rows(map(_prune_row, in_order(plan)), _PRUNED)
    left = [Remark(f"{one.keys[0]}: {one.error}", "prune.incomplete", link=one.keys[0]) for one in plan.failed]
    word, tone = ("To delete", "odd") if plan.is_dry_run else ("Deleted", "new")
    if left:
        word, tone = "Not finished", "bad"
    elif not plan.removals:
        word, tone = "Nothing to delete", "quiet"
    return Page(
        command,
        say_prune(plan),
        word,
        tone,
        about=[plan.name, f"account {plan.account.account_id}", plan.account.region],
        alarms=[Alarm(f"{format_count(len(left), 'image')} still there", "bad", left)] if left else [],
        tiles=[*image_tile(rows, _PRUNED), Tile("Storage", say_saved(totals, plan))],
        states=_PRUNED,
        labels=_PRUNE_LABELS,
        rows=rows,
        notices=[Remark(notice.message, notice.code, notice.hint) for notice in plan.notices],
    )


def _prune_row(one: Removal) -> Row:
    texts = [say_why(one), say_pulled(one), *([one.error] if one.error else [])]
    return Row(
        one.keys[0],
        one.fate.value,
        beneath=texts,
        since=one.pushed_at.isoformat(),
        size=one.size,
        size_text=format_size(one.size) if one.size else "",
        more=[("Digest", str(one.digest)), *(("Tag", tag) for tag in one.tags)],
        repository=one.repository,
    )


def _lock_page(command: str, changes: LockChanges) -> Page:
    rows = [
        row_of(
            image.key,
            state_of(image),
            image.source,
            beneath=[f"from {image.source}", *beneath(image)],
            old=image.old_digest or "",
            new=(image.new_digest or "") if image.is_moved else "",
            users=image.used_by,
            more=[
                *([("Age", in_words(timedelta(seconds=image.age)))] if image.age is not None else []),
                *((f"Seen {format_moment(one.first_seen)}", one.digest) for one in image.candidates),
                *([("Earlier digests", str(image.previous))] if image.previous else []),
            ],
        )
        for image in changes.images
    ]
    rows = sort_rows(rows, _LOCKED)
    unreached = [
        Remark(": ".join((row.name, *row.beneath[1:])), link=row.name) for row in rows if row.state == "unreached"
    ]
    return Page(
        command,
        say_lock(changes).replace("`", ""),
        "Dry run" if changes.is_dry else "Written" if changes.is_written else "No changes",
        "new" if changes.moves else "quiet",
        alarms=[Alarm("Not reached upstream", "bad", unreached)] if unreached else [],
        tiles=image_tile(rows, _LOCKED),
        picture=picture_of(rows, _LOCKED, PLACES),
        states=_LOCKED,
        labels=_LOCK_LABELS,
        rows=rows,
        notices=[Remark(notice.message, notice.code, notice.hint) for notice in changes.notices],
    )


def _with_refresh(page: Page, report: RefreshReport, changes: LockChanges | None) -> Page:
    """`page`, which shows the copies, with what a refresh says beside them."""
    untold = [Remark(f"{one.key}: {one.error}", "refresh.untold", link=one.key) for one in report.untold]
    alarms = [Alarm("Of these moves nobody was told", "bad", untold)] if untold else []
    for heading, keys in (
        ("Gone upstream", report.gone),
        ("Not reached upstream", report.unreached),
        ("Not verified", report.unverified),
    ):
        alarms += [Alarm(heading, "bad", [Remark(key, link=key) for key in keys])] if keys else []
    said = [Remark(text) for text in (*say_refresh(report)[1:], *([say_lock(changes)] if changes else []))]
    found = [Remark(notice.message, notice.code, notice.hint) for notice in changes.notices] if changes else []
    left = "" if report.pulls_left is None else str(report.pulls_left)
    return replace(
        page,
        verdict=f"{format_sentence(say_moves(report))} {page.verdict}",
        alarms=[*alarms, *page.alarms],
        tiles=[*page.tiles, *([Tile("Counted pulls left", left)] if left else [])],
        notices=[*said, *page.notices, *found],
    )


def _files(places: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(place.rpartition(":")[0] for place in places))


def picture_of(rows: Iterable[Row], states: Mapping[str, Mark], columns: Sequence[Column]) -> Picture | None:
    """The picture of the way of all images; None where there is none."""
    flows = [Flow(row.upstream, row.repository, row.users, row.state, row.name, row.images) for row in rows]
    return draw(flows, _words(states), columns)


def _words(states: Mapping[str, Mark]) -> dict[str, str]:
    return {state: mark.word for state, mark in states.items()}


def image_tile(rows: Sequence[Row], states: Mapping[str, Mark]) -> list[Tile]:
    """How many images there are in each state."""
    return [Tile("Images", count_states(((row.state, row.images) for row in rows), _words(states)))] if rows else []


def _size_tile(totals: PlanTotals) -> list[Tile]:
    unknown = f"and {format_count(totals.unknown_sizes, 'image')} of unknown size" if totals.unknown_sizes else ""
    if not totals.size and not unknown:
        return []
    return [Tile("To copy", f"at most {format_size(totals.size)}", unknown)]


def _pull_tile(cost: PullCost) -> Tile:
    bar = None
    if cost.budget and (limit := cost.budget.limit):
        bar = (limit - cost.budget.remaining, cost.at_least if cost.at_most is None else cost.at_most, limit)
    needed, tone = format_range(cost.at_least, cost.at_most), _TONES[judge_cost(cost)[0]]
    return Tile(f"Counted pulls at {cost.registry}", needed, say_left(cost), tone, bar)


def _changes(changes: Sequence[InfraChange], *, is_done: bool) -> Iterator[Changes]:
    """Changes by what is done. An import that changes something is an update, and its title says so."""
    for action, (symbol, tone) in _ACTIONS.items():
        those = [change for change in changes if change.action is action]
        if those:
            has_attributes = action in (InfraAction.REPLACE, InfraAction.UPDATE)
            found = each_alike(those) if has_attributes else _whole(those)
            yield Changes(infra_view.HEADINGS[action][is_done], symbol, tone, len(those), found)


def _whole(changes: Iterable[InfraChange]) -> list[Change]:
    """Repositories and builds as a whole; those of which the same parts change are one."""
    return [_titled(those, those[0].parts if those[0].kind else "") for those in infra_view.group_whole(changes)]


def each_alike(changes: Iterable[InfraChange]) -> list[Change]:
    """Each resource with its attributes; those with the same changes are one."""
    return [
        replace(_titled(those, infra_view.details_of(those)), attributes=list(_attributes(those[0].changes[0])))
        for those in infra_view.group_alike(changes)
    ]


def _titled(those: Sequence[infra_view.Changed], details: str) -> Change:
    names = [one.name for one in those] if len(those) > 1 else []
    aside = f" ({details})" if details else ""
    title = f"{infra_view.count_of(those)}{aside}" if names else infra_view.headline(those, details)
    return Change(title, names, has_rights=bool(those[0].grants))


def _attributes(change: InfraChange) -> Iterator[Attribute]:
    for path, one, note in infra_view.attributes_of(change):
        yield _attribute(one, note) if one else Attribute(path, note=note)


def _attribute(one: AttributeChange, note: str) -> Attribute:
    path = infra_view.short_path(one.path)
    before, after = one.before, one.after
    if one.is_sensitive:
        return Attribute(path, note="sensitive, not shown")
    if isinstance(before, str) and isinstance(after, str) and not one.is_unknown and "\n" in before + after:
        old, new = before.splitlines(), after.splitlines()
        if len(old) + len(new) > _LONGEST_DIFF:
            return Attribute(path, note=", ".join(filter(None, (infra_view.changed_lines(before, after), note))))
        lines = difflib.unified_diff(old, new, lineterm="", n=2)
        return Attribute(path, note=note, diff=list(lines)[2:] or ["with other line ends"])
    shown_after = "(known after apply)" if one.is_unknown else infra_view.value_text(after)
    return Attribute(path, infra_view.value_text(before), shown_after, note)


def _rights(changes: Iterable[InfraChange]) -> list[Right]:
    """Every right once, those that are widened first."""
    owners: dict[Grant, dict[str, None]] = defaultdict(dict)
    for change in changes:
        for grant in change.grants:
            owners[grant][change.name or change.address] = None
    ordered = sorted(owners, key=lambda grant: (not grant.is_widening, not grant.is_added))
    return [Right(grant, list(owners[grant])) for grant in ordered]
