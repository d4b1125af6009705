"""Every option has a variable of the environment, `TOOLKIT_` and its long name, so that a pipeline says it once.

Options that let something be destroyed, taken over or overwritten, or that approve it unasked, have none: an `export`
that somebody has forgotten would act on every later command of the shell, while a command line is seen by whoever runs
it and by whoever reviews the pipeline. To set the variable of such an option is an error, so that nobody relies on it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from typer.core import TyperOption

from toolkit.errors import UsageError

ONLY_BY_HAND = frozenset(
    {"--adopt", "--allow-destroy", "--auto-approve", "--destroy-removed", "--force", "--remove", "--write", "--yes"}
)
_WITHOUT = frozenset({"--help", "--version", "--install-completion", "--show-completion"})
_OLDER = {"--file": "TOOLKIT_MANIFEST", "--folder": "TOOLKIT_SANDBOX"}
"""Names that were there before the rule. `--format` has one where its choices are those of most commands."""


def long_name(option: TyperOption) -> str:
    """The name that the variable follows from: the last long one, if there are several."""
    return [name for name in option.opts if name.startswith("--")][-1]


def name_variable(option: TyperOption) -> None:
    """Give `option` its variable, in addition to those that it has."""
    name = long_name(option)
    if name in ONLY_BY_HAND | _WITHOUT or (name == "--format" and not option.envvar):
        return
    own = _OLDER.get(name, _variable(name))
    others = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
    option.envvar = [own, *(other for other in others if other != own)]
    option.show_envvar = True


def _variable(name: str) -> str:
    return f"TOOLKIT_{name.removeprefix('--').replace('-', '_').upper()}"


def refuse_variables(options: Iterable[TyperOption], environment: Mapping[str, str]) -> None:
    """Raise UsageError for a variable of an option that has to be said on the command line."""
    for name in sorted({long_name(option) for option in options} & ONLY_BY_HAND):
        if environment.get(_variable(name)):
            raise UsageError(
                "usage.variable",
                f"`{_variable(name)}` is set, and `{name}` counts only where it is written on the command line",
                hint=f"unset it, and write `{name}` where you mean it",
            )


def variable_in_use(context: Any, option: Any) -> str | None:
    """The variable that the value of `option` comes from; None if it comes from elsewhere."""
    source = context.get_parameter_source(option.name) if context is not None and option is not None else None
    if getattr(source, "name", "") != "ENVIRONMENT":
        return None
    names = [option.envvar] if isinstance(option.envvar, str) else option.envvar
    return next((name for name in names if os.environ.get(name)), None)


def with_variable(error: UsageError) -> UsageError:
    """`error` with the variable in front that gave a value to an option which its message names."""
    typed = {word.partition("=")[0] for word in sys.argv[1:]}
    for name in re.findall(r"--[a-z-]+", error.message):
        variable = _OLDER.get(name, _variable(name))
        if os.environ.get(variable) and name not in typed:
            return UsageError(error.code, f"`{variable}`: {error.message}", hint=error.hint)
    return error
