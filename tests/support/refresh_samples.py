"""What a refresh came to, with everything that a view may meet."""

from __future__ import annotations

from dataclasses import replace

from toolkit.oci.digest import Digest
from toolkit.report import BehindTag, MovedTag, RefreshReport

FIRST, SECOND, THIRD = (str(Digest.of(b"%d" % number)) for number in range(3))

QUIET = RefreshReport(
    "shop",
    "20261130T040000Z-0a1b2c3d",
    "s3://acme-base-images/shop/refresh",
    "2026-11-30T04:00:12+00:00",
    behind=(),
    gone=(),
    unreached=(),
    unverified=(),
    pulls_left=93,
)
BUSY = replace(
    QUIET,
    moves=(
        MovedTag("docker-hub/library/nginx:1.27", FIRST, SECOND, ("api", "web")),
        MovedTag("quay/job:2", SECOND, THIRD, error="not now [ThrottlingException]"),
    ),
    behind=(
        BehindTag("docker-hub/library/python:3.12-slim", "2026-11-28T04:00:09+00:00"),
        BehindTag("quay/job:3", "2026-11-29T16:00:12+00:00"),
    ),
    gone=("quay/job:1",),
    unreached=tuple(f"ghcr/app:{number}" for number in range(7)),
    unverified=("quay/signed:1",),
    pulls_left=1,
)
STOPPED = RefreshReport(QUIET.manifest, QUIET.run, QUIET.place, QUIET.at)
