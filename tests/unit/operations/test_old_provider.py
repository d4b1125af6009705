from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import World, desired
from toolkit.errors import Refused
from toolkit.operations.plan import plan_manifest
from toolkit.plan.desired import ProviderNeed
from toolkit.terraform.root_module import render
from toolkit.terraform.work_dir import write


def test_refuses_a_field_that_the_locked_provider_lacks(tmp_path: Path) -> None:
    world = World(tmp_path, ("one",))
    wanted = replace(desired("one"), provider_needs=(ProviderNeed("repositories.x", (6, 8)),))
    lock = write(render(wanted), world.services.work_path).path / ".terraform.lock.hcl"
    lock.write_text('provider "registry.terraform.io/hashicorp/aws" {\n  version     = "5.100.0"\n}\n')
    with pytest.raises(Refused) as refused:
        plan_manifest(wanted, world.services)
    assert refused.value.code == "terraform.provider_too_old"
    assert world.log == ["init"]
