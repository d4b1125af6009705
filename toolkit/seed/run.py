"""A run of the seeder: all its images side by side, and the only threads that write.

`_copy` is the whole copy of one image, from top to bottom; what it calls stands below it in the same order. While an
image waits (for a thread, for a blob that another image moves, for the next attempt) it is a suspended coroutine and
holds no thread, so one thread is enough for any number of images.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from toolkit.events import Emit, Event
from toolkit.oci.copy import BlobFate, CopyEngine, CopyError, CopyRequest
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.errors import NotFound, OciError
from toolkit.oci.reference import Reference, Repository
from toolkit.oci.tree import ImageTree, TreeReader
from toolkit.report import SeedOutcome
from toolkit.seed.blob_schedule import BlobSchedule, Need, Place, Step
from toolkit.seed.explain import explain
from toolkit.seed.image_copy import ImageCopy
from toolkit.seed.rate_limit import BandwidthLimit, RateLimit
from toolkit.seed.retry_policy import Retries, RetryPolicy
from toolkit.seed.tasks import Abandoned, Promise, Tasks
from toolkit.seed.worker_pool import WorkerPool

if TYPE_CHECKING:
    from toolkit.oci.client import Upload

A = TypeVar("A")
T = TypeVar("T")

# A terminal cannot show more.
_PROGRESS_INTERVAL = 0.2
# A transfer of a stopped run ends at its next chunk; a connection that hangs for longer is left behind.
_GRACE = 5.0


class SeedRun:
    """The images of one run. Leaving the block stops those that are not finished."""

    def __init__(
        self,
        engine: CopyEngine,
        emit: Emit,
        *,
        jobs: int,
        put_limit: RateLimit,
        bandwidth: BandwidthLimit,
        in_order: bool,
        retry_policy: RetryPolicy,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._emit = emit
        self._put_limit = put_limit
        self._in_order = in_order
        self._bandwidth = bandwidth
        self._clock = clock
        self._pool = WorkerPool(jobs, self._crashed, clock=clock)
        self._lock = threading.RLock()
        self._ended = threading.Condition(self._lock)
        self._tasks = Tasks(self._pool, self._lock)
        self._images: list[ImageCopy] = []
        self._unfinished = 0
        self._schedule = BlobSchedule()
        self._were_put: set[tuple[Repository, Digest]] = set()
        self._in_flight: dict[tuple[Repository, Digest], Promise[None]] = {}
        self._retries = Retries(retry_policy, clock)
        self._is_stopped = False
        self._fault: BaseException | None = None

    def __enter__(self) -> SeedRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()
        self._close()

    def expect(self, destinations: Iterable[Reference]) -> None:
        """Look at these tags now: requests for them follow as soon as their sources are known."""
        self._engine.look_ahead(destinations, self._pool.ask)

    def submit(self, requests: Iterable[CopyRequest]) -> None:
        """Start copying each of `requests` as it comes."""
        for request in requests:
            with self._lock:
                image = ImageCopy.of(request, len(self._images))
                self._images.append(image)
                self._unfinished += 1
                self._tasks.start(self._run(image))

    def wait(self) -> list[SeedOutcome]:
        """Every outcome, in the order of submission, once all images have ended or the run was cancelled."""
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
        if not self._tasks.is_closed:
            self._pool.stop(grace=_GRACE)
            self._tasks.close()

    def _crashed(self, fault: BaseException) -> None:
        with self._lock:
            self._fault = self._fault or fault
            self.cancel()

    # -- one image

    async def _run(self, image: ImageCopy) -> None:
        """Copy an image and say how it ended, unless the run was stopped."""
        event: Event
        try:
            event = image.finish(await self._copy(image), self._clock())
        except OciError as error:
            if self._is_stopped:
                return
            fault = error if isinstance(error, CopyError) else CopyError("source", image.request.key, error)
            event = image.fail(explain(fault), self._clock())
        self._take(self._schedule.ended(image.number, is_complete=image.failure is None))
        self._emit(event)
        self._unfinished -= 1
        self._ended.notify_all()

    async def _copy(self, image: ImageCopy) -> Digest:
        """Copy one image: documents from the top down, blobs, documents from the bottom up, the tag last.

        The image that the tag had gets its keeper just before, so that no moment leaves it without a tag.
        """
        request = image.request
        if request.trusts_tag:
            in_place = await self._request(image, partial(self._engine.digest_in_place, request))
            if in_place is not None:
                return in_place
        tree = await self._read_tree(image)
        place_blob = self._expect_blob if request.is_within_repository else self._place_blob
        await self._tasks.start_all(place_blob(image, blob) for blob in tree.blobs)
        for level in tree.levels[:-1]:
            may_be_there = image.may_be_there  # before the first of them is put
            await self._tasks.start_all(self._place_child(image, tree, digest, may_be_there) for digest in level)
        if request.keeper is not None:
            await self._put(image, partial(self._engine.put_keeper, request, request.keeper))
        put_tag = partial(self._engine.put_tag, request, tree, may_be_there=image.may_be_there)
        image.is_changed |= await self._put(image, put_tag)
        return tree.digest

    async def _read_tree(self, image: ImageCopy) -> ImageTree:
        """Read the documents of an image, each as soon as another one points to it."""
        request = image.request
        reader = TreeReader(image.source_digest, request.subset)

        async def read(digest: Digest) -> None:
            try:
                document, was_asked = await self._request(image, partial(self._engine.read_document, request, digest))
            except CopyError as error:
                if isinstance(error.cause, NotFound) and reader.is_attestation(digest):
                    raise CopyError("source", request.key, _lost_attestation(error.cause, digest)) from error
                raise
            image.document_reads += was_asked and not request.is_within_repository  # it counts reads upstream
            await self._tasks.start_all(read(missing) for missing in reader.add(digest, document))

        await read(image.source_digest)
        tree = reader.tree()
        if tree.config is not None:
            await self._request(image, partial(self._engine.check_config, request, tree.config))
        image.total_bytes = tree.size
        return tree

    async def _expect_blob(self, image: ImageCopy, blob: Descriptor) -> None:
        """A blob of a copy within a repository. Nothing is linked: what is there stays as it is."""
        await self._request(image, partial(self._engine.expect_blob, image.request, blob))
        image.has_blob(blob, BlobFate.PRESENT)
        self._emit(image.progress(self._clock()))

    async def _place_blob(self, image: ImageCopy, blob: Descriptor) -> None:
        """Have one blob at the destination: through another image, by a link, or by a transfer."""
        need = Need(image.number, blob, image.source, image.destination)
        step = await self._turn(image, need)
        fate = BlobFate.PRESENT
        if isinstance(step, Place):
            try:
                fate = await self._retry(image, self._link_or_move, step, is_transfer=True)
            except (CopyError, Abandoned) as error:
                self._hand_over(need, error)
                raise
            self._retries.found(image.destination)
            self._take(self._schedule.placed(need, was_there=fate is BlobFate.PRESENT))
        if not image.is_over:
            image.has_blob(blob, fate)
            self._emit(image.progress(self._clock()))

    async def _link_or_move(self, image: ImageCopy, step: Place) -> BlobFate:
        """A link is a small request, however large the blob; only a transfer waits for its turn among the others."""
        request, blob, upload = image.request, step.need.blob, None
        image.in_flight.pop(blob.digest, None)  # what an earlier attempt has received counts no more
        if step.mount_from is not None:
            got = await self._attempt(image, partial(self._engine.begin_blob, request, blob, step.mount_from))
            if got is not BlobFate.PRESENT:
                self._take(self._schedule.linked(step, is_linked=got is BlobFate.MOUNTED))
            if isinstance(got, BlobFate):
                return got
            upload = got
        return await self._attempt(image, partial(self._move, image, blob, upload), transfer_size=blob.size)

    def _move(self, image: ImageCopy, blob: Descriptor, upload: Upload | None) -> BlobFate:
        return self._engine.move_blob(image.request, blob, partial(self._watch, image, blob), upload)

    async def _place_child(self, image: ImageCopy, tree: ImageTree, digest: Digest, may_be_there: bool) -> None:
        """Have one document at the destination, put by one image where several need it.

        Never by two at a time: docker-registry empties the link of a document that is put again, for a moment.
        """
        request, place = image.request, (image.destination, digest)
        while place in self._in_flight:
            await self._in_flight[place]
        if place in self._were_put:
            return
        self._in_flight[place] = done = Promise[None]()
        try:
            look = partial(self._engine.has_child, request, digest)
            if not (may_be_there and await self._request(image, look)):
                await self._put(image, partial(self._engine.put_child, request, digest, tree.documents[digest]))
                self._were_put.add(place)
                image.is_changed = True
        finally:
            del self._in_flight[place]
            done.settle()

    # -- blobs of several images

    def _turn(self, image: ImageCopy, need: Need) -> Promise[Step]:
        """The step to take for a blob, once the schedule knows it."""
        turn = image.turns[need.blob.digest] = Promise()
        self._take(self._schedule.add(need))
        return turn

    def _take(self, steps: Iterable[Step]) -> None:
        """Continue the images that wait for `steps`."""
        for step in steps:
            self._images[step.need.image].turns.pop(step.need.blob.digest).settle(step)

    def _hand_over(self, need: Need, error: CopyError | Abandoned) -> None:
        """Leave a blob to the next image that needs it. If the source lacks it, fail all that want it from there."""
        if isinstance(error, CopyError) and error.side == "source" and not error.is_temporary:
            for other in self._schedule.lost(need):
                image = self._images[other.image]
                fault = CopyError("source", image.request.key, error.cause)
                image.turns.pop(need.blob.digest).settle(error=fault)
        self._take(self._schedule.failed(need))

    # -- requests

    async def _request(self, image: ImageCopy, call: Callable[[], T]) -> T:
        """Have a thread make a small request."""
        return await self._retry(image, self._attempt, call)

    async def _put(self, image: ImageCopy, put: Callable[[], T]) -> T:
        """Have a thread put a document, within the registry's rate limit."""
        result = await self._retry(image, self._attempt_put, put)
        self._retries.found(image.destination)
        return result

    async def _attempt_put(self, image: ImageCopy, put: Callable[[], T]) -> T:
        await self._tasks.sleep(self._put_limit.take_turn(image.destination.registry))
        return await self._attempt(image, put)

    async def _retry(
        self,
        image: ImageCopy,
        attempt: Callable[[ImageCopy, A], Awaitable[T]],
        what: A,
        *,
        is_transfer: bool = False,
    ) -> T:
        """`attempt` until it succeeds or the retry policy gives it up."""
        attempts = self._retries.begin(image.destination, is_transfer=is_transfer)
        while True:
            try:
                return await attempt(image, what)
            except CopyError as error:
                again = None if image.is_over else attempts.next(error)
                if again is None:
                    raise
                self._emit(image.retry(error, again))
            await self._tasks.sleep(again[1])

    def _attempt(self, image: ImageCopy, call: Callable[[], T], *, transfer_size: int | None = None) -> Promise[T]:
        """Have a thread make the request, unless its image is over by then."""
        turn = image.number if self._in_order else 0
        return self._tasks.call(partial(self._perform, image, call), transfer_size=transfer_size, turn=turn)

    def _perform(self, image: ImageCopy, call: Callable[[], T]) -> T:
        with self._lock:
            if image.is_over:
                raise Abandoned
            if image.started is None:
                self._emit(image.start(self._clock()))
        return call()

    def _watch(self, image: ImageCopy, blob: Descriptor, received: int) -> None:
        with self._lock:
            if self._is_stopped:
                raise Abandoned
            arrived = image.received(blob, received)
            now = self._clock()
            if not image.is_over and now - image.progress_told >= _PROGRESS_INTERVAL:
                self._emit(image.progress(now))
        self._bandwidth.wait(arrived, lambda: self._is_stopped)


def _lost_attestation(cause: NotFound, digest: Digest) -> NotFound:
    return NotFound(
        f"`{cause.host}` has lost `{digest}`, an attestation of the image, which itself is whole",
        status=cause.status,
        host=cause.host,
        code="oci.attestation_missing",
    )
