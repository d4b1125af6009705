"""The bundle: the manifest that was applied last, where a run inside AWS finds it, and by whose hash others know it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol

from toolkit import __version__
from toolkit.errors import Refused
from toolkit.lock.stored import Stored
from toolkit.plan.desired import Desired
from toolkit.plan.observed import Account

NAME = "bundle.json"
_VERSION = 1


class BundleStore(Protocol):
    """The one object that has the bundle."""

    @property
    def name(self) -> str:
        """What messages call it."""

    def read(self) -> Stored | None:
        """What is there; None if nothing was applied yet."""

    def put(self, text: str) -> None:
        """Put `text` there, whatever there is."""


def put_bundle(desired: Desired, account: Account, store: BundleStore) -> None:
    """Record that the manifest of `desired` was applied. Raises Refused as `has_bundle`."""
    if has_bundle(desired, account, store):
        return
    bundle = {
        "schema_version": _VERSION,
        "of": _place(desired, account),
        "manifest": desired.text,
        "sha256": _hash(desired.text),
        "toolkit_version": __version__,
    }
    store.put(json.dumps(bundle, indent=2))


def has_bundle(desired: Desired, account: Account, store: BundleStore) -> bool:
    """Whether the manifest of `desired` is there. Raises Refused if what is there is not an earlier one of it.

    Two manifests with one folder would also have one lease, and each schedule would take the other's manifest.
    """
    if (stored := store.read()) is None:
        return False
    bundle = _parse(stored, store.name)
    if bundle["of"] != _place(desired, account):
        raise Refused(
            "refresh.other_bundle",
            f"`{store.name}` is of the manifest `{bundle['of']}`, and this is `{_place(desired, account)}`",
            hint="name another folder in `refresh.prefix`",
        )
    return bool(bundle["manifest"] == desired.text)


def applied_manifest(store: BundleStore) -> str:
    """The text of the manifest that was applied last. Raises Refused if there is none."""
    stored = store.read()
    if stored is None:
        raise Refused(
            "refresh.not_applied",
            f"there is no `{store.name}`: no manifest was applied",
            hint="run `toolkit apply`, which puts it there",
        )
    return str(_parse(stored, store.name)["manifest"])


def refuse_other_manifest(desired: Desired, store: BundleStore) -> None:
    """Raise Refused unless the manifest of `desired` is the one that was applied last."""
    if desired.text != applied_manifest(store):
        raise Refused(
            "refresh.other_manifest",
            f"the manifest `{desired.name}` is not the one that was applied last, which `{store.name}` holds",
            hint="run `toolkit apply`, or take the manifest that was applied",
        )


def _parse(stored: Stored, name: str) -> Mapping[str, Any]:
    damaged = Refused(
        "refresh.bundle_damaged",
        f"`{name}` is not what `toolkit apply` puts there",
        hint="see what it is; when nobody needs it, delete it and run `toolkit apply`",
    )
    try:
        bundle: Mapping[str, Any] = json.loads(stored.text)
        version, of, text, digest = (bundle[key] for key in ("schema_version", "of", "manifest", "sha256"))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged from error
    if version != _VERSION:
        raise Refused(
            "refresh.newer_bundle",
            f"`{name}` was put there by toolkit {bundle.get('toolkit_version')}, and this is {__version__}",
            hint="use the version that applies",
        )
    if not isinstance(of, str) or not isinstance(text, str) or digest != _hash(text):
        raise damaged
    return bundle


def _place(desired: Desired, account: Account) -> str:
    return f"{account.account_id}/{account.region}/{desired.name}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
