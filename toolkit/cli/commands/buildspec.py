"""`toolkit buildspec`: what runs in one build, whole, its first step alone, or put into a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from toolkit.cli.boundary import Presentation, Run, execute
from toolkit.cli.completion import builds
from toolkit.cli.options import Format, ManifestFile, OutputFormat
from toolkit.errors import UsageError

NAME = "buildspec"
HELP = (
    "Print a build's buildspec, or add a step to yours. The step gets base images from ECR before the build. Needs "
    "no credentials."
)
EXAMPLES = (
    "toolkit buildspec web",
    "toolkit buildspec web --into buildspec.yml   # again after each change",
)


def command(
    name: Annotated[
        str,
        typer.Argument(
            metavar="BUILD", help="A build of the manifest, by its name.", show_default=False, autocompletion=builds
        ),
    ],
    fragment: Annotated[
        bool, typer.Option("--fragment", help="Print the pre-build step alone, one shell command.")
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option("--into", help="Put the step into this buildspec, before the other commands of `pre_build`."),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="With --into: take the step out of it again; needs no manifest.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="With --into: change nothing, exit 7 if something would change.")
    ] = False,
    file: ManifestFile = Path("images.yaml"),
    format: OutputFormat = Format.TEXT,  # noqa: A002  the option's name
) -> None:
    """Run `toolkit buildspec`."""

    def body(run: Run) -> int:
        from toolkit.cli.render.lines import visible
        from toolkit.operations.buildspec import find_build, put_in, step_text, take_out, whole_text
        from toolkit.operations.load import load_desired

        if into is None and (remove or check):
            raise UsageError("usage", "`--remove` and `--check` need `--into FILE`")
        if into is not None and fragment:
            raise UsageError("usage", "`--fragment` prints and `--into` writes: keep one")
        if into is not None and remove:  # also for a build that the manifest has no more
            changed, done = take_out(into, only_check=check), "taken out of"
        else:
            desired = load_desired(file)
            build = find_build(desired, name)
            if into is None:
                text = step_text(desired, build) if fragment else whole_text(desired, build)
                run.show("buildspec", {"project": build.project_name, "text": text}, text, is_exact=True)
                return 0
            changed, done = put_in(desired, build, into, only_check=check), "put into"
        message = f"the step was {done} {into}" if changed else f"{into}: nothing to change"
        run.show("buildspec", {"file": str(into), "changed": changed}, visible(message))
        return 0

    execute(NAME, Presentation(format, is_brief=True), body)
