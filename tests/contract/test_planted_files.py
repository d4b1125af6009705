"""What a pull request can plant in the tree, so that real Terraform starts a program of its author with our secrets."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.real_parts import missing, require
from toolkit.errors import Refused, TerraformFailed, ToolkitError
from toolkit.oci.programs import find_program
from toolkit.terraform import initialised
from toolkit.terraform.provider_lock import ProviderLock
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import RootModule, required_provider
from toolkit.terraform.runner import TerraformRunner
from toolkit.terraform.work_dir import WorkDir, write

AWS = "registry.terraform.io/hashicorp/aws"
NEEDS_AWS = {"main.tf": required_provider(">= 5.80, < 7") + 'data "aws_region" "this" {\n}\n'}
NEEDS_MODULE = {"main.tf": 'module "m" {\nsource = "./modules/m"\n}\n', "modules/m/main.tf": "# ours\n"}
EVIL_STATE = {
    "version": 4,
    "terraform_version": "1.6.0",
    "serial": 1,
    "lineage": "x",
    "outputs": {},
    "resources": [
        {
            "mode": "managed",
            "type": "evil_thing",
            "name": "this",
            "provider": 'provider["registry.terraform.io/evil/evil"]',
            "instances": [{"schema_version": 0, "attributes": {"id": "x"}}],
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Tree:
    """A checkout; `witness` appears when a planted program was started."""

    root: Path

    @property
    def work_dir(self) -> Path:
        return self.root / ".toolkit" / "work"

    @property
    def witness(self) -> Path:
        return self.root / "started"

    def program(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'#!/bin/sh\nenv > {self.witness}\nexec {shutil.which("terraform")} "$@"\n')
        path.chmod(0o755)

    def provider(self, folder: Path, address: str = AWS, version: str = "") -> None:
        """A planted provider, and lock files with its checksum, Terraform's own and ours."""
        version = version or _mirrored_version()
        package = folder / address / version / "linux_amd64"
        name = f"terraform-provider-{address.rpartition('/')[2]}_v{version}_x5"
        self.program(package / name)
        line = f"{hashlib.sha256((package / name).read_bytes()).hexdigest()}  {name}\n"
        checksum = "h1:" + b64encode(hashlib.sha256(line.encode()).digest()).decode()
        lock = f'provider "{address}" {{\n  version = "{version}"\n  hashes = [\n    "{checksum}",\n  ]\n}}\n'
        for path in (self.work_dir / ".terraform.lock.hcl", self.root / "images.lock.hcl"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(lock)


def _mirror() -> Path:
    require("terraform")
    return find(os.environ, Path.home()) or missing("there is no mirror of the AWS provider")


def _mirrored_version() -> str:
    return max(path.name for path in (_mirror() / AWS).iterdir())


def _plugin_folder(tree: Tree) -> None:
    tree.provider(tree.work_dir / "terraform.d" / "plugins")


def _installed_provider(tree: Tree) -> None:
    tree.provider(tree.work_dir / ".terraform" / "providers")


def _cached_provider(tree: Tree) -> None:
    tree.provider(tree.root / "cache")


def _mirror_in_settings(tree: Tree) -> None:
    tree.provider(tree.root / "mirror")
    settings = f'provider_installation {{\nfilesystem_mirror {{\npath = "{tree.root}/mirror"\n}}\n}}\n'
    (tree.root / "terraformrc").write_text(settings)
    (tree.work_dir / ".terraformrc").write_text(settings)


def _mirror_in_tree(tree: Tree) -> None:
    tree.provider(tree.root / "mirror")


def _file_of_terraform(tree: Tree) -> None:
    (tree.work_dir / "evil.tf").write_text(
        f'data "external" "this" {{\nprogram = ["sh", "-c", "env > {tree.witness}"]\n}}\n'
    )


def _state_of_another_provider(tree: Tree) -> None:
    (tree.work_dir / "terraform.tfstate").write_text(json.dumps(EVIL_STATE))
    tree.provider(tree.work_dir / ".terraform" / "providers", "registry.terraform.io/evil/evil", "1.0.0")


@pytest.mark.parametrize(
    ("plant", "environment", "uses_mirror"),
    [
        pytest.param(_plugin_folder, {}, False, id="terraform.d/plugins"),
        pytest.param(_installed_provider, {}, True, id="installed, with a fitting lock"),
        pytest.param(_installed_provider, {}, False, id="installed, with no mirror"),
        pytest.param(_cached_provider, {"TF_PLUGIN_CACHE_DIR": "@/cache"}, True, id="a plugin cache"),
        pytest.param(_cached_provider, {"TF_PLUGIN_CACHE_DIR": "../../cache"}, True, id="a relative plugin cache"),
        pytest.param(_mirror_in_settings, {"TF_CLI_CONFIG_FILE": "@/terraformrc"}, False, id="TF_CLI_CONFIG_FILE"),
        pytest.param(_mirror_in_settings, {"TF_CLI_CONFIG_FILE": "terraformrc"}, False, id="relative settings"),
        pytest.param(_mirror_in_settings, {"TERRAFORM_CONFIG": "@/terraformrc"}, False, id="TERRAFORM_CONFIG"),
        pytest.param(_mirror_in_settings, {}, False, id=".terraformrc in the working directory"),
        pytest.param(_mirror_in_tree, {"TOOLKIT_PROVIDER_MIRROR": "@/mirror"}, True, id="TOOLKIT_PROVIDER_MIRROR"),
        pytest.param(_file_of_terraform, {}, True, id="evil.tf"),
        pytest.param(_state_of_another_provider, {}, True, id="a state that needs another provider"),
    ],
)
def test_no_planted_program_is_started(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[Tree], None],
    environment: dict[str, str],
    uses_mirror: bool,
) -> None:
    mirror = _mirror()
    tree = Tree(tmp_path)
    monkeypatch.chdir(tmp_path)
    work_dir = write(RootModule(NEEDS_AWS), tree.work_dir)
    plant(tree)
    given = {name: value.replace("@", str(tmp_path)) for name, value in environment.items()}
    runner = TerraformRunner(
        "terraform",
        lambda event: None,
        find_mirror=lambda: (find(given, None) if given else mirror) or mirror if uses_mirror else None,
        provider_lock=ProviderLock(tmp_path / "images.lock.hcl"),
        environment={**os.environ, **given},
    )
    with pytest.raises(ToolkitError):
        runner.init(work_dir)
        runner.plan(work_dir)
    assert not tree.witness.exists()


@pytest.mark.parametrize("folder", [".", "", "node_modules/.bin", "@", "@/node_modules/.bin"])
def test_a_program_of_the_tree_is_not_found_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    tree = Tree(tmp_path / "checkout")
    tree.program(tree.root / "terraform")
    tree.program(tree.root / "node_modules" / ".bin" / "terraform")
    monkeypatch.chdir(tree.root)
    path = folder.replace("@", str(tree.root))
    found = find_program("terraform", {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"})
    assert found == require("terraform")
    with pytest.raises(Refused) as refused:
        TerraformRunner("terraform", print, environment={"PATH": path or "."}).version()
    assert refused.value.code == "terraform.program_in_tree"
    assert not tree.witness.exists()


@pytest.mark.parametrize(
    ("here", "home", "folder", "is_trusted"),
    [
        ("checkout/service", "home", "checkout/bin", False),
        ("checkout/service", "checkout/home", "checkout/home/bin", False),
        ("checkout/service", "home", "home/bin", True),
        ("home", "home", "home/bin", True),
        (".", "home", "home/bin", True),
        ("plain", "home", "plain/bin", False),
        ("plain", "home", "link/bin", False),
    ],
)
def test_the_tree_is_the_checkout_around_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, home: str, folder: str, is_trusted: bool
) -> None:
    for name in ("checkout/.git", "checkout/service", "plain", "home", folder):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    if folder == "link/bin":
        shutil.rmtree(tmp_path / "link")
        (tmp_path / "plain" / "bin").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "plain")
    program = tmp_path / folder / "terraform"
    program.touch(mode=0o755)
    monkeypatch.chdir(tmp_path / here)
    monkeypatch.setenv("HOME", str(tmp_path / home))
    found = find_program("terraform", {"PATH": str(program.parent)})
    assert found == (str(program) if is_trusted else None)


def test_a_planted_list_of_modules_is_not_read(tmp_path: Path) -> None:
    """Even where its author knew every input of `init`, and all entries are as this machine made them but one."""
    runner = TerraformRunner(require("terraform"), print)
    work_dir = write(RootModule(NEEDS_MODULE), tmp_path)
    runner.init(work_dir)
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "main.tf").write_text('data "terraform_remote_state" "evil" {\nbackend = "local"\n}\n')
    listing = tmp_path / ".terraform" / "modules" / "modules.json"
    listing.write_text(listing.read_text().replace("modules/m", "evil", 2).replace("./evil", "./modules/m"))
    runner.init(work_dir)
    assert '"evil"' not in listing.read_text()
    assert runner.plan(work_dir).changes == ()


def _with_backend(path: str) -> dict[str, str]:
    return {"main.tf": f'terraform {{\nbackend "local" {{\npath = "{path}"\n}}\n}}\n'}


def _as_by_another_machine(work_dir: WorkDir) -> None:
    """Git or a cache writes the same bytes anew."""
    copy = work_dir.path.parent / "copy"
    shutil.copytree(work_dir.path / ".terraform", copy)
    shutil.rmtree(work_dir.path / ".terraform")
    copy.rename(work_dir.path / ".terraform")


def test_a_planted_backend_is_not_used_and_a_kept_one_still_guards_the_state(tmp_path: Path) -> None:
    runner = TerraformRunner(require("terraform"), print)
    work_dir = write(RootModule(_with_backend("ours.tfstate")), tmp_path / "work")
    runner.init(work_dir)
    assert initialised.record_of(work_dir) is not None
    _as_by_another_machine(work_dir)
    assert initialised.record_of(work_dir) is None
    runner.init(work_dir)  # the same backend, so it is taken

    backend = work_dir.path / ".terraform" / "terraform.tfstate"
    backend.write_text(backend.read_text().replace("ours.tfstate", "evil.tfstate"))  # its hash is that of ours
    with pytest.raises(TerraformFailed) as failed:
        runner.init(work_dir)
    assert failed.value.code == "terraform.backend_changed"


@pytest.mark.parametrize("is_listed", [True, False])
def test_another_provider_is_for_the_environment_to_allow(tmp_path: Path, is_listed: bool) -> None:
    allowed = {"TOOLKIT_TERRAFORM_PROVIDERS": "hashicorp/random, evil/evil"} if is_listed else {}
    runner = TerraformRunner(require("terraform"), print, environment={**os.environ, **allowed})
    work_dir = write(RootModule({"main.tf": ""}), tmp_path)
    runner.init(work_dir)
    (tmp_path / ".terraform" / "providers" / "registry.terraform.io" / "evil" / "evil").mkdir(parents=True)
    initialised.record(work_dir, str(initialised.record_of(work_dir) or runner._inputs(work_dir)))
    if is_listed:
        runner.init(work_dir)
        return
    with pytest.raises(Refused, match=r"needs the provider `registry\.terraform\.io/evil/evil`") as refused:
        runner.init(work_dir)
    assert refused.value.code == "provider.not_allowed"
