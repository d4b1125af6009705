"""Copy: registry to registry with the same engine, without Terraform or a manifest."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toolkit.events import Emit
from toolkit.oci.copy import CopyRequest
from toolkit.oci.descriptor import Platform
from toolkit.oci.reference import Reference
from toolkit.operations.outcomes import raise_if_incomplete, run_seeder
from toolkit.operations.steps import step
from toolkit.plan.observed import SourceFault
from toolkit.report import Report, SeedOutcome, SeedStatus
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder


@dataclass(frozen=True, slots=True)
class Pair:
    """One image to copy; the destination has a tag and no digest."""

    source: Reference
    destination: Reference


def copy(
    pairs: Sequence[Pair],
    observer: Observer,
    seeder: Seeder,
    emit: Emit,
    *,
    platforms: tuple[Platform, ...] | None,
    keeps_attestations: bool,
    publish: Callable[[Report], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Pin every source by HEAD, copy, hand the report to `publish`, then raise if something is not in place."""
    started = clock()
    pinned = observer.pin(pair.source for pair in pairs)
    requests, lost = [], []
    for pair in pairs:
        source = pinned[pair.source]
        if isinstance(source, SourceFault):
            lost.append(_lost(pair, source))
        else:
            requests.append(
                CopyRequest(
                    key=str(pair.destination),
                    source=source,
                    destination=pair.destination,
                    platforms=platforms,
                    keeps_attestations=keeps_attestations,
                    # A tag is written last, by us and by every registry's rules: one request says that all is there.
                    trusts_tag=True,
                )
            )
    with step(emit, "copy", total=len(requests)):
        outcomes, interrupt = run_seeder(seeder, requests)
    report = Report((*outcomes, *lost), round(clock() - started, 3))
    publish(report)
    if interrupt:
        raise interrupt
    raise_if_incomplete(report)


def _lost(pair: Pair, fault: SourceFault) -> SeedOutcome:
    return SeedOutcome(
        key=str(pair.destination),
        status=SeedStatus.FAILED,
        source=str(pair.source),
        destination=str(pair.destination),
        error_code=f"source.{fault.kind}",
        error_message=fault.message,
        hint=fault.hint,
    )
