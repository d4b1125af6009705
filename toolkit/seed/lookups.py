"""How to find out whether a repository has a blob: learned once a run for each registry."""

from __future__ import annotations

import threading

from toolkit.oci.copy import CopyEngine, CopyRequest, Lookup
from toolkit.seed.blob_schedule import Need


class Lookups:
    """Safe to share between threads."""

    def __init__(self, engine: CopyEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._mounts_from_itself: dict[str, bool] = {}

    def way_for(self, request: CopyRequest) -> Lookup:
        """The cheapest way that is known to work."""
        if request.destination_is_new:
            return Lookup.NOT
        return Lookup.BY_MOUNT if self._mounts_from_itself.get(request.destination.registry) else Lookup.BY_HEAD

    def learn(self, need: Need) -> None:
        """Ask with the first blob moved: it saves a HEAD for each of the others.

        Before a document may need that blob: docker-registry writes the blob's link anew, and for a moment it is empty.
        """
        registry = need.destination.registry
        with self._lock:
            if registry in self._mounts_from_itself:
                return
            self._mounts_from_itself[registry] = False
        self._mounts_from_itself[registry] = self._engine.mounts_from_itself(need.destination, need.blob)
