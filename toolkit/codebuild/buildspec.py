"""The buildspec of a project: fetch the base images from ECR under the names that its Dockerfiles use, then build.

The pre-build step is one command, because CodeBuild starts a shell for each command, and functions and `set -eu` end
with their shell. Text reaches YAML through the dumper only.
"""

from __future__ import annotations

import io
import re
import shlex

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from toolkit.codebuild.fragment import render_fragment
from toolkit.errors import Refused
from toolkit.manifest.strategy import Strategy
from toolkit.plan.desired import BuildSettings, DesiredBuild

REGISTRY_VARIABLE = "TOOLKIT_ECR_REGISTRY"
"""Environment variable of the project with the ECR host; from Terraform, because its suffix varies by partition."""

LONGEST_BUILDSPEC = 25_600
"""CodeBuild's limit for a buildspec outside the source. AWS does not document it; see
https://github.com/aws/aws-cdk/pull/14974."""

HEADER = "# Written by `toolkit` from the manifest; change it there.\n"


def render_buildspec(build: DesiredBuild, *, region: str, account_id: str | None = None) -> str:
    """The text of `build`'s buildspec, the same for the same build. `region` and `account_id` are those of ECR.

    A project without commands of its own builds the root of its source with its one Dockerfile. Raises Refused for a
    text that is longer than CodeBuild takes.
    """
    phases: dict[str, object] = {}
    if fragment := render_fragment(build, region=region, account_id=account_id):
        phases["pre_build"] = {"commands": [yaml_text(fragment)]}
    phases["build"] = {"commands": [yaml_text(command) for command in commands_of_project(build)]}
    text = HEADER + dump({"version": 0.2, "phases": phases, **_kept_files(build.settings)})
    if len(text) > LONGEST_BUILDSPEC:
        raise Refused(
            "build.buildspec_too_long",
            f"the buildspec of the build `{build.name}` has {len(text):,} characters, and CodeBuild takes "
            f"{LONGEST_BUILDSPEC:,} from a project",
            hint=f"name one in the source by `buildspec`; `toolkit buildspec {build.name} --into` gives it the step",
        )
    return text


def _kept_files(settings: BuildSettings) -> dict[str, object]:
    """The files that are kept after the build: artifacts and cached folders."""
    parts: dict[str, object] = {}
    if settings.artifacts is not None and settings.artifacts.files:
        parts["artifacts"] = {"files": [yaml_text(path) for path in settings.artifacts.files]}
    if settings.cache is not None and settings.cache.paths:
        parts["cache"] = {"paths": [yaml_text(path) for path in settings.cache.paths]}
    return parts


def commands_of_project(build: DesiredBuild) -> tuple[str, ...]:
    """The commands after the step, for a build without a buildspec of its own."""
    return build.buildspec_commands or (_default_command(build),)


def _default_command(build: DesiredBuild) -> str:
    # A project name may have capitals and underscores where an image name must not.
    name = re.sub(r"[^a-z0-9]+", "-", build.project_name.lower()).strip("-")
    command = (
        "docker buildx build --load $TOOLKIT_BUILD_CONTEXTS" if build.strategy is Strategy.CONTEXTS else "docker build"
    )
    if build.strategy is Strategy.DIRECT:
        command += ' --file "$TOOLKIT_DOCKERFILE"'
    elif build.dockerfiles:
        command += f" --file {shlex.quote(build.dockerfiles[0])}"
    # A source without versions, such as a plain S3 object, leaves the variable empty.
    return f'{command} --tag {shlex.quote(name)}:"${{CODEBUILD_RESOLVED_SOURCE_VERSION:-latest}}" .'


def yaml_text(text: str) -> object:
    """A literal block if it can hold `text`, else quotes. Plain `yes` and `1:30` would not be text in YAML 1.1."""
    # ruamel.yaml 0.19 writes any text into a block, also characters that break the block.
    fits_a_block = all(line.isprintable() for line in text.split("\n")) and not text.startswith((" ", "\n"))
    return LiteralScalarString(text) if fits_a_block else DoubleQuotedScalarString(text)


def dump(document: object) -> str:
    """`document` as YAML."""
    yaml = YAML()
    yaml.width = 2**16  # CodeBuild takes folded commands, but they are hard to read
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()
