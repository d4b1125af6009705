"""The `toolkit` program, built from its commands."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from toolkit import __version__
from toolkit.cli.boundary import ToolkitGroup, exit_with_help
from toolkit.cli.explanations import EXIT_CODES


def make_app(names: Sequence[str]) -> typer.Typer:
    """The program with these of its commands, each a module of `toolkit.cli.commands`."""
    app = typer.Typer(
        name="toolkit",
        cls=ToolkitGroup,
        help="Keep the base images of your builds in Amazon ECR, and CodeBuild away from Docker Hub.",
        epilog=_lines(
            "Exit codes (`toolkit explain 7` says more, `toolkit explain CODE` all of an error's code):",
            [f"{one.number:<4} {one.meaning.split('. ')[0].rstrip('.')}" for one in EXIT_CODES],
        ),
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True)(_toolkit)
    for name in names:
        module = import_module(f"toolkit.cli.commands.{name.replace('-', '_')}")
        summary = f"{module.HELP.split('. ')[0].rstrip('.')}."
        examples = _lines("Examples:", module.EXAMPLES)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, help=module.HELP, short_help=summary, epilog=examples)
        else:
            app.command(name, help=module.HELP, short_help=summary, epilog=examples)(module.command)
    return app


def _lines(title: str, lines: Sequence[str]) -> str:
    """A paragraph of the help, marked so that its lines are not joined and wrapped."""
    return "\n".join(("\b", title, *(f"  {line}" for line in lines)))


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"toolkit {__version__}")
        raise typer.Exit


def _toolkit(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        exit_with_help(context)
