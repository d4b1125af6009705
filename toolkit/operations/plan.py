"""Plan: what apply will do, without changing a resource.

The run locks Terraform's state. It changes the state only if an interrupted apply left a repository to be replaced: the
plan has to be made from the state that apply will find. Planning costs counted pulls in two cases: if sizes are asked
for, or if signatures are kept of an index that was never read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from toolkit.errors import Refused
from toolkit.events import NoticeGiven
from toolkit.operations.adopt import check_patterns, heal
from toolkit.operations.batch import read_quota
from toolkit.operations.bundle import has_bundle
from toolkit.operations.guards import find_account, refusals_of, refuse_other_place
from toolkit.operations.lock_store import pin_images
from toolkit.operations.orphans import Kind, find_orphans
from toolkit.operations.replicate import look_at_replicas
from toolkit.operations.select import select_images
from toolkit.operations.services import AWS_LOOK_UPS, Services, decide_with_alternatives, step
from toolkit.plan.creation_rights import with_creation_rights
from toolkit.plan.desired import Desired
from toolkit.plan.model import InfraChange, Loss, Plan, doomed_replicas, doomed_repositories
from toolkit.plan.observed import Account, Observed
from toolkit.plan.on_budget import OnBudget
from toolkit.plan.planner import make_plan
from toolkit.plan.replication import copied_besides, foreign_rules
from toolkit.plan.shards import as_elsewhere, divide
from toolkit.seed.worker_pool import asking
from toolkit.terraform.provider_lock import refuse_old_provider
from toolkit.terraform.root_module import REPLICATION_ADDRESS, render, replica_regions
from toolkit.terraform.runner import PlanFile
from toolkit.terraform.state import State
from toolkit.terraform.work_dir import write


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and Terraform's saved plan that it describes."""

    plan: Plan
    plan_file: PlanFile


def plan_manifest(
    desired: Desired,
    services: Services,
    *,
    allows_destroy: bool = False,
    destroys: Collection[Kind] = (),
    reads_sizes: bool = False,
    on_budget: OnBudget = OnBudget.REFUSE,
    adopt: Sequence[str] = (),
    keeps_going: bool = False,
    is_strict: bool = False,
    shards: int | None = None,
) -> Planned:
    """Observe both registries while Terraform plans, then decide. The caller holds the working directory's lock.

    Resources in the state which `desired` does not name are let go of; those of the kinds in `destroys` are deleted.
    `allows_destroy` permits the loss of images and logs, and replacements. `adopt` are patterns of names that may be
    taken over, in addition to those of the manifest. `reads_sizes` reads the documents of the images to copy. The plan
    is then exact, at the cost of counted pulls; the documents are kept in the cache for the copy. With `keeps_going`, a
    refusal of one image does not stop the others. If `is_strict`, the risks of the manifest are refusals. The copies
    are divided into `shards`, or into as many as are useful if that is 0.
    """
    check_patterns(desired, adopt)
    account = find_account(desired, services)
    place = puts_manifest(desired, account, services)
    existing = services.ecr.repositories()
    desired, unselected, unlisted = select_images(desired, services)
    desired, locked = pin_images(desired, services)
    with services.observer.start(desired.images, frozenset(existing)) as observation:
        work_dir = write(render(desired), services.work_path)
        with step(services.emit, "terraform init"):
            services.terraform.init(work_dir)
        refuse_old_provider(desired, work_dir)
        state = services.terraform.state(work_dir)
        refuse_other_place(state, account)
        healing = heal(desired, existing, state, work_dir, services, allows_destroy=allows_destroy, adopt=adopt)
        for refusal in healing.refusals:  # Terraform's plan takes long, and these are known before it
            services.emit(NoticeGiven(refusal.code, refusal.message, refusal.hint))
        orphans = find_orphans(desired, state, destroys=destroys, allows_destroy=allows_destroy)
        regions = replica_regions(state.managed)
        if healing.imports or orphans.let_go or regions:
            module = render(desired, adopt=healing.imports, let_go=orphans.let_go, regions=regions)
            work_dir = write(module, services.work_path)
        with step(services.emit, "terraform plan"):
            plan_file = services.terraform.detail(services.terraform.plan(work_dir))
        changes = with_creation_rights(desired, healing.true_changes(plan_file.changes))
        losses, users = _look_at_losses(desired, changes, state, services)
        rules = services.ecr.replication() if desired.replication or REPLICATION_ADDRESS in state.managed else ()
        observed = observation.result()

    def decide(seen: Observed) -> Plan:
        return make_plan(
            desired,
            # Without all selections the list of tags that the manifest names is incomplete.
            replace(seen, tags={}) if unselected or unlisted else seen,
            changes,
            account,
            allows_destroy=allows_destroy,
            destroys_removed=bool(destroys),
            losses=losses,
            users=users,
            on_budget=on_budget,
            keeps_going=keeps_going,
            drift=plan_file.drift,
        )

    plan = decide_with_alternatives(observed, services, decide)
    if reads_sizes and plan.pending_seeds:
        services.observer.read([seed for seed in plan.pending_seeds if seed.stored_as is None])
        with services.observer.start(desired.images, frozenset(existing)) as observation:
            plan = decide_with_alternatives(observation.result(), services, decide)
    known = state.replication(REPLICATION_ADDRESS, account.account_id)
    plan = replace(
        plan,
        replicas=look_at_replicas(desired, rules, plan.seeds, frozenset(existing), services),
        refusals=(
            *healing.refusals,
            *foreign_rules(rules, desired.replication, known),
            *unselected,
            *plan.refusals,
            *(refusals_of(desired.risks) if is_strict else ()),
        ),
        notices=(
            *(() if is_strict else desired.risks),
            *healing.notices,
            *(copied_besides(desired, existing) if _sets_rule(changes) else ()),
            *orphans.notices,
            *unlisted,
            *locked,
            *plan.notices,
        ),
        adopted=healing.adopted,
        puts_manifest=place,
        credentials=services.credential_uses(),
    )
    if shards is not None:
        contents = services.observer.contents(plan.pending_seeds)
        plan = as_elsewhere(plan, contents)
        quota = read_quota(services.refresh.batches, services) if services.refresh else None
        at_once = int(quota.value) if quota else None
        division = divide(plan, shards, contents, desired.put_image_per_second, at_once)
        if not shards and plan.pending_seeds and division.unknown_sizes == len(plan.pending_seeds):
            raise Refused(
                "shards.sizes_unknown",
                "no size of an image to copy is known, and the bytes decide how many shards are useful",
                hint="add --sizes, which reads the manifests now instead of later, or name a number",
            )
        plan = replace(plan, division=division)
    return Planned(plan, plan_file)


def _look_at_replica(change: InfraChange, services: Services) -> Loss:
    """ECR replicates no deletion, so that a replica may have images which are nowhere else any more."""
    found = services.losses_in(change.region).repository(change.name)
    return replace(found, kind="replica", name=change.name_there)


def _sets_rule(changes: Sequence[InfraChange]) -> bool:
    return any(change.address == REPLICATION_ADDRESS for change in changes)


def puts_manifest(desired: Desired, account: Account, services: Services) -> str:
    """Where an apply puts the manifest for refreshes; "" if it is there. Raises Refused for another one's place."""
    if desired.refresh is None or services.refresh is None:
        return ""
    bundle = services.refresh.bundle
    return "" if has_bundle(desired, account, bundle) else bundle.name


def _look_at_losses(
    desired: Desired, changes: Sequence[InfraChange], state: State, services: Services
) -> tuple[list[Loss], Mapping[str, Sequence[str]]]:
    """The contents of the repositories and log groups to be deleted, and the other projects that use them."""
    repositories = sorted(doomed_repositories(changes))
    log_groups = sorted(
        str(state.resources.get(change.address, {}).get("name", ""))
        for change in changes
        if change.resource_type == "aws_cloudwatch_log_group" and change.destroys
    )
    with asking(AWS_LOOK_UPS) as pool:
        users = pool.ask(partial(services.losses.users, repositories, desired.name))
        images = [pool.ask(partial(services.losses.repository, name)) for name in repositories]
        images += [pool.ask(partial(_look_at_replica, replica, services)) for replica in doomed_replicas(changes)]
        logs = [pool.ask(partial(services.losses.log_group, name)) for name in log_groups if name]
        return [loss.result() for loss in (*images, *logs)], users.result()
