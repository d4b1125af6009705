"""Buildspec: the text for a project of the manifest, alone or put into a file of the developers'."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from toolkit.codebuild.buildspec import render_buildspec
from toolkit.codebuild.buildspec_edit import check_exports, commands_of, insert_step, remove_step
from toolkit.codebuild.fragment import render_fragment
from toolkit.errors import Refused, UsageError
from toolkit.oci.local_files import open_regular
from toolkit.operations.whole_file import write_whole
from toolkit.plan.desired import Desired, DesiredBuild


def find_build(desired: Desired, name: str) -> DesiredBuild:
    """The build called `name`, by the manifest or by its project. UsageError if there is none."""
    for build in desired.builds:
        if name in (build.name, build.project_name):
            return build
    there = ", ".join(f"`{build.name}`" for build in desired.builds) or "none"
    raise UsageError("buildspec.unknown_project", f"the manifest has no build `{name}`", hint=f"it has {there}")


def whole_text(desired: Desired, build: DesiredBuild) -> str:
    """The buildspec that the project has. Refused where that is a file of its source."""
    if path := build.settings.buildspec_path:
        raise Refused(
            "buildspec.of_the_source",
            f"the build `{build.name}` runs `{path}` of its source, and no text of ours",
            hint=f"put the step into that by `--into {path}`, or print it by `--fragment`",
        )
    return render_buildspec(build, region=desired.region, account_id=desired.registry_account_id)


def step_text(desired: Desired, build: DesiredBuild) -> str:
    """The pre-build step alone."""
    return render_fragment(build, region=desired.region, account_id=desired.registry_account_id)


def put_in(desired: Desired, build: DesiredBuild, file: Path, *, only_check: bool = False) -> bool:
    """Put the step into `file`, or bring it up to date; whether that changed anything. Refused when it only checks."""
    text = _read(file)
    commands = commands_of(remove_step(text, file=str(file)), file=str(file))
    check_exports(text, build.strategy, file=str(file))
    step = step_text(desired, replace(build, buildspec_commands=commands))
    return _change(file, text, insert_step(text, step, build.name, file=str(file)), only_check)


def take_out(file: Path, *, only_check: bool = False) -> bool:
    """Take the step out of `file`; whether it was there. Refused when it only checks."""
    text = _read(file)
    return _change(file, text, remove_step(text, file=str(file)), only_check)


def _change(file: Path, old: str, new: str, only_check: bool) -> bool:
    if old == new:
        return False
    if only_check:
        raise Refused("buildspec.out_of_date", f"`{file}` would change", hint="run without `--check`")
    write_whole(file, new)
    return True


def _read(file: Path) -> str:
    try:
        with open_regular(file) as opened:
            return opened.read().decode()
    except FileNotFoundError as error:
        raise UsageError("buildspec.not_found", f"there is no file `{file}`") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        message = f"{file}:{line}: the byte 0x{error.object[error.start]:02X} is not UTF-8"
        raise Refused("buildspec.not_utf8", message, hint="save the file as UTF-8") from error
    except OSError as error:
        raise UsageError("buildspec.unreadable", f"`{file}` cannot be read: {error.strerror}") from error
