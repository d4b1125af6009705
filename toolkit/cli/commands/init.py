"""`toolkit init`: a first manifest, from what the builds of a project start from, or from another way of mirroring."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.commands.scan import BuildArguments, Roots, read_pairs, read_platform
from toolkit.cli.options import Format, OutputFormat
from toolkit.errors import Refused, UsageError
from toolkit.operations.examples import Example

if TYPE_CHECKING:
    from toolkit.migration.carried import Carried
    from toolkit.operations.migrate import Target

NAME = "init"
HELP = (
    "Write a first manifest. It comes from a project's builds, or from what you mirror with now: without a --from "
    "option it has every image that builds below the paths would fetch. Needs credentials only for what is in AWS; a "
    "file that is there stays, unless you say --force."
)
EXAMPLES = (
    "toolkit init",
    "toolkit init --name shop --region eu-west-1 services",
    "toolkit init --force .",
    "toolkit init --from-regsync regsync.yml",
    "toolkit init --from-ecr 'base/*' --source 'base/*=docker.io/library/*'",
)


def command(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Files and folders. [default: this folder]")
    ] = None,
    manifest: Annotated[Path, typer.Option("--manifest", "--file", "-f", help="The file to write.")] = Path(
        "images.yaml"
    ),
    name: Annotated[
        str | None,
        typer.Option("--name", help="Prefix of roles, projects and log groups. [default: this folder's name]"),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            envvar=["AWS_REGION", "AWS_DEFAULT_REGION"],
            help="Region of the repositories. [default: us-east-1, or that of the first target in ECR]",
        ),
    ] = None,
    build_arg: BuildArguments = None,
    machine: Annotated[
        str,
        typer.Option("--machine", metavar="PLATFORM", help="Platform of the machine that builds, such as linux/arm64."),
    ] = "linux/amd64",
    root: Roots = None,
    from_ecr: Annotated[
        str | None,
        typer.Option(
            "--from-ecr",
            metavar="PATTERN",
            help="Take over the account's repositories whose names fit, with their settings; `*` matches anything.",
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="REPOSITORY=UPSTREAM",
            help="With --from-ecr: where a repository's images come from, which ECR does not know. One `*` on both "
            "sides stands for the same text; may be repeated, the first that fits counts.",
        ),
    ] = None,
    from_pull_through: Annotated[
        bool,
        typer.Option("--from-pull-through", help="Take over the repositories of the account's pull-through caches."),
    ] = False,
    from_regsync: Annotated[
        Path | None, typer.Option("--from-regsync", metavar="FILE", help="Carry over a regsync.yml of regclient.")
    ] = None,
    from_skopeo_sync: Annotated[
        Path | None,
        typer.Option("--from-skopeo-sync", metavar="FILE", help="Carry over a file of `skopeo sync --src yaml`."),
    ] = None,
    example: Annotated[
        Example | None, typer.Option("--example", help="Write the files of this example into this folder instead.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit init`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.amounts import format_count
        from toolkit.cli.render.lines import visible
        from toolkit.operations.examples import write_example
        from toolkit.operations.init import DEFAULT_REGION, Start, init, name_of
        from toolkit.operations.migrate import Target

        if example is not None:
            files = [path.as_posix() for path in write_example(example, Path.cwd())]
            run.show("example", {"name": example.value, "files": files}, "\n".join(f"{file} written" for file in files))
            return 0
        origins = [origin for origin in (from_ecr, from_pull_through, from_regsync, from_skopeo_sync) if origin]
        if len(origins) > 1 or (origins and paths):
            raise UsageError("usage", "a manifest is made from one thing: keep one of the paths and --from options")
        if source and not from_ecr:
            raise UsageError("usage", "`--source` says where the repositories of `--from-ecr` come from")
        if origins:
            return _migrate(
                run,
                Target(manifest, name if name is not None else name_of(Path.cwd()), region, overwrites=force),
                lambda: _carried(from_ecr, source or [], from_regsync, from_skopeo_sync, region),
            )
        start = Start(
            paths=tuple(paths or [Path()]),
            home=Path.cwd(),
            manifest=manifest,
            name=name,
            region=region or DEFAULT_REGION,
            values=read_pairs(build_arg or []),
            machine=read_platform(machine),
            roots=tuple(root or []),
            overwrites=force,
        )
        begun = init(start)
        written = [
            format_count(begun.images, "image"),
            *([format_count(begun.builds, "build")] if begun.builds else []),
        ]
        lines = [f"{manifest} written: {', '.join(written)}; next: toolkit validate, toolkit scan ."]
        lines += [f"not in it: {reason}" for reason in begun.left_out]
        document = {
            "file": str(manifest),
            "images": begun.images,
            "builds": begun.builds,
            "left_out": list(begun.left_out),
        }
        run.show("manifest", document, "\n".join(map(visible, lines)))
        return 0

    execute(NAME, Presentation(format, is_brief=True), body)


def _carried(
    pattern: str | None, sources: list[str], regsync: Path | None, skopeo_sync: Path | None, region: str | None
) -> Carried:
    """What the one thing that was named says; without a name, the pull-through caches."""
    from toolkit.migration.existing import UpstreamName
    from toolkit.migration.regsync import read_regsync
    from toolkit.migration.skopeo_sync import read_skopeo_sync
    from toolkit.operations.init import DEFAULT_REGION
    from toolkit.operations.migrate import existing_repositories, pull_through_repositories, read_foreign

    if regsync:
        return read_regsync(read_foreign(regsync), os.environ, region)
    if skopeo_sync:
        return read_skopeo_sync(read_foreign(skopeo_sync))
    from toolkit.aws.ecr import EcrService
    from toolkit.aws.session import AwsSession
    from toolkit.plan.desired import Desired

    try:
        upstreams = [UpstreamName.parse(text) for text in sources]
    except ValueError as error:
        raise UsageError("usage.value", f"--source: {error}") from error
    session = AwsSession(region or DEFAULT_REGION)
    ecr, desired = EcrService(session), Desired("", session.region, session.account_id())
    if pattern:
        return existing_repositories(ecr, pattern, upstreams, desired)
    return pull_through_repositories(ecr, desired)


def _migrate(run: Run, target: Target, carry: Callable[[], Carried]) -> int:
    import sys
    from dataclasses import asdict

    from toolkit.cli.render.amounts import format_count
    from toolkit.cli.render.lines import LineWriter, visible
    from toolkit.operations.init import refuse_to_overwrite
    from toolkit.operations.migrate import migrate

    refuse_to_overwrite(target.manifest, overwrites=target.overwrites)
    migrated = migrate(carry(), target)
    lost = [remark for remark in migrated.remarks if not remark.is_carried]
    document = {
        "file": str(target.manifest),
        "images": migrated.images,
        "builds": 0,
        "left_out": [str(remark) for remark in lost],
        "to_fill_in": migrated.waiting,
        "remarks": [asdict(remark) for remark in migrated.remarks],
    }
    notes = LineWriter(sys.stderr)
    for remark in migrated.remarks:
        notes.write(visible(str(remark)))
    if not migrated.images and not migrated.waiting:
        raise Refused("init.nothing", "nothing can be carried over; no file was written")
    parts = [
        f"{target.manifest} written: {format_count(migrated.images, 'entry', 'entries')}",
        *([f"{migrated.waiting} to be filled in"] if migrated.waiting else []),
        *([f"{len(lost)} not carried over, {len(migrated.remarks) - len(lost)} changed"] if migrated.remarks else []),
    ]
    run.show("manifest", document, visible(f"{', '.join(parts)}; next: toolkit validate, toolkit plan"))
    return 0
