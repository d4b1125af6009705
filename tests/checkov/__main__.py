"""Terraform's plan of every example as JSON, and of a schedule, and the modules, for checkov to look at.

    python -m tests.checkov FOLDER

The plans are made against the sandbox's AWS. What only newer AWS providers have, the backend and the guard for an
account are left out. checkov finds the comments beside a resource by the resource's name, so the override of
`ecr-repository` for newer providers is left out of the copied modules.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.manifest.grammar import PROVIDER_VERSIONS
from toolkit.operations.load import load_desired
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import render
from toolkit.terraform.runner import TerraformRunner
from toolkit.terraform.work_dir import write

ROOT = Path(__file__).parents[2]


def save_plan(sandbox: RunningSandbox, folder: Path, manifest: Path) -> None:
    """Write the plan of `manifest` into `folder`, under the name of the example."""
    desired = load_desired(manifest)
    repositories = tuple(replace(one, tag_mutability_exclusions=()) for one in desired.repositories)
    desired = replace(desired, account_id=None, backend=None, repositories=repositories)
    desired = replace(desired, provider_versions=PROVIDER_VERSIONS)
    mirror = find(os.environ, Path.home())
    environment = sandbox.environment()
    runner = TerraformRunner("terraform", lambda event: None, find_mirror=lambda: mirror, environment=environment)
    with TemporaryDirectory() as name:
        work_dir = write(render(desired), Path(name))
        runner.init(work_dir)
        plan = runner.show(runner.plan(work_dir))
    (folder / f"{'-'.join(manifest.relative_to(ROOT).parts[1:-1])}.json").write_text(json.dumps(plan))


def main() -> None:
    folder = Path(sys.argv[1])
    shutil.rmtree(folder, ignore_errors=True)
    plans = folder / "plans"
    plans.mkdir(parents=True)
    shutil.copytree(
        ROOT / "terraform_modules", folder / "modules", ignore=shutil.ignore_patterns("tests", "provider-*")
    )
    manifests = [*sorted((ROOT / "examples").rglob("images.yaml")), Path(__file__).with_name("images.yaml")]
    with running_sandbox(folder / "sandbox") as sandbox, ThreadPoolExecutor(2) as pool:
        list(pool.map(partial(save_plan, sandbox, plans), manifests))


if __name__ == "__main__":
    main()
