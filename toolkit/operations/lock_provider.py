"""Lock the provider: choose the newest version that the manifest allows, and write the lock file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolkit.atomic_file import write_atomically
from toolkit.errors import Refused
from toolkit.plan.desired import Desired
from toolkit.terraform.provider_lock import ProviderChoice, ProviderLock, locked_version


class Terraform(Protocol):
    """The source of provider versions."""

    def choose_provider(self, versions: str) -> ProviderChoice:
        """The newest AWS provider that satisfies the version constraint `versions`."""


@dataclass(frozen=True, slots=True)
class Locked:
    """The lock file that was written: the new and the former version, the platforms with and without checksums."""

    path: Path
    version: str
    before: str | None
    platforms: tuple[str, ...]
    missing: tuple[str, ...]


def lock_provider(desired: Desired, terraform: Terraform, path: Path) -> Locked:
    """Write the lock file at `path`. Raises Refused if that fails, TerraformFailed if no provider is found."""
    before = ProviderLock(path).read() or ""
    choice = terraform.choose_provider(desired.provider_versions)
    try:
        write_atomically(path, choice.lock.encode())
    except OSError as error:
        raise Refused(
            "provider.lock_unwritable", f"the lock file `{path}` cannot be written: {error.strerror}"
        ) from error
    return Locked(path, locked_version(choice.lock) or "", locked_version(before), choice.platforms, choice.missing)
