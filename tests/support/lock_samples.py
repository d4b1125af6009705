"""What runs may do to a lock: one image in each state, and every text hostile."""

from __future__ import annotations

from toolkit.oci.digest import Digest
from toolkit.plan.model import Notice
from toolkit.report import LockAction, LockCandidate, LockChanges, LockedImage


def digest(name: str) -> str:
    return str(Digest.of(name.encode()))


def short(name: str) -> str:
    return Digest.of(name.encode()).short


CHANGES = LockChanges(
    "images.lock.yaml",
    (
        LockedImage(
            "hub/nginx:1.27",
            "docker.io/library/nginx:1.27",
            LockAction.ADMITTED,
            digest("old"),
            digest("new"),
            age=3 * 86400,
            used_by=("api", "web"),
            reasons=(f"`{short('new')}` is admitted: seen for 3d", f"`{short('newer')}` waits: seen for 1d of 3d"),
            candidates=(LockCandidate(digest("newer"), "2026-11-29T06:00:00+00:00", 2 * 86400),),
            previous=1,
        ),
        LockedImage("hub/begun:1", "docker.io/library/begun:1", LockAction.BEGUN, None, digest("ecr"), age=0),
        LockedImage("hub/left:1", "docker.io/library/left:1", LockAction.REMOVED, digest("left")),
        LockedImage(
            "hub/gone:1",
            "docker.io/library/gone:1",
            LockAction.NOTHING,
            digest("gone"),
            digest("gone"),
            age=86400,
            reasons=("`gone:1` does not exist upstream",),
            fault="source.missing",
        ),
        LockedImage(
            "hub/held:1",
            "docker.io/library/held:1",
            LockAction.NOTHING,
            digest("held"),
            digest("held"),
            age=86400,
            hold="broken on arm",
            held_until="2026-12-09T06:00:00+00:00",
        ),
        LockedImage(
            "hub/young:1",
            "docker.io/library/young:1",
            LockAction.SEEN,
            digest("young"),
            digest("young"),
            age=9 * 86400,
            used_by=("api",),
            reasons=(f"`{short('newest')}` waits: seen for 20h of 3d",),
            candidates=(LockCandidate(digest("newest"), "2026-11-29T10:00:00+00:00", 2 * 86400 + 4 * 3600),),
        ),
        *(
            LockedImage(f"hub/kept:{number}", f"docker.io/library/kept:{number}", LockAction.NOTHING, digest("kept"), digest("kept"), age=86400)
            for number in range(3)
        ),
    ),
    is_written=True,
    signatures=1,
    notices=(Notice("lock.bypassed", "`hub/nginx:1.27`: `1234` need not be 3d old: CVE-1", "look"),),
)  # fmt: skip
