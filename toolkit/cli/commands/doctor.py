"""`toolkit doctor`: whether plan and apply can work here, before the first plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.options import (
    CacheDirectory,
    Log,
    LogFormat,
    NoProgress,
    Outputs,
    ResultFormat,
    TerraformBinary,
    Verbose,
    ViewFormat,
    WorkDirectory,
)

NAME = "doctor"
HELP = (
    "Check whether plan and apply can work here. Looks at this machine, Terraform and its provider, AWS credentials, "
    "rights and quotas, the state and its lock, registries and the Docker Hub budget, and says how to cure what is "
    "wrong. Changes nothing and costs no pull; a provider that is not in a mirror is downloaded and thrown away."
)
EXAMPLES = (
    "toolkit doctor",
    "toolkit doctor --format json | jq '.diagnosis.findings[] | select(.state != \"ok\")'",
)
_DEFAULT_MANIFEST = Path("images.yaml")


def command(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="The image manifest; without one, what needs none is checked. [default: images.yaml, if it is there]",
        ),
    ] = None,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    work_dir: WorkDirectory = None,
    cache_dir: CacheDirectory = None,
    terraform_bin: TerraformBinary = "terraform",
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit doctor`."""

    def body(run: Run) -> int:
        from toolkit.cli.wiring import Settings, open_tools
        from toolkit.errors import ManifestUnusable
        from toolkit.operations.doctor import examine, judge_manifest, refuse_failed
        from toolkit.operations.load import load_desired
        from toolkit.terraform.provider_lock import lock_file_of

        manifest = file or (_DEFAULT_MANIFEST if _DEFAULT_MANIFEST.exists() else None)
        settings = Settings(
            work_dir=work_dir,
            cache_dir=cache_dir,
            terraform_bin=terraform_bin,
            provider_lock=lock_file_of(manifest) if manifest else None,
        )
        desired, fault = None, None
        try:
            desired = load_desired(manifest) if manifest else None
            tools = open_tools(run.emit, desired, settings)
        except ManifestUnusable as error:
            desired, fault = None, error
            tools = open_tools(run.emit, None, settings)
        findings = examine(desired, judge_manifest(manifest, desired, fault), tools, run.emit)
        run.show_diagnosis(findings)
        refuse_failed(findings)
        return 0

    presentation = Presentation(format, no_progress, verbose, outputs=output or (), files=(file,), log=log)
    execute(NAME, presentation, body)
