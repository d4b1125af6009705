"""`toolkit sandbox`: AWS, Docker Hub and ECR on loopback, to see the whole product without an account."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from toolkit.cli.boundary import Presentation, Run, execute, exit_with_help
from toolkit.cli.options import Format, OutputFormat
from toolkit.errors import Refused

if TYPE_CHECKING:
    from toolkit.plan.desired import Desired
    from toolkit.sandbox.process import SandboxStatus, StartedBuild

HELP = (
    "Run AWS, Docker Hub and ECR on this machine. A moto server, a stand-in for Docker Hub with token login and pull "
    'limit, and one for ECR listen on loopback. After `eval "$(toolkit sandbox env)"` every command runs against them, '
    "unchanged. A build of CodeBuild runs as a process of yours, or ends as `FAULT` if it needs a source or Docker."
)
EXAMPLES = ('toolkit sandbox up && eval "$(toolkit sandbox env)" && toolkit apply --auto-approve',)

app = typer.Typer(rich_markup_mode=None, no_args_is_help=False)

Folder = Annotated[
    Path,
    typer.Option("--folder", help="Where the sandbox keeps its state, one sandbox a folder."),
]
_FOLDER = Path(".toolkit/sandbox")


@app.callback(invoke_without_command=True)
def _sandbox(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        exit_with_help(context)


@app.command(help="Start the sandbox, or add images to a running one.")
def up(
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="Make an upstream image for every reference of this manifest, and a handful for each tag selection. "
            "[default: images.yaml if there]",
        ),
    ] = None,
    folder: Folder = _FOLDER,
    pull_limit: Annotated[
        int, typer.Option("--pull-limit", min=0, help="Counted pulls that the Docker Hub stand-in grants in six hours.")
    ] = 100,
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit sandbox up`."""

    def body(run: Run) -> int:
        from toolkit.operations.load import load_desired
        from toolkit.sandbox import process

        manifest = file or (Path("images.yaml") if Path("images.yaml").exists() else None)
        where = {}
        references: list[str] = []
        if manifest is not None:
            desired = load_desired(manifest)
            references = sorted({str(image.source) for image in desired.images} | _samples(desired))
            where = {"region": desired.region} | ({"account_id": desired.account_id} if desired.account_id else {})
        status = process.up(folder, references, upstream_limit=pull_limit, **where)
        run.show("sandbox", _document(status), _text(status))
        return 0

    execute("sandbox up", Presentation(format, is_brief=True), body)


@app.command(help="Stop the sandbox. Its folder stays; the contents of AWS are gone.")
def down(folder: Folder = _FOLDER, format: OutputFormat = Format.TEXT) -> None:  # noqa: A002  the option's name
    """Run `toolkit sandbox down`."""

    def body(run: Run) -> int:
        from toolkit.sandbox import process

        was_running = process.down(folder)
        run.show(
            "sandbox", {"was_running": was_running}, "sandbox stopped" if was_running else "no sandbox was running"
        )
        return 0

    execute("sandbox down", Presentation(format, is_brief=True), body)


@app.command(help="Print the variables that select the sandbox. They are shell commands, for `eval`.")
def env(folder: Folder = _FOLDER) -> None:
    """Run `toolkit sandbox env`."""

    def body(run: Run) -> int:
        from toolkit.sandbox import process

        status = _running(folder)
        lines = [
            f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
            for name, value in process.environment(status).items()
        ]
        run.show("environment", {}, "\n".join(lines), is_exact=True)
        return 0

    execute("sandbox env", Presentation(is_brief=True), body)


@app.command(help="Show where the sandbox listens and what it holds. Counted pulls are shown too.")
def status(folder: Folder = _FOLDER, format: OutputFormat = Format.TEXT) -> None:  # noqa: A002  the option's name
    """Run `toolkit sandbox status`."""

    def body(run: Run) -> int:
        found = _running(folder)
        run.show("sandbox", _document(found), _text(found))
        return 0

    execute("sandbox status", Presentation(format, is_brief=True), body)


@app.command(help="Move an upstream tag to another image. Its publisher does so with a new release.")
def bump(
    references: Annotated[list[str], typer.Argument(metavar="REFERENCE...", help="Such as nginx:1.16.")],
    folder: Folder = _FOLDER,
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit sandbox bump`."""

    def body(run: Run) -> int:
        from toolkit.sandbox import process

        found = _running(folder)
        lines = [f"{reference} is {process.bump(found, reference)} upstream now" for reference in references]
        run.show("sandbox", _document(_running(folder)), "\n".join(lines))
        return 0

    execute("sandbox bump", Presentation(format, is_brief=True), body)


def _samples(desired: Desired) -> set[str]:
    """Tags made up for the selections, and base images of builds that a selection may have to serve."""
    from toolkit.oci.reference import Reference
    from toolkit.sandbox.tag_samples import sample_tags

    made = {str(one.source.with_tag(tag)) for one in desired.selections for tag in sample_tags(one.tags)}
    sources = {one.source for one in desired.selections}
    for image in (image for build in desired.builds for image in build.images):
        name = Reference.parse(image.original).name
        if name in sources:
            made.add(str(name.with_tag(image.tag)))
    return made


def _running(folder: Path) -> SandboxStatus:
    from toolkit.sandbox import process

    found = process.status(folder)
    if found is None:
        raise Refused(
            "sandbox.not_running",
            f"no sandbox runs in `{folder}`",
            hint="start one: `toolkit sandbox up -f images.yaml`",
        )
    return found


def _document(status: SandboxStatus) -> dict[str, Any]:
    import dataclasses
    import json

    return dict(json.loads(json.dumps(dataclasses.asdict(status), default=str)))


def _build_text(build: StartedBuild) -> str:
    from toolkit.cli.render.lines import visible

    why = f": {build.message}" if build.message else ""
    return visible(f"{build.id}  {build.status}, started by {build.initiator}{why}")


def _text(status: SandboxStatus) -> str:
    from toolkit.cli.render.lines import visible

    def names(images: Sequence[str]) -> str:
        return "".join(f"\n  {name}" for name in images) or " none"

    images = _document(status)["images"]
    folder = visible(str(status.folder))
    return "\n".join(
        (
            f"sandbox in {folder}, process {status.pid}, account {status.account_id}, region {status.region}",
            f"AWS         {status.aws_endpoint}",
            f"Docker Hub  {status.docker_hub_endpoint}, {status.pulls_used} counted pulls, {status.pulls_left} left",
            f"upstreams   {status.upstream_endpoint} (every other registry)",
            f"ECR         {status.ecr_endpoint}",
            f"images on Docker Hub:{names(images['docker_hub'])}",
            f"images on other upstreams:{names(images['upstream'])}",
            f"images in ECR:{names(images['ecr'])}",
            *([f"builds:{names([_build_text(one) for one in status.builds])}"] if status.builds else []),
            *status.notices,
        )
    )
