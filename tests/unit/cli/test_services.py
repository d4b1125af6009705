"""What a command does not use cannot fail it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.fake_services import desired
from toolkit.cli.wiring import Settings, open_services
from toolkit.errors import Refused, TerraformFailed
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


@pytest.mark.parametrize(
    ("environment", "locks", "is_refused"),
    [
        ({"CI": "true"}, True, True),
        ({"CODEBUILD_BUILD_ID": "web:1"}, True, True),
        ({"CI": "true", "TOOLKIT_ALLOW_EXTRA_FILES": "1"}, True, False),
        ({"CI": "true"}, False, False),
        ({"CI": "0"}, True, False),
        ({}, True, False),
    ],
)
def test_in_a_pipeline_the_environment_allows_the_manifest_s_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], locks: bool, is_refused: bool
) -> None:
    for name in ("CI", "CODEBUILD_BUILD_ID", "TOOLKIT_ALLOW_EXTRA_FILES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = Settings(cache_dir=tmp_path / "cache", work_dir=tmp_path / "work")
    wanted = replace(desired("one"), extra_files={"alarms.tf": "# ours\n"})
    try:
        with open_services(print, wanted, settings, locks=locks):
            assert not is_refused
    except Refused as error:
        assert is_refused
        assert error.code == "terraform.extra_files_not_allowed"
