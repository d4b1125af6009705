"""Copy: registry to registry with the same engine, without Terraform or a manifest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.events import Emit
from toolkit.oci.copy import CopyRequest
from toolkit.oci.descriptor import Platform
from toolkit.oci.reference import Reference
from toolkit.operations.outcomes import raise_if_incomplete, run_seeder
from toolkit.operations.steps import step
from toolkit.plan.observed import SourceFault
from toolkit.report import Report, SeedOutcome, SeedStatus
from toolkit.seed.companions import Companion
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
    keeps_signatures: bool = False,
    publish: Callable[[Report], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Pin every source by HEAD, copy, hand the report to `publish`, then raise if something is not in place.

    `keeps_signatures` copies to each destination what upstream keeps beside the image.
    """
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
    if keeps_signatures:
        found = observer.companions([request.source for request in requests], platforms, keeps_attestations)
        beside = _beside(requests, found, {pair.destination for pair in pairs})
        requests += [one for one in beside if isinstance(one, CopyRequest)]
        lost += [one for one in beside if isinstance(one, SeedOutcome)]
    with step(emit, "copy", total=len(requests)):
        outcomes, interrupt = run_seeder(seeder, requests)
    report = Report((*outcomes, *lost), round(clock() - started, 3))
    publish(report)
    if interrupt:
        raise interrupt
    raise_if_incomplete(report)


def _beside(
    requests: Sequence[CopyRequest], found: Mapping[Reference, Sequence[Companion]], taken: set[Reference]
) -> list[CopyRequest | SeedOutcome]:
    """The companions of all images, each destination once and none that is `taken` by a pair of its own."""
    beside: list[CopyRequest | SeedOutcome] = []
    for request in requests:
        for companion in found[request.source]:
            tag = companion.tag
            pair = Pair(request.source.name.with_tag(tag), request.destination.name.with_tag(tag))
            if pair.destination in taken:
                continue
            taken.add(pair.destination)
            if isinstance(companion.head, SourceFault):
                beside.append(_lost(pair, companion.head))
                continue
            beside.append(
                CopyRequest(
                    key=str(pair.destination),
                    source=pair.source.with_digest(companion.head.descriptor.digest),
                    destination=pair.destination,
                    trusts_tag=True,
                    subject=companion.subject,
                )
            )
    return beside


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
