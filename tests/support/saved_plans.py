"""A saved plan as `toolkit plan --out` writes it, without Terraform, and somebody who edits it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from toolkit.cli import sealed_archive
from toolkit.cli.saved_plan import Origin, SavedPlan, write_plan
from toolkit.oci.digest import Digest
from toolkit.operations.load import desired_of
from toolkit.operations.plan import Planned
from toolkit.plan.desired import Desired, DesiredImage
from toolkit.plan.model import InfraAction, InfraChange, Plan, Seed, SeedAction
from toolkit.plan.observed import Account
from toolkit.terraform.root_module import render, repository_address
from toolkit.terraform.runner import PlanFile
from toolkit.terraform.work_dir import files_for, write

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1}
images:
  - {source: "nginx:1.16", platforms: [linux/amd64], signatures: keep}
  - {source: python, tags: {glob: "3.*-slim"}}
"""
S3 = "terraform: {backend: {s3: {bucket: states, key: shop}}}\n"
ACCOUNT = Account("123456789012", "eu-west-1", "123456789012.dkr.ecr.eu-west-1.amazonaws.com")
DIGEST = Digest.of(b"what was reviewed")
LOCK = b'provider "registry.terraform.io/hashicorp/aws" {\n  version     = "5.100.0"\n}\n'


def seed_of(image: DesiredImage, digest: Digest = DIGEST) -> Seed:
    """A decision to copy `image`."""
    return Seed(
        key=image.key,
        action=SeedAction.COPY,
        reason="not in ECR",
        source=image.source.with_digest(digest),
        repository=image.repository,
        tag=image.tag,
        subset=image.subset,
        subject=image.subject,
    )


def plan_of(desired: Desired) -> Plan:
    """Everything that `desired` lists, and one tag of each of its selections, is new."""
    images = (*desired.images, *(selection.image("3.12-slim") for selection in desired.selections))
    changes = tuple(
        InfraChange(repository_address(one.name), "aws_ecr_repository", InfraAction.CREATE, one.name)
        for one in desired.repositories
    )
    return Plan("shop", ACCOUNT, changes, tuple(map(seed_of, images)))


def terraform_plan(files: Mapping[str, bytes], state: Mapping[str, Any] | None = None) -> bytes:
    """Terraform's saved plan for the configuration `files`, as far as anybody but Terraform reads it."""
    keys: dict[str, str] = {}
    for name in files:
        folder = name.rpartition("/")[0]
        if name.endswith(".tf"):
            keys.setdefault(folder, folder.replace("/", "."))
    folders = [{"Key": key, "Dir": folder or "."} for folder, key in keys.items()]
    empty = {"version": 4, "terraform_version": "1.11.4", "serial": 0, "lineage": "", "resources": []}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tfplan", b"\0")
        archive.writestr("tfstate", json.dumps({**empty, **(state or {})}))
        archive.writestr("tfconfig/modules.json", json.dumps(folders))
        for name, content in files.items():
            folder, _, base = name.rpartition("/")
            if name.endswith(".tf"):
                archive.writestr(f"tfconfig/m-{keys[folder]}/{base}", content)
    return file.getvalue()


def save(
    path: Path,
    work_path: Path,
    manifest: str = MANIFEST,
    *,
    key: bytes | None = None,
    state: Mapping[str, Any] | None = None,
    more: Mapping[str, str] | None = None,
) -> SavedPlan:
    """A plan in `path` that was made in `work_path`; `more` are files that the plan has added to the root module."""
    desired = desired_of(manifest, Path("images.yaml"))
    root_module = render(desired)
    work_dir = write(type(root_module)({**root_module.files, **(more or {})}), work_path)
    files = {name: text.encode() for name, text in files_for(root_module).items()}
    work_dir.plan_path.write_bytes(terraform_plan(files, state))
    (work_path / ".terraform.lock.hcl").write_bytes(LOCK)
    made = plan_of(desired)
    planned = Planned(made, PlanFile(work_dir.plan_path, work_dir, made.infra_changes))
    return write_plan(path, planned, desired, Origin(manifest, key=key))


def edit(path: Path, **edits: Callable[[bytes], bytes]) -> None:
    """Change members of the file, called by their names with `_` for what is no letter, and seal it again."""
    members = dict(sealed_archive.read(path, None).members)
    for name in list(members):
        plain = "".join(letter if letter.isalnum() else "_" for letter in name)
        if plain in edits:
            members[name] = edits.pop(plain)(members[name])
    assert not edits, f"no such members: {edits}"
    sealed_archive.write(path, members, None)


def edited_json(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    """An edit of a JSON document in place."""

    def edited(content: bytes) -> bytes:
        document = json.loads(content)
        change(document)
        return json.dumps(document).encode()

    return edited
