"""What a command's services are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.cli.wiring import Settings, ecr_puts_per_second, open_services
from toolkit.errors import ManifestUnusable
from toolkit.operations.load import load_desired

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(("said", "rate"), [(", put_image_per_second: 3", 3), ("", 8)])
def test_image_manifests_go_to_ecr_at_the_pace_of_the_manifest(tmp_path: Path, said: str, rate: float) -> None:
    manifest = tmp_path / "images.yaml"
    manifest.write_text(f"version: 1\nname: shop\naws: {{region: eu-west-1{said}}}\nimages: [nginx:1.16]\n")
    settings = Settings(work_dir=tmp_path / "work", cache_dir=tmp_path / "cache")
    with open_services([].append, load_desired(manifest), settings, locks=False) as services:
        assert services.seeder.puts_per_second(ECR) == rate
        assert services.seeder.puts_per_second("docker.io") is None


def test_without_a_manifest_they_go_at_the_default_pace() -> None:
    assert ecr_puts_per_second()(ECR) == 8


def test_a_variable_that_is_not_for_registries_opens_no_services(tmp_path: Path) -> None:
    manifest = tmp_path / "images.yaml"
    manifest.write_text(
        "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"
        "registries: {quay.io: {credential: {env: {username: TOOLKIT_REGISTRY_USER, password: DB_PASSWORD}}}}\n"
    )
    settings = Settings(work_dir=tmp_path / "work", cache_dir=tmp_path / "cache")
    with (
        pytest.raises(ManifestUnusable, match=r"`registries\.quay\.io\.credential\.env\.password`") as caught,
        open_services([].append, load_desired(manifest), settings, locks=False),
    ):
        pass
    assert "DB_PASSWORD" not in caught.value.message
