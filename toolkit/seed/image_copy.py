"""One image on its way: what has come of it so far. The run changes it, under its lock."""

from __future__ import annotations

from dataclasses import dataclass, field

from toolkit.errors import ToolkitError
from toolkit.events import ImageFinished, ImageProgressed, RetryScheduled
from toolkit.oci.copy import BlobFate, CopyError, CopyRequest
from toolkit.oci.digest import Digest
from toolkit.oci.tree import ImageTree, TreeReader
from toolkit.report import SeedOutcome, SeedStatus
from toolkit.seed.blob_schedule import Need


@dataclass(slots=True, eq=False)
class ImageCopy:
    """State of one request; `number` is its place in the run.

    `needs` are the blobs still to come, `under_way` the bytes read of those that this image moves now. `is_changed`:
    something had to be moved, linked or put for it. `unput` counts the documents of `level` that are not there yet.
    """

    request: CopyRequest
    number: int
    source_digest: Digest
    reader: TreeReader
    tree: ImageTree | None = None
    status: SeedStatus | None = None
    failure: ToolkitError | None = None
    digest: Digest | None = None
    started: float = 0.0
    seconds: float = 0.0
    needs: dict[Digest, Need] = field(default_factory=dict)
    under_way: dict[Digest, int] = field(default_factory=dict)
    is_changed: bool = False
    level: int = 0
    unput: int = 0
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
        reader = TreeReader(digest, request.subset)
        return cls(request, number, digest, reader)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return self.status is not None

    @property
    def may_be_there(self) -> bool:
        """Whether its documents may be at the destination already, as far as one can see."""
        return not self.is_changed and not self.request.destination_is_new

    @property
    def arrived_bytes(self) -> int:
        """Bytes at the destination and on the way there."""
        return self.done_bytes + sum(self.under_way.values())

    def plan(self, tree: ImageTree) -> None:
        """Know what the image is made of."""
        self.tree = tree
        self.total_bytes = tree.size
        source, destination = self.request.source.name, self.request.destination.name
        self.needs = {blob.digest: Need(self.number, blob, source, destination) for blob in tree.blobs}

    def met(self, need: Need, fate: BlobFate) -> None:
        """A blob is where it is needed."""
        del self.needs[need.blob.digest]
        self.under_way.pop(need.blob.digest, None)
        self.done_bytes += need.blob.size
        self.fates[fate] += 1
        self.is_changed = self.is_changed or fate is not BlobFate.PRESENT
        if fate is BlobFate.MOVED:
            self.moved_bytes += need.blob.size

    def received(self, need: Need, count: int) -> int:
        """Of a blob that this image moves, `count` bytes have been read; how many of them since the last time."""
        new = count - self.under_way.get(need.blob.digest, 0)
        self.under_way[need.blob.digest] = count
        return new

    def end(self, status: SeedStatus, now: float) -> None:
        """Keep the result and let go of the content."""
        self.status = status
        self.seconds = round(now - self.started, 3)
        self.tree = None
        del self.reader

    def progressed(self, now: float) -> ImageProgressed:
        """What to tell of it under way."""
        self.progress_told = now
        return ImageProgressed(self.request.key, self.arrived_bytes, self.total_bytes)

    def finished(self) -> ImageFinished:
        """What to tell of it in the end, where all is well."""
        status, digest = self.status or SeedStatus.COPIED, str(self.digest)
        return ImageFinished(self.request.key, status, digest, self.moved_bytes, self.total_bytes, self.seconds)

    def retry(self, error: CopyError, again: tuple[int, float]) -> RetryScheduled:
        """What to tell of the attempt `again`: its number, and the seconds until then."""
        side = self.request.source if error.side == "source" else self.request.destination
        return RetryScheduled(side.registry, error.message, *again)

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
