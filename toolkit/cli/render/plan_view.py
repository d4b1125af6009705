"""A plan as one text: what Terraform changes, what happens to each image, what that costs in counted pulls.

It fits on a screen: an image is one line, however long its name, what images have in common is said once, what stays as
it is is a count. The summary is the first line and the last, each whole, so that a pipeline can look for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from toolkit.cli.render.amounts import format_count, format_duration, format_moment, format_range, format_size
from toolkit.cli.render.infra_view import created_repositories, format_infra
from toolkit.cli.render.lines import Paint, format_item, format_remarks, visible, wrap
from toolkit.cli.render.totals import PlanTotals, count_changes, skipped_images, sum_plan
from toolkit.oci.companions import kind_of
from toolkit.oci.digest import Digest
from toolkit.plan.model import Bound, Division, Plan, PullCost, Replica, Seed, SeedAction
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import postponed
from toolkit.plan.shards import MACHINE_BYTES_PER_SECOND

# Symbol, colour and words, in the order shown.
_LOOKS = {
    SeedAction.COPY: ("+", "green", "to copy"),
    SeedAction.MOVE: ("~", "yellow", "to move"),
    SeedAction.KEEP: ("=", "dim", "unchanged"),
}
# With more kinds of images than that, each image says its own: the lines are what a screen has few of.
_MOST_HEADINGS = 12
_NEW = "its repository is new"  # the planner's words
# What becomes of an image for which the pulls left do not suffice; each may turn out to cost less than it could.
PUT_OFF = {OnBudget.WAIT: "may have to wait for pulls", OnBudget.PARTIAL: "may be left for the next run"}


def render_plan(plan: Plan, *, width: int = 100, colour: bool = False, shows_unchanged: bool = False) -> str:
    """The text of `plan`; `width` bounds sentences, names stay whole. `shows_unchanged` lists images that stay."""
    paint = Paint(colour)
    account = plan.account
    totals = sum_plan(plan)
    summary = _summary(plan, totals)
    title = visible(f"{plan.name}: account {account.account_id}, region {account.region}")
    named_below = created_repositories(plan) & {s.repository for s in plan.seeds if s.action is SeedAction.COPY}
    sections = [
        [paint("bold", summary), title],
        format_infra(plan, named_below=named_below, width=width, paint=paint),
        _image_section(plan, totals, shows_unchanged, width, paint),
        [part for line in say_division(plan.division) for part in wrap(line, width=width, indent="    ", first="")],
        [line for sentence in say_replicas(plan) for line in wrap(sentence, width=width, indent="    ", first="")],
        [line for sentence in say_manifest(plan) for line in wrap(sentence, width=width, indent="    ", first="")],
        _credential_section(plan, width),
        _remark_section(plan, width, paint),
        [paint("bold", summary)],
    ]
    return "\n".join("\n".join([*section, ""]) for section in sections if section)


def apply_question(plan: Plan) -> str:
    """What `apply` asks: where, and how much, so that a yes is for these numbers."""
    counts = count_changes(sum_plan(plan).infra)
    if plan.pending_seeds:
        counts.append(format_count(len(plan.pending_seeds), "image"))
    if plan.puts_manifest:
        counts.append("the manifest of the refresh")
    return visible(f"Apply to {plan.account.account_id} in {plan.account.region}: {', '.join(counts)}?")


def _summary(plan: Plan, totals: PlanTotals) -> str:
    """One line, however long."""
    is_verdict = not plan.has_changes and not totals.refusals
    parts = [say_unchanged(plan, totals)] if is_verdict else _count_all(plan, totals)
    if plan.puts_manifest:
        parts.append("refreshes get another manifest")
    if plan.unseen_images:
        parts.append(f"{plan.unseen_images} {'was' if plan.unseen_images == 1 else 'were'} left out by --only")
    if totals.skipped:
        is_are = "is" if totals.skipped == 1 else "are"
        parts.append(f"{format_count(totals.skipped, 'image')} {is_are} skipped (--keep-going)")
    refused = say_refused(totals.refusals)
    if not parts:
        return f"Plan: {refused.lower()}."
    return f"{'' if is_verdict else 'Plan: '}{'; '.join(parts)}.{f' {refused}.' if totals.refusals else ''}"


def say_refused(reasons: int) -> str:
    """That something cannot be done, for so many reasons."""
    return f"Refused for {format_count(reasons, 'reason')}"


def say_unchanged(plan: Plan, totals: PlanTotals) -> str:
    """That nothing is to be done, said only of what was looked at."""
    looked = len(plan.seeds)
    images = f"the {format_count(looked, 'image')} that {'was' if looked == 1 else 'were'} looked at"
    # A notice may say that something is kept which is not as the manifest says, or could not be compared.
    notices = f"; {format_count(len(plan.notices), 'notice')}" if plan.notices else ""
    if plan.is_destroy:
        return f"No changes. There is nothing left to destroy{notices}"
    if not plan.covers_infra:
        return f"No changes in {images}{notices}"
    if plan.unseen_images or totals.skipped:
        return f"No changes in the infrastructure and {images}{notices}"
    if notices:
        return f"No changes to make{notices}"
    return "No changes. Infrastructure and images match the manifest; 0 counted pulls"


def _count_all(plan: Plan, totals: PlanTotals) -> list[str]:
    infra, images = totals.infra, totals.images
    parts = []
    if plan.covers_infra:
        # With the zeros, as Terraform does: "0 to destroy" is what a reviewer looks for.
        counts = [
            f"{format_count(infra.creates, 'resource')} to create",
            f"{infra.updates} to update",
            f"{infra.destroys} to destroy",
        ]
        counts += count_changes(replace(infra, creates=0, updates=0, destroys=0))
        parts.append(", ".join(counts))
    if plan.seeds or (plan.covers_infra and not plan.is_destroy):
        counts = [
            f"{format_count(images[SeedAction.COPY], 'image')} to copy",
            f"{images[SeedAction.MOVE]} to move",
            f"{images[SeedAction.KEEP]} unchanged",
        ]
        counts += [f"{totals.overwritten} overwritten in ECR"] if totals.overwritten else []
        parts.append(", ".join(counts))
    return parts


def _image_section(plan: Plan, totals: PlanTotals, shows_unchanged: bool, width: int, paint: Paint) -> list[str]:
    lines = []
    without_room = postponed(plan.costs, plan.pull_costs, plan.on_budget)
    new = created_repositories(plan)

    def put_off(seed: Seed) -> str:
        return PUT_OFF.get(plan.on_budget, "") if seed.key in without_room else ""

    for seed in plan.seeds:
        if seed.is_overwritten:
            lines += _overwritten_lines(seed, put_off(seed), width, paint)
    for action, (symbol, style, verb) in _LOOKS.items():
        alike: dict[tuple[str, ...], list[Seed]] = defaultdict(list)
        companions = []
        for seed in plan.seeds:
            if seed.action is not action or seed.is_overwritten:
                continue
            if seed.subject and action is SeedAction.COPY:
                companions.append(seed)
            elif seed.is_pending or shows_unchanged:
                alike[_facts(seed, put_off(seed), is_new=seed.repository in new)].append(seed)
        lines += _alike_lines(alike, verb, symbol, style, width, paint)
        if companions:
            lines += format_item(symbol, companions_text(companions), style=style, width=width, paint=paint)
    kept = totals.images[SeedAction.KEEP]
    count = f"{format_count(kept, 'image')} unchanged (--show-unchanged lists them)"
    if not lines:
        return [count] if kept else []
    if kept and not shows_unchanged:
        lines.append(f"  {count}")
    if plan.pending_seeds:
        lines += wrap(_size_text(totals), width=width, indent="    ", first="  ")
    for cost in plan.pull_costs:
        if cost.at_most != 0:
            lines += _pull_lines(cost, width, paint)
    return [paint("bold", f"Images, into {visible(plan.account.registry_host)}"), *lines]


def _alike_lines(
    alike: Mapping[tuple[str, ...], Sequence[Seed]], verb: str, symbol: str, style: str, width: int, paint: Paint
) -> list[str]:
    """A line for each image, below what they have in common; `alike` groups them by these facts."""
    if not alike:
        return []
    number = sum(map(len, alike.values()))
    shared = [fact for fact in next(iter(alike)) if all(fact in facts for facts in alike)]
    heading = _in_number("; ".join([f"{format_count(number, 'image')} {verb}", *shared]), number)
    lines = wrap(f"{heading}:", width=width, indent=" " * 4, first="  ")
    has_headings = len(alike) <= max(_MOST_HEADINGS, number // 5)
    # Those that have nothing but the shared facts stand under their heading.
    for facts, seeds in sorted(alike.items(), key=lambda item: len(item[0]) > len(shared)):
        own = "; ".join(fact for fact in facts if fact not in shared)
        if own and has_headings:
            lines += wrap(f"{_in_number(own, len(seeds))} ({len(seeds)}):", width=width, indent=" " * 6, first=" " * 4)
        behind = f"  {own}" if own and not has_headings else ""
        lines += [f"    {paint(style, symbol)} {visible(text + behind)}" for text in _by_repository(seeds)]
    return lines


def _overwritten_lines(seed: Seed, put_off: str, width: int, paint: Paint) -> list[str]:
    fate = "; ".join(["copied again", *_origin(seed), put_off]) if seed.is_pending else f"kept: {seed.reason}"
    return [
        f"    {paint('magenta', '!')} {visible(f'{seed.key}  {_amounts(seed)}')}",
        *(paint("magenta", line) for line in wrap(say_overwritten(seed), width=width, indent=" " * 8)),
        *wrap(fate.removesuffix("; "), width=width, indent=" " * 8),
    ]


def say_overwritten(seed: Seed) -> str:
    """That somebody else pushed to the tag, and when."""
    when = f" {format_moment(seed.pushed_at)}" if seed.pushed_at else ""
    return f"overwritten in ECR: {_named(seed.current_digest)} pushed{when} by somebody else"


def _facts(seed: Seed, put_off: str, *, is_new: bool) -> tuple[str, ...]:
    """What images may have in common: where they come from, which parts are copied, and why."""
    # What a companion is about is in its own tag.
    reason = seed.reason.partition(": ")[2] if seed.subject else seed.reason
    facts = [*_origin(seed), reason, put_off] if seed.is_pending else [reason]
    if is_new and seed.is_pending:
        facts.append(_NEW)
    return tuple(dict.fromkeys(fact for fact in facts if fact))


def _in_number(facts: str, count: int) -> str:
    """The planner's words for one image, and ours, as they are for many."""
    if count == 1:
        return facts
    return facts.replace("its repository is", "their repositories are").replace("this digest", "these digests")


def _origin(seed: Seed) -> Iterator[str]:
    if seed.stored_as is not None:
        yield "ECR has it already: only the tag moves"
    else:
        yield f"from {seed.source.registry}"
    if seed.bytes_from is not None:
        yield f"bytes from {seed.bytes_from.registry}, which costs no counted pull"
    if seed.subject:
        yield kind_of(seed.tag)
    else:
        parts = "all platforms" if seed.subset.platforms is None else ", ".join(map(str, seed.subset.platforms))
        parts = parts if seed.subset.keeps_attestations else f"{parts} without attestations"
        is_made = seed.action is SeedAction.COPY and seed.wanted_digest != seed.source.digest
        yield f"{parts} of this digest" if is_made else parts


def _by_repository(seeds: Iterable[Seed]) -> Iterator[str]:
    """A text for each image; of those in one repository, the first has its name."""
    groups: dict[str, list[Seed]] = defaultdict(list)
    for seed in seeds:
        groups[seed.repository].append(seed)
    for group in groups.values():
        for number, seed in enumerate(group):
            name = f"  :{seed.tag}" if number else seed.key
            yield f"{name}  {_amounts(seed)}"


def _amounts(seed: Seed) -> str:
    """What is particular to one image: its digests, its size, and its source if the name does not show it."""
    wanted = seed.wanted_digest
    made = f"made of {short_digest(seed.source.digest)}" if wanted is None else short_digest(wanted)
    facts = [
        {
            SeedAction.COPY: short_digest(seed.source.digest),
            SeedAction.MOVE: f"{short_digest(seed.current_digest)} -> {made}",
            SeedAction.KEEP: short_digest(seed.current_digest),
        }[seed.action]
    ]
    if seed.stored_as is not None:
        facts.append(f"in ECR {seed.stored_name}")
    elif seed.is_pending and seed.size is not None:
        facts.append(format_size(seed.size))
    if seed.keeper is not None:
        facts.append(f"the old one stays as {seed.keeper}")
    has_its_name = seed.repository.endswith(seed.source.repository) and seed.tag == seed.source.tag
    if seed.is_pending and not has_its_name and not seed.subject:
        facts.append(f"from {seed.source.repository}{f':{seed.source.tag}' if seed.source.tag else ''}")
    return "  ".join(facts)


def companions_text(companions: Sequence[Seed]) -> str:
    """They are named by their kind and repository, because their tags are digests of 64 digits."""
    kinds = ", ".join(dict.fromkeys(kind_of(seed.tag) for seed in companions))
    places = ", ".join(dict.fromkeys(seed.repository for seed in companions))
    return f"{format_count(len(companions), 'companion')} ({kinds}) in {places}"


def short_digest(digest: Digest | None) -> str:
    """As Docker shows it: 12 digits."""
    if digest is None:
        return "(unknown)"
    return digest.short if digest.algorithm == "sha256" else _named(digest)


def _named(digest: Digest | None) -> str:
    return "an image" if digest is None else f"{digest.algorithm}:{digest.short}"


def _size_text(totals: PlanTotals) -> str:
    parts = []
    if totals.size or not totals.unknown_sizes:
        parts.append(f"at most {format_size(totals.size)}")
    if totals.unknown_sizes:
        parts.append(f"{format_count(totals.unknown_sizes, 'image')} of unknown size")
    return f"Together {' and '.join(parts)}; what is in ECR already is not sent again."


def _pull_lines(cost: PullCost, width: int, paint: Paint) -> list[str]:
    verdict, style = judge_cost(cost)
    text = f"Counted pulls at {cost.registry}: {format_range(cost.at_least, cost.at_most)} needed, {say_left(cost)}"
    *others, last = wrap(text, width=width, indent="    ", first="  ")
    end = verdict.rpartition(" ")[2]  # the line may break before it
    return [*others, last.removesuffix(end) + paint(style, end)]


def say_left(cost: PullCost) -> str:
    """How many pulls are left, and whether they suffice."""
    left = "no limit stated"
    if cost.budget is not None:
        window = format_duration(cost.budget.window_seconds)
        left = f"{cost.budget.remaining} of {cost.budget.limit} left in {window}"
    return f"{left}: {judge_cost(cost)[0]}"


def judge_cost(cost: PullCost) -> tuple[str, str]:
    """Whether the pulls that are left suffice, in words, and the colour of these words."""
    if cost.budget is None or (cost.at_most is not None and cost.at_most <= cost.budget.remaining):
        return "fits", "green"
    if cost.at_least > cost.budget.remaining:
        return "does not fit", "red"
    return "may not fit", "yellow"


def say_division(division: Division | None) -> list[str]:
    """How a plan is divided, and what bounds it, in sentences; none if it is not divided."""
    if division is None:
        return []
    shards = division.shards
    images, sizes = [shard.images for shard in shards], [shard.size for shard in shards if shard.size is not None]
    each = [f"{format_range(min(images), max(images))} image{'s' * (max(images) != 1)}"]
    if sizes:
        each.append(" to ".join(dict.fromkeys((format_size(min(sizes)), format_size(max(sizes))))))
    groups = format_count(division.groups, "group")
    sentences = [
        f"{format_count(len(shards), 'shard')} with {', '.join(each)} each; {groups} of repositories stay whole."
    ]
    if division.unknown_sizes:
        unknown = format_count(division.unknown_sizes, "image")
        sentences.append(f"The size of {unknown} is not known: --sizes reads it.")
    rate = sum(shard.put_image_per_second for shard in shards)
    what = {
        Bound.PUT_IMAGE: f"PutImage decides, at {rate:g} a second in the region",
        Bound.PULLS: "Counted pulls decide, which come back with time",
        Bound.BYTES: f"Bytes decide, at {format_size(MACHINE_BYTES_PER_SECOND)} a second for a machine",
    }[division.bound]
    if division.at_once is not None and division.at_once < len(shards):
        at_once = f"{division.at_once} run{'s' * (division.at_once == 1)} at a time in CodeBuild"
        sentences.append(f"Of {format_count(len(shards), 'shard')} {at_once}, by the quota of this account.")
    gain = f"up to {division.useful} shards gain" if len(shards) < division.useful else "more shards gain nothing"
    return [*sentences, f"{what}: the copies take {format_duration(division.seconds)} at least; {gain}."]


def say_replicas(plan: Plan) -> list[str]:
    """What each other region keeps and gets, in bytes and money."""
    return [
        f"Replicas in `{one.region}`: {'; '.join(replica_facts(one))} (prices as of {one.prices_of})"
        for one in plan.replicas
    ]


def replica_facts(replica: Replica) -> list[str]:
    """What a region keeps, then what is sent there and what is not known."""
    facts = [f"at most {format_size(replica.size)}, {_dollars(replica.dollars_a_month)} a month"]
    if replica.sent:
        facts.append(f"at most {format_size(replica.sent)} is sent there once, {_sending(replica.dollars_once)}")
    if replica.unknown_sizes:
        facts.append(f"besides, {format_count(replica.unknown_sizes, 'image')} of unknown size")
    return facts


def say_manifest(plan: Plan) -> list[str]:
    """Where apply puts the manifest, if it is not there yet."""
    return (
        [f"Apply puts the manifest into `{plan.puts_manifest}`, by which refreshes go."] if plan.puts_manifest else []
    )


def _sending(amount: float | None) -> str:
    return "at a price that this version does not know" if amount is None else f"for {_dollars(amount)}"


def _dollars(amount: float) -> str:
    return f"${amount:.2f}" if amount else "less than $0.01"


def _credential_section(plan: Plan, width: int) -> list[str]:
    lines = [f"Credential for {use.registry}: {use.credential}, sent to {use.host}" for use in plan.credentials]
    return [part for line in lines for part in wrap(line, width=width, indent="    ", first="")]


def _remark_section(plan: Plan, width: int, paint: Paint) -> list[str]:
    lines = []
    for word, style, remarks in (
        ("notice", "yellow", plan.notices),
        ("skipped", "yellow", skipped_images(plan)),
        ("refused", "red", plan.blocking_refusals),
    ):
        texts = [(f"{remark.message} [{remark.code}]", remark.hint) for remark in remarks]
        lines += format_remarks(word, texts, style=style, width=width, paint=paint)
    return lines
