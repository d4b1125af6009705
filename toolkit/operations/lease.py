"""The lease: one refresh at a time, and what it has still to tell, in one object that is written conditionally.

| while | the object holds |
|---|---|
| a run is under way | its name, for how long it may go on, and `moves` |
| nothing runs | no name, and the `moves` of which nobody was told yet |

`moves` are the tags that are about to move, with the digest before. They are written before the first copy. So a run
that is killed leaves a record of what it may have moved. The next one compares it with ECR, and tells of what did move.

A run ends itself before its lease does, by a timer that it starts before it asks for the lease, and at once when the
machine has slept for longer. Another run takes the lease over when it is older than it was given for, by the clock of
where it is kept. No two clocks are compared, so it does not matter how far they are apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from toolkit.errors import Refused
from toolkit.lock.admission import in_words
from toolkit.lock.stored import Stored
from toolkit.oci.digest import Digest
from toolkit.oci.errors import OciError
from toolkit.operations.lock_store import LockStore

NAME = "lease.json"
LASTS = timedelta(hours=1)
RUN_ENDS = timedelta(minutes=55)
"""After so long a run ends itself. The rest is for what it has to tell then."""


class Lease:
    """A lease that this run has taken. `moves` are the digests before, by key."""

    def __init__(self, store: LockStore, run: str) -> None:
        """Take the lease. Raises Refused if another run has it."""
        self._store = store
        self._run = run
        self._stored = store.read()
        before = _parse(self._stored, store.name)
        left = timedelta(seconds=before["seconds"]) - self._stored.age if self._stored else timedelta()
        if before["run"] and left >= timedelta():
            raise Refused(
                "refresh.under_way",
                f"the refresh `{before['run']}` has the lease `{store.name}` for another {in_words(left)} at most",
                hint="run again when it has ended; the lease of a run that was killed ends by itself",
            )
        self.moves: Mapping[str, str] = before["moves"]
        self._write(run)

    def expect(self, moves: Mapping[str, str]) -> None:
        """Record that these tags are about to move; of a tag that moved before unsaid, the first digest counts."""
        if moves.keys() - self.moves.keys():
            self.moves = {**moves, **self.moves}
            self._write(self._run)

    def release(self, untold: Mapping[str, str]) -> None:
        """Let the next run begin, which is to tell of the `untold` moves."""
        self.moves = untold
        self._write(None)

    def _write(self, run: str | None) -> None:
        document = {"run": run, "seconds": int(LASTS.total_seconds()), "moves": self.moves}
        self._stored = self._store.write(json.dumps(document, indent=2), self._stored)


def taken_meanwhile(name: str) -> Refused:
    """The error of a run which has not the lease, or not any more."""
    return Refused(
        "refresh.under_way",
        f"another refresh has taken the lease `{name}` meanwhile",
        hint="run again when it has ended",
    )


def _parse(stored: Stored | None, name: str) -> dict[str, Any]:
    if stored is None:
        return {"run": None, "seconds": 0, "moves": {}}
    try:
        found = json.loads(stored.text)
        moves = {str(key): str(Digest.parse(digest)) for key, digest in found["moves"].items()}
        timedelta(seconds=found["seconds"])  # not more than there can be
        return {"run": found["run"], "seconds": found["seconds"], "moves": moves}
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, OciError) as error:
        raise Refused(
            "refresh.lease_damaged",
            f"`{name}` is not what a refresh writes",
            hint="delete it; of tags that had moved unsaid, nobody is told then",
        ) from error
