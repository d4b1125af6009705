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


def test_the_first_moves_the_others_wait() -> None:
    schedule = BlobSchedule()
    first, same, other = need(1, A), need(2, A), need(3, B)
    assert schedule.add(first) == [Place(first, None)]
    assert schedule.add(same) == []
    assert schedule.add(other) == []
    assert schedule.waiting_for(first) == (same, other)


def test_what_arrived_is_shared_in_its_repository_and_linked_into_others_at_once() -> None:
    schedule = BlobSchedule()
    first = need(1, A)
    schedule.add(first)
    waiting = [need(2, A), need(3, B), need(4, C), need(5, B)]
    for other in waiting:
        schedule.add(other)
    steps = schedule.placed(first)
    assert steps == [Share(waiting[0]), Place(waiting[1], A), Place(waiting[2], A)]
    assert schedule.placed(waiting[1]) == [Share(waiting[3])]


def test_who_comes_later_gets_it_without_waiting() -> None:
    schedule = BlobSchedule()
    schedule.add(need(1, A))
    schedule.placed(need(1, A))
    assert schedule.add(need(2, A)) == [Share(need(2, A))]
    assert schedule.add(need(3, B)) == [Place(need(3, B), A)]


def test_who_fails_hands_over_to_the_next() -> None:
    schedule = BlobSchedule()
    for other in (need(1, A), need(2, B), need(3, A)):
        schedule.add(other)
    assert schedule.failed(need(1, A)) == [Place(need(2, B), None)]
    assert schedule.placed(need(2, B)) == [Place(need(3, A), B)]


def test_who_withdrew_is_not_called() -> None:
    schedule = BlobSchedule()
    for other in (need(1, A), need(2, B), need(3, B)):
        schedule.add(other)
    schedule.withdraw(need(2, B))
    assert schedule.failed(need(1, A)) == [Place(need(3, B), None)]


def test_registries_do_not_share() -> None:
    schedule = BlobSchedule()
    elsewhere = need(2, Repository("other.test", "a"))
    schedule.add(need(1, A))
    assert schedule.add(elsewhere) == [Place(elsewhere, None)]


def test_a_descriptor_that_lies_about_the_size_shares_nothing() -> None:
    schedule = BlobSchedule()
    liar = need(2, A, Descriptor("layer", BLOB.digest, 6))
    schedule.add(need(1, A))
    assert schedule.add(liar) == [Place(liar, None)]
