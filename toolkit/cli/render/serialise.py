"""Plans and reports as JSON-safe documents with keys in a stable order.

A plan's document reads back exactly, so that a plan can be saved, reviewed and applied later. What can be derived
(`has_changes`, `totals`, `without_room`, a source's `name`) is there for readers and ignored on reading.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TypeVar

from toolkit.cli.render.totals import PlanTotals, sum_plan, sum_report
from toolkit.errors import Refused
from toolkit.oci.auth import CredentialUse
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.subset import Subset
from toolkit.plan.model import (
    Adopted,
    AttributeChange,
    Grant,
    InfraAction,
    InfraChange,
    Loss,
    Notice,
    Plan,
    PullCost,
    Refusal,
    Seed,
)
from toolkit.plan.observed import Account, PullBudget
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import postponed
from toolkit.plan.seed_action import SeedAction
from toolkit.report import Report, SeedOutcome

SCHEMA_VERSION = 1

Document = dict[str, object]
T = TypeVar("T")


def plan_document(plan: Plan) -> Document:
    """`plan` as JSON-safe values."""
    without_room = postponed(plan.costs, plan.pull_costs, plan.on_budget)
    totals = sum_plan(plan)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": plan.name,
        "account": asdict(plan.account),
        "has_changes": plan.has_changes,
        "is_refused": totals.refusals > 0,
        "totals": _totals_document(totals),
        "infra_changes": [_infra_change_document(change) for change in plan.infra_changes],
        "seeds": [_seed_document(seed) for seed in plan.seeds],
        "pull_costs": [asdict(cost) for cost in plan.pull_costs],
        "refusals": [asdict(refusal) for refusal in plan.refusals],
        "notices": [asdict(notice) for notice in plan.notices],
        "on_budget": plan.on_budget.value,
        "drift": [_infra_change_document(change) for change in plan.drift],
        "losses": [{**asdict(loss), "digests": [str(digest) for digest in loss.digests]} for loss in plan.losses],
        "adopted": [{"repository": one.repository, "settings": dict(one.settings)} for one in plan.adopted],
        "credentials": [asdict(use) for use in plan.credentials],
        "keeps_going": plan.keeps_going,
        "covers_infra": plan.covers_infra,
        "unseen_images": plan.unseen_images,
        "is_destroy": plan.is_destroy,
        "without_room": [seed.key for seed in plan.seeds if seed.key in without_room],
    }


def _totals_document(totals: PlanTotals) -> Document:
    return {
        "resources": {
            "import": totals.infra.imports,
            "create": totals.infra.creates,
            "update": totals.infra.updates,
            "destroy": totals.infra.destroys,
            "forget": totals.infra.forgets,
        },
        "images": {action.value: count for action, count in totals.images.items()},
        "overwritten": totals.overwritten,
        "skipped": totals.skipped,
        "bytes_to_copy_at_most": totals.size,
        "images_of_unknown_size": totals.unknown_sizes,
        "pulls": {"at_least": totals.pulls[0], "at_most": totals.pulls[1]},
    }


def _infra_change_document(change: InfraChange) -> Document:
    return {
        **asdict(change),
        "action": change.action.value,
        "changes": [asdict(one) for one in change.changes],
        "replace_because": list(change.replace_because),
        "grants": [asdict(grant) for grant in change.grants],
    }


def _seed_document(seed: Seed) -> Document:
    return {
        "key": seed.key,
        "action": seed.action.value,
        "reason": seed.reason,
        "source": {
            "name": str(seed.source),
            "registry": seed.source.registry,
            "repository": seed.source.repository,
            "tag": seed.source.tag,
            "digest": _text_or_none(seed.source.digest),
        },
        "repository": seed.repository,
        "tag": seed.tag,
        "subset": {
            "platforms": None if seed.subset.platforms is None else [str(one) for one in seed.subset.platforms],
            "keeps_attestations": seed.subset.keeps_attestations,
        },
        "wanted_digest": _text_or_none(seed.wanted_digest),
        "current_digest": _text_or_none(seed.current_digest),
        "subject": _text_or_none(seed.subject),
        "size": seed.size,
        "pulls": {"at_least": seed.pulls[0], "at_most": seed.pulls[1]},
        "bytes_from": None if seed.bytes_from is None else asdict(seed.bytes_from),
        "is_overwritten": seed.is_overwritten,
        "pushed_at": seed.pushed_at,
    }


def _text_or_none(digest: Digest | None) -> str | None:
    return None if digest is None else str(digest)


def report_document(report: Report) -> Document:
    """`report` as JSON-safe values, the plan it came from included."""
    totals = sum_report(report)
    return {
        "schema_version": SCHEMA_VERSION,
        "is_complete": not report.failed,
        "seconds": report.seconds,
        "totals": {
            "images": {status.value: count for status, count in totals.images.items()},
            "moved_bytes": totals.moved_bytes,
            "moved_blobs": totals.moved_blobs,
            "mounted_blobs": totals.mounted_blobs,
            "present_blobs": totals.present_blobs,
            "document_reads": totals.document_reads,
        },
        "infra_changes": [_infra_change_document(change) for change in report.infra_changes],
        "outcomes": [_outcome_document(outcome) for outcome in report.outcomes],
        "outputs": dict(report.outputs),
        "plan": None if report.plan is None else plan_document(report.plan),
    }


def _outcome_document(outcome: SeedOutcome) -> Document:
    return {**asdict(outcome), "status": outcome.status.value}


def plan_from_document(document: object) -> Plan:
    """The plan that `plan_document` made `document` of; Refused says what does not fit."""
    try:
        return _plan(_Fields(document, "plan"))
    except _Unfit as fault:
        raise Refused(
            "plan.unreadable", f"the saved plan cannot be used: {fault}", hint="make a new one with `toolkit plan`"
        ) from None


class _Unfit(ValueError):
    """A field that is not what `plan_document` writes."""


class _Fields:
    """The members of one object of the document, each read with its type checked."""

    def __init__(self, document: object, path: str) -> None:
        if not isinstance(document, Mapping):
            raise _Unfit(f"`{path}` is not an object")
        self._document = document
        self._path = path

    def _take(self, key: str, type_: type[T]) -> T:
        value = self._document.get(key)
        # In JSON a boolean is no number; in Python it is.
        if not isinstance(value, type_) or (type_ is int and isinstance(value, bool)):
            raise _Unfit(f"`{self._path}.{key}` is missing or of the wrong type")
        return value

    def _is_null(self, key: str) -> bool:
        return key in self._document and self._document[key] is None

    def text(self, key: str) -> str:
        return self._take(key, str)

    def number(self, key: str) -> int:
        return self._take(key, int)

    def boolean(self, key: str) -> bool:
        return self._take(key, bool)

    def value(self, key: str) -> object:
        """Any JSON value."""
        if key not in self._document:
            raise _Unfit(f"`{self._path}.{key}` is missing")
        return self._document[key]

    def mapping(self, key: str) -> Mapping[str, object]:
        return dict(self._take(key, dict))

    def texts(self, key: str) -> tuple[str, ...]:
        items = self._take(key, list)
        if not all(isinstance(item, str) for item in items):
            raise _Unfit(f"`{self._path}.{key}` has something that is no text")
        return tuple(items)

    def optional_text(self, key: str) -> str | None:
        return None if self._is_null(key) else self.text(key)

    def optional_number(self, key: str) -> int | None:
        return None if self._is_null(key) else self.number(key)

    def optional_digest(self, key: str) -> Digest | None:
        return None if self._is_null(key) else self.parsed(key, Digest.parse)

    def parsed(self, key: str, parse: Callable[[str], T]) -> T:
        return _parse(self.text(key), parse, f"{self._path}.{key}")

    def fields(self, key: str) -> _Fields:
        return _Fields(self._document.get(key), f"{self._path}.{key}")

    def optional_fields(self, key: str) -> _Fields | None:
        return None if self._is_null(key) else self.fields(key)

    def each(self, key: str, read: Callable[[_Fields], T]) -> tuple[T, ...]:
        items = self._take(key, list)
        return tuple(read(_Fields(item, f"{self._path}.{key}[{number}]")) for number, item in enumerate(items))

    def subset(self, key: str) -> Subset:
        part = self.fields(key)
        platforms = None
        if not part._is_null("platforms"):
            where = f"{self._path}.{key}.platforms"
            platforms = tuple(_parse(name, Platform.parse, where) for name in part.texts("platforms"))
        return Subset(platforms, part.boolean("keeps_attestations"))

    def optional_repository(self, key: str) -> Repository | None:
        part = self.optional_fields(key)
        if part is None:
            return None
        try:
            return Repository(part.text("registry"), part.text("path"))
        except OciError as fault:
            raise _Unfit(f"`{self._path}.{key}`: {fault}") from None

    def reference(self, key: str) -> Reference:
        part = self.fields(key)
        name = (part.text("registry"), part.text("repository"), part.optional_text("tag"))
        try:
            return Reference(*name, part.optional_digest("digest"))
        except OciError as fault:
            raise _Unfit(f"`{self._path}.{key}`: {fault}") from None


def _parse(text: object, parse: Callable[[str], T], path: str) -> T:
    if not isinstance(text, str):
        raise _Unfit(f"`{path}` is not a text")
    try:
        return parse(text)
    except (OciError, ValueError) as fault:
        raise _Unfit(f"`{path}`: {fault}") from None


def _plan(fields: _Fields) -> Plan:
    version = fields.number("schema_version")
    if version != SCHEMA_VERSION:
        raise _Unfit(f"its `schema_version` is {version}, and this version of the toolkit reads {SCHEMA_VERSION}")
    account = fields.fields("account")
    return Plan(
        name=fields.text("name"),
        account=Account(account.text("account_id"), account.text("region"), account.text("registry_host")),
        infra_changes=fields.each("infra_changes", _infra_change),
        seeds=fields.each("seeds", _seed),
        pull_costs=fields.each("pull_costs", _pull_cost),
        refusals=fields.each("refusals", _refusal),
        notices=fields.each("notices", _notice),
        on_budget=fields.parsed("on_budget", OnBudget),
        drift=fields.each("drift", _infra_change),
        losses=fields.each("losses", _loss),
        adopted=fields.each("adopted", lambda one: Adopted(one.text("repository"), one.mapping("settings"))),
        credentials=fields.each("credentials", _credential_use),
        keeps_going=fields.boolean("keeps_going"),
        covers_infra=fields.boolean("covers_infra"),
        unseen_images=fields.number("unseen_images"),
        is_destroy=fields.boolean("is_destroy"),
    )


def _credential_use(fields: _Fields) -> CredentialUse:
    return CredentialUse(fields.text("registry"), fields.text("host"), fields.text("credential"))


def _infra_change(fields: _Fields) -> InfraChange:
    return InfraChange(
        address=fields.text("address"),
        resource_type=fields.text("resource_type"),
        action=fields.parsed("action", InfraAction),
        name=fields.text("name"),
        reason=fields.text("reason"),
        is_imported=fields.boolean("is_imported"),
        changes=fields.each("changes", _attribute_change),
        replace_because=fields.texts("replace_because"),
        grants=fields.each("grants", _grant),
    )


def _attribute_change(fields: _Fields) -> AttributeChange:
    return AttributeChange(
        path=fields.text("path"),
        before=fields.value("before"),
        after=fields.value("after"),
        is_unknown=fields.boolean("is_unknown"),
        is_sensitive=fields.boolean("is_sensitive"),
    )


def _grant(fields: _Fields) -> Grant:
    return Grant(fields.text("statement"), fields.boolean("is_added"), fields.boolean("is_widening"))


def _loss(fields: _Fields) -> Loss:
    return Loss(
        kind=fields.text("kind"),
        name=fields.text("name"),
        size=fields.number("size"),
        digests=tuple(_parse(text, Digest.parse, "losses.digests") for text in fields.texts("digests")),
        last_pulled=fields.optional_text("last_pulled"),
    )


def _seed(fields: _Fields) -> Seed:
    pulls = fields.fields("pulls")
    return Seed(
        key=fields.text("key"),
        action=fields.parsed("action", SeedAction),
        reason=fields.text("reason"),
        source=fields.reference("source"),
        repository=fields.text("repository"),
        tag=fields.text("tag"),
        subset=fields.subset("subset"),
        wanted_digest=fields.optional_digest("wanted_digest"),
        current_digest=fields.optional_digest("current_digest"),
        subject=fields.optional_digest("subject"),
        size=fields.optional_number("size"),
        pulls=(pulls.number("at_least"), pulls.optional_number("at_most")),
        bytes_from=fields.optional_repository("bytes_from"),
        is_overwritten=fields.boolean("is_overwritten"),
        pushed_at=fields.optional_text("pushed_at"),
    )


def _pull_cost(fields: _Fields) -> PullCost:
    budget = fields.optional_fields("budget")
    return PullCost(
        registry=fields.text("registry"),
        at_least=fields.number("at_least"),
        at_most=fields.optional_number("at_most"),
        budget=None if budget is None else _budget(budget),
    )


def _budget(fields: _Fields) -> PullBudget:
    return PullBudget(
        registry=fields.text("registry"),
        limit=fields.number("limit"),
        remaining=fields.number("remaining"),
        window_seconds=fields.number("window_seconds"),
    )


def _refusal(fields: _Fields) -> Refusal:
    return Refusal(
        code=fields.text("code"),
        message=fields.text("message"),
        hint=fields.optional_text("hint"),
        kind=fields.text("kind"),
        image=fields.optional_text("image"),
        source=fields.optional_text("source"),
    )


def _notice(fields: _Fields) -> Notice:
    return Notice(fields.text("code"), fields.text("message"), fields.optional_text("hint"))
