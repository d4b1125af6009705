"""The `toolkit` program, built from its commands."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from toolkit import __version__
from toolkit.cli.boundary import ToolkitGroup, leave_with_help

_EPILOG = (
    "Exit codes: 0 done, 1 a bug, 2 changes present (plan --detailed-exitcode), 3 manifest unusable, 4 credentials or "
    "permissions, 5 Terraform failed, 6 seeding incomplete (run again), 7 refused, "
    "8 a tag in ECR was overwritten (plan --detailed-exitcode), 64 usage, 130 interrupted."
)


def make_app(names: Sequence[str]) -> typer.Typer:
    """The program with these of its commands, each a module of `toolkit.cli.commands`."""
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
    app.callback(invoke_without_command=True)(_toolkit)
    for name in names:
        module = import_module(f"toolkit.cli.commands.{name.replace('-', '_')}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name, help=module.HELP, epilog=module.EXAMPLES)(module.command)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"toolkit {__version__}")
        raise typer.Exit


def _toolkit(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        leave_with_help(context)
