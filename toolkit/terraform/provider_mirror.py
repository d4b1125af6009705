"""Finds a folder from which the AWS provider can be installed without a registry."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from toolkit.errors import Refused, TerraformFailed
from toolkit.oci.programs import is_in_tree

_VARIABLE = "TOOLKIT_PROVIDER_MIRROR"
_REGISTRY = "registry.terraform.io"
_REGISTRY_OF_OPENTOFU = "registry.opentofu.org"
REGISTRIES = (_REGISTRY, _REGISTRY_OF_OPENTOFU)
"""The hosts in the addresses of providers, wherever they were installed from."""


def find(environment: Mapping[str, str], home: Path | None, *, root: Path = Path("/")) -> Path | None:
    """The mirror to install the AWS provider from; with None, Terraform uses its configuration or the registry.

    `TOOLKIT_PROVIDER_MIRROR` comes first; TerraformFailed if it does not hold the provider, Refused if it lies in the
    tree under review. A CLI configuration with `provider_installation` is left in charge. Otherwise the folders that
    Terraform itself searches, and those of `/opt`, are tried.
    """
    named = environment.get(_VARIABLE)
    if named:
        mirror = Path(os.path.expanduser(named)).absolute()  # noqa: PTH111  pathlib raises where there is no home
        if not _holds_provider(mirror, _REGISTRY) and not _holds_provider(mirror, _REGISTRY_OF_OPENTOFU):
            raise TerraformFailed(
                "terraform.mirror_without_provider",
                f"the provider mirror `{named}` has no `{_REGISTRY}/hashicorp/aws`",
                hint=f"correct {_VARIABLE}, or fill the folder: `terraform providers mirror {named}`",
            )
        if is_in_tree(str(mirror)):
            raise Refused(
                "terraform.settings_in_tree",
                f"`{_VARIABLE}` names `{named}` in the checkout, where a pull request could put another provider",
                hint="keep the mirror outside of the checkout",
            )
        return mirror
    if _says_how_to_install(environment, home):
        return None
    return next((folder for folder in _usual_places(home, root) if _holds_provider(folder, _REGISTRY)), None)


def serves(mirror: Path, program: str) -> bool:
    """Whether `mirror` has the provider under the registry that `program` uses: OpenTofu has its own."""
    return _holds_provider(mirror, _REGISTRY_OF_OPENTOFU if is_opentofu(program) else _REGISTRY)


def is_opentofu(program: str) -> bool:
    """Whether `program` is OpenTofu, by its name."""
    return "tofu" in Path(program).name


def _holds_provider(folder: Path, registry: str) -> bool:
    try:
        return any((folder / registry / "hashicorp" / "aws").iterdir())
    except OSError:  # not there, or not for us
        return False


def _says_how_to_install(environment: Mapping[str, str], home: Path | None) -> bool:
    files = (environment.get("TF_CLI_CONFIG_FILE"), *((home / ".terraformrc", home / ".tofurc") if home else ()))
    for file in filter(None, files):
        with suppress(OSError):  # not there, or not for us
            return "provider_installation" in Path(file).read_text(encoding="utf-8", errors="replace")
    return False


def _usual_places(home: Path | None, root: Path) -> Iterable[Path]:
    if home:
        yield home / ".terraform.d" / "plugins"
        yield home / ".local" / "share" / "terraform" / "plugins"
    yield root / "usr" / "local" / "share" / "terraform" / "plugins"
    yield root / "usr" / "share" / "terraform" / "plugins"
    yield from sorted((root / "opt").glob("*/"))
