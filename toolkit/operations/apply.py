"""Apply: Terraform's saved plan, then the pinned digests, then a look at what is really there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from toolkit.errors import PLAN_AGAIN, Interrupted, PlanStale, Refused, TerraformFailed, ToolkitError
from toolkit.events import NoticeGiven
from toolkit.oci.companions import referrers_tag
from toolkit.oci.filtered_index import read_provenance
from toolkit.oci.reference import Reference
from toolkit.operations.guards import find_account, refuse_if_unsafe
from toolkit.operations.orphans import Kind
from toolkit.operations.outcomes import finish, raise_if_incomplete, settle
from toolkit.operations.plan import Planned, plan_manifest
from toolkit.operations.services import Services, open_run, step
from toolkit.plan.creation_rights import with_creation_rights
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraAction, InfraChange, OnBudget, Plan, Refusal, Seed, doomed_repositories
from toolkit.plan.observed import Account, DestinationImage, PullBudget, SourceFault
from toolkit.plan.pull_budget import judge_plan
from toolkit.plan.saved_plan import refuse_misfits, resume
from toolkit.report import Report
from toolkit.seed.observe import read_budgets
from toolkit.seed.seeder import requests_for
from toolkit.terraform.plan_changes import needs_attributes, with_attributes
from toolkit.terraform.plan_contents import change_misfits, variable_misfits
from toolkit.terraform.runner import PlanFile

Review = Callable[[Plan], None]
Confirm = Callable[[Plan], bool]
Publish = Callable[[Report], None]


def apply(
    desired: Desired,
    services: Services,
    *,
    review: Review,
    confirm: Confirm,
    publish: Publish,
    allows_destroy: bool = False,
    destroys: Collection[Kind] = (),
    on_budget: OnBudget = OnBudget.REFUSE,
    adopt: Sequence[str] = (),
    keeps_going: bool = False,
) -> None:
    """Plan, show it to `review`, ask `confirm`, then do exactly that and hand the report to `publish`.

    The report is published also when Terraform fails half-way, when seeding is incomplete and after an interrupt;
    then the error is raised. The caller holds the working directory's lock.
    """
    started = services.clock()
    planned = plan_manifest(
        desired,
        services,
        allows_destroy=allows_destroy,
        destroys=destroys,
        on_budget=on_budget,
        adopt=adopt,
        keeps_going=keeps_going,
    )
    review(planned.plan)
    refuse_if_unsafe(planned.plan)
    if planned.plan.has_changes and not confirm(planned.plan):
        raise Refused("apply.not_confirmed", "the plan was not approved; nothing was changed")
    carry_out(planned, services, publish=publish, started=started)


def apply_saved(
    desired: Desired,
    planned: Planned,
    services: Services,
    *,
    review: Review,
    publish: Publish,
    on_budget: OnBudget | None = None,
) -> None:
    """Do a plan that was made and reviewed before, or refuse where something is not as it was then.

    Nobody is asked: the review was the approval. Run again, it copies what is not in place yet. Before anything is
    done, ECR's tags, the upstreams' digests, Terraform's plan and its state are held against what the plan says. Pull
    budgets are read again, and judged by `on_budget`, or else as the plan says.
    """
    started = services.clock()
    plan = planned.plan
    _refuse_other_place(plan, find_account(desired, services))
    plan = resume(plan, _tags_now(plan, services))
    plan, budgets = _sources_now(plan, services)
    plan = judge_plan(plan, budgets, on_budget or plan.on_budget)
    review(plan)
    refuse_if_unsafe(plan)
    with step(services.emit, "terraform init"):
        services.terraform.init(planned.plan_file.work_dir, keeps_lock=True)
    with step(services.emit, "terraform show"):
        _refuse_other_infra(desired, plan, planned.plan_file, services)
    if plan.infra_changes and _is_done_already(plan, planned.plan_file, services):
        # Whatever is there by now under the names that went is somebody else's.
        plan = replace(plan, infra_changes=(), losses=())
    carry_out(replace(planned, plan=plan), services, publish=publish, started=started, was_saved=True)


def _refuse_other_place(plan: Plan, account: Account) -> None:
    if account.region != plan.account.region:
        raise Refused(
            "plan.other_region",
            f"the plan is for the region `{plan.account.region}`, this run for `{account.region}`",
            hint=PLAN_AGAIN,
        )
    if account != plan.account:
        raise Refused(
            "plan.other_account",
            f"the plan is for `{plan.account.registry_host}`, these credentials are for `{account.registry_host}`",
            hint="switch the profile or role, or plan again",
        )


def _sources_now(plan: Plan, services: Services) -> tuple[Plan, Mapping[str, PullBudget]]:
    """`plan` with a refusal of each copy whose digest nobody has any more, and what is left of pulls, by registry.

    An index of referrers that was composed is in no registry under its digest: it is composed again.
    """
    asked: dict[Reference, list[Seed]] = defaultdict(list)
    for seed in plan.pending_seeds:
        if seed.source.digest and not (seed.subject and seed.tag == referrers_tag(seed.subject)):
            asked[seed.source.name.with_digest(seed.source.digest)].append(seed)
    if not asked:
        return plan, {}
    with services.observer.heads(asked) as heads:
        found = {source: head.result() for source, head in heads.items()}
    lost = [
        seed
        for source, head in found.items()
        if isinstance(head, SourceFault) and head.kind == "missing"
        for seed in asked[source]
    ]
    elsewhere = services.observer.alternatives(lost) if lost else {}
    gone = {seed.key: _gone(seed) for seed in lost if seed.key not in elsewhere}
    budgets = {budget.registry: budget for budget in read_budgets(found.items())}
    left = tuple(seed for seed in plan.seeds if seed.key not in gone)
    return replace(plan, seeds=left, refusals=(*plan.refusals, *gone.values())), budgets


def _gone(seed: Seed) -> Refusal:
    return Refusal(
        "plan.source_gone",
        f"`{seed.source.name}@{seed.source.digest}`, which the plan copies to `{seed.key}`, is gone upstream",
        hint=PLAN_AGAIN,
        image=seed.key,
    )


def _refuse_other_infra(desired: Desired, plan: Plan, plan_file: PlanFile, services: Services) -> None:
    """Raise Refused unless Terraform's plan does what ours says, with the values of the manifest."""
    shown = services.terraform.show(plan_file)
    differences = [*change_misfits(shown, plan.infra_changes), *variable_misfits(shown, desired.extra_files)]
    # What a reviewer was shown of attributes and rights is told anew, and has to be the same.
    bare = [replace(change, changes=(), replace_because=(), grants=()) for change in plan.infra_changes]
    told = with_creation_rights(desired, with_attributes(bare, shown) if needs_attributes(bare) else bare)
    differences += [
        f"the plan does not say truly what Terraform changes of `{change.address}`"
        for change, was in zip(told, plan.infra_changes, strict=True)
        if change != was
    ]
    refuse_misfits("the plan", differences)


def _is_done_already(plan: Plan, plan_file: PlanFile, services: Services) -> bool:
    """Whether an earlier run has done Terraform's part. Raises PlanStale where its state has moved on otherwise."""
    moved = _state_moved(plan_file, services)
    if moved and not _is_applied(Planned(plan, plan_file), services):
        raise moved
    return bool(moved)


def _state_moved(plan_file: PlanFile, services: Services) -> PlanStale | None:
    """What is wrong where the state is not the one any more that the plan was made from."""
    before, now = services.terraform.planned_from(plan_file), services.terraform.state(plan_file.work_dir)
    if (before.lineage, before.serial) == (now.lineage, now.serial):
        return None
    message = f"Terraform's state has changed since the plan was made: from version {before.serial} to {now.serial}"
    if before.lineage != now.lineage:
        was, is_now = (f"`{one.lineage}`" if one.lineage else "none" for one in (before, now))
        message = f"Terraform's state is not the one that the plan was made from: {is_now} now, {was} then"
    return PlanStale("plan.stale", message, hint=PLAN_AGAIN)


def _tags_now(plan: Plan, services: Services) -> Mapping[str, DestinationImage]:
    """By key, what ECR has under the plan's tags."""
    tags: dict[str, list[str]] = defaultdict(list)
    for seed in plan.seeds:
        tags[seed.repository].append(seed.tag)
    return {
        f"{repository}:{tag}": DestinationImage(image.digest, *(read_provenance(image.raw) or ()))
        for repository, wanted in tags.items()
        for tag, image in (services.ecr.images(repository, wanted) or {}).items()
    }


def carry_out(
    planned: Planned, services: Services, *, publish: Publish, started: float, was_saved: bool = False
) -> None:
    """Apply the saved plan while the images flow: a repository's seeding starts as soon as it exists.

    `was_saved` says that the plan comes from an earlier run, so that it may have been applied before.
    """
    plan = planned.plan
    waiting: dict[str, list[Seed]] = defaultdict(list)
    for seed in plan.pending_seeds:
        waiting[seed.repository].append(seed)
    done: list[InfraChange] = []
    outputs: Mapping[str, object] = {}
    failure: BaseException | None = None
    has_infra = False
    to_come = _repositories_to_come(plan)

    with step(services.emit, "seed", total=len(plan.pending_seeds)), open_run(plan, services) as run:

        def start(repository: str) -> None:
            seeds = waiting.pop(repository, [])
            run.submit(requests_for(seeds, plan.account.registry_host, new_repositories=to_come))

        def resource_done(change: InfraChange) -> None:
            done.append(change)
            if change.is_of_repository:
                start(change.name)

        try:
            # A tag may move only once its repository is mutable.
            changing = {change.name for change in plan.infra_changes if change.is_of_repository}
            for repository in sorted(set(waiting) - changing):
                start(repository)
            _empty_doomed(planned, services)
            if plan.infra_changes:
                with step(services.emit, "terraform apply"):
                    try:
                        outputs = services.terraform.apply(planned.plan_file, on_resource=resource_done)
                    except PlanStale:
                        if not was_saved or not _is_applied(planned, services):
                            raise
            has_infra = True
            for repository in sorted(waiting):
                start(repository)
            outcomes = run.wait()
        except (ToolkitError, KeyboardInterrupt) as error:
            # Terraform's failure does not spoil the repositories that stand: their images are finished.
            run.leave_the_rest()
            if not isinstance(error, TerraformFailed):
                run.cancel()
            outcomes, interrupt = finish(run)
            failure = interrupt or error

    # A saved plan never copies what it left out (--keep-going).
    can_resume = not was_saved or (has_infra and not plan.refusals and not _replaces(plan))
    if isinstance(failure, Interrupted | KeyboardInterrupt) and not can_resume:
        code = failure.code if isinstance(failure, Interrupted) else "interrupted"
        failure = Interrupted(code, str(failure) or "the run was interrupted", hint=PLAN_AGAIN)
    report = Report(
        outcomes=settle(plan, outcomes, services.ecr),
        seconds=round(services.clock() - started, 3),
        infra_changes=tuple(done),
        outputs=outputs,
        plan=plan,
        can_resume=can_resume,
    )
    publish(report)
    if failure:
        raise failure
    raise_if_incomplete(report)


def _empty_doomed(planned: Planned, services: Services) -> None:
    """Delete images that the plan lists as lost: AWS deletes no repository that holds any.

    Terraform's own way takes an apply before the apply. So what Terraform would refuse at its start is asked here.
    """
    doomed = [loss for loss in planned.plan.losses if loss.digests]
    if not doomed:
        return
    services.terraform.check_lock(planned.plan_file.work_dir)
    if moved := _state_moved(planned.plan_file, services):
        raise moved
    with step(services.emit, "delete images", total=sum(len(loss.digests) for loss in doomed)):
        services.losses.empty(doomed)


def _replaces(plan: Plan) -> bool:
    """Whether a repository goes and comes again: its tags are not held against the plan, so it is done only once."""
    return not doomed_repositories(plan.infra_changes).isdisjoint(seed.repository for seed in plan.seeds)


def _is_applied(planned: Planned, services: Services) -> bool:
    """Whether Terraform has nothing left to change: an earlier run has applied this plan."""
    if _replaces(planned.plan) or services.terraform.has_changes(planned.plan_file.work_dir):
        return False
    message = "Terraform has nothing left to change: an earlier run has applied this plan"
    services.emit(NoticeGiven("terraform.applied_before", message))
    return True


def _repositories_to_come(plan: Plan) -> frozenset[str]:
    return frozenset(
        change.name
        for change in plan.infra_changes
        if change.is_of_repository and change.action in (InfraAction.CREATE, InfraAction.REPLACE)
    )
