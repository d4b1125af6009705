"""Terraform's plan of every example, as JSON with the modules beside it, for checkov to look at.

    python -m tests.checkov FOLDER

The plans are made against the sandbox's AWS. What only newer AWS providers have, and a backend that is not there, are
left out of `complete`.
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tests.support.sandbox import RunningSandbox, running_sandbox
from toolkit.manifest.grammar import PROVIDER_VERSIONS
from toolkit.operations.load import load_desired
from toolkit.terraform.provider_mirror import find
from toolkit.terraform.root_module import render
from toolkit.terraform.runner import TerraformRunner
from toolkit.terraform.work_dir import write

EXAMPLES = Path(__file__).parents[2] / "examples"


def save_plan(manifest: Path, folder: Path, sandbox: RunningSandbox) -> None:
    """Write `folder/plan.json`, the plan of `manifest`."""
    desired = load_desired(manifest)
    repositories = tuple(replace(one, tag_mutability_exclusions=()) for one in desired.repositories)
    everywhere = replace(desired, account_id=None, backend=None, provider_versions=PROVIDER_VERSIONS, repositories=repositories)
    mirror = find(os.environ, Path.home())
    runner = TerraformRunner(
        "terraform", lambda event: None, find_mirror=lambda: mirror, environment=sandbox.environment()
    )
    work_dir = write(render(everywhere), folder)
    runner.init(work_dir)
    (folder / "plan.json").write_text(json.dumps(runner.show(runner.plan(work_dir))))


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    manifests = {manifest: "-".join(manifest.relative_to(EXAMPLES).parts[:-1]) for manifest in EXAMPLES.rglob("images.yaml")}
    with running_sandbox(folder / "sandbox") as sandbox, ThreadPoolExecutor(2) as pool:
        for _ in pool.map(lambda one: save_plan(one[0], folder / "plans" / one[1], sandbox), manifests.items()):
            pass


if __name__ == "__main__":
    main()
