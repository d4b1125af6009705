from __future__ import annotations

from tests.support.plan_samples import seed
from toolkit.oci.copy import CopyRequest
from toolkit.oci.reference import Reference
from toolkit.oci.subset import Subset
from toolkit.plan.model import SeedAction
from toolkit.seed.seeder import requests_for

HOST = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com"


def test_requests_pending_seeds_in_order() -> None:
    move = seed(SeedAction.MOVE, "nginx:1.16", "hub/library/nginx", "moved")
    copy = seed(SeedAction.COPY, "quay.io/a/b:v1", "quay/a/b", "new", subset=Subset(keeps_attestations=False))
    keep = seed(SeedAction.KEEP, "alpine:3", "hub/library/alpine", "there")
    assert requests_for([move, keep, copy], HOST, new_repositories={"quay/a/b"}) == [
        CopyRequest(
            "hub/library/nginx:1.16",
            move.source,
            Reference(HOST, "hub/library/nginx", tag="1.16"),
            move.subset,
        ),
        CopyRequest(
            "quay/a/b:v1",
            copy.source,
            Reference(HOST, "quay/a/b", tag="v1"),
            copy.subset,
            destination_is_new=True,
        ),
    ]
