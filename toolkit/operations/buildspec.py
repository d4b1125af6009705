"""Buildspec: the text for a project of the manifest, printed or inserted into a developer's own file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from toolkit.codebuild.buildspec import render_buildspec
from toolkit.codebuild.buildspec_edit import check_exports, commands_of, insert_step, remove_step
from toolkit.codebuild.fragment import render_fragment
from toolkit.codebuild.testcontainers_variables import testcontainers_variables
from toolkit.errors import Refused, UsageError
from toolkit.oci.local_files import open_regular
from toolkit.operations.whole_file import write_whole
from toolkit.plan.desired import Desired, DesiredBuild


def find_build(desired: Desired, name: str) -> DesiredBuild:
    """The build called `name` in the manifest, or whose project has that name. UsageError if there is none."""
    for build in desired.builds:
        if name in (build.name, build.project_name):
            return build
    known = ", ".join(f"`{build.name}`" for build in desired.builds) or "none"
    raise UsageError("buildspec.unknown_project", f"the manifest has no build `{name}`", hint=f"it has {known}")


def whole_text(desired: Desired, build: DesiredBuild) -> str:
    """The whole buildspec of the project. Refused if the project uses a file in its source."""
    if path := build.settings.buildspec_path:
        raise Refused(
            "buildspec.of_the_source",
            f"the build `{build.name}` runs `{path}` of its source instead of a generated buildspec",
            hint=f"insert the step with `--into {path}`, or print it with `--fragment`",
        )
    return render_buildspec(build, region=desired.region, account_id=desired.registry_account_id)


def step_text(desired: Desired, build: DesiredBuild) -> str:
    """Only the pre-build step."""
    return render_fragment(build, region=desired.region, account_id=desired.registry_account_id)


def put_in(desired: Desired, build: DesiredBuild, file: Path, *, only_check: bool = False) -> bool:
    """Insert or update the step in `file`; True if the file changed. With `only_check`, Refused if it would change."""
    text = _read(file)
    commands = commands_of(remove_step(text, file=str(file)), file=str(file))
    check_exports(text, build.strategy, names_to_tests=bool(testcontainers_variables(build)), file=str(file))
    step = step_text(desired, replace(build, buildspec_commands=commands))
    return _change(file, text, insert_step(text, step, build.name, file=str(file)), only_check)


def take_out(file: Path, *, only_check: bool = False) -> bool:
    """Remove the step from `file`; True if it had one. With `only_check`, Refused if it has one."""
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
        raise Refused(
            "buildspec.not_utf8",
            f"{file}:{line}: the byte 0x{error.object[error.start]:02X} is not UTF-8",
            hint="save the file as UTF-8",
        ) from error
    except OSError as error:
        raise UsageError("buildspec.unreadable", f"`{file}` cannot be read: {error.strerror}") from error
