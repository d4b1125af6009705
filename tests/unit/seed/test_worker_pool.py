from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from toolkit.seed.worker_pool import WorkerPool

MIB = 2**20


def no_fault(fault: BaseException) -> None:
    raise AssertionError(fault)


class Recorder:
    """Tasks that write their name down; `wait` until so many have."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._written = threading.Condition()

    def task(self, name: str) -> Callable[[], None]:
        def run() -> None:
            with self._written:
                self.names.append(name)
                self._written.notify_all()

        return run

    def wait(self, count: int) -> list[str]:
        with self._written:
            assert self._written.wait_for(lambda: len(self.names) >= count, 5), self.names
            return self.names


def blocked(pool: WorkerPool, size: int | None = None) -> threading.Event:
    """Occupy one thread until the event is set."""
    started, end = threading.Event(), threading.Event()

    def run() -> None:
        started.set()
        end.wait(5)

    pool.submit(run, transfer_size=size)
    assert started.wait(5)
    return end


def test_runs_a_transfer_of_an_earlier_turn_before_a_larger_one() -> None:
    pool, seen = WorkerPool(1, no_fault), Recorder()
    end = blocked(pool)
    for name, size, turn in (
        ("later", 9 * MIB, 2),
        ("large", 5 * MIB, 1),
        ("larger", 6 * MIB, 1),
        ("first", 2 * MIB, 0),
    ):
        pool.submit(seen.task(name), transfer_size=size, turn=turn)
    end.set()
    assert seen.wait(4) == ["first", "larger", "large", "later"]
    pool.stop()


def test_runs_requests_first_then_the_largest_transfer() -> None:
    pool, seen = WorkerPool(1, no_fault), Recorder()
    end = blocked(pool)
    for name, size in (("small", 10), ("big", 5 * MIB), ("bigger", 9 * MIB), ("smaller", 5)):
        pool.submit(seen.task(name), transfer_size=size)
    pool.submit(seen.task("request"))
    end.set()
    assert seen.wait(5) == ["request", "bigger", "big", "small", "smaller"]
    pool.stop()


def test_leaves_one_thread_free_of_big_transfers() -> None:
    pool, seen = WorkerPool(2, no_fault), Recorder()
    end = blocked(pool, MIB)
    pool.submit(seen.task("big"), transfer_size=MIB)
    pool.submit(seen.task("small"), transfer_size=MIB - 1)
    pool.submit(seen.task("request"))
    assert sorted(seen.wait(2)) == ["request", "small"]
    end.set()
    assert seen.wait(3)[-1] == "big"
    pool.stop()


def test_starts_a_thread_only_when_none_is_free() -> None:
    def own_threads() -> int:
        return len(set(threading.enumerate()) - before)

    before = set(threading.enumerate())
    pool = WorkerPool(3, no_fault)
    ends = []
    for busy in (1, 2, 3):
        ends.append(blocked(pool))
        assert own_threads() == busy
    pool.submit(lambda: None)
    assert own_threads() == 3
    for end in ends:
        end.set()
    pool.stop()


def test_holds_no_thread_for_a_delayed_task() -> None:
    pool, seen = WorkerPool(1, no_fault), Recorder()
    pool.submit(seen.task("later"), delay=0.15)
    pool.submit(seen.task("now"))
    assert seen.wait(2) == ["now", "later"]
    pool.stop()


def test_runs_a_delayed_task_in_time_while_a_thread_is_busy() -> None:
    pool, seen = WorkerPool(2, no_fault), Recorder()
    for _ in range(20):
        pool.submit(seen.task("warm"))
    seen.wait(20)
    pool.submit(seen.task("later"), delay=0.1)
    end = blocked(pool)
    began = time.monotonic()
    seen.wait(21)
    assert time.monotonic() - began < 2
    end.set()
    pool.stop()


def test_drops_queued_tasks_and_waits_for_running_ones() -> None:
    pool, seen = WorkerPool(1, no_fault), Recorder()
    end = blocked(pool)
    pool.submit(seen.task("never"))
    assert pool.stop(grace=0.05) is False
    end.set()
    assert pool.stop(grace=5) is True
    pool.submit(seen.task("too late"))
    time.sleep(0.05)
    assert seen.names == []


def test_tells_a_bug_in_a_task() -> None:
    told: list[BaseException] = []
    is_told = threading.Event()

    def tell(fault: BaseException) -> None:
        told.append(fault)
        is_told.set()

    def bug() -> None:
        raise KeyError("bug")

    pool = WorkerPool(1, tell)
    pool.submit(bug)
    assert is_told.wait(5)
    assert isinstance(told[0], KeyError)
    assert pool.stop(grace=5) is True


def test_returns_or_raises_what_a_question_does() -> None:
    pool = WorkerPool(2)
    assert [pool.ask(lambda n=n: n * n).result(5) for n in range(5)] == [0, 1, 4, 9, 16]
    with pytest.raises(KeyError, match="gone"):
        pool.ask(lambda: {}["gone"]).result(5)
    assert pool.ask(lambda: "still there").result(5) == "still there"
    assert pool.stop(grace=5)
