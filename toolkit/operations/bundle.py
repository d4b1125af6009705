"""The bundle: the manifest that was applied last, where a run inside AWS finds it, and by whose hash others know it."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Protocol

from toolkit import __version__
from toolkit.errors import Refused
from toolkit.lock.stored import Stored
from toolkit.plan.desired import Desired

NAME = "bundle.json"
_VERSION = 1
_APPLY = "run `toolkit apply`, which puts it there"


class BundleStore(Protocol):
    """The one object that has the bundle."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def read(self) -> Stored | None:
        """What is there; None if nothing was applied yet."""

    def put(self, text: str) -> None:
        """Put `text` there, whatever there is."""


def put_bundle(desired: Desired, store: BundleStore) -> None:
    """Record that the manifest of `desired` was applied."""
    bundle = {
        "schema_version": _VERSION,
        "manifest": desired.text,
        "sha256": _hash(desired.text),
        "toolkit_version": __version__,
    }
    store.put(json.dumps(bundle, indent=2))


def applied_manifest(store: BundleStore) -> str:
    """The text of the manifest that was applied last. Raises Refused if there is none."""
    stored = store.read()
    if stored is None:
        raise Refused("refresh.not_applied", f"there is no `{store.name}`: no manifest was applied", hint=_APPLY)
    try:
        bundle = json.loads(stored.text)
        version, text, digest = bundle["schema_version"], str(bundle["manifest"]), bundle["sha256"]
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(store.name) from error
    if version != _VERSION:
        raise Refused(
            "refresh.newer_bundle",
            f"`{store.name}` was put there by toolkit {bundle.get('toolkit_version')}, and this is {__version__}",
            hint="refresh with the version that applies",
        )
    if digest != _hash(text):
        raise _damaged(store.name)
    return text


def refuse_other_manifest(desired: Desired, store: BundleStore) -> None:
    """Raise Refused unless the manifest of `desired` is the one that was applied last."""
    if _hash(desired.text) != _hash(applied_manifest(store)):
        raise Refused(
            "refresh.other_manifest",
            f"the manifest `{desired.name}` is not the one that was applied last, which `{store.name}` holds",
            hint="run `toolkit apply`, or take the manifest that was applied",
        )


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _damaged(name: str) -> Refused:
    return Refused("refresh.bundle_damaged", f"`{name}` is not what `toolkit apply` puts there", hint=_APPLY)
