from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import Refused
from toolkit.plan.desired import Desired, ProviderNeed
from toolkit.terraform.provider_lock import refuse_old_provider
from toolkit.terraform.work_dir import WorkDir

FIELD = "images[0].repository_settings.tag_mutability_exclusions"
NEEDY = Desired(name="x", region="eu-west-1", account_id=None, provider_needs=(ProviderNeed(FIELD, (6, 8)),))


def locked(folder: Path, version: str, registry: str = "registry.terraform.io") -> WorkDir:
    (folder / ".terraform.lock.hcl").write_text(
        "# This file is maintained automatically.\n"
        f'\nprovider "{registry}/hashicorp/null" {{\n  version = "9.9.9"\n}}\n'
        f'\nprovider "{registry}/hashicorp/aws" {{\n  version     = "{version}"\n'
        '  constraints = ">= 5.80.0, < 7.0.0"\n  hashes = [\n    "h1:x=",\n  ]\n}\n'
    )
    return WorkDir(folder)


@pytest.mark.parametrize("registry", ["registry.terraform.io", "registry.opentofu.org"])
def test_an_older_provider_than_a_field_needs_is_refused_by_name_and_version(registry: str, tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        refuse_old_provider(NEEDY, locked(tmp_path, "5.100.0", registry))
    assert refused.value.code == "terraform.provider_too_old"
    assert refused.value.message == f"`{FIELD}` needs AWS provider 6.8, the lock file has 5.100"


@pytest.mark.parametrize("version", ["6.8.0", "6.10.0", "7.0.0-beta1"])
def test_a_newer_one_is_taken(version: str, tmp_path: Path) -> None:
    refuse_old_provider(NEEDY, locked(tmp_path, version))


def test_a_manifest_that_needs_nothing_new_takes_any(tmp_path: Path) -> None:
    refuse_old_provider(Desired(name="x", region="eu-west-1", account_id=None), locked(tmp_path, "5.80.0"))
