"""Environment variables that may hold credentials for registries: the environment says which, never a manifest.

A manifest comes with a pull request; the environment belongs to the pipeline. So a manifest can name only variables
that have the prefix or are on a list in the environment. They are hidden from every program that we start.
"""

from __future__ import annotations

from collections.abc import Mapping

PREFIX = "TOOLKIT_REGISTRY_"
LIST = "TOOLKIT_CREDENTIAL_VARIABLES"
"""Names of more variables. `NAME@HOST` gives a variable, one with the prefix too, to this registry only."""
NEVER = ("AWS_", "GITHUB_", "ACTIONS_", "CI_")
"""Prefixes of a pipeline's own secrets, which no list can release."""

_OTHER_SECRETS = ("TOOLKIT_PLAN_KEY", LIST)


def may_hold_credential(name: str, environment: Mapping[str, str]) -> bool:
    """Whether the variable `name` may be sent to a registry at all."""
    return name.startswith(PREFIX) or name in _listed(environment)


def hosts_of(name: str, environment: Mapping[str, str]) -> frozenset[str] | None:
    """The registries that the variable `name` is limited to; None where the environment sets no limit."""
    return frozenset(_listed(environment).get(name, ())) or None


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` for another program: without the secrets for registries and for our own plans."""
    hidden = {*_OTHER_SECRETS, *_listed(environment)}
    return {name: value for name, value in environment.items() if name not in hidden and not name.startswith(PREFIX)}


def _listed(environment: Mapping[str, str]) -> dict[str, set[str]]:
    """The names on the list, each with the hosts that stand behind it."""
    found: dict[str, set[str]] = {}
    for entry in environment.get(LIST, "").replace(",", " ").split():
        name, _, host = entry.partition("@")
        if not name.startswith(NEVER):
            found.setdefault(name, set()).update({host.lower()} - {""})
    return found
