"""The buildspec as text; what its first command does is in `test_fragment.py`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.support.build_container import BuildContainer
from tests.support.builds import REGION, WEB
from tests.support.golden import assert_golden
from toolkit.codebuild.buildspec import LONGEST_BUILDSPEC, render_buildspec
from toolkit.codebuild.fragment import render_fragment
from toolkit.errors import Refused
from toolkit.manifest.build_model import ArtifactsSpec, CacheSpec
from toolkit.manifest.strategy import Strategy
from toolkit.plan.desired import BuildImage, BuildSettings

# What a shell can hold: anything but NUL; surrogates are no text.
shell_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def _load(text: str, version: tuple[int, int] = (1, 2)) -> dict[str, dict[str, dict[str, list[str]]]]:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    loaded = yaml.load(text)
    assert loaded["version"] == 0.2
    return loaded


def test_the_whole_text_is_as_reviewed() -> None:
    assert_golden("buildspec/base_images.yml", render_buildspec(WEB, region=REGION))


def test_logs_in_only_for_images() -> None:
    build = replace(WEB, images=(), buildspec_commands=("make test", "set -eu\nmake image\nmake push\n"))
    assert_golden("buildspec/own_commands.yml", render_buildspec(build, region=REGION))


def test_the_pre_build_step_is_one_command() -> None:
    (command,) = _load(render_buildspec(WEB, region=REGION))["phases"]["pre_build"]["commands"]
    assert command == render_fragment(WEB, region=REGION)


@pytest.mark.parametrize(
    ("project_name", "source_version", "tag"),
    [
        ("Platform_web", "4f2d", "platform-web:4f2d"),
        ("a__B-", "", "a-b:latest"),
        ("web", None, "web:latest"),
    ],
)
def test_tags_the_default_build_with_project_and_commit(
    tmp_path: Path, project_name: str, source_version: str | None, tag: str
) -> None:
    container = BuildContainer(tmp_path / "container")
    build = replace(WEB, project_name=project_name)
    (command,) = _load(render_buildspec(build, region=REGION))["phases"]["build"]["commands"]
    version = {} if source_version is None else {"CODEBUILD_RESOLVED_SOURCE_VERSION": source_version}
    run = container.run(command, **version)
    assert run.status == 0
    assert run.calls == [["docker", "build", "--tag", tag, "."]]


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("auto", ["build", "--file", "a b/web.Dockerfile"]),
        ("contexts", ["buildx", "build", "--load", "--file", "a b/web.Dockerfile"]),
        ("direct", ["build", "--file", "/tmp/a b/web.Dockerfile"]),
    ],
)
def test_builds_the_dockerfile_of_the_manifest(tmp_path: Path, strategy: str, words: list[str]) -> None:
    container = BuildContainer(tmp_path / "container")
    build = replace(WEB, strategy=Strategy(strategy), dockerfiles=("a b/web.Dockerfile",))
    (command,) = _load(render_buildspec(build, region=REGION))["phases"]["build"]["commands"]
    run = container.run(command, TOOLKIT_DOCKERFILE="/tmp/a b/web.Dockerfile", TOOLKIT_BUILD_CONTEXTS="")
    assert run.status == 0
    assert run.calls == [["docker", *words, "--tag", "platform-web:latest", "."]]


def test_refuses_a_buildspec_that_is_too_long() -> None:
    length = len(render_buildspec(replace(WEB, buildspec_commands=("x",)), region=REGION))
    longest = "x" * (LONGEST_BUILDSPEC - length + 1)
    assert len(render_buildspec(replace(WEB, buildspec_commands=(longest,)), region=REGION)) == 25_600
    with pytest.raises(Refused) as refusal:
        render_buildspec(replace(WEB, buildspec_commands=(longest + "x",)), region=REGION)
    assert refusal.value.code == "build.buildspec_too_long"
    assert "`web` has 25,601 characters" in refusal.value.message


def test_fifty_images_have_room_in_it() -> None:
    images = tuple(
        BuildImage(f"acme/a-long-name-{n}:2024.10.{n}", f"docker-hub/acme/a-long-name-{n}", "1") for n in range(50)
    )
    assert len(render_buildspec(replace(WEB, images=images), region=REGION)) < 25_600


@settings(max_examples=25)
@given(commands=st.lists(shell_text, min_size=1, max_size=8))
@example(commands=["yes", "1:30", "null", "~", "- a", "a: b", "# no", "%x", "\t", "\n", " lead\n  x\n", "x " * 999])
@pytest.mark.parametrize("version", [(1, 1), (1, 2)])
def test_writes_any_commands_for_both_versions_of_yaml(version: tuple[int, int], commands: list[str]) -> None:
    text = render_buildspec(replace(WEB, buildspec_commands=tuple(commands)), region=REGION)
    assert _load(text, version)["phases"]["build"]["commands"] == commands


def test_names_what_is_kept_after_a_build() -> None:
    kept = BuildSettings(
        artifacts=ArtifactsSpec(bucket="acme-out", files=("dist/**/*", "yes")),
        cache=CacheSpec(location="acme-cache/web", paths=(".m2",)),
    )
    text = render_buildspec(replace(WEB, settings=kept), region=REGION)
    loaded = _load(text, (1, 1))
    assert loaded["artifacts"] == {"files": ["dist/**/*", "yes"]}
    assert loaded["cache"] == {"paths": [".m2"]}
    assert not {"artifacts", "cache"} & _load(render_buildspec(WEB, region=REGION)).keys()
