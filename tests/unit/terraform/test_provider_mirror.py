from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.errors import TerraformFailed
from toolkit.terraform.provider_mirror import find, serves


def _fill(mirror: Path, registry: str = "registry.terraform.io") -> Path:
    (mirror / registry / "hashicorp" / "aws" / "5.100.0").mkdir(parents=True)
    return mirror


def test_the_named_mirror_comes_first(tmp_path: Path) -> None:
    _fill(tmp_path / ".terraform.d" / "plugins")
    (tmp_path / ".terraformrc").write_text("provider_installation {}")
    named = _fill(tmp_path / "named")
    assert find({"TOOLKIT_PROVIDER_MIRROR": str(named)}, tmp_path, root=tmp_path) == named


@pytest.mark.parametrize("make", [False, True])
def test_a_named_mirror_without_the_provider_is_one_clear_sentence(tmp_path: Path, make: bool) -> None:
    named = tmp_path / "named"
    if make:
        (named / "registry.terraform.io" / "hashicorp" / "aws").mkdir(parents=True)
    with pytest.raises(TerraformFailed) as failed:
        find({"TOOLKIT_PROVIDER_MIRROR": str(named)}, tmp_path)
    assert failed.value.code == "terraform.mirror_without_provider"
    assert f"`{named}`" in failed.value.message


@pytest.mark.parametrize(
    "place",
    [
        "home/.terraform.d/plugins",
        "home/.local/share/terraform/plugins",
        "usr/local/share/terraform/plugins",
        "usr/share/terraform/plugins",
        "opt/anything",
    ],
)
def test_the_usual_places_are_looked_into(tmp_path: Path, place: str) -> None:
    assert find({}, tmp_path / "home", root=tmp_path) is None
    (tmp_path / "opt" / "a-file").parent.mkdir(exist_ok=True)
    (tmp_path / "opt" / "a-file").write_text("")
    _fill(tmp_path / place)
    assert find({}, tmp_path / "home", root=tmp_path) == tmp_path / place


def test_a_folder_deeper_in_opt_is_not_looked_for(tmp_path: Path) -> None:
    _fill(tmp_path / "opt" / "a" / "b")
    assert find({}, tmp_path, root=tmp_path) is None


def test_a_users_own_configuration_of_installation_stands(tmp_path: Path) -> None:
    _fill(tmp_path / "opt" / "mirror")
    configuration = tmp_path / "own.tfrc"
    configuration.write_text("provider_installation {\n}\n")
    assert find({"TF_CLI_CONFIG_FILE": str(configuration)}, tmp_path, root=tmp_path) is None
    configuration.rename(tmp_path / ".terraformrc")
    assert find({}, tmp_path, root=tmp_path) is None


def test_a_configuration_that_says_nothing_of_it_or_is_not_there_changes_nothing(tmp_path: Path) -> None:
    mirror = _fill(tmp_path / "opt" / "mirror")
    assert find({"TF_CLI_CONFIG_FILE": str(tmp_path / "missing")}, tmp_path, root=tmp_path) == mirror
    (tmp_path / ".terraformrc").write_text("disable_checkpoint = true\n")
    assert find({}, tmp_path, root=tmp_path) == mirror


def test_opentofu_is_served_from_its_own_registrys_folder(tmp_path: Path) -> None:
    mirror = _fill(tmp_path / "named")
    assert serves(mirror, "/usr/bin/terraform")
    assert not serves(mirror, "tofu")
    _fill(mirror, "registry.opentofu.org")
    assert serves(mirror, "/opt/tofu-1.9/bin/tofu")


@pytest.mark.parametrize("home", [None, Path("/", "x" * 300)], ids=["none", "not to be entered"])
def test_a_home_that_is_none_holds_no_mirror_and_no_configuration(tmp_path: Path, home: Path | None) -> None:
    mirror = _fill(tmp_path / "opt" / "mirror")
    assert find({"TF_CLI_CONFIG_FILE": "/" + "x" * 300}, home, root=tmp_path) == mirror


def test_a_named_mirror_in_no_home_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "~")
    with pytest.raises(TerraformFailed, match="`~/mirror`"):
        find({"TOOLKIT_PROVIDER_MIRROR": "~/mirror"}, None)
