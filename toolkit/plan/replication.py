"""Replicas of the repositories in other regions: what they cost, and whose rules the registry has. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from toolkit.errors import some
from toolkit.plan.desired import Desired
from toolkit.plan.model import Notice, Refusal, Replica, Seed
from toolkit.plan.observed import ReplicationRule
from toolkit.plan.prices import STORAGE, transfer_from


def replicas_of(
    desired: Desired, rules: Sequence[ReplicationRule], stored: int, seeds: Sequence[Seed]
) -> Iterator[Replica]:
    """What each region keeps and gets: what the repositories have already, `stored` bytes, and the copies of the plan.

    A region to which none of the present `rules` replicates gets everything.
    """
    rule = desired.replication
    sizes = [seed.size for seed in seeds if seed.is_pending]
    new = sum(size or 0 for size in sizes)
    for region in rule.destinations if rule else ():
        is_filled = all(any(one.covers(r.name, region) for one in rules) for r in desired.repositories)
        sent = new if is_filled else stored + new
        transfer = transfer_from(desired.region)
        yield Replica(
            region=region,
            size=stored + new,
            sent=sent,
            dollars_a_month=round(STORAGE.of(stored + new), 2),
            dollars_once=None if transfer is None else round(transfer.of(sent), 2),
            prices_of=min(STORAGE.seen, transfer.seen if transfer else STORAGE.seen).isoformat(),
            unknown_sizes=sizes.count(None),
        )


def copied_besides(desired: Desired, existing: Collection[str]) -> Iterator[Notice]:
    """A notice if the rule copies repositories that the manifest does not name: ECR knows their names by a prefix."""
    rule = desired.replication
    own = {repository.name for repository in desired.repositories}
    others = sorted(name for name in existing if name not in own and rule and name.startswith(rule.prefixes))
    if not rule or not others:
        return
    yield Notice(
        "replication.copies_others",
        f"ECR copies {some(others)} to {', '.join(f'`{region}`' for region in rule.destinations)} too, because each "
        f"name begins with `{rule.prefixes[0]}`; their bytes are in no price here",
        hint="choose a `repositories.prefix` that is this manifest's alone",
    )


def foreign_rules(
    found: Sequence[ReplicationRule], wanted: ReplicationRule | None, known: Sequence[ReplicationRule]
) -> Iterator[Refusal]:
    """A refusal if the registry has rules that Terraform would overwrite and has not made.

    A registry has one list of rules. `found` is what it has and `known` what the state has, from the last apply. An
    apply that broke off may have made what is `wanted`, and left it out of the state.
    """
    if not found or set(found) in ({wanted}, set(known)):
        return
    has = "`, `".join(sorted(map(str, found)))
    yield Refusal(
        "replication.not_ours",
        f"the registry replicates `{has}`, which this manifest did not set, and would replicate "
        f"{f'`{wanted}`' if wanted else 'nothing'} instead: a registry has one list of rules for all",
        hint="remove these rules from the registry, or leave `aws.replicate_to` out and add a rule to them by hand",
    )
