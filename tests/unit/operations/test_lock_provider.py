from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import Refused
from toolkit.operations.lock_provider import lock_provider
from toolkit.plan.desired import Desired
from toolkit.terraform.provider_lock import ProviderChoice

LOCK = 'provider "registry.terraform.io/hashicorp/aws" {\n  version = "5.100.0"\n}\n'


class _Registry:
    def choose_provider(self, versions: str) -> ProviderChoice:
        return ProviderChoice(LOCK, ("linux_amd64",), ())


def test_a_lock_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refused:
        lock_provider(Desired("x", "eu-west-1", None), _Registry(), tmp_path / "nowhere" / "images.lock.hcl")
    assert refused.value.code == "provider.lock_unwritable"


def test_the_version_before_is_told(tmp_path: Path) -> None:
    path = tmp_path / "images.lock.hcl"
    locked = lock_provider(Desired("x", "eu-west-1", None), _Registry(), path)
    assert (locked.before, locked.version, path.read_text()) == (None, "5.100.0", LOCK)
    path.write_text(LOCK.replace("5.100.0", "5.99.1"))
    assert lock_provider(Desired("x", "eu-west-1", None), _Registry(), path).before == "5.99.1"
