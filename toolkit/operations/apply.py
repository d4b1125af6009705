"""Apply: applies Terraform's saved plan, copies the pinned digests, and reads back the result."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from toolkit.errors import PLAN_AGAIN, Interrupted, PlanStale, Refused, TerraformFailed, ToolkitError, UsageError, some
from toolkit.events import NoticeGiven
from toolkit.oci.companions import referrers_tag
from toolkit.oci.filtered_index import read_provenance
from toolkit.oci.reference import Reference
from toolkit.operations.bundle import put_bundle
from toolkit.operations.guards import find_account, refuse_if_unsafe
from toolkit.operations.orphans import Kind
from toolkit.operations.outcomes import finish, raise_if_incomplete, settle
from toolkit.operations.plan import Planned, plan_manifest, puts_manifest
from toolkit.operations.read_tags import read_tags
from toolkit.operations.replicate import await_replicas
from toolkit.operations.services import Services, open_run, step
from toolkit.plan.creation_rights import with_creation_rights
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraAction, InfraChange, Plan, Refusal, Seed, Shard, doomed_repositories
from toolkit.plan.observed import Account, DestinationImage, PullBudget, SourceFault
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.pull_budget import judge_plan
from toolkit.plan.replication import foreign_rules
from toolkit.plan.saved_plan import refuse_misfits, resume
from toolkit.plan.shards import part_of
from toolkit.report import Report, ShardRun
from toolkit.seed.observe import read_budgets
from toolkit.seed.seeder import requests_for
from toolkit.terraform.plan_changes import needs_attributes, with_attributes
from toolkit.terraform.plan_contents import change_misfits, variable_misfits
from toolkit.terraform.root_module import REPLICATION_ADDRESS
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
    """Plan, show the plan to `review`, ask `confirm`, apply exactly that plan, and pass the report to `publish`.

    The report is also published when Terraform fails half-way, when seeding is incomplete and after an interrupt; then
    the error is raised. The caller holds the working directory's lock.
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
    _refuse_foreign_rules(desired, planned.plan, planned.plan_file, services)
    carry_out(desired, planned, services, publish=publish, started=started)


def apply_saved(
    desired: Desired,
    planned: Planned,
    services: Services,
    *,
    review: Review,
    publish: Publish,
    on_budget: OnBudget | None = None,
    infra_only: bool = False,
) -> None:
    """Apply a plan that was made and reviewed before, or refuse it if something has changed since.

    There is no confirmation: the review was the approval. A second run copies what is still missing. Before any change,
    the plan is compared with ECR's tags, the upstreams' digests, Terraform's plan and its state. Pull budgets are read
    again and judged by `on_budget`, by default as the plan says. With `infra_only` the images are left to the shards.
    """
    started = services.clock()
    plan = replace(planned.plan, division=None)  # this machine does all of it
    _refuse_other_place(plan, find_account(desired, services))
    plan = replace(plan, puts_manifest=puts_manifest(desired, plan.account, services))
    if infra_only:
        refusals = tuple(refusal for refusal in plan.refusals if not refusal.image)
        plan = replace(plan, seeds=(), pull_costs=(), refusals=refusals)
    plan = resume(plan, _tags_now(plan, services))
    plan, budgets = _sources_now(plan, services)
    plan = judge_plan(plan, budgets, on_budget or plan.on_budget)
    review(plan)
    refuse_if_unsafe(plan)
    with step(services.emit, "terraform init"):
        services.terraform.init(planned.plan_file.work_dir, keeps_lock=True)
    with step(services.emit, "terraform show"):
        _refuse_other_infra(desired, plan, planned.plan_file, services)
    _refuse_foreign_rules(desired, plan, planned.plan_file, services)
    if plan.infra_changes and _is_done_already(plan, planned.plan_file, services):
        # Anything that now has one of the deleted names belongs to somebody else.
        plan = replace(plan, infra_changes=(), losses=())
    carry_out(desired, replace(planned, plan=plan), services, publish=publish, started=started, was_saved=True)


def apply_shard(
    desired: Desired,
    saved: Plan,
    shard: Shard,
    services: Services,
    *,
    digest: str,
    review: Review,
    publish: Publish,
    on_budget: OnBudget | None = None,
) -> None:
    """Copy the images of a `shard` of a saved plan, whose file has this `digest`; Terraform does not run.

    The seeder of `services` keeps to the shard's share of manifests a second. A second run copies what is missing.
    """
    started = services.clock()
    _refuse_other_place(saved, find_account(desired, services))
    plan = part_of(saved, shard)
    missing = sorted({seed.repository for seed in plan.seeds} - services.ecr.repositories().keys())
    if missing:
        raise Refused(
            "shard.no_repository",
            f"the shard copies into {some(missing)}, which ECR does not have",
            hint="make the infrastructure first: `toolkit apply FILE --infra-only`",
        )
    plan = resume(plan, _tags_now(plan, services))
    plan, budgets = _sources_now(plan, services)
    shares = {registry: shard.share(budget) for registry, budget in budgets.items()}
    plan = judge_plan(plan, shares, on_budget or plan.on_budget)
    review(plan)
    refuse_if_unsafe(plan)
    requests = requests_for(plan.pending_seeds, plan.account.registry_host)
    with step(services.emit, "seed", total=len(requests)), open_run(plan, services, shard) as run:
        outcomes, interrupt = finish(run, requests)
    settled = settle(plan, outcomes, services.ecr)
    replicas, interrupt = ((), interrupt) if interrupt else await_replicas(plan, settled, services)
    report = Report(
        settled,
        round(services.clock() - started, 3),
        plan=plan,
        replicas=replicas,
        shard=ShardRun(shard.number, len(saved.division.shards) if saved.division else 0, digest),
    )
    publish(report)
    if interrupt:
        raise interrupt
    raise_if_incomplete(report)


def shard_of(plan: Plan, number: int) -> Shard:
    """Shard `number` of the plan. UsageError if it has none of that number."""
    shards = plan.division.shards if plan.division else ()
    if not 1 <= number <= len(shards):
        raise UsageError(
            "usage.shard",
            f"the plan has no shard `{number}`: it is divided into {len(shards)}"
            if shards
            else "the plan is not divided into shards",
            hint=None if shards else "plan again: `toolkit plan --shards N --out FILE`",
        )
    return shards[number - 1]


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
    """`plan` with a refusal of each copy whose digest no registry has any more, and the pull budgets by registry.

    No registry has a composed index of referrers under its digest. It is not checked, because it is composed again.
    """
    seeds: dict[Reference, list[Seed]] = defaultdict(list)
    gone: dict[str, Refusal] = {}
    for seed in plan.pending_seeds:
        if seed.stored_as is not None:
            gone |= {} if _is_stored(seed, services) else {seed.key: _gone(seed, "from ECR")}
        elif seed.source.digest and not (seed.subject and seed.tag == referrers_tag(seed.subject)):
            seeds[seed.source.name.with_digest(seed.source.digest)].append(seed)
    with services.observer.heads(seeds) as heads:
        found = {source: head.result() for source, head in heads.items()}
    lost = [
        seed
        for source, head in found.items()
        if isinstance(head, SourceFault) and head.kind == "missing"
        for seed in seeds[source]
    ]
    alternatives = services.observer.alternatives(lost) if lost else {}
    gone |= {seed.key: _gone(seed, "upstream") for seed in lost if seed.key not in alternatives}
    budgets = {budget.registry: budget for budget in read_budgets(found.items())}
    left = tuple(seed for seed in plan.seeds if seed.key not in gone)
    return replace(plan, seeds=left, refusals=(*plan.refusals, *gone.values())), budgets


def _is_stored(seed: Seed, services: Services) -> bool:
    """Whether ECR still has the image that a tag is moved to. Raises Refused if it is another one than the plan says.

    A filtered index has a digest of its own, so nothing else ties it to the source that was reviewed.
    """
    wanted = seed.wanted_digest
    document = services.ecr.documents(seed.repository, [wanted]).get(wanted) if wanted else None
    if document and seed.is_filtered_already:
        is_made = read_provenance(document.raw) == (seed.source.digest, str(seed.subset))
        misfit = f"`{wanted}` in `{seed.repository}` is not made from `{seed.source}`"
        refuse_misfits("the plan", [] if is_made else [misfit])
    return document is not None


def _gone(seed: Seed, where: str) -> Refusal:
    digest = seed.wanted_digest if seed.stored_as else seed.source.digest
    return Refusal(
        "plan.source_gone",
        f"`{seed.source.name}@{digest}`, which the plan copies to `{seed.key}`, is gone {where}",
        hint=PLAN_AGAIN,
        image=seed.key,
    )


def _refuse_other_infra(desired: Desired, plan: Plan, plan_file: PlanFile, services: Services) -> None:
    """Raise Refused unless Terraform's plan does what ours says, with the values of the manifest."""
    shown = services.terraform.show(plan_file)
    differences = [*change_misfits(shown, plan.infra_changes), *variable_misfits(shown, desired.extra_files)]
    # The attributes and rights that the reviewer saw are computed again and have to be the same.
    bare = [replace(change, changes=(), replace_because=(), grants=()) for change in plan.infra_changes]
    actual = with_creation_rights(desired, with_attributes(bare, shown) if needs_attributes(bare) else bare)
    differences += [
        f"the plan does not describe correctly what Terraform changes of `{change.address}`"
        for change, reviewed in zip(actual, plan.infra_changes, strict=True)
        if change != reviewed
    ]
    refuse_misfits("the plan", differences)


def _is_done_already(plan: Plan, plan_file: PlanFile, services: Services) -> bool:
    """Whether an earlier run has applied Terraform's part. Raises PlanStale if its state changed otherwise."""
    moved = _state_moved(plan_file, services)
    if moved and not _is_applied(Planned(plan, plan_file), services):
        raise moved
    return bool(moved)


def _state_moved(plan_file: PlanFile, services: Services) -> PlanStale | None:
    """The error if the state is no longer the one from which the plan was made."""
    before, now = services.terraform.planned_from(plan_file), services.terraform.state(plan_file.work_dir)
    if (before.lineage, before.serial) == (now.lineage, now.serial):
        return None
    message = f"Terraform's state has changed since the plan was made: from version {before.serial} to {now.serial}"
    if before.lineage != now.lineage:
        was, is_now = (f"`{state.lineage}`" if state.lineage else "none" for state in (before, now))
        message = f"the plan was made from another Terraform state: its lineage is {is_now} now and was {was} then"
    return PlanStale("plan.stale", message, hint=PLAN_AGAIN)


def _tags_now(plan: Plan, services: Services) -> Mapping[str, DestinationImage]:
    """The images in ECR under the plan's tags, by key."""
    found = read_tags([seed.key for seed in plan.seeds], services.ecr)
    return {key: DestinationImage(image.digest, *(read_provenance(image.raw) or ())) for key, image in found.items()}


def carry_out(
    desired: Desired,
    planned: Planned,
    services: Services,
    *,
    publish: Publish,
    started: float,
    was_saved: bool = False,
) -> None:
    """Apply Terraform's plan and copy the images meanwhile: the copies into a repository start once it exists.

    `was_saved`: the plan comes from an earlier run and may have been applied before. From then on, a refresh takes the
    manifest of `desired`.
    """
    plan = planned.plan
    waiting: dict[str, list[Seed]] = defaultdict(list)
    for seed in plan.pending_seeds:
        waiting[seed.repository].append(seed)
    done: list[InfraChange] = []
    outputs: Mapping[str, object] = {}
    failure: BaseException | None = None
    has_infra = False
    new_repositories = _new_repositories(plan)
    # Copies wait for the change of their repository: it may have to become mutable first. They also wait for its
    # replicas, which ECR would make itself, with settings of its own, for an image that arrives before.
    changing = Counter(change.name for change in plan.infra_changes if change.is_of_repository or change.is_of_replica)

    with step(services.emit, "seed", total=len(plan.pending_seeds)), open_run(plan, services) as run:

        def start(repository: str) -> None:
            seeds = waiting.pop(repository, [])
            run.submit(requests_for(seeds, plan.account.registry_host, new_repositories=new_repositories))

        def resource_done(change: InfraChange) -> None:
            done.append(change)
            changing[change.name] -= change.is_of_repository or change.is_of_replica
            if not changing[change.name]:
                start(change.name)

        try:
            for repository in sorted(set(waiting) - set(changing)):
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
            # After a failure of Terraform, the copies into existing repositories are finished.
            run.leave_the_rest()
            if not isinstance(error, TerraformFailed):
                run.cancel()
            outcomes, interrupt = finish(run)
            failure = interrupt or error

    # A saved plan never copies the images that it left out (--keep-going).
    can_resume = not was_saved or (has_infra and not plan.refusals and not _replaces(plan))
    if isinstance(failure, Interrupted | KeyboardInterrupt) and not can_resume:
        failure = _plan_again(failure)
    settled = settle(plan, outcomes, services.ecr)
    replicas, failure = ((), failure) if failure else await_replicas(plan, settled, services, done)
    report = Report(
        outcomes=settled,
        replicas=replicas,
        seconds=round(services.clock() - started, 3),
        infra_changes=tuple(done),
        outputs=outputs,
        plan=plan,
        can_resume=can_resume,
    )
    publish(report)
    if failure:
        raise failure
    if services.refresh and not plan.is_destroy:
        put_bundle(desired, plan.account, services.refresh.bundle)
    raise_if_incomplete(report)


def _refuse_foreign_rules(desired: Desired, plan: Plan, plan_file: PlanFile, services: Services) -> None:
    """Raise Refused if somebody else has set rules of replication since the plan, which may have been long ago."""
    if not any(change.address == REPLICATION_ADDRESS for change in plan.infra_changes):
        return
    state = services.terraform.planned_from(plan_file)
    known = state.replication(REPLICATION_ADDRESS, plan.account.account_id)
    for refusal in foreign_rules(services.ecr.replication(), desired.replication, known):
        raise Refused(refusal.code, refusal.message, hint=refusal.hint)


def _empty_doomed(planned: Planned, services: Services) -> None:
    """Delete the images that the plan lists as lost: AWS deletes a repository only when it is empty.

    Terraform could delete them itself, but only after another apply that sets `force_delete`. As the images go before
    Terraform starts, the reasons for which it would refuse to start are checked here.
    """
    doomed = [loss for loss in planned.plan.losses if loss.kind == "repository" and loss.digests]
    if not doomed:
        return
    services.terraform.check_lock(planned.plan_file.work_dir)
    if moved := _state_moved(planned.plan_file, services):
        raise moved
    with step(services.emit, "delete images", total=sum(len(loss.digests) for loss in doomed)):
        services.losses.empty(doomed)


def _plan_again(failure: Interrupted | KeyboardInterrupt) -> Interrupted:
    code = failure.code if isinstance(failure, Interrupted) else "interrupted"
    return Interrupted(code, str(failure) or "the run was interrupted", hint=PLAN_AGAIN)


def _replaces(plan: Plan) -> bool:
    """Whether a repository is replaced. Its tags are not compared with the plan, so such a plan runs only once."""
    return not doomed_repositories(plan.infra_changes).isdisjoint(seed.repository for seed in plan.seeds)


def _is_applied(planned: Planned, services: Services) -> bool:
    """Whether Terraform has nothing left to change: an earlier run has applied this plan."""
    if _replaces(planned.plan) or services.terraform.has_changes(planned.plan_file.work_dir):
        return False
    message = "Terraform has nothing left to change: an earlier run has applied this plan"
    services.emit(NoticeGiven("terraform.applied_before", message))
    return True


def _new_repositories(plan: Plan) -> frozenset[str]:
    return frozenset(
        change.name
        for change in plan.infra_changes
        if change.is_of_repository and change.action in (InfraAction.CREATE, InfraAction.REPLACE)
    )
