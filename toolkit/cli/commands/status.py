"""`toolkit status`: what is the matter with every image, and a gate for pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.completion import images
from toolkit.cli.options import (
    CacheDirectory,
    Jobs,
    Log,
    LogFormat,
    ManifestFile,
    NoProgress,
    Outputs,
    ResultFormat,
    TerraformBinary,
    Verbose,
    ViewFormat,
    WorkDirectory,
    parse_duration,
)
from toolkit.errors import Refused, UsageError
from toolkit.plan.severity import Severity

if TYPE_CHECKING:
    from toolkit.operations.services import Services
    from toolkit.plan.desired import Desired
    from toolkit.plan.model import InfraChange
    from toolkit.plan.status import StatusReport

NAME = "status"
HELP = (
    "Say what is the matter with every image. Tells whether ECR has what upstream has, and since when not; what cools "
    "down, is held, gone upstream or overwritten in ECR; the findings of ECR's scan, the last pull and the builds that "
    "use it; then what other regions lack, and what ECR has and the manifest does not. Costs no counted pull, changes "
    "nothing, and needs no Terraform without --drift."
)
EXAMPLES = (
    "toolkit status",
    "toolkit status '*nginx*' --show-unchanged",
    "toolkit status --check --behind 7d --fail-on critical   # exit 7",
    "toolkit status --format markdown > dashboard.md",
    "toolkit status --earlier yesterday.json --output json=today.json --output html=status.html",
)


def command(
    patterns: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATTERN]...",
            autocompletion=images,
            help="Only images whose key (REPOSITORY:TAG) or source fits, such as '*nginx*'.",
        ),
    ] = None,
    file: ManifestFile = Path("images.yaml"),
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Exit 7 if an image is not in ECR or in another region, was overwritten there, is gone upstream, or "
            "cannot be judged. The manifest's `ignore` accepts single faults.",
        ),
    ] = False,
    behind: Annotated[
        int | None,
        typer.Option(
            "--behind",
            parser=parse_duration,
            metavar="DURATION",
            help="With --check: also if one is behind upstream for so long: 12h, 7d, 2w. What is held, suspended or "
            "pinned on purpose is not.",
        ),
    ] = None,
    fail_on: Annotated[
        Severity | None,
        typer.Option(
            "--fail-on",
            help="With --check: also if ECR's scan has findings of this severity or a worse one, or has no result.",
        ),
    ] = None,
    earlier: Annotated[
        list[Path] | None,
        typer.Option(
            "--earlier",
            metavar="FILE",
            help="The JSON of an earlier status, whose history this one continues; may be repeated.",
        ),
    ] = None,
    drift: Annotated[
        bool,
        typer.Option("--drift", help="Run Terraform too, and show what was changed outside of it; changes nothing."),
    ] = False,
    show_unchanged: Annotated[
        bool, typer.Option("--show-unchanged", help="List the images that are fine, instead of counting them.")
    ] = False,
    format: ViewFormat = ResultFormat.TEXT,  # noqa: A002  the option's name
    output: Outputs = None,
    work_dir: WorkDirectory = None,
    cache_dir: CacheDirectory = None,
    terraform_bin: TerraformBinary = "terraform",
    jobs: Jobs = 32,
    log: Log = LogFormat.TEXT,
    no_progress: NoProgress = False,
    verbose: Verbose = False,
) -> None:
    """Run `toolkit status`."""

    def body(run: Run) -> int:
        from datetime import timedelta

        from toolkit.cli.wiring import Settings, open_services
        from toolkit.operations.load import load_desired
        from toolkit.operations.status import status
        from toolkit.plan.gate import Gate
        from toolkit.terraform.provider_lock import lock_file_of

        if not check and (behind is not None or fail_on):
            raise UsageError("usage.value", "--behind and --fail-on say what fails `--check`", hint="add --check")
        before = [_read_status(path) for path in earlier or ()]
        desired = load_desired(file)
        settings = Settings(
            work_dir=work_dir,
            cache_dir=cache_dir,
            terraform_bin=terraform_bin,
            jobs=jobs,
            provider_lock=lock_file_of(file),
            manifest=file,
        )
        with open_services(run.emit, desired, settings, locks=drift) as services:
            status(
                desired,
                services,
                publish=run.show_status,
                only=patterns or (),
                gate=Gate(None if behind is None else timedelta(seconds=behind), fail_on) if check else None,
                earlier=before,
                find_drift=_find_drift if drift else None,
            )
        return 0

    presentation = Presentation(
        format,
        no_progress,
        verbose,
        shows_unchanged=show_unchanged,
        outputs=output or (),
        files=(file, *(earlier or ())),
        log=log,
        manifest=file,
    )
    execute(NAME, presentation, body)


def _find_drift(desired: Desired, services: Services) -> tuple[InfraChange, ...]:
    from toolkit.operations.drift import find_drift

    return find_drift(desired, services)


def _read_status(path: Path) -> StatusReport:
    from toolkit.cli.saved_result import read_saved_result

    found = read_saved_result(path).values.get("status")
    if found is None:
        raise Refused(
            "result.no_status", f"`{path}` is not the result of `toolkit status`", hint="name one with --earlier"
        )
    report: StatusReport = found
    return report
