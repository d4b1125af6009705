"""The buildspec as text, and its commands as CodeBuild would run them."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tests.support.build_container import PASSWORD, REGISTRY, BuildContainer
from tests.support.golden import assert_golden
from toolkit.codebuild.buildspec import render_buildspec
from toolkit.errors import Refused
from toolkit.manifest.build_parts import ArtifactsSpec, CacheSpec
from toolkit.plan.desired import BuildImage, BuildSettings, DesiredBuild

NGINX = BuildImage("nginx:1.16", "docker-hub/library/nginx", "1.16")
LONG_NGINX = BuildImage("docker.io/library/nginx:1.16", "docker-hub/library/nginx", "1.16")
EXPORTER = BuildImage("quay.io/prometheus/node-exporter:v1.8.2", "quay/prometheus/node-exporter", "v1.8.2")

WEB = DesiredBuild(
    name="web",
    project_name="Platform_web",
    source_type="GITHUB",
    source_location="https://github.com/acme/web.git",
    source_version=None,
    buildspec_commands=(),
    images=(NGINX, LONG_NGINX, EXPORTER),
    compute_type="BUILD_GENERAL1_SMALL",
    environment_type="LINUX_CONTAINER",
    environment_image="aws/codebuild/amazonlinux-x86_64-standard:5.0",
    environment_variables={},
    timeout_minutes=60,
    log_retention_days=30,
)

LOG_IN = [
    ["aws", "ecr", "get-login-password", "--region", "eu-west-1"],
    ["docker", "login", "--username", "AWS", "--password-stdin", REGISTRY],
]

# What a shell can hold: anything but NUL; surrogates are no text.
shell_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def _load(text: str, version: tuple[int, int] = (1, 2)) -> dict[str, dict[str, dict[str, list[str]]]]:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    loaded = yaml.load(text)
    assert loaded["version"] == 0.2
    return loaded


def _pre_build(build: DesiredBuild) -> str:
    (script,) = _load(render_buildspec(build))["phases"]["pre_build"]["commands"]
    return script


def _fetch(image: BuildImage) -> list[list[str]]:
    mirrored = f"{REGISTRY}/{image.repository}:{image.tag}"
    return [["docker", "pull", mirrored], ["docker", "tag", mirrored, image.original]]


@pytest.fixture(params=["sh", "bash"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> BuildContainer:
    return BuildContainer(tmp_path / "container", request.param)


def test_the_text_is_as_reviewed() -> None:
    assert_golden("buildspec/base_images.yml", render_buildspec(WEB))


def test_a_build_with_its_own_commands_and_no_images_does_not_log_in() -> None:
    build = replace(WEB, images=(), buildspec_commands=("make test", "set -eu\nmake image\nmake push\n"))
    assert_golden("buildspec/own_commands.yml", render_buildspec(build))


def test_an_image_named_by_digest_is_refused_because_no_tag_can_stand_in_for_it() -> None:
    pinned = replace(NGINX, original="nginx:1.16@sha256:" + "ab" * 32)
    with pytest.raises(Refused) as refusal:
        render_buildspec(replace(WEB, images=(NGINX, pinned)))
    assert refusal.value.code == "build.image_has_digest"
    assert "`web`" in refusal.value.message
    assert pinned.original in refusal.value.message


@pytest.mark.parametrize(
    ("project_name", "source_version", "tag"),
    [
        ("Platform_web", "4f2d", "platform-web:4f2d"),
        ("a__B-", "", "a-b:latest"),
        ("web", None, "web:latest"),
    ],
)
def test_the_default_build_tags_the_image_with_project_and_commit(
    container: BuildContainer, project_name: str, source_version: str | None, tag: str
) -> None:
    build = replace(WEB, project_name=project_name)
    (command,) = _load(render_buildspec(build))["phases"]["build"]["commands"]
    version = {} if source_version is None else {"CODEBUILD_RESOLVED_SOURCE_VERSION": source_version}
    run = container.run(command, **version)
    assert run.status == 0
    assert run.calls == [["docker", "build", "--tag", tag, "."]]


def test_every_image_is_pulled_from_ecr_and_tagged_with_the_dockerfiles_name(container: BuildContainer) -> None:
    run = container.run(_pre_build(WEB))
    assert run.status == 0, run.output
    assert run.calls == [*LOG_IN, *_fetch(NGINX), *_fetch(LONG_NGINX), *_fetch(EXPORTER)]


def test_the_password_reaches_docker_whole_and_shows_nowhere_else(container: BuildContainer) -> None:
    run = container.run(_pre_build(WEB))
    assert run.stdin == PASSWORD
    assert PASSWORD not in run.output
    assert not [word for call in run.calls for word in call if PASSWORD in word]


def test_the_region_may_come_from_either_variable(container: BuildContainer) -> None:
    run = container.run(_pre_build(WEB), without=("AWS_DEFAULT_REGION",), AWS_REGION="cn-north-1")
    assert run.status == 0
    assert run.calls[0] == ["aws", "ecr", "get-login-password", "--region", "cn-north-1"]


@pytest.mark.parametrize(
    ("missing", "named"),
    [(("TOOLKIT_ECR_REGISTRY",), "TOOLKIT_ECR_REGISTRY"), (("AWS_DEFAULT_REGION", "AWS_REGION"), "AWS_REGION")],
)
def test_a_missing_variable_is_named_before_anything_is_done(
    container: BuildContainer, missing: tuple[str, ...], named: str
) -> None:
    run = container.run(_pre_build(WEB), without=missing)
    assert run.status != 0
    assert named in run.output
    assert run.calls == []


def test_without_a_password_docker_is_not_asked(container: BuildContainer) -> None:
    run = container.run(_pre_build(WEB), FAKE_AWS_STATUS="254")
    assert run.status != 0
    assert run.calls == LOG_IN[:1]
    assert "no password for ECR in eu-west-1" in run.output


def test_an_empty_password_is_no_password(container: BuildContainer) -> None:
    run = container.run(_pre_build(WEB), FAKE_PASSWORD="")
    assert run.status != 0
    assert run.calls == LOG_IN[:1]
    assert "empty password" in run.output


def test_a_refused_login_ends_the_phase(container: BuildContainer) -> None:
    run = container.run(_pre_build(WEB), FAKE_LOGIN_STATUS="1")
    assert run.status != 0
    assert run.calls == LOG_IN
    assert f"no login at {REGISTRY}" in run.output
    assert PASSWORD not in run.output


def test_a_pull_that_fails_is_tried_again_and_then_goes_on(container: BuildContainer) -> None:
    run = container.run(_pre_build(WEB), pull_failures=2)
    pull, tag = _fetch(NGINX)
    assert run.status == 0, run.output
    assert run.calls == [
        *LOG_IN,
        *(pull, ["sleep", "5"], pull, ["sleep", "10"], pull, tag),
        *_fetch(LONG_NGINX),
        *_fetch(EXPORTER),
    ]


def test_a_pull_that_keeps_failing_ends_the_phase_and_names_the_image(container: BuildContainer) -> None:
    run = container.run(_pre_build(replace(WEB, images=(EXPORTER, NGINX))), pull_failures=3)
    pull, _ = _fetch(EXPORTER)
    assert run.status != 0
    assert run.calls == [*LOG_IN, pull, ["sleep", "5"], pull, ["sleep", "10"], pull]
    assert f"toolkit: cannot pull {pull[2]} for {EXPORTER.original}, tried 3 times\n" in run.output


def test_a_tag_that_fails_ends_the_phase_and_names_the_image(container: BuildContainer) -> None:
    run = container.run(_pre_build(WEB), FAKE_TAG_STATUS="1")
    assert run.status != 0
    assert run.calls == [*LOG_IN, *_fetch(NGINX)]
    assert f"toolkit: cannot tag {REGISTRY}/docker-hub/library/nginx:1.16 as nginx:1.16\n" in run.output


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.tuples(shell_text, shell_text, shell_text), min_size=1, max_size=3))
@example(names=[("$(touch pwned)", "`id`", "'; docker rmi -f x; '")])
@example(names=[("a\nb", "\r\n", "\x85\u2028 \t")])
def test_any_names_reach_docker_as_they_are(container: BuildContainer, names: list[tuple[str, str, str]]) -> None:
    images = tuple(BuildImage(original.replace("@", "a"), *rest) for original, *rest in names)
    run = container.run(_pre_build(replace(WEB, images=images)))
    assert run.status == 0, run.output
    assert run.calls == [*LOG_IN, *(call for image in images for call in _fetch(image))]


@settings(max_examples=60, deadline=None)
@given(originals=st.lists(shell_text, min_size=1, max_size=3))
def test_any_names_leave_the_script_sound(originals: list[str]) -> None:
    sh = shutil.which("sh")
    assert sh
    images = tuple(BuildImage(original.replace("@", "a"), "r", "t") for original in originals)
    script = _pre_build(replace(WEB, images=images))
    checked = subprocess.run([sh, "-n"], input=script.encode(), capture_output=True, check=False, timeout=30)
    assert (checked.returncode, checked.stderr) == (0, b"")


@given(commands=st.lists(shell_text, min_size=1))
@example(commands=["yes", "1:30", "null", "~", "- a", "a: b", "# no", "%x", "\t", "\n", " lead\n  x\n", "x " * 999])
@pytest.mark.parametrize("version", [(1, 1), (1, 2)])
def test_any_commands_survive_both_versions_of_yaml(version: tuple[int, int], commands: list[str]) -> None:
    text = render_buildspec(replace(WEB, buildspec_commands=tuple(commands)))
    assert _load(text, version)["phases"]["build"]["commands"] == commands


def test_what_is_kept_after_a_build_is_named_and_nothing_else() -> None:
    kept = BuildSettings(
        artifacts=ArtifactsSpec(bucket="acme-out", files=("dist/**/*", "yes")),
        cache=CacheSpec(location="acme-cache/web", paths=("/root/.m2",)),
    )
    text = render_buildspec(replace(WEB, settings=kept))
    loaded = _load(text, (1, 1))
    assert loaded["artifacts"] == {"files": ["dist/**/*", "yes"]}
    assert loaded["cache"] == {"paths": ["/root/.m2"]}
    assert not {"artifacts", "cache"} & _load(render_buildspec(WEB)).keys()
