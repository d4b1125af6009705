from __future__ import annotations

import threading
from contextlib import ExitStack

from toolkit.oci.host_limits import HostLimits, Kind


def fits(limits: HostLimits, count: int, host: str = "a", kind: Kind = "read") -> bool:
    """Whether there are `count` turns at a time now, and not one more."""
    inside, end = threading.Semaphore(0), threading.Event()

    def take() -> None:
        with limits.turn(host, kind):
            inside.release()
            end.wait(10)

    threads = [threading.Thread(target=take, daemon=True) for _ in range(count + 1)]
    for thread in threads:
        thread.start()
    are_in = all(inside.acquire(timeout=10) for _ in range(count))
    is_full = not inside.acquire(timeout=0.05)
    end.set()
    for thread in threads:
        thread.join(10)
    return are_in and is_full


def answer(limits: HostLimits, status: int, times: int = 1) -> None:
    for _ in range(times):
        with limits.turn("a", "read") as tell:
            tell(status)


def test_a_429_halves_what_a_host_gets_at_a_time_and_good_answers_bring_it_back() -> None:
    limits = HostLimits(8)
    answer(limits, 200)
    assert fits(limits, 8)
    answer(limits, 429)
    assert fits(limits, 4)
    answer(limits, 200, 4)
    assert fits(limits, 5)
    answer(limits, 404, 5 + 6 + 7)
    answer(limits, 200, 50)
    assert fits(limits, 8)


def test_refusals_of_requests_that_ran_together_count_once() -> None:
    limits = HostLimits(8)
    with ExitStack() as stack:
        tells = [stack.enter_context(limits.turn("a", "read")) for _ in range(8)]
        for tell in tells:
            tell(429)
    assert fits(limits, 4)


def test_one_request_is_always_left() -> None:
    limits = HostLimits(2)
    answer(limits, 429, 5)
    assert fits(limits, 1)


def test_hosts_and_kinds_are_apart() -> None:
    limits = HostLimits(4)
    answer(limits, 429, 2)
    assert fits(limits, 1)
    assert fits(limits, 4, kind="write")
    assert fits(limits, 4, kind="stream")
    assert fits(limits, 4, "b")
