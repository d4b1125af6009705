"""Which state an image is in, since when it is behind, and what is known of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from toolkit.lock.model import Admitted, Bypass, Freshness, Hold, LockedTag, Policy, Sighting
from toolkit.oci.descriptor import Platform
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Reference
from toolkit.oci.subset import WHOLE, Subset
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.observed import Account, ListedImage, SourceFault
from toolkit.plan.severity import Severity
from toolkit.plan.status import (
    ImageStatus,
    Scan,
    Seen,
    Span,
    State,
    StatusReport,
    behind_since,
    find_extras,
    is_unaccounted,
    judge,
    sort_images,
    with_details,
    with_history,
)

NOON = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
A, B, C, D = (Digest.of(letter.encode()) for letter in "ABCD")
SOURCE = Reference.parse("docker.io/library/nginx:1.27")
IMAGE = DesiredImage(SOURCE, "nginx", "1.27", WHOLE, "images[0]")
PINNED = replace(IMAGE, source=SOURCE.with_digest(A))
AMD64, ARM64 = Platform.parse("linux/amd64"), Platform.parse("linux/arm64")
AGED = Policy(min_age=3 * DAY)
GONE = SourceFault("missing", "`nginx:1.27` does not exist upstream")
SILENT = SourceFault("unreachable", "`docker.io` does not respond")


def sighting(digest: Digest, days: float) -> Sighting:
    return Sighting(digest, NOON - days * DAY)


def locked(
    admitted: Digest | None = A,
    *candidates: Sighting,
    previous: tuple[Digest, ...] = (),
    hold: Hold | None = None,
    gone: datetime | None = None,
) -> LockedTag:
    """`admitted` is 20 days old, and each of `previous` 10 days older than the next."""
    return LockedTag(
        SOURCE,
        Admitted(sighting(admitted, 20), NOON - 20 * DAY) if admitted else None,
        candidates,
        tuple(Admitted(sighting(one, 30 + 10 * n), NOON - 30 * DAY) for n, one in enumerate(previous)),
        hold,
        gone,
    )


def stored(digest: Digest, made_of: Digest | None = None, **fields: object) -> ListedImage:
    return ListedImage(digest, NOON - 19 * DAY, ("1.27",), made_of=made_of, **fields)  # type: ignore[arg-type]


HELD = Hold("1.27.4 breaks the gateway", NOON + 5 * DAY)
OVER = Hold("over", NOON - DAY)


@pytest.mark.parametrize(
    ("seen", "policy", "state", "words"),
    [
        # with a lock
        (Seen(stored(A), A, locked()), Policy(), State.FINE, "ECR has what upstream has"),
        (Seen(stored(D, A, selection=str(WHOLE)), A, locked()), Policy(), State.FINE, ""),
        (Seen(None, A, locked()), Policy(), State.MISSING, "`toolkit seed` copies it"),
        (Seen(None, A, None), Policy(), State.MISSING, "no digest of it is admitted: run `toolkit lock`"),
        (Seen(None, A, locked(None, sighting(A, 1))), AGED, State.COOLING, "may be admitted in 2d"),
        (Seen(stored(D), A, locked()), Policy(), State.OVERWRITTEN, "was never admitted"),
        (Seen(stored(B), B, locked(A, sighting(B, 5))), AGED, State.OVERWRITTEN, "was never admitted"),
        (Seen(stored(D, B), A, locked()), Policy(), State.OVERWRITTEN, "is not made of what was"),
        (Seen(stored(D), GONE, locked()), Policy(), State.OVERWRITTEN, ""),  # worse than gone
        (Seen(stored(A), GONE, locked()), Policy(), State.GONE, "no such tag any more"),
        (Seen(stored(A), SILENT, locked()), Policy(), State.UNKNOWN, "does not respond"),
        (Seen(stored(A), A, locked(hold=HELD)), Policy(), State.HELD, "held until 2026-12-05 12:00: 1.27.4 breaks"),
        (Seen(stored(A), A, locked(hold=OVER)), Policy(), State.FINE, ""),
        (Seen(stored(B), B, locked(A, previous=(B,), hold=HELD)), Policy(), State.HELD, "is admitted and not in ECR yet"),
        (Seen(stored(A), A, locked()), Policy(suspend=HELD), State.SUSPENDED, "suspended until 2026-12-05"),
        (Seen(stored(A), A, locked()), Policy(suspend=OVER), State.FINE, ""),
        (Seen(stored(B), A, locked(previous=(B,))), Policy(), State.BEHIND, "is admitted and not in ECR yet"),
        (Seen(stored(A), B, locked(A, sighting(B, 2.5))), AGED, State.COOLING, "may be admitted in 12h"),
        (Seen(stored(A), C, locked(A, sighting(B, 2), sighting(C, 1))), AGED, State.COOLING, "admitted in 1d"),
        (Seen(stored(A), B, locked(A, sighting(B, 4))), AGED, State.BEHIND, "old enough and not admitted"),
        (Seen(stored(A), C, locked(A, sighting(B, 4), sighting(C, 1))), AGED, State.BEHIND, "old enough"),
        (Seen(stored(A), B, locked()), Policy(), State.BEHIND, "the lock has not seen: run `toolkit lock`"),
        (Seen(stored(A), B, locked(A, sighting(B, 1))), replace(AGED, bypass=Bypass(B, "CVE")), State.BEHIND, "old"),
        (Seen(stored(A), B, locked(A, sighting(B, 9))), Policy(Freshness.ONCE), State.PINNED, "`freshness: once`"),
        (Seen(stored(A), B, locked(A, sighting(B, 9))), Policy(Freshness.PIN), State.PINNED, "`freshness: pin`"),
        (Seen(stored(A), B, None, is_upstream=True), Policy(), State.BEHIND, "no digest of it is admitted"),
    ],
)  # fmt: skip
def test_finds_the_state_by_the_lock(seen: Seen, policy: Policy, state: State, words: str) -> None:
    found = judge(IMAGE, seen, policy, NOON, has_lock=True)
    assert (found.state, found.is_gone) == (state, seen.newest == GONE)
    assert words in found.reason


@pytest.mark.parametrize(
    ("image", "seen", "state", "words"),
    [
        (IMAGE, Seen(stored(A), A), State.FINE, ""),
        (IMAGE, Seen(None, A), State.MISSING, "`toolkit seed` copies it"),
        (IMAGE, Seen(stored(A), B, is_upstream=True), State.BEHIND, "`toolkit seed` copies it"),
        (IMAGE, Seen(stored(A), B, is_upstream=False, had_newest=True), State.OVERWRITTEN, "upstream does not have"),
        (IMAGE, Seen(stored(A), B, is_upstream=False), State.UNKNOWN, "never had it, or has deleted it since"),
        (IMAGE, Seen(stored(A), B, is_upstream=None), State.UNKNOWN, "could not be asked"),
        (IMAGE, Seen(stored(A), GONE, is_upstream=None), State.GONE, ""),
        (PINNED, Seen(stored(A), B), State.PINNED, "the manifest pins a digest"),
        (PINNED, Seen(stored(B), B), State.BEHIND, "is admitted and not in ECR yet"),
        (PINNED, Seen(stored(C), B, is_upstream=False, had_newest=True), State.OVERWRITTEN, ""),
        (PINNED, Seen(stored(A), GONE), State.GONE, ""),
    ],
)  # fmt: skip
def test_finds_the_state_without_a_lock_as_far_as_it_is_known(
    image: DesiredImage, seen: Seen, state: State, words: str
) -> None:
    found = judge(image, seen, Policy(), NOON, has_lock=False)
    assert found.state is state
    assert words in found.reason
    assert found.behind_since is None


@pytest.mark.parametrize(
    ("image", "seen", "is_asked"),
    [
        (IMAGE, Seen(stored(A), B), True),
        (IMAGE, Seen(stored(A), A), False),
        (IMAGE, Seen(None, A), False),
        (IMAGE, Seen(stored(D), A, locked()), False),
        (PINNED, Seen(stored(A), B), False),
        (PINNED, Seen(stored(C), B), True),
    ],
)
def test_asks_upstream_only_for_what_nothing_else_accounts_for(image: DesiredImage, seen: Seen, is_asked: bool) -> None:
    assert is_unaccounted(image, seen) == is_asked


@pytest.mark.parametrize(
    ("subset", "image", "is_right"),
    [
        (Subset((AMD64,)), stored(D, A, selection="linux/amd64;attestations=keep"), True),
        (Subset((AMD64, ARM64)), stored(D, A, selection="linux/amd64;attestations=keep"), False),
        (Subset((AMD64,)), stored(A, is_index=True, children=(B, C, D), platforms=(AMD64, ARM64, None)), False),
        (WHOLE, stored(A, is_index=True, children=(B, C), platforms=(AMD64, ARM64)), True),
        (Subset((AMD64,)), stored(A), True),  # no index
    ],
)
def test_is_behind_with_other_platforms_than_the_manifest_wants(
    subset: Subset, image: ListedImage, is_right: bool
) -> None:
    found = judge(replace(IMAGE, subset=subset), Seen(image, A, locked()), Policy(), NOON, has_lock=True)
    assert found.state is (State.FINE if is_right else State.BEHIND)


@pytest.mark.parametrize(
    ("tag", "has", "days"),
    [
        (locked(A, sighting(B, 2)), A, 2),
        (locked(A, sighting(B, 9), sighting(C, 2)), A, 9),
        (locked(A, sighting(C, 2), previous=(B,)), B, 20),  # since the first that came after it, which is A
        (locked(A), A, None),
        (locked(A), D, None),  # nobody saw it
        (None, A, None),
        # upstream went back to B, which was admitted before A
        (locked(A, sighting(B, 2), previous=(B,)), A, 2),
        # rolled back to A, of which the sighting is older than that of B
        (LockedTag(SOURCE, Admitted(sighting(A, 20), NOON), (), (Admitted(sighting(B, 6), NOON - DAY),)), A, 6),
    ],
)
def test_is_behind_since_the_first_sighting_after_what_ecr_has(
    tag: LockedTag | None, has: Digest, days: int | None
) -> None:
    assert behind_since(tag, has) == (None if days is None else NOON - days * DAY)


def test_does_not_guess_since_when_what_upstream_took_back() -> None:
    found = judge(IMAGE, Seen(stored(A), A, locked(A, sighting(B, 5))), AGED, NOON, has_lock=True)
    assert (found.state, found.is_behind, found.behind_since) == (State.FINE, False, None)


def test_tells_since_when_a_tag_is_gone_only_if_the_lock_saw_it() -> None:
    since = NOON - 4 * DAY
    for tag, wanted in ((locked(gone=since), since), (locked(), None), (None, None)):
        assert judge(IMAGE, Seen(stored(A), GONE, tag), Policy(), NOON, has_lock=True).gone_since == wanted
    assert judge(IMAGE, Seen(stored(A), A, locked(gone=since)), Policy(), NOON, has_lock=True).gone_since is None


FINE = ImageStatus("nginx:1.27", "nginx:1.27", State.FINE, "", in_ecr=A)


def test_sums_up_an_index_by_its_images() -> None:
    pulled = NOON - 2 * DAY
    top = stored(A, is_index=True, children=(B, C, D), platforms=(AMD64, ARM64, None), pulled_at=NOON, size=70)
    parts = {
        B: stored(B, size=60, pulled_at=pulled),
        C: stored(C, size=70),
        D: stored(D, size=1, pulled_at=NOON - 9 * DAY),
        A: top,
    }
    scans = {
        B: Scan({Severity.CRITICAL: 1, Severity.LOW: 4}, NOON - DAY),
        C: Scan({Severity.CRITICAL: 2}, NOON - 3 * DAY),
        D: Scan({Severity.HIGH: 9}, NOON),  # attestations are not scanned
    }
    found = with_details(FINE, Seen(top, A), parts, scans, ["web"])
    assert (found.platforms, found.size, found.last_pull, found.used_by) == ((AMD64, ARM64), 131, pulled, ("web",))
    assert found.scan == Scan({Severity.CRITICAL: 2, Severity.LOW: 4}, NOON - 3 * DAY)


def test_never_shows_what_was_not_scanned_as_nothing_found() -> None:
    top = stored(A, is_index=True, children=(B, C), platforms=(AMD64, ARM64))
    half = {B: Scan({}, NOON), C: Scan(lacking=("not scanned",))}
    found = with_details(FINE, Seen(top, A), {}, half, ()).scan
    assert found == Scan({}, NOON, ("not scanned",))
    none = with_details(FINE, Seen(stored(A), A), {}, {A: Scan(lacking=("not scanned",))}, ()).scan
    assert none and none.counts is None
    assert with_details(FINE, Seen(stored(A), A), {}, {}, ()).scan is None


def test_takes_the_platforms_of_a_single_image_from_the_lock() -> None:
    tag = LockedTag(SOURCE, Admitted(Sighting(A, NOON, (ARM64,)), NOON))
    assert with_details(FINE, Seen(stored(A), A, tag), {}, {}, ()).platforms == (ARM64,)
    assert with_details(FINE, Seen(stored(B), A, tag), {}, {}, ()).platforms == ()


def test_tells_extra_tags_from_keepers_and_companions() -> None:
    desired = Desired("shop", "eu-west-1", None, images=(IMAGE,))
    tags = ("1.27", "1.26", f"kept.1.27.{B.short}", f"sha256-{A.hex}.sig")
    found = find_extras(desired, {"nginx": [ListedImage(A, NOON, tags, 7)]})
    assert [(one.repository, one.tag, one.size) for one in found.tags] == [("nginx", "1.26", 7)]
    assert (found.keepers, found.companions) == (1, 1)


def test_sorts_the_worst_first_and_the_longest_behind_before_others() -> None:
    images = [
        replace(FINE, key="a"),
        replace(FINE, key="b", state=State.BEHIND),
        replace(FINE, key="c", state=State.BEHIND, behind_since=NOON - DAY),
        replace(FINE, key="d", state=State.BEHIND, behind_since=NOON - 9 * DAY),
        replace(FINE, key="e", state=State.OVERWRITTEN),
    ]
    assert [one.key for one in sort_images(images)] == ["e", "d", "c", "b", "a"]


def report(at: datetime, *images: ImageStatus) -> StatusReport:
    return StatusReport("shop", Account("1", "eu-west-1", "host"), at, None, images)


def test_joins_earlier_reports_into_a_history_without_repetitions() -> None:
    behind = replace(FINE, state=State.BEHIND, newest=B)
    days = [report(NOON - n * DAY, behind if n == 2 else FINE) for n in (4, 3, 2, 1)]
    whole = with_history(report(NOON, FINE), reversed(days))
    spans = [(span.first, span.last, span.state) for span in whole.images[0].history]
    assert spans == [
        (NOON - 4 * DAY, NOON - 3 * DAY, State.FINE),
        (NOON - 2 * DAY, NOON - 2 * DAY, State.BEHIND),
        (NOON - DAY, NOON, State.FINE),
    ]
    # The last report alone carries the history on, and the same one twice adds nothing.
    tomorrow = with_history(report(NOON + DAY, FINE), [whole, whole, days[0]])
    assert [span.last for span in tomorrow.images[0].history] == [NOON - 3 * DAY, NOON - 2 * DAY, NOON + DAY]


def test_drops_the_oldest_of_a_long_history() -> None:
    spans = tuple(
        Span(NOON - (500 - n) * DAY, NOON - (500 - n) * DAY, [State.FINE, State.BEHIND][n % 2]) for n in range(400)
    )
    [image] = with_history(report(NOON, replace(FINE, history=spans)), ()).images
    assert len(image.history) == 100
    assert image.history[-1].last == NOON
