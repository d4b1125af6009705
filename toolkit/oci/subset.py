"""Which part of an image a copy takes."""

from __future__ import annotations

from dataclasses import dataclass

from toolkit.oci.descriptor import Platform


@dataclass(frozen=True, slots=True)
class Subset:
    """The wanted children of an index: the images for `platforms` (None: all of them) and their attestations.

    An image without an index is never cut down; it must itself be for a wanted platform.
    """

    platforms: tuple[Platform, ...] | None = None
    keeps_attestations: bool = True

    @property
    def is_whole(self) -> bool:
        """Whether an index is copied as it is, so that the destination gets the source's own digest."""
        return self.platforms is None and self.keeps_attestations

    def __str__(self) -> str:
        """One comparable line, whatever the order of platforms: `linux/amd64,linux/arm64;attestations=keep`."""
        chosen = "all" if self.platforms is None else ",".join(sorted({str(platform) for platform in self.platforms}))
        return f"{chosen};attestations={'keep' if self.keeps_attestations else 'drop'}"

    def includes(self, platform: Platform | None) -> bool:
        """Whether an image for `platform` is wanted; one without a platform is wanted only where all are."""
        if self.platforms is None:
            return True
        return platform is not None and any(platform.matches(wanted) for wanted in self.platforms)


WHOLE = Subset()
