"""The buildspec of a project: fetch the base images from ECR under the names that its Dockerfiles use, then build.

An unchanged `FROM nginx:1.16` is found locally, so `docker build` asks nobody. The fragment is one command, because
CodeBuild starts a shell for each: a function or `set -eu` of one command is gone in the next. Text reaches the shell
through `shlex.quote` only, and YAML through the dumper only.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterable

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from toolkit.errors import Refused
from toolkit.plan.desired import BuildImage, BuildSettings, DesiredBuild

REGISTRY_VARIABLE = "TOOLKIT_ECR_REGISTRY"
"""Environment variable of the project with the ECR host; from Terraform, because its suffix varies by partition."""

_HEADER = "# Written by `toolkit` from the manifest; change it there.\n"

# `password=$(…)` fails where `eval $(…)` would not, and a builtin `printf` keeps the password out of every argv.
_PRE_BUILD = """\
set -eu
registry=${%(variable)s:?must name the ECR registry}
region=${AWS_DEFAULT_REGION:-${AWS_REGION:?must name the region}}

give_up() {
  printf 'toolkit: %%s\\n' "$1" >&2
  exit 1
}

log_in() {
  password=$(aws ecr get-login-password --region "$region") || give_up "no password for ECR in $region"
  [ -n "$password" ] || give_up "an empty password for ECR in $region"
  printf %%s "$password" | docker login --username AWS --password-stdin "$registry" || give_up "no login at $registry"
  unset password
}

pull() {
  attempt=1
  until docker pull "$1"; do
    [ "$attempt" -lt 3 ] || give_up "cannot pull $1 for $2, tried $attempt times"
    sleep "$((attempt * 5))"
    attempt=$((attempt + 1))
  done
  docker tag "$1" "$2" || give_up "cannot tag $1 as $2"
}

log_in
%(pulls)s
"""


def render_buildspec(build: DesiredBuild) -> str:
    """The text of `build`'s buildspec; the same for the same build.

    Without commands of its own a project builds the Dockerfile at the root of its source. Raises `Refused` for a
    base image named by digest, which no tag can stand in for.
    """
    phases: dict[str, object] = {}
    if build.images:
        phases["pre_build"] = {"commands": [_yaml_text(_pre_build_script(build))]}
    commands = build.buildspec_commands or (_default_command(build),)
    phases["build"] = {"commands": [_yaml_text(command) for command in commands]}
    return _HEADER + _dump({"version": 0.2, "phases": phases, **_kept_files(build.settings)})


def _kept_files(settings: BuildSettings) -> dict[str, object]:
    """What leaves the machine after the build: artifacts, and folders for the cache."""
    parts: dict[str, object] = {}
    if settings.artifacts is not None and settings.artifacts.files:
        parts["artifacts"] = {"files": [_yaml_text(path) for path in settings.artifacts.files]}
    if settings.cache is not None and settings.cache.paths:
        parts["cache"] = {"paths": [_yaml_text(path) for path in settings.cache.paths]}
    return parts


def _pre_build_script(build: DesiredBuild) -> str:
    return _PRE_BUILD % {"variable": REGISTRY_VARIABLE, "pulls": "\n".join(_pull_lines(build.name, build.images))}


def _pull_lines(build_name: str, images: Iterable[BuildImage]) -> Iterable[str]:
    for image in images:
        if "@" in image.original:
            raise Refused(
                "build.image_has_digest",
                f"the build `{build_name}` starts from `{image.original}`, a name that `docker tag` cannot give",
                hint="start its Dockerfile from the tag, and pin the digest in the manifest's `images`",
            )
        mirrored = shlex.quote(f"{image.repository}:{image.tag}")
        yield f'pull "$registry"/{mirrored} {shlex.quote(image.original)}'


def _default_command(build: DesiredBuild) -> str:
    # A project name may have capitals and underscores where an image name must not.
    name = re.sub(r"[^a-z0-9]+", "-", build.project_name.lower()).strip("-")
    # A source without versions, such as a plain S3 object, resolves to nothing.
    return f'docker build --tag {shlex.quote(name)}:"${{CODEBUILD_RESOLVED_SOURCE_VERSION:-latest}}" .'


def _yaml_text(text: str) -> object:
    """A literal block where one can hold `text`; never plain, since YAML 1.1 reads `yes` and `1:30` as no text."""
    # ruamel.yaml 0.19 writes any character and any first line into a block, also those that end or unindent it.
    fits_a_block = all(line.isprintable() for line in text.split("\n")) and not text.startswith((" ", "\n"))
    return LiteralScalarString(text) if fits_a_block else DoubleQuotedScalarString(text)


def _dump(document: object) -> str:
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 2**16  # a folded command is as good to CodeBuild and worse to read
    stream = io.StringIO()
    yaml.dump(document, stream)
    return stream.getvalue()
