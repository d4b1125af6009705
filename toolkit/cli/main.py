"""The `toolkit` program: the list of commands. Start-up counts, so each command imports what it needs when it runs."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from toolkit import version
from toolkit.cli.boundary import ToolkitGroup, open_closed_streams
from toolkit.cli.commands import apply, copy, plan, render, sandbox, schema, seed, validate

_EPILOG = (
    "Exit codes: 0 done, 1 a bug, 2 changes present (plan --detailed-exitcode), 3 manifest unusable, 4 credentials or "
    "permissions, 5 Terraform failed, 6 seeding incomplete (run again), 7 refused, 64 usage, 130 interrupted."
)

app = typer.Typer(
    name="toolkit",
    cls=ToolkitGroup,
    help="Keep the base images of your builds in Amazon ECR, and CodeBuild away from Docker Hub.",
    epilog=_EPILOG,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"toolkit {version()}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _toolkit(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(64)


for _module in (validate, plan, apply, seed, copy, render, schema):
    app.command(_module.NAME, help=_module.HELP, epilog=_module.EXAMPLES)(_module.command)
app.add_typer(sandbox.app, name="sandbox")


def run() -> None:
    """The console script: leaves the process with the exit code."""
    open_closed_streams()
    sys.exit(app())
