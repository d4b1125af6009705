"""A run of the seeder: all its images, and the only threads that write.

An image is a chain of small tasks: its documents are read, its blobs placed in any order, its documents put level by
level, the tag last. No task waits for what another one has to do: what an image waits for is counted, and the task that
brings the count to zero starts what follows. So one thread is enough, and any number cannot lock up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING

from toolkit.events import Emit, ImageFailed, ImageStarted
from toolkit.oci.copy import BlobFate, CopyEngine, CopyError, CopyRequest
from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.oci.reference import Reference
from toolkit.oci.tree import ImageTree
from toolkit.report import SeedOutcome, SeedStatus
from toolkit.seed.blob_schedule import BlobSchedule, Need, Place, Step
from toolkit.seed.claims import Claims
from toolkit.seed.explain import explain
from toolkit.seed.image_copy import ImageCopy
from toolkit.seed.lookups import Lookups
from toolkit.seed.pace import Pace, Rate
from toolkit.seed.patience import Patience, Pauses
from toolkit.seed.worker_pool import WorkerPool

if TYPE_CHECKING:
    from toolkit.oci.client import Upload

# A terminal cannot show more.
_PROGRESS_INTERVAL = 0.2
# A transfer of a stopped run ends at its next chunk; a connection that hangs for longer is left behind.
_GRACE = 5.0


class SeedRun:
    """Images under way. Leaving the block stops what is not finished."""

    def __init__(
        self,
        engine: CopyEngine,
        emit: Emit,
        *,
        jobs: int,
        pace: Pace,
        rate: Rate,
        pauses: Pauses,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._emit = emit
        self._pace = pace
        self._rate = rate
        self._clock = clock
        self._pool = WorkerPool(jobs, self._crashed, clock=clock)
        self._lock = threading.RLock()
        self._ended = threading.Condition(self._lock)
        self._images: list[ImageCopy] = []
        self._unfinished = 0
        self._schedule = BlobSchedule()
        self._claims = Claims()
        self._lookups = Lookups(engine)
        self._patience = Patience(pauses, clock)
        self._is_stopped = False
        self._is_closed = False
        self._fault: BaseException | None = None

    def __enter__(self) -> SeedRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
        self._close()

    def expect(self, destinations: Iterable[Reference]) -> None:
        """Look at these tags at once: requests for them come, as soon as their sources are known."""
        self._engine.look_ahead(destinations, self._pool.ask)

    def submit(self, requests: Iterable[CopyRequest]) -> None:
        """Start copying each of `requests` as it comes."""
        for request in requests:
            with self._lock:
                image = ImageCopy.of(request, len(self._images))
                self._images.append(image)
                self._unfinished += 1
                self._go(image, partial(self._begin, image))

    def wait(self) -> list[SeedOutcome]:
        """Every outcome, in the order of submission, once all submitted have ended or the run was cancelled."""
        with self._lock:
            self._ended.wait_for(lambda: not self._unfinished or self._is_stopped)
        if self._is_stopped:
            self._close()
        with self._lock:
            if self._fault is not None:
                raise self._fault
            return [image.outcome() for image in self._images]

    def cancel(self) -> None:
        """Start nothing more and stop transfers at their next chunk; what is not in place by then is skipped."""
        with self._lock:
            self._is_stopped = True
            self._pool.stop()
            self._ended.notify_all()

    def _close(self) -> None:
        if not self._is_closed:
            self._pool.stop(grace=_GRACE)
            with self._lock:
                self._is_closed = True

    # -- reading

    def _begin(self, image: ImageCopy) -> None:
        request = image.request
        with self._lock:
            if not image.started:  # else the first request is made once more
                image.started = self._clock()
                self._emit(ImageStarted(request.key, str(request.source), str(request.destination)))
        in_place = self._engine.digest_in_place(request) if request.trusts_tag else None
        if in_place is None:
            self._read(image, image.source_digest)
        else:
            self._finish(image, in_place)

    def _read(self, image: ImageCopy, digest: Digest) -> None:
        document, was_asked = self._engine.read_document(image.request, digest)
        with self._lock:
            image.document_reads += was_asked
            if image.is_over:
                return
            for missing in image.reader.add(digest, document):
                self._go(image, partial(self._read, image, missing))
            if not image.reader.is_complete:
                return
        tree = image.reader.tree()
        if tree.config is not None:
            self._engine.check_config(image.request, tree.config)
        self._place_blobs(image, tree)

    # -- blobs

    def _place_blobs(self, image: ImageCopy, tree: ImageTree) -> None:
        with self._lock:
            if image.is_over:
                return
            image.plan(tree)
            for need in list(image.needs.values()):
                self._take(self._schedule.add(need))
            if not tree.blobs:
                self._put_level(image, tree)

    def _take(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if isinstance(step, Place):
                self._place(step)
            else:
                self._met(step.need, BlobFate.PRESENT)

    def _place(self, step: Place, *, delay: float = 0.0) -> None:
        """A link is a small request, however large the blob; what turns out to be a transfer queues up again."""
        size = step.need.blob.size if step.mount_from is None else None
        self._go_blob(step, partial(self._begin_blob, step), transfer_size=size, delay=delay)

    def _begin_blob(self, step: Place) -> None:
        need = step.need
        image = self._images[need.image]
        got = self._engine.begin_blob(image.request, need.blob, self._lookups.way_for(image.request), step.mount_from)
        if step.mount_from is not None and got is not BlobFate.PRESENT:
            with self._lock:
                self._take(self._schedule.linked(step, is_linked=got is BlobFate.MOUNTED))
        if isinstance(got, BlobFate):
            self._placed(need, got)
        elif step.mount_from is None:
            self._send_blob(step, got)
        else:
            self._go_blob(step, partial(self._send_blob, step, got), transfer_size=need.blob.size)

    def _send_blob(self, step: Place, upload: Upload) -> None:
        need = step.need
        image = self._images[need.image]
        self._engine.send_blob(image.request, need.blob, upload, partial(self._watch, need))
        if not image.request.destination_is_new:
            self._lookups.learn(need)
        self._placed(need, BlobFate.MOVED)

    def _placed(self, need: Need, fate: BlobFate) -> None:
        with self._lock:
            self._met(need, fate)
            self._take(self._schedule.placed(need, was_there=fate is BlobFate.PRESENT))

    def _met(self, need: Need, fate: BlobFate) -> None:
        image = self._images[need.image]
        if image.is_over or self._is_closed:
            return
        image.met(need, fate)
        self._patience.found(need.destination)
        self._emit(image.progressed(self._clock()))
        if not image.needs and image.tree is not None:
            self._put_level(image, image.tree)

    def _watch(self, need: Need, received: int) -> None:
        with self._lock:
            if self._is_stopped:
                raise _Stopped
            image = self._images[need.image]
            arrived = image.received(need, received)
            if not image.is_over and self._clock() - image.progress_told >= _PROGRESS_INTERVAL:
                self._emit(image.progressed(self._clock()))
        self._rate.hold(arrived, lambda: self._is_stopped)

    # -- documents

    def _put_level(self, image: ImageCopy, tree: ImageTree) -> None:
        """The next level of documents: each only when all that it points to is there."""
        level = tree.levels[image.level]
        if level == tree.levels[-1]:
            self._go(image, partial(self._put_tag, image, tree), is_put=True)
            return
        image.unput = len(level)
        may_be_there = image.may_be_there  # before the first of them is put
        for digest in level:
            self._go(image, partial(self._place_child, image, tree, digest, may_be_there))

    def _place_child(self, image: ImageCopy, tree: ImageTree, digest: Digest, may_be_there: bool) -> None:
        place = (image.request.destination.name, digest)
        later = partial(self._go, image, partial(self._place_child, image, tree, digest, may_be_there))
        if not self._claims.claim(place, image.number, later):
            return
        if self._claims.was_put(place) or (may_be_there and self._engine.has_child(image.request, digest)):
            self._child_placed(image, tree, digest, was_put=False)
        else:
            self._go(image, partial(self._put_child, image, tree, digest), is_put=True)

    def _put_child(self, image: ImageCopy, tree: ImageTree, digest: Digest) -> None:
        with self._claims.putting((image.request.destination.name, digest), image.number) as is_mine:
            if is_mine:
                self._engine.put_child(image.request, digest, tree.documents[digest])
        if is_mine:
            self._child_placed(image, tree, digest, was_put=True)

    def _child_placed(self, image: ImageCopy, tree: ImageTree, digest: Digest, *, was_put: bool) -> None:
        self._claims.end((image.request.destination.name, digest), image.number)
        with self._lock:
            self._patience.found(image.request.destination.name)
            image.is_changed = image.is_changed or was_put
            image.unput -= 1
            if not image.unput:
                image.level += 1
                self._put_level(image, tree)

    def _put_tag(self, image: ImageCopy, tree: ImageTree) -> None:
        was_put = self._engine.put_tag(image.request, tree, may_be_there=image.may_be_there)
        with self._lock:
            image.is_changed = image.is_changed or was_put
        self._finish(image, tree.digest)

    def _finish(self, image: ImageCopy, digest: Digest) -> None:
        with self._lock:
            if image.is_over or self._is_closed:
                return
            self._patience.found(image.request.destination.name)
            image.digest = digest
            self._over(image, SeedStatus.COPIED if image.is_changed else SeedStatus.UNCHANGED)
            self._emit(image.finished())

    # -- tasks and their failures

    def _go(self, image: ImageCopy, task: Callable[[], None], *, delay: float = 0.0, is_put: bool = False) -> None:
        """`is_put`: it takes a turn of the registry's, and another one when it is repeated."""
        if is_put:
            delay = max(delay, self._pace.next_turn(image.request.destination.registry))
        self._pool.submit(partial(self._perform, image, task, is_put), delay=delay)

    def _perform(self, image: ImageCopy, task: Callable[[], None], is_put: bool) -> None:
        if image.is_over:
            return
        try:
            task()
        except OciError as error:
            fault = error if isinstance(error, CopyError) else CopyError("source", image.request.key, error)
            self._repeat_or_fail(image, task, is_put, fault)

    def _repeat_or_fail(self, image: ImageCopy, task: Callable[[], None], is_put: bool, error: CopyError) -> None:
        with self._lock:
            again = None if image.is_over else self._patience.next_request(task, image.request.destination.name, error)
            if again is None:
                self._fail(image, error)
            else:
                self._emit(image.retry(error, again))
                self._go(image, task, delay=again[1], is_put=is_put)

    def _go_blob(
        self, step: Place, task: Callable[[], None], *, transfer_size: int | None = None, delay: float = 0.0
    ) -> None:
        self._pool.submit(partial(self._perform_blob, step, task), transfer_size=transfer_size, delay=delay)

    def _perform_blob(self, step: Place, task: Callable[[], None]) -> None:
        if self._images[step.need.image].is_over:
            self._hand_over(step.need)
            return
        try:
            task()
        except CopyError as error:
            if not self._retries(step, error):
                self._give_up(step.need, error)
        except _Stopped:
            return

    def _retries(self, step: Place, error: CopyError) -> bool:
        image, need = self._images[step.need.image], step.need
        with self._lock:
            image.under_way.pop(need.blob.digest, None)
            again = None if image.is_over else self._patience.next_attempt(need, error)
            if again is not None:
                self._emit(image.retry(error, again))
                self._place(step, delay=again[1])
            return again is not None

    def _give_up(self, need: Need, error: CopyError) -> None:
        with self._lock:
            self._fail(self._images[need.image], error)
            if error.side == "source" and not error.is_temporary:
                for other in self._schedule.waiting_for(need):
                    if other.source == need.source:
                        image = self._images[other.image]
                        self._fail(image, CopyError("source", image.request.key, error.cause))
            self._hand_over(need)

    def _hand_over(self, need: Need) -> None:
        with self._lock:
            self._take(self._schedule.failed(need))

    def _fail(self, image: ImageCopy, error: CopyError) -> None:
        with self._lock:
            if image.is_over or self._is_stopped:
                return
            image.failure = failure = explain(error)
            for need in image.needs.values():
                self._schedule.withdraw(need)
            self._over(image, SeedStatus.FAILED)
            self._emit(ImageFailed(image.request.key, failure.code, failure.message, failure.hint))

    def _over(self, image: ImageCopy, status: SeedStatus) -> None:
        image.end(status, self._clock())
        self._claims.end_all(image.number)
        self._take(self._schedule.ended(image.number, is_complete=status is not SeedStatus.FAILED))
        self._unfinished -= 1
        self._ended.notify_all()

    def _crashed(self, fault: BaseException) -> None:
        with self._lock:
            self._fault = self._fault or fault
            self.cancel()


class _Stopped(Exception):
    """The run was stopped while a transfer was under way."""
