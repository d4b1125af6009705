"""From the plan's decisions to what the seeder is asked to copy."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from toolkit.oci.copy import CopyRequest
from toolkit.oci.reference import Reference
from toolkit.plan.model import Seed


def requests_for(
    seeds: Iterable[Seed], registry_host: str, *, new_repositories: Collection[str] = frozenset()
) -> list[CopyRequest]:
    """The copies that `seeds` ask for, in their order; nothing for those to keep.

    `new_repositories` were created for this run: nothing is looked for in them, which saves a request a blob.
    """
    return [
        CopyRequest(
            key=seed.key,
            source=seed.source,
            destination=Reference(registry_host, seed.repository, tag=seed.tag),
            subset=seed.subset,
            destination_is_new=seed.repository in new_repositories,
            subject=seed.subject,
        )
        for seed in seeds
        if seed.is_pending
    ]
