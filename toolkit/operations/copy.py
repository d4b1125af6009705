"""Copy: between registries and layouts with the same engine, without Terraform or a manifest."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from toolkit.errors import AccessDenied, Refused
from toolkit.events import Emit
from toolkit.oci.copy import CopyRequest
from toolkit.oci.descriptor import Platform
from toolkit.oci.reference import Reference
from toolkit.oci.values import dataclass
from toolkit.operations.outcomes import raise_if_incomplete, run_seeder
from toolkit.operations.steps import step
from toolkit.plan.observed import SourceFault
from toolkit.report import CopyPreview, Report, SeedOutcome, SeedStatus
from toolkit.seed.companions import Companion
from toolkit.seed.observe import Observer
from toolkit.seed.seeder import Seeder

# The codes of failures that other credentials or permissions cure.
_DENIED = ("denied", "unauthorized", "credential_unusable")


@dataclass(frozen=True, slots=True)
class Pair:
    """One image to copy; the destination has a tag and no digest."""

    source: Reference
    destination: Reference


@dataclass(frozen=True, slots=True)
class Selection:
    """What of each image is wanted; `keeps_signatures` brings what upstream keeps beside it."""

    platforms: tuple[Platform, ...] | None = None
    keeps_attestations: bool = True
    keeps_signatures: bool = False


def copy(
    pairs: Sequence[Pair],
    wanted: Selection,
    observer: Observer,
    seeder: Seeder,
    emit: Emit,
    *,
    publish: Callable[[Report], None],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Pin every source by HEAD, copy, hand the report to `publish`, then raise if something is not in place."""
    started = clock()
    lost: list[tuple[Pair, SourceFault]] = []
    with step(emit, "copy", total=len(pairs)):
        destinations = [pair.destination for pair in pairs]
        outcomes, interrupt = run_seeder(seeder, _pin(pairs, wanted, observer, lost), expected=destinations)
    report = Report((*outcomes, *(_lost(*one) for one in lost)), round(clock() - started, 3))
    publish(report)
    if interrupt:
        raise interrupt
    raise_if_incomplete(report)


def preview(
    pairs: Sequence[Pair],
    wanted: Selection,
    observer: Observer,
    seeder: Seeder,
    *,
    publish: Callable[[Sequence[CopyPreview]], None],
) -> None:
    """Pin every source by HEAD, look at the destinations, tell `publish` what copying would do, and do nothing.

    Raises Refused, or AccessDenied where all of it is a matter of credentials, for pairs that cannot be copied.
    """
    lost: list[tuple[Pair, SourceFault]] = []
    requests = list(_pin(pairs, wanted, observer, lost))
    found = {preview.destination: preview for preview in seeder.look(requests)}
    for pair, fault in lost:
        found[str(pair.destination)] = CopyPreview(
            str(pair.source),
            str(pair.destination),
            error_code=f"source.{fault.kind}",
            error_message=fault.message,
            hint=fault.hint,
        )
    # In the order of the pairs, and then what is beside them.
    previews = [found.pop(str(pair.destination)) for pair in pairs] + list(found.values())
    publish(previews)
    refused = [preview for preview in previews if preview.action is None]
    if refused:
        is_denied = all((preview.error_code or "").endswith(_DENIED) for preview in refused)
        raise (AccessDenied if is_denied else Refused)(
            "copy.refused",
            f"{len(refused)} of {len(previews)} images cannot be copied, for the reasons listed above",
            hint="mend them, or leave these images out",
        )


def _pin(
    pairs: Sequence[Pair], wanted: Selection, observer: Observer, lost: list[tuple[Pair, SourceFault]]
) -> Iterator[CopyRequest]:
    """What to copy, one by one as the sources are pinned; pairs whose source cannot be had are added to `lost`."""
    requests = []
    for pair, source in zip(pairs, observer.pin([pair.source for pair in pairs]), strict=True):
        if isinstance(source, SourceFault):
            lost.append((pair, source))
            continue
        request = CopyRequest(
            key=str(pair.destination),
            source=source,
            destination=pair.destination,
            platforms=wanted.platforms,
            keeps_attestations=wanted.keeps_attestations,
            # A tag is written last, by us and by every registry's rules: one request says that all is there.
            trusts_tag=True,
        )
        requests.append(request)
        yield request
    if wanted.keeps_signatures:
        sources = [request.source for request in requests]
        found = observer.companions(sources, wanted.platforms, wanted.keeps_attestations)
        taken = {pair.destination for pair in pairs}
        for pair, companion in _beside(requests, found, taken):
            if isinstance(companion.head, SourceFault):
                lost.append((pair, companion.head))
            else:
                yield CopyRequest(
                    key=str(pair.destination),
                    source=pair.source.with_digest(companion.head.descriptor.digest),
                    destination=pair.destination,
                    trusts_tag=True,
                    subject=companion.subject,
                )


def _beside(
    requests: Sequence[CopyRequest], found: Mapping[Reference, Sequence[Companion]], taken: Collection[Reference]
) -> list[tuple[Pair, Companion]]:
    """The companions of all images, each destination once and none that is `taken` by a pair of its own."""
    beside: dict[Reference, tuple[Pair, Companion]] = {}
    for request in requests:
        for companion in found[request.source]:
            pair = Pair(request.source.name.with_tag(companion.tag), request.destination.name.with_tag(companion.tag))
            if pair.destination not in taken:
                beside.setdefault(pair.destination, (pair, companion))
    return list(beside.values())


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
