from __future__ import annotations

from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository
from toolkit.seed.blob_schedule import BlobSchedule, Need, Place, Share

BLOB = Descriptor("layer", Digest.of(b"layer"), 5)
HUB = Repository("source.test", "a")
A, B, C = (Repository("target.test", name) for name in "abc")


def need(image: int, destination: Repository, blob: Descriptor = BLOB) -> Need:
    return Need(image, blob, HUB, destination)


def test_moves_a_blob_once_while_the_others_wait() -> None:
    schedule = BlobSchedule()
    first, same, other = need(1, A), need(2, A), need(3, B)
    assert schedule.add(first) == [Place(first, None)]
    assert schedule.add(same) == []
    assert schedule.add(other) == []


def test_shares_a_blob_in_its_repository_and_links_it_into_others() -> None:
    schedule = BlobSchedule()
    first = need(1, A)
    schedule.add(first)
    waiting = [need(2, A), need(3, B), need(4, C), need(5, B)]
    for other in waiting:
        schedule.add(other)
    probe = Place(waiting[1], A)
    assert schedule.placed(first) == [Share(waiting[0]), probe]
    assert schedule.linked(probe, is_linked=True) == [Place(waiting[2], A)]
    assert schedule.placed(waiting[1]) == [Share(waiting[3])]


def test_serves_a_later_image_without_waiting() -> None:
    schedule = BlobSchedule()
    schedule.add(need(1, A))
    schedule.placed(need(1, A))
    assert schedule.add(need(2, A)) == [Share(need(2, A))]
    assert schedule.add(need(3, B)) == [Place(need(3, B), A)]


def test_hands_over_to_the_next_after_a_failure() -> None:
    schedule = BlobSchedule()
    for other in (need(1, A), need(2, B), need(3, A)):
        schedule.add(other)
    assert schedule.failed(need(1, A)) == [Place(need(2, B), None)]
    assert schedule.placed(need(2, B)) == [Place(need(3, A), B)]


def test_forgets_needs_of_a_lost_blob_at_the_same_source() -> None:
    schedule = BlobSchedule()
    elsewhere = Need(3, BLOB, Repository("source.test", "b"), B)
    for other in (need(1, A), need(2, B), elsewhere):
        schedule.add(other)
    assert schedule.lost(need(1, A)) == [need(2, B)]
    assert schedule.failed(need(1, A)) == [Place(elsewhere, None)]


def test_keeps_registries_apart() -> None:
    schedule = BlobSchedule()
    elsewhere = need(2, Repository("other.test", "a"))
    schedule.add(need(1, A))
    assert schedule.add(elsewhere) == [Place(elsewhere, None)]


def test_shares_nothing_with_a_wrong_size() -> None:
    schedule = BlobSchedule()
    liar = need(2, A, Descriptor("layer", BLOB.digest, 6))
    schedule.add(need(1, A))
    assert schedule.add(liar) == [Place(liar, None)]


OTHER = Descriptor("layer", Digest.of(b"other"), 5)
D = Repository("target.test", "d")


def declined(schedule: BlobSchedule, *, by_complete: bool = False) -> None:
    """Let the registry decline a link of another blob."""
    first, second = need(90, A, OTHER), need(91, B, OTHER)
    schedule.add(first)
    schedule.placed(first)
    if by_complete:
        schedule.ended(90, is_complete=True)
    schedule.linked(Place(second, A), is_linked=False)


def test_tries_one_link_first() -> None:
    schedule = BlobSchedule()
    for other in (need(1, A), need(2, B), need(3, C)):
        schedule.add(other)
    probe = Place(need(2, B), A)
    assert schedule.placed(need(1, A)) == [probe]
    assert schedule.linked(probe, is_linked=True) == [Place(need(3, C), A)]
    assert schedule.add(need(4, D)) == [Place(need(4, D), A)]


def test_tries_another_link_after_one_that_broke() -> None:
    schedule = BlobSchedule()
    for other in (need(1, A), need(2, B), need(3, C)):
        schedule.add(other)
    schedule.placed(need(1, A))
    assert schedule.failed(need(2, B)) == [Place(need(3, C), A)]


def test_links_from_complete_images_after_a_refusal() -> None:
    schedule = BlobSchedule()
    declined(schedule)
    for other in (need(1, A), need(2, B), need(3, B)):
        schedule.add(other)
    assert schedule.placed(need(1, A)) == []
    assert schedule.ended(1, is_complete=True) == [Place(need(2, B), A)]


def test_moves_the_blob_of_a_failed_image_again() -> None:
    schedule = BlobSchedule()
    declined(schedule)
    for other in (need(1, A), need(2, B)):
        schedule.add(other)
    schedule.placed(need(1, A))
    assert schedule.ended(1, is_complete=False) == [Place(need(2, B), None)]


def test_waits_for_no_later_image() -> None:
    schedule = BlobSchedule()
    declined(schedule)
    schedule.add(need(2, B))
    assert schedule.add(need(1, A)) == [Place(need(1, A), None)]


def test_links_what_was_there_without_waiting() -> None:
    schedule = BlobSchedule()
    declined(schedule)
    schedule.add(need(1, A))
    schedule.placed(need(1, A), was_there=True)
    assert schedule.add(need(2, B)) == [Place(need(2, B), A)]


def test_moves_to_every_repository_after_a_second_refusal() -> None:
    schedule = BlobSchedule()
    declined(schedule)
    declined(schedule, by_complete=True)
    schedule.add(need(1, A))
    assert schedule.add(need(2, B)) == [Place(need(2, B), None)]
