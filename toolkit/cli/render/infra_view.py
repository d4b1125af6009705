"""The infrastructure of a plan as text: Terraform's changes, attribute by attribute, and what they lose.

What is alike is said once: repositories that are created are one line, and so are a hundred with the same change.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from toolkit.cli.render.amounts import format_count, format_moment, format_size
from toolkit.cli.render.lines import Paint, format_item, visible, wrap
from toolkit.cli.render.totals import is_import
from toolkit.plan.model import Adopted, AttributeChange, Grant, InfraAction, InfraChange, Loss, Plan

# The innermost call that has a key: `module.base_images.module.repositories["x"].` is about the repository x.
_MODULE_CALL = re.compile(r'module\.(?P<call>[\w-]+)\["(?P<key>(?:[^"\\]|\\.)*)"\]\.')
_PART_OF_SCHEDULE = re.compile(r'(aws_\w+)\.\w+(?:\["([^"]*)"\])?$')
_WORDS = {
    "aws_cloudwatch_event_rule": "rule for",
    "aws_cloudwatch_event_target": "target of the rule for",
    "aws_cloudwatch_log_group": "log group",
    "aws_cloudwatch_metric_alarm": "alarm",
    "aws_codebuild_project": "project",
    "aws_iam_role": "role",
    "aws_iam_role_policy": "rights of the role",
    "aws_scheduler_schedule": "time",
    "aws_sns_topic": "topic",
    "aws_sqs_queue": "dead-letter queue",
}
"""The parts of a schedule in our words."""
_RULES = "aws_ecr_replication_configuration.replicas"
_REPLICA = re.compile(r"module\.replicas_(?P<region>\w+)\.")
_ONLY_ONE = re.compile(r"\.this(\[[^\]]*\])?$")
_PLURALS = {"repository": "repositories"}
# The resources without which there is no repository, or no build.
_MAIN_TYPES = frozenset({"aws_ecr_repository", "aws_codebuild_project"})
# The reasons of drift, with their headings.
FATES = {
    "put_back": "Changed outside of Terraform, will be put back",
    "changed": "Changed outside of Terraform, will be changed to something else",
    "recorded": "Changed outside of Terraform, recorded only",
}
# What will be done, and what was done, the most dangerous first.
HEADINGS = {
    InfraAction.DELETE: ("To destroy", "Destroyed"),
    InfraAction.REPLACE: ("To destroy and create again", "Destroyed and created again"),
    InfraAction.FORGET: (
        "To let go of: it stays in AWS and leaves the state",
        "Let go of: it stays in AWS and left the state",
    ),
    InfraAction.UPDATE: ("To update", "Updated"),
    InfraAction.IMPORT: ("To import into the state", "Imported into the state"),
    InfraAction.CREATE: ("To create", "Created"),
}
TO_KEEP = "To leave what is adopted as it is, write into the manifest"
_SAID = frozenset({"imported", *FATES})
_LONGEST_VALUE = 60
_CONTEXT = 12
_DETAIL_INDENT = " " * 8
_WIDENS = "[widens rights]"
_GRANT_INDENT = " " * 6  # the sign is in the middle of three columns


@dataclass(frozen=True, slots=True)
class Changed:
    """Resources with one name for the reader: those of a repository or a build, or a single resource.

    `kind` is "" for the latter, and `name` its address.
    """

    kind: str
    name: str
    changes: tuple[InfraChange, ...]

    @property
    def parts(self) -> str:
        """Its resources that change, without the name that they share."""
        return ", ".join(dict.fromkeys(_split(change.address)[2] or change.resource_type for change in self.changes))

    @property
    def grants(self) -> tuple[Grant, ...]:
        """The rights of all of its changes."""
        return tuple(grant for change in self.changes for grant in change.grants)

    @property
    def is_whole(self) -> bool:
        """Whether the repository or build itself is among them, and not only what belongs to it."""
        return any(change.resource_type in _MAIN_TYPES for change in self.changes)


def created_repositories(plan: Plan) -> frozenset[str]:
    """The repositories that do not exist yet."""
    return frozenset(
        change.name for change in plan.infra_changes if change.is_of_repository and change.action is InfraAction.CREATE
    )


def format_infra(plan: Plan, *, named_below: frozenset[str], width: int, paint: Paint) -> list[str]:
    """The lines on infrastructure; none if it does not change.

    `named_below` are created repositories that the images name anyway.
    """
    return _InfraView(plan, width, paint).lines(named_below)


class _InfraView:
    """One section for each kind of change, in the order of growing danger."""

    def __init__(self, plan: Plan, width: int, paint: Paint) -> None:
        self._plan = plan
        self._width = width
        self._paint = paint

    def lines(self, named_below: frozenset[str]) -> list[str]:
        changes = self._plan.infra_changes
        by_action: dict[InfraAction, list[InfraChange]] = defaultdict(list)
        for change in changes:
            by_action[change.action].append(change)
        created, updated = by_action[InfraAction.CREATE], by_action[InfraAction.UPDATE]
        let_go, replaced = by_action[InfraAction.FORGET], by_action[InfraAction.REPLACE]
        deleted, losses = by_action[InfraAction.DELETE], self._plan.losses
        imported = [change for change in changes if is_import(change)]
        drift = split_drift(self._plan)
        heading = {action: to_do for action, (to_do, _) in HEADINGS.items()}
        lines = [
            *self._section(heading[InfraAction.CREATE], created, self._created(created, named_below)),
            *self._section(heading[InfraAction.IMPORT], imported, self._imported(imported)),
            *(
                line
                for fate, words in FATES.items()
                for line in self._section(words, drift[fate], self._each(drift[fate], "!", "magenta"))
            ),
            *self._section(heading[InfraAction.UPDATE], updated, self._each(updated, "~", "yellow")),
            *self._section(heading[InfraAction.FORGET], let_go, self._whole(let_go, ".", "cyan")),
            *self._section(heading[InfraAction.REPLACE], replaced, self._each(replaced, "-/+", "red")),
            *self._section(heading[InfraAction.DELETE], deleted, self._whole(deleted, "-", "red")),
            *self._section("Lost for good", losses, self._lost(losses)),
            *self._adopted(self._plan.adopted),
        ]
        return [self._paint("bold", "Infrastructure"), *lines] if lines else []

    def _section(self, heading: str, members: Sequence[object], lines: Sequence[str]) -> list[str]:
        return [f"  {heading} ({len(members)}):", *lines] if members else []

    def _item(self, symbol: str, style: str, text: str) -> list[str]:
        return format_item(symbol, text, style=style, width=self._width, paint=self._paint)

    def _created(self, changes: Sequence[InfraChange], named_below: frozenset[str]) -> list[str]:
        listed: list[Changed] = []
        named: list[Changed] = []
        for one in by_name(changes):
            is_named = one.kind == "repository" and one.name in named_below and one.is_whole
            (named if is_named else listed).append(one)
        lines = [line for text in _fold_whole(listed) for line in self._item("+", "green", text)]
        if named:
            text = f"{count_of(named)} ({_resources(named)}), named with the images below"
            lines += self._item("+", "green", text)
        return lines + self._rights_of_created([*listed, *named])

    def _rights_of_created(self, created: Iterable[Changed]) -> list[str]:
        """What creations allow; a right that many of them give is one line."""
        owners: dict[Grant, list[Changed]] = defaultdict(list)
        for one in created:
            for grant in dict.fromkeys(grant for change in one.changes for grant in change.grants):
                owners[grant].append(one)
        lines = []
        for grant, those in owners.items():
            lines += self._grant(grant, "" if f" {those[0].name}:" in grant.statement else f": {_name(those)}")
        return [f"{' ' * 6}Rights that come with it:", *lines] if lines else []

    def _imported(self, changes: Sequence[InfraChange]) -> list[str]:
        lines = [line for text in _fold_whole(by_name(changes)) for line in self._item("<", "cyan", text)]
        altered = sum(change.action is not InfraAction.IMPORT for change in changes)
        if altered:
            # The other sections have them too, as Terraform's own counts do.
            lines += wrap(f"{altered} of them with changes, see below", width=self._width, indent=" " * 6)
        return lines

    def _whole(self, changes: Sequence[InfraChange], symbol: str, style: str) -> list[str]:
        """Resources that are deleted as a whole: by their type, repositories and builds by their name.

        Beneath are the rights that go with a policy whose owner stays.
        """
        lines: list[str] = []
        for those in group_whole(changes):
            lines += self._item(symbol, style, headline(those, those[0].parts if those[0].kind else ""))
            for grant in those[0].grants:
                lines += self._grant(grant)
        return lines

    def _each(self, changes: Sequence[InfraChange], symbol: str, style: str) -> list[str]:
        """Each resource with its changes beneath; resources with the same changes stand together."""
        lines = []
        for those in group_alike(changes):
            change = those[0].changes[0]
            lines += self._item(symbol, style, headline(those, details_of(those)))
            for text in attribute_texts(change):
                lines += wrap(text, width=self._width, indent=_DETAIL_INDENT + "  ", first=_DETAIL_INDENT)
            for grant in change.grants:
                lines += self._grant(grant)
        return lines

    def _grant(self, grant: Grant, whose: str = "") -> list[str]:
        symbol, style = ("+", "green") if grant.is_added else ("-", "red")
        text = grant.statement + whose
        lines = format_item(symbol, text, style="", width=self._width, paint=self._paint, indent=_GRANT_INDENT)
        if grant.is_widening:  # the mark is never broken
            style = "magenta"
            if len(lines[-1]) + len(_WIDENS) < self._width:
                lines[-1] += f" {_WIDENS}"
            else:
                lines.append(f"{_DETAIL_INDENT}  {_WIDENS}")
        lines[0] = lines[0].replace(symbol, self._paint(style, symbol), 1)
        return lines

    def _lost(self, losses: Sequence[Loss]) -> list[str]:
        return [line for loss in losses for line in self._item("-", "red", loss_text(loss))]

    def _adopted(self, adopted: Sequence[Adopted]) -> list[str]:
        """For each adopted repository that would change: what to write into the manifest to keep it as it is."""
        lines = []
        for text, names in settings_to_keep(adopted).items():
            lines += wrap(f"In the images of {', '.join(names)}:", width=self._width, indent=" " * 6, first=" " * 4)
            lines += [f"{' ' * 6}{visible(line)}" for line in text.splitlines()]
        return [f"  {TO_KEEP}:", *lines] if lines else []


def _split(address: str) -> tuple[str, str, str]:
    """Kind and name of what the resource at `address` belongs to, and the rest of its address."""
    calls = list(_MODULE_CALL.finditer(address))
    if not calls:
        return "", "replication rules of the registry" if address == _RULES else address, ""
    call, rest = calls[-1]["call"], address[calls[-1].end() :]
    if replica := _REPLICA.match(address):
        region = replica["region"].replace("_", "-")
        return "replica", f"{calls[-1]['key']} in {region}", _ONLY_ONE.sub("", rest)
    if "build" in call or rest.startswith("aws_codebuild_"):
        kind = "build"
    elif call == "refresh":
        type_, key = _PART_OF_SCHEDULE.findall(rest)[0]
        aside = "" if key == "this" or "/" in key else key  # the key of a log group is its name
        return "schedule", calls[-1]["key"], f"{_WORDS[type_]} {aside}".rstrip()
    elif "repositor" in call or rest.startswith("aws_ecr_"):
        kind = "repository"
    else:
        kind = call.replace("_", " ")
    return kind, calls[-1]["key"], _ONLY_ONE.sub("", rest)


def by_name(changes: Iterable[InfraChange]) -> list[Changed]:
    """What the changes are about: repositories, builds, and single resources."""
    groups: dict[tuple[str, str], list[InfraChange]] = defaultdict(list)
    for change in changes:
        groups[_split(change.address)[:2]].append(change)
    return [Changed(kind, name, tuple(group)) for (kind, name), group in groups.items()]


def group_whole(changes: Iterable[InfraChange]) -> list[list[Changed]]:
    """What the changes are about; repositories and builds of which the same parts change stand together."""
    alike: dict[tuple[str, str, tuple[Grant, ...]], list[Changed]] = defaultdict(list)
    for one in by_name(changes):
        alike[one.kind or one.name, one.parts if one.kind else "", one.grants].append(one)
    return list(alike.values())


def group_alike(changes: Iterable[InfraChange]) -> list[list[Changed]]:
    """Each resource for itself; those with the same changes stand together."""
    alike: dict[object, list[Changed]] = defaultdict(list)
    for change in changes:
        kind, name, part = _split(change.address)
        what = (change.action, change.reason, change.is_imported, change.replace_because, change.grants)
        alike[(kind or name, part, *what, repr(change.changes))].append(Changed(kind, name, (change,)))
    return list(alike.values())


def details_of(those: Sequence[Changed]) -> str:
    """What resources with the same changes are, and why they change, in a few words."""
    change = those[0].changes[0]
    details = [those[0].parts] if those[0].kind else []
    if change.is_imported:
        details.append("imported")
    if change.action is InfraAction.DELETE:
        details.append("deleted")
    if change.reason and change.reason not in _SAID and not change.replace_because:
        details.append(change.reason.replace("_", " "))
    return ", ".join(details)


def _fold_whole(changed: Iterable[Changed]) -> Iterator[str]:
    """One text for all builds, and one for all repositories; what is only a part of one says which."""
    alike: dict[tuple[str, str], list[Changed]] = defaultdict(list)
    for one in changed:
        alike[one.kind or one.name, "" if one.is_whole else one.parts].append(one)
    for (_, parts), those in alike.items():
        yield headline(those, (parts or _resources(those)) if those[0].kind else "")


def headline(those: Sequence[Changed], details: str) -> str:
    """`build web (details)`, or `2 builds (details): api, web`."""
    aside = f" ({details})" if details else ""
    first = those[0]
    if len(those) == 1:
        return f"{first.kind} {first.name}{aside}".lstrip()
    return f"{count_of(those)}{aside}: {', '.join(one.name for one in those)}"


def _name(those: Sequence[Changed]) -> str:
    return headline(those, "") if len(those) == 1 else count_of(those)


def count_of(those: Sequence[Changed]) -> str:
    """`2 repositories`, of changes of one kind."""
    kind = those[0].kind or "resource"
    return format_count(len(those), kind, _PLURALS.get(kind))


def _resources(those: Iterable[Changed]) -> str:
    return format_count(sum(len(one.changes) for one in those), "resource")


def split_drift(plan: Plan) -> dict[str, list[InfraChange]]:
    """Changes from outside of Terraform, grouped by what apply does about them."""
    rewritten = {
        change.address
        for change in plan.infra_changes
        if change.action in (InfraAction.CREATE, InfraAction.UPDATE, InfraAction.REPLACE)
    }
    found: dict[str, list[InfraChange]] = {fate: [] for fate in FATES}
    for drifted in plan.drift:
        fate = "put_back" if drifted.address in rewritten else "recorded"
        found[drifted.reason if drifted.reason in found else fate].append(drifted)
    return found


def attribute_texts(change: InfraChange) -> Iterator[str]:
    """Changes as text, in their order."""
    for path, one, note in attributes_of(change):
        text = _attribute_text(one) if one else path
        yield f"{text}: {note}" if note else text


def attributes_of(change: InfraChange) -> Iterator[tuple[str, AttributeChange | None, str]]:
    """The path, the change and a note of each attribute; those that force a replacement first, with a change or not."""
    why = "fixed at creation"
    fixed = [one for one in change.changes if any(_is_at(one.path, path) for path in change.replace_because)]
    yield from ((short_path(one.path), one, why) for one in fixed)
    for path in change.replace_because:
        if not any(_is_at(one.path, path) for one in fixed):
            yield short_path(path), None, why
    yield from ((short_path(one.path), one, "") for one in change.changes if one not in fixed)


def _is_at(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies in it."""
    return path == root or path.startswith((f"{root}.", f"{root}["))


def short_path(path: str) -> str:
    """Terraform makes a list of each nested block, mostly with one entry."""
    return path.replace("[0].", ".")


def _attribute_text(change: AttributeChange) -> str:
    path = short_path(change.path)
    if change.is_sensitive:
        return f"{path} (sensitive, not shown)"
    before, after = change.before, change.after
    if change.is_unknown and before is None:  # nothing, or a policy that is told as rights
        return f"{path} (known after apply)"
    if isinstance(before, str) and isinstance(after, str) and not change.is_unknown and "\n" in before + after:
        return f"{path} {changed_lines(before, after)}"
    old, new = _around_difference(value_text(before), "" if change.is_unknown else value_text(after))
    return f"{path} {old} -> {'(known after apply)' if change.is_unknown else new}"


def value_text(value: object) -> str:
    """A JSON value in one line; text has quotes only if it could be taken for another type."""
    if value is None:
        return "(none)"
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    is_plain = re.fullmatch(r"[^\s\"'\[\]{}(),]+", value) and not re.fullmatch(r"true|false|null|[-+.\d]+", value)
    return value if is_plain else json.dumps(value, ensure_ascii=False)


def _around_difference(before: str, after: str) -> tuple[str, str]:
    """Both without their common beginning and end, if they are too long to be read."""
    if max(len(before), len(after)) <= _LONGEST_VALUE:
        return before, after
    shorter = min(len(before), len(after))
    head = next((place for place in range(shorter) if before[place] != after[place]), shorter)
    tail = next((place for place in range(shorter - head) if before[-1 - place] != after[-1 - place]), shorter - head)
    return _cut(before, head, tail), _cut(after, head, tail)


def _cut(text: str, head: int, tail: int) -> str:
    start, end = max(head - _CONTEXT, 0), len(text) - max(tail - _CONTEXT, 0)
    shown = f"{'...' if start else ''}{text[start:end]}{'...' if end < len(text) else ''}"
    if len(shown) <= 2 * _LONGEST_VALUE:
        return shown
    return f"{shown[:_LONGEST_VALUE]}... ({len(text)} characters)"


def changed_lines(before: str, after: str) -> str:
    """How many lines come and go. They are counted, not aligned: that takes minutes for some texts of 3,000 lines."""
    old, new = Counter(before.splitlines()), Counter(after.splitlines())
    removed, added = (old - new).total(), (new - old).total()
    if not removed and not added:
        return "with other line ends" if before.splitlines() == after.splitlines() else "lines in another order"
    return f"{format_count(added, 'line')} added, {removed} removed"


def loss_text(loss: Loss) -> str:
    """What is lost, and how much."""
    return f"{loss.kind} {loss.name}: {loss_facts(loss)}"


def loss_facts(loss: Loss) -> str:
    """How much is lost, in a few words."""
    if loss.kind != "log group" and not loss.digests:
        return "no images"
    facts = [format_count(len(loss.digests), "image")] if loss.digests else []
    facts.append(format_size(loss.size))
    if loss.last_pulled:
        facts.append(f"last pulled {format_moment(loss.last_pulled)}")
    return ", ".join(facts)


def settings_to_keep(adopted: Iterable[Adopted]) -> dict[str, list[str]]:
    """What to write into the manifest to keep adopted repositories as they are, with the names of those it is for."""
    alike: dict[str, list[str]] = defaultdict(list)
    for one in adopted:
        if one.settings:
            alike[to_yaml({"repository_settings": one.settings})].append(one.repository)
    return alike


def to_yaml(settings: object) -> str:
    """JSON values as lines for a manifest."""
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.width = 4096
    text = StringIO()
    yaml.dump(settings, text)
    return text.getvalue()
