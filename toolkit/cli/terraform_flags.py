"""Options in Terraform's spelling, such as `-out=plan`, are refused with a hint: they would mean something else here.

`-out=plan.json` is `-o` with the value `ut=plan.json` to every parser of short options.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from toolkit.errors import UsageError

_WHOLE = "a plan is of the whole manifest; `toolkit seed --only` copies some images"
_VALUES = "values are in the manifest; name another one with `--file`"

# Terraform's option: ours that does the same, if there is one, and what to do instead.
_FLAGS = {
    "auto-approve": ("--auto-approve", "write `--auto-approve`"),
    "backend-config": (None, "say it in the manifest, `terraform.backend`"),
    "chdir": ("--work-dir", "write `--work-dir DIR`"),
    "compact-warnings": (None, "leave it out: warnings are one line each"),
    "destroy": (None, "run `toolkit destroy`"),
    "detailed-exitcode": ("--detailed-exitcode", "write `--detailed-exitcode`"),
    "generate-config-out": (None, "leave it out: the configuration comes from the manifest"),
    "help": (None, "write `--help`"),
    "input": (None, "leave it out: only `apply` asks, on a terminal; `--auto-approve` answers"),
    "json": ("--format", "write `--format json` or `--format json-lines`"),
    "lock": (None, "leave it out: the state is always locked"),
    "lock-timeout": ("--lock-timeout", "write `--lock-timeout 5m`"),
    "migrate-state": (None, "run `terraform init -migrate-state` in the working directory"),
    "no-color": (None, "set NO_COLOR=1; without a terminal there are no colours anyway"),
    "out": ("--out", "write `--out FILE`"),
    "parallelism": (None, "leave it out: Terraform's own holds; `--jobs` bounds the requests to registries"),
    "reconfigure": (None, "leave it out: `plan` initialises the working directory where that is needed"),
    "refresh": (None, "leave it out: every plan looks at what is there"),
    "refresh-only": (None, "leave it out: every plan says what was changed outside of Terraform"),
    "replace": (None, "run `terraform taint ADDRESS` in the working directory, then plan"),
    "state": (None, "say it in the manifest, `terraform.backend`"),
    "target": (None, _WHOLE),
    "upgrade": (None, "run `toolkit lock-provider`"),
    "var": (None, _VALUES),
    "var-file": (None, _VALUES),
    "version": (None, "write `toolkit --version`"),
}
_SINGLE = re.compile(r"-(?P<name>[a-z][a-z-]+)(=.*)?", re.DOTALL)


def refuse_terraform_flags(arguments: Sequence[str], *, known: Collection[str], with_value: Collection[str]) -> None:
    """Raise UsageError for a flag of Terraform's, and for one of ours that is written as Terraform does.

    `known` are the options of the command; what follows one of those `with_value` is its value, whatever it looks like.
    """
    is_value = False
    for argument in arguments:
        if argument == "--":
            return
        if not is_value:
            found = _SINGLE.fullmatch(argument)
            if found and found["name"] in _FLAGS:
                raise _wrong(f"`-{found['name']}` is an option of Terraform's", _hint(found["name"], known))
            if found and f"--{found['name']}" in known:
                raise _wrong(f"`-{found['name']}` has one hyphen too few", f"write `--{found['name']}`")
        is_value = not is_value and argument in with_value


def hint_for(option: str) -> str | None:
    """What to do instead of an option that we do not have, such as `--target`."""
    return _FLAGS.get(option.removeprefix("--"), (None, None))[1]


def _wrong(message: str, hint: str) -> UsageError:
    return UsageError("usage.terraform_flag", message, hint=hint)


def _hint(name: str, known: Collection[str]) -> str:
    ours, hint = _FLAGS[name]
    return hint if ours is None or ours in known else "leave it out: this command has no such option"
