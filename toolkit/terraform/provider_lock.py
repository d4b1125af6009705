"""The lock file beside the manifest: it fixes the version and checksums of the AWS provider, and is committed.

Terraform's own lock file is in the working directory, which a pipeline creates anew each time, so it could not keep the
version from run to run. Before `init`, our lock file replaces Terraform's, and `init` may not change it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from toolkit.atomic_file import write_atomically
from toolkit.errors import Refused
from toolkit.events import Emit, NoticeGiven
from toolkit.oci.local_files import open_regular
from toolkit.plan.desired import Desired
from toolkit.terraform.work_dir import WorkDir

PLATFORMS = ("linux_amd64", "linux_arm64", "darwin_arm64")
"""The usual platforms of pipelines and laptops."""

LOCK_FILE = ".terraform.lock.hcl"
"""The name of Terraform's own lock file, in the working directory."""

# Terraform always writes the file in this form.
_PROVIDER = re.compile(r'^provider "([^"]+)" \{\n(?:  [^\n]*\n)*?  version +=\s*"([^"]+)"', re.MULTILINE)
_LOCK_IT = "run `toolkit lock-provider` and commit the file"


def lock_file_of(manifest: Path) -> Path:
    """`images.lock.hcl` for `images.yaml`."""
    return manifest.with_suffix(".lock.hcl")


def locked_providers(text: str) -> dict[str, str]:
    """The version of each provider that a lock file names, by the provider's source address."""
    return dict(_PROVIDER.findall(text))


def locked_version(text: str) -> str | None:
    """The version of the AWS provider that a lock file names, whether Terraform's registry has it or OpenTofu's."""
    versions = locked_providers(text).items()
    return next((version for source, version in versions if source.endswith("/hashicorp/aws")), None)


@dataclass(frozen=True, slots=True)
class ProviderChoice:
    """The text of a lock file, the platforms that it has checksums of, and the platforms without a provider."""

    lock: str
    platforms: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderLock:
    """The lock file at `path`. `is_made`: `init` creates a missing one, which a pipeline would lose."""

    path: Path
    is_made: bool = True

    def read(self) -> str | None:
        """Its text; None if it does not exist. Raises Refused for a link and for a file that cannot be read."""
        try:
            if self.path.is_symlink():
                raise Refused("provider.lock_unreadable", f"the lock file `{self.path}` is a link")
            with open_regular(self.path) as file:
                return file.read().decode()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise Refused(
                "provider.lock_unreadable", f"the lock file `{self.path}` cannot be read: {why}", hint=_LOCK_IT
            ) from error

    def impose(self, folder: Path) -> bool:
        """Copy it over Terraform's own lock file in the working directory; False if it does not exist."""
        text = self.read()
        if text is None:
            return False
        if not _holds(folder / LOCK_FILE, text):
            write_atomically(folder / LOCK_FILE, text.encode())
        return True

    def keep(self, folder: Path, emit: Emit) -> None:
        """Create it from Terraform's own lock file in the working directory, and emit a notice about the result."""
        try:
            text = (folder / LOCK_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:  # a module without a provider
            return
        version = locked_version(text)
        if not self.is_made:
            message = f"there is no lock file `{self.path}` that fixes the AWS provider; this run uses {version}"
            emit(NoticeGiven("provider.not_locked", message, hint=_LOCK_IT))
            return
        try:
            write_atomically(self.path, text.encode())
        except OSError as error:
            message = f"the lock file `{self.path}` cannot be written: {error.strerror}"
            emit(NoticeGiven("provider.not_locked", message, hint=_LOCK_IT))
            return
        message = f"`{self.path}` was written: it locks the AWS provider {version}"
        emit(
            NoticeGiven(
                "provider.locked",
                message,
                hint="commit it; `toolkit lock-provider` adds the checksums of other platforms",
            )
        )


def _holds(path: Path, text: str) -> bool:
    try:
        return path.read_text(encoding="utf-8") == text
    except (OSError, UnicodeDecodeError):
        return False


def refuse_old_provider(desired: Desired, work_dir: WorkDir) -> None:
    """Raise Refused when a field of the manifest needs a newer provider than the one that `init` locked."""
    locked = _locked_in(work_dir.path)
    if locked is None:
        return
    major, minor = (int(number) for number in locked.split(".")[:2])
    for need in desired.provider_needs:
        if (major, minor) < need.version:
            wanted = ".".join(map(str, need.version))
            raise Refused(
                "terraform.provider_too_old",
                f"`{need.path}` needs AWS provider {wanted}, the lock file has {major}.{minor}",
                hint=f"lock {wanted} or newer with `toolkit lock-provider`, or leave the field out",
            )


def _locked_in(folder: Path) -> str | None:
    """The version that `init` locked in the working directory."""
    try:
        return locked_version((folder / LOCK_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
