"""The only threads of the product: they look things up, and they copy.

Small requests never wait behind big transfers, a task that waits for its time holds no thread, and no thread keeps the
process alive.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

Task = Callable[[], None]
T = TypeVar("T")

# A transfer of so many bytes takes long enough to delay others.
_BIG = 2**20
# So many big transfers fill any line: 4 to 32 took the same time between two registries on loopback, and each needs
# memory. Fewer are too slow far away, where each waits for two round trips before its bytes flow.
_ENOUGH_BIG = 16


class WorkerPool:
    """Up to `threads` daemon threads; one is started when more tasks are queued than threads are free.

    Requests run in order of arrival, before transfers. Transfers run by their turn, and of one turn the largest first.
    Big ones leave one thread free, and at most `_ENOUGH_BIG` run at a time, or a quarter of the threads if that is
    more. A submitted task that raises is a bug, which `on_fault` is told; what a question raises, its result raises.
    """

    def __init__(
        self,
        threads: int,
        on_fault: Callable[[BaseException], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_fault = on_fault
        self._threads = max(1, threads)
        self._big_limit = max(1, min(self._threads - 1, max(_ENOUGH_BIG, self._threads // 4)))
        self._clock = clock
        self._lock = threading.RLock()
        self._queued = threading.Condition(self._lock)
        self._ended = threading.Condition(self._lock)
        self._numbers = itertools.count()
        self._requests: deque[Task] = deque()
        self._big: list[tuple[int, int, int, Task]] = []
        self._small: list[tuple[int, int, int, Task]] = []
        self._later: list[tuple[float, int, Task]] = []
        self._started = 0
        self._free = 0
        self._is_stopped = False
        self._running = 0
        self._running_big = 0

    def submit(self, task: Task, *, transfer_size: int | None = None, turn: int = 0, delay: float = 0.0) -> None:
        """Run `task` when its turn comes, at the earliest after `delay` seconds. A pool that has stopped drops it.

        With a `transfer_size` it is a transfer of so many bytes, which lets those of a lower `turn` pass; else it is a
        request.
        """
        with self._lock:
            if delay > 0:
                heapq.heappush(self._later, (self._clock() + delay, next(self._numbers), task))
            elif transfer_size is None:
                self._requests.append(task)
            else:
                heap = self._big if transfer_size >= _BIG else self._small
                heapq.heappush(heap, (turn, -transfer_size, next(self._numbers), task))
            self._grow()
            self._queued.notify()

    def ask(self, question: Callable[[], T]) -> Future[T]:
        """Call `question` as a request; what it returns or raises. In a pool that was stopped it may never end."""
        result: Future[T] = Future()

        def task() -> None:
            with _HandedOver(result.set_exception):
                result.set_result(question())

        self.submit(task)
        return result

    def stop(self, *, grace: float = 0.0) -> bool:
        """Drop queued tasks and give running ones `grace` seconds to end; whether they did."""
        with self._lock:
            self._is_stopped = True
            self._queued.notify_all()
            return self._ended.wait_for(lambda: not self._running, grace)

    def _grow(self) -> None:
        waiting = len(self._requests) + len(self._big) + len(self._small) + bool(self._later)
        if waiting > self._free and self._started < self._threads and not self._is_stopped:
            try:
                threading.Thread(target=self._work, name=f"seed-{self._started + 1}", daemon=True).start()
            except RuntimeError:  # a limit of the system: the threads that exist do the work
                if not self._started:
                    raise
                self._threads = self._started
                return
            self._started += 1

    def _work(self) -> None:
        while (taken := self._take()) is not None:
            task, is_big = taken
            with _HandedOver(self._on_fault):
                task()
            with self._lock:
                self._running -= 1
                self._running_big -= is_big
                self._ended.notify_all()

    def _take(self) -> tuple[Task, bool] | None:
        with self._lock:
            while not self._is_stopped:
                wait = self._wake_due()
                found = self._pick()
                if found is not None:
                    self._running += 1
                    self._running_big += found[1]
                    if self._later:
                        self._grow()
                        self._queued.notify()  # another thread watches their time
                    return found
                self._free += 1
                self._queued.wait(wait)
                self._free -= 1
            return None

    def _wake_due(self) -> float | None:
        """Queue the delayed tasks whose time has come; the seconds until the next one's."""
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            self.submit(heapq.heappop(self._later)[2])
        return self._later[0][0] - now if self._later else None

    def _pick(self) -> tuple[Task, bool] | None:
        if self._requests:
            return self._requests.popleft(), False
        if self._big and self._running_big < self._big_limit:
            return heapq.heappop(self._big)[3], True
        if self._small:
            return heapq.heappop(self._small)[3], False
        return None


@contextmanager
def asking(threads: int) -> Iterator[WorkerPool]:
    """A pool for questions only. Leaving the block waits for none, so that an error or an interrupt is not held up."""
    pool = WorkerPool(threads)
    try:
        yield pool
    finally:
        pool.stop()


class _HandedOver:
    """Whatever is raised inside is told to the one who waits for it, instead of ending this thread."""

    def __init__(self, tell: Callable[[BaseException], None] | None) -> None:
        self._tell = tell

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if fault is not None and self._tell is not None:
            self._tell(fault)
        return self._tell is not None
