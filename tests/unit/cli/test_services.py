"""What a command does not use cannot fail it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.fake_services import desired
from toolkit.cli.wiring import Settings, open_services
from toolkit.errors import TerraformFailed
from toolkit.terraform.work_dir import WorkDir


def test_a_provider_mirror_is_looked_for_only_where_terraform_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOOLKIT_PROVIDER_MIRROR", str(tmp_path / "nowhere"))
    settings = Settings(cache_dir=tmp_path / "cache", terraform_bin=sys.executable)
    wanted = desired("one")
    with open_services(print, wanted, settings, locks=False) as services, pytest.raises(TerraformFailed) as failed:
        services.terraform.init(WorkDir(tmp_path / "work"))
    assert failed.value.code == "terraform.mirror_without_provider"
