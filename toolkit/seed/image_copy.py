"""One image of a run: what has become of it so far, and the events that say so. The run changes it under its lock."""

from __future__ import annotations

from dataclasses import dataclass, field

from toolkit.errors import ToolkitError
from toolkit.events import ImageFailed, ImageFinished, ImageProgressed, ImageStarted, RetryScheduled
from toolkit.oci.copy import BlobFate, CopyError, CopyRequest
from toolkit.oci.descriptor import Descriptor
from toolkit.oci.digest import Digest
from toolkit.oci.reference import Repository
from toolkit.report import SeedOutcome, SeedStatus
from toolkit.seed.blob_schedule import Step
from toolkit.seed.tasks import Promise


@dataclass(slots=True, eq=False)
class ImageCopy:
    """State of one request; `number` is its place in the run.

    `turns` are the blobs whose step the schedule has yet to say, `in_flight` the bytes received of those that this
    image moves now. `is_changed`: something was moved, linked or put for it.
    """

    request: CopyRequest
    number: int
    source: Repository
    source_digest: Digest
    destination: Repository
    status: SeedStatus | None = None
    failure: ToolkitError | None = None
    digest: Digest | None = None
    started: float | None = None
    seconds: float = 0.0
    turns: dict[Digest, Promise[Step]] = field(default_factory=dict)
    in_flight: dict[Digest, int] = field(default_factory=dict)
    is_changed: bool = False
    total_bytes: int = 0
    done_bytes: int = 0
    moved_bytes: int = 0
    fates: dict[BlobFate, int] = field(default_factory=lambda: dict.fromkeys(BlobFate, 0))
    document_reads: int = 0
    progress_told: float = 0.0

    @classmethod
    def of(cls, request: CopyRequest, number: int) -> ImageCopy:
        """A copy that has not begun."""
        digest = request.source.digest
        if digest is None or request.destination.tag is None or request.destination.digest is not None:
            raise ValueError(f"`{request.key}`: a copy goes from a digest to a tag")
        return cls(request, number, request.source.name, digest, request.destination.name)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status is not None

    @property
    def may_be_there(self) -> bool:
        """Whether its documents may be at the destination already, as far as is known."""
        return not self.is_changed and not self.request.destination_is_new

    def received(self, blob: Descriptor, count: int) -> int:
        """`count` bytes of a blob have been received; how many of them since the last time."""
        new = count - self.in_flight.get(blob.digest, 0)
        self.in_flight[blob.digest] = count
        return new

    def has_blob(self, blob: Descriptor, fate: BlobFate) -> None:
        """A blob is where it is needed."""
        self.in_flight.pop(blob.digest, None)
        self.done_bytes += blob.size
        self.fates[fate] += 1
        self.is_changed = self.is_changed or fate is not BlobFate.PRESENT
        if fate is BlobFate.MOVED:
            self.moved_bytes += blob.size

    def start(self, now: float) -> ImageStarted:
        """Its first request begins."""
        self.started = now
        return ImageStarted(self.request.key, str(self.request.source), str(self.request.destination))

    def progress(self, now: float) -> ImageProgressed:
        """How much is at the destination or on the way there."""
        self.progress_told = now
        return ImageProgressed(self.request.key, self.done_bytes + sum(self.in_flight.values()), self.total_bytes)

    def retry(self, error: CopyError, again: tuple[int, float]) -> RetryScheduled:
        """The attempt `again` will be made: its number, and the seconds until then."""
        side = self.request.source if error.side == "source" else self.request.destination
        return RetryScheduled(side.registry, error.message, *again)

    def finish(self, digest: Digest, now: float) -> ImageFinished:
        """The tag is there and points to `digest`."""
        self.digest = digest
        status = self._end(SeedStatus.COPIED if self.is_changed else SeedStatus.UNCHANGED, now)
        return ImageFinished(self.request.key, status, str(digest), self.moved_bytes, self.total_bytes, self.seconds)

    def fail(self, failure: ToolkitError, now: float) -> ImageFailed:
        """It cannot be copied."""
        self.failure = failure
        self._end(SeedStatus.FAILED, now)
        return ImageFailed(self.request.key, failure.code, failure.message, failure.hint)

    def _end(self, status: SeedStatus, now: float) -> SeedStatus:
        self.status = status
        self.seconds = round(now - (self.started if self.started is not None else now), 3)
        return status

    def outcome(self) -> SeedOutcome:
        """The copy as a value; one that is not over was not reached."""
        failure = self.failure
        return SeedOutcome(
            key=self.request.key,
            status=self.status or SeedStatus.SKIPPED,
            source=str(self.request.source),
            destination=str(self.request.destination),
            digest=str(self.digest) if self.digest else None,
            moved_bytes=self.moved_bytes,
            total_bytes=self.total_bytes,
            moved_blobs=self.fates[BlobFate.MOVED],
            mounted_blobs=self.fates[BlobFate.MOUNTED],
            present_blobs=self.fates[BlobFate.PRESENT],
            document_reads=self.document_reads,
            seconds=self.seconds,
            error_code=failure.code if failure else None,
            error_message=failure.message if failure else None,
            hint=failure.hint if failure else None,
        )
