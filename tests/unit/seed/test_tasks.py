from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from toolkit.oci.errors import OciError
from toolkit.seed.tasks import Abandoned, Promise, Tasks
from toolkit.seed.worker_pool import WorkerPool


class Ground:
    """Tasks on one thread, and what has happened so far."""

    def __init__(self) -> None:
        self.faults: list[BaseException] = []
        self.has_fault = threading.Event()
        self.pool = WorkerPool(1, self._tell)
        self.tasks = Tasks(self.pool, threading.RLock())
        self.log: list[str] = []

    def _tell(self, fault: BaseException) -> None:
        self.faults.append(fault)
        self.has_fault.set()

    def wait(self, promise: Promise[None]) -> Exception | None:
        ended = threading.Event()
        with self.tasks.lock:
            promise.then(lambda _: ended.set())
        assert ended.wait(5)
        return promise.error

    async def step(self, name: str, error: Exception | None = None) -> None:
        def call() -> None:
            if error is not None:
                raise error

        await self.tasks.call(call)
        self.log.append(name)


@pytest.fixture
def ground() -> Iterator[Ground]:
    one = Ground()
    yield one
    one.pool.stop(grace=5)


def test_does_one_step_after_the_other(ground: Ground) -> None:
    async def work() -> None:
        for name in "abc":
            await ground.step(name)

    assert ground.wait(ground.tasks.start(work())) is None
    assert ground.log == ["a", "b", "c"]


def test_waits_for_all_of_several(ground: Ground) -> None:
    async def work() -> None:
        await ground.tasks.start_all(ground.step(name) for name in "abc")
        ground.log.append("all")
        await ground.tasks.start_all([])
        ground.log.append("none")

    assert ground.wait(ground.tasks.start(work())) is None
    assert ground.log == ["a", "b", "c", "all", "none"]


@pytest.mark.parametrize("error", [OciError("no"), Abandoned()], ids=lambda error: type(error).__name__)
def test_raises_the_first_failure_at_once_while_the_others_go_on(ground: Ground, error: Exception) -> None:
    rest: list[Promise[None]] = []

    async def work() -> None:
        try:
            await ground.tasks.start_all([ground.step("a"), ground.step("b", error), ground.step("c")])
        except type(error):
            ground.log.append("failed")
            rest.append(ground.tasks.start(ground.step("d")))
            raise

    assert ground.wait(ground.tasks.start(work())) is error
    assert ground.wait(rest[0]) is None
    assert ground.log == ["a", "failed", "c", "d"]


def test_holds_no_thread_while_waiting(ground: Ground) -> None:
    gate: Promise[None] = Promise()

    async def wait() -> None:
        await ground.tasks.sleep(0.05)
        await gate

    waiting = ground.tasks.start_all(wait() for _ in range(500))
    assert ground.wait(ground.tasks.start(ground.step("passes"))) is None
    with ground.tasks.lock:
        gate.settle()
    assert ground.wait(waiting) is None


def test_continues_nothing_after_it_was_closed(ground: Ground) -> None:
    gate, cleaned = Promise[None](), threading.Event()

    async def work() -> None:
        try:
            await gate
            ground.log.append("continued")
        finally:
            cleaned.set()

    ground.tasks.start(work())
    ground.tasks.close()
    gate.settle()
    assert cleaned.is_set()
    assert ground.log == []


def test_tells_the_pool_of_a_bug(ground: Ground) -> None:
    async def work() -> None:
        await ground.step("a")
        raise KeyError("bug")

    ground.tasks.start(work())
    assert ground.has_fault.wait(5)
    assert isinstance(ground.faults[0], KeyError)
