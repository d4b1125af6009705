"""`toolkit init`: a first manifest, made from what the builds of a project start from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.commands.scan import BuildArguments, Roots, read_pairs, read_platform
from toolkit.cli.options import Format, OutputFormat
from toolkit.operations.examples import Example

NAME = "init"
HELP = (
    "Write a first manifest from a project's builds. It has every image that builds below the paths would fetch. "
    "Needs no network and no credentials; a file that is there stays, unless you say --force."
)
EXAMPLES = (
    "toolkit init",
    "toolkit init --name shop --region eu-west-1 services",
    "toolkit init --force .",
)


def command(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH]...", help="Files and folders. [default: this folder]")
    ] = None,
    manifest: Annotated[
        Path, typer.Option("--manifest", "--file", "-f", envvar="TOOLKIT_MANIFEST", help="The file to write.")
    ] = Path("images.yaml"),
    name: Annotated[
        str | None,
        typer.Option("--name", help="Prefix of roles, projects and log groups. [default: this folder's name]"),
    ] = None,
    region: Annotated[
        str,
        typer.Option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="Region of the repositories."),
    ] = "us-east-1",
    build_arg: BuildArguments = None,
    machine: Annotated[
        str,
        typer.Option("--machine", metavar="PLATFORM", help="Platform of the machine that builds, such as linux/arm64."),
    ] = "linux/amd64",
    root: Roots = None,
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
        from toolkit.operations.init import Start, init

        if example is not None:
            files = [path.as_posix() for path in write_example(example, Path.cwd())]
            run.show(
                "example", {"name": example.value, "files": files}, os.linesep.join(f"{file} written" for file in files)
            )
            return 0
        start = Start(
            paths=tuple(paths or [Path()]),
            home=Path.cwd(),
            manifest=manifest,
            name=name,
            region=region,
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
        run.show("manifest", document, os.linesep.join(map(visible, lines)))
        return 0

    execute(NAME, Presentation(format, is_brief=True), body)
