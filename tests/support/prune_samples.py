"""What `prune` found and did, with everything that a view may meet."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from toolkit.lock.keepers import keeper_tag
from toolkit.oci.digest import Digest
from toolkit.plan.model import Notice
from toolkit.plan.observed import Account
from toolkit.plan.pruning import Fate, PrunePlan, Removal, Shelf, Why

INDEX, CHILD, SIGNATURE, LOST, ORPHAN, KEPT, STAYS = (Digest.of(b"%d" % number) for number in range(7))
PUSHED = datetime(2026, 8, 1, 9, 30, tzinfo=UTC)
PULLED = datetime(2026, 9, 2, 7, 0, tzinfo=UTC)
_WEB, _JOB = "docker-hub/library/nginx", "quay/job"

PLANNED = PrunePlan(
    "shop",
    Account("123456789012", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com"),
    30 * 86_400,
    (
        Removal(
            _WEB,
            SIGNATURE,
            (f"sha256-{CHILD.hex}.sig",),
            Why.ATTACHED,
            PUSHED,
            None,
            300,
            belongs_to=CHILD,
            points_to=(CHILD,),
        ),
        Removal(_WEB, INDEX, ("1.16", "1.16.1"), Why.TAG, PUSHED, PULLED, points_to=(CHILD,)),
        Removal(_WEB, CHILD, (), Why.PART, PUSHED, PULLED, 2_500_000_000, belongs_to=INDEX),
        Removal(_WEB, STAYS, ("1.27.0",), Why.TAG, PUSHED, is_tags_only=True),
        Removal(_JOB, ORPHAN, (f"sha256-{'0' * 64}.att",), Why.ORPHAN, PUSHED, None, 200, belongs_to=LOST),
        Removal(_JOB, LOST, (), Why.SUPERSEDED, PUSHED, None, 1_000_000),
        Removal(_JOB, KEPT, (keeper_tag("2", KEPT),), Why.KEEPER, PUSHED, None, 2_000_000),
    ),
    (Shelf(_WEB, 9), Shelf(_JOB, 4)),
    (Notice("prune.foreign", "`other` is not pruned: its AWS tags do not say that this manifest made it", "look"),),
)
REFUSED = "Requested image referenced by manifest list (ImageReferencedByManifestList)"
DONE = replace(
    PLANNED,
    is_dry_run=False,
    removals=tuple(
        replace(one, fate=Fate.FAILED, error=REFUSED)
        if one.digest == INDEX
        else replace(one, fate=Fate.LEFT, error="it changed")
        if one.digest == CHILD
        else replace(one, fate=Fate.DELETED)
        for one in PLANNED.removals
    ),
)
NOTHING = replace(PLANNED, removals=(), notices=())
