"""The seeder: copies many images at once, and each unique blob once."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial

from toolkit.events import Emit
from toolkit.oci.copy import CopyEngine, CopyError, CopyRequest, Source, Target
from toolkit.oci.document_cache import DocumentCache
from toolkit.oci.reference import Reference
from toolkit.oci.subset import WHOLE
from toolkit.plan.model import Seed, SeedAction
from toolkit.report import CopyPreview, SeedOutcome
from toolkit.seed.explain import explain
from toolkit.seed.rate_limit import BandwidthLimit, RateLimit
from toolkit.seed.retry_policy import RetryPolicy
from toolkit.seed.run import SeedRun
from toolkit.seed.worker_pool import WorkerPool


class Seeder:
    """Copies images from `source` to `target`, with up to `jobs` requests and transfers at a time.

    `puts_per_second` is a registry's quota for documents, if it has one. `bytes_per_second` limits the blobs of all
    threads together. `cache` saves reads across runs. With `in_order`, blobs of the first images come before larger
    ones of later images: images are done from the start, so that their documents are not all put at the end.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        emit: Emit,
        *,
        jobs: int = 8,
        cache: DocumentCache | None = None,
        puts_per_second: Callable[[str], float | None] = lambda registry: None,
        bytes_per_second: float | None = None,
        in_order: bool = False,
        retry_policy: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = CopyEngine(source, target, cache or DocumentCache())
        self._emit = emit
        self._jobs = jobs
        self.puts_per_second = puts_per_second
        self._in_order = in_order
        self._put_limit = RateLimit(puts_per_second, clock=clock)
        self._bandwidth = BandwidthLimit(bytes_per_second, clock=clock, sleep=sleep)
        self._retry_policy = retry_policy or RetryPolicy()
        self._clock = clock

    def seed(self, requests: Iterable[CopyRequest]) -> list[SeedOutcome]:
        """Copy all `requests`; the outcomes are in their order."""
        with self.open() as run:
            run.submit(requests)
            return run.wait()

    def look(self, requests: Sequence[CopyRequest]) -> list[CopyPreview]:
        """What copying `requests` would do, in their order. Only the destinations are asked."""
        pool = WorkerPool(self._jobs)
        try:
            return [found.result() for found in [pool.ask(partial(self._look, request)) for request in requests]]
        finally:
            pool.stop()

    def _look(self, request: CopyRequest) -> CopyPreview:
        preview = CopyPreview(str(request.source), str(request.destination))
        try:
            found, is_wanted = self._engine.look(request)
        except CopyError as error:
            why = explain(error)
            return replace(preview, error_code=why.code, error_message=why.message, hint=why.hint)
        action = SeedAction.KEEP if is_wanted else SeedAction.MOVE if found else SeedAction.COPY
        return replace(preview, action=action, current_digest=str(found) if found else None)

    def open(self, emit: Emit | None = None) -> SeedRun:
        """A run that takes requests as they come and emits its events to `emit`; a context manager."""
        return SeedRun(
            self._engine,
            emit or self._emit,
            jobs=self._jobs,
            put_limit=self._put_limit,
            in_order=self._in_order,
            bandwidth=self._bandwidth,
            retry_policy=self._retry_policy,
            clock=self._clock,
        )


def requests_for(
    seeds: Iterable[Seed], registry_host: str, *, new_repositories: Collection[str] = frozenset()
) -> list[CopyRequest]:
    """The copies of the pending `seeds`, in their order.

    `new_repositories` were created for this run. Nothing is looked for in them, which saves a request per blob.
    """
    return [
        CopyRequest(
            key=seed.key,
            source=seed.read_from(registry_host),
            destination=Reference(registry_host, seed.repository, tag=seed.tag),
            subset=WHOLE if seed.is_filtered_already else seed.subset,
            destination_is_new=seed.repository in new_repositories,
            subject=seed.subject,
            keeper=Reference(registry_host, seed.repository, seed.keeper, seed.current_digest) if seed.keeper else None,
        )
        for seed in seeds
        if seed.is_pending
    ]
