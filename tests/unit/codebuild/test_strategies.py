"""Strategies that do not give images a name: builder, contexts, direct, login; and the look at the Dockerfiles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.build_container import DOCKER_20, PASSWORD, REGISTRY, BuildContainer
from tests.support.builds import BUILDKIT, EXPORTER, LOGIN, NGINX, PINNED, REGION, WEB
from toolkit.codebuild.fragment import render_fragment
from toolkit.manifest.strategy import Strategy
from toolkit.plan.desired import BuildImage, DesiredBuild

PYTHON = BuildImage("python:3.12", "base/python", "3.12")
FRONTEND = BuildImage("docker/dockerfile:1", "docker-hub/docker/dockerfile", "1")
IN_ECR = f"{REGISTRY}/docker-hub/library/nginx:1.16"
DIRECT = replace(WEB, strategy=Strategy.DIRECT, images=(NGINX, PYTHON, EXPORTER, FRONTEND, PINNED))
CONTEXTS = replace(WEB, strategy=Strategy.CONTEXTS, images=(NGINX, PINNED, FRONTEND))
BUILDER = replace(WEB, strategy=Strategy.BUILDER, images=(NGINX, BUILDKIT))
SHOW = '\nprintf "[%s]" "${TOOLKIT_BUILD_CONTEXTS:-}" "${TOOLKIT_DOCKERFILE:-}" "${BUILDX_BUILDER:-}"\n'


def _script(build: DesiredBuild) -> str:
    return render_fragment(build, region=REGION)


@pytest.fixture(params=["dash", "bash", "busybox"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> BuildContainer:
    return BuildContainer(tmp_path / "container", request.param)


def write(container: BuildContainer, text: str, name: str = "Dockerfile") -> None:
    path = container.source / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def rewritten(container: BuildContainer, name: str = "Dockerfile") -> str:
    [folder] = [path for path in container.temporary.iterdir() if path.is_dir()]
    return (folder / name).read_text(encoding="utf-8")


# --- the look at the Dockerfiles


@pytest.mark.parametrize(
    "line",
    [
        "FROM nginx:1.16",
        "from --platform=linux/amd64 docker.io/library/nginx:1.16 as web",
        "FROM registry-1.docker.io/library/nginx:1.16",
        "FROM registry.hub.docker.com/library/nginx:1.16",
        "FROM quay.io/prometheus/node-exporter:v1.8.2",
        "FROM scratch",
        "FROM \\\n  # why\n\n  nginx:1.16",
        "ARG V=1.16\nFROM nginx:$V",
        'ARG V="1.16"\nARG B=nginx:${V}\nFROM ${B}',
        "FROM nginx:${V:-1.16}",
        "FROM nginx:1.16${V:+-alpine}",
        "FROM nginx:1.16 AS Base\nFROM base\nCOPY --from=BASE /a /b\nCOPY --chown=1 --from=0 /a /b",
        "FROM nginx:1.16 AS x-amd64\nFROM nginx:1.16 AS x-arm64\nFROM x-${TARGETARCH}",
        "FROM nginx:1.16\nRUN cat <<EOF\nFROM redis\nEOF\nRUN cat <<-'A' << B\n\tA\nFROM redis\nB\nFROM nginx:1.16",
        "FROM nginx:1.16\nRUN echo \\\n  FROM redis \\\n# FROM redis\n  && true",
        "FROM nginx:1.16\nRUN --mount=type=cache,target=/x --mount=type=bind,from=nginx:1.16,target=/y true",
        "FROM nginx:1.16\nONBUILD COPY --from=redis /a /b",
        "# escape=`\nFROM `\nnginx:1.16\nRUN dir C:\\\nCOPY --from=nginx:1.16 /a /b",
        "\ufeffFROM nginx:1.16\r\nRUN a \\\r\n  b\r\n",
        "# FROM redis\nFROM acme.example:5000/base:1",
        "FROM $UNKNOWN",
        "ARG BASE=redis\nFROM $BASE",
    ],
)
def test_a_dockerfile_of_listed_images_is_let_through(container: BuildContainer, line: str) -> None:
    write(container, line)
    run = container.run(_script(WEB))
    assert run.status == 0, run.output


@pytest.mark.parametrize(
    ("text", "place", "wanted"),
    [
        ("FROM redis:7", 1, "redis:7"),
        ("\n\nFROM nginx", 3, "nginx:latest"),
        ("\ufeffFROM redis:7", 1, "redis:7"),
        ("\ufeff# syntax=docker/dockerfile:1", 1, "docker/dockerfile:1"),
        ("# r\u00e9sum\u00e9\nFROM redis:7\r\n", 2, "redis:7"),
        ("FROM nginx:1.16\nCOPY --from=node:20 /a /b", 2, "node:20"),
        ("FROM nginx:1.16\nRUN --mount=type=bind,from=acme/tool,target=/x true", 2, "acme/tool:latest"),
        ("# syntax = docker/dockerfile:1\nFROM nginx:1.16", 1, "docker/dockerfile:1"),
        ("#!/usr/bin/env x\n# check=skip=all\n# Syntax=docker/dockerfile:1-labs", 3, "docker/dockerfile:1-labs"),
        ("FROM nginx:1.16 AS base\nRUN true\nFROM base2", 3, "base2:latest"),
        ("FROM registry.hub.docker.com/library/redis:7", 1, "redis:7"),
        ("FROM quay.io/prometheus/node-exporter:v2", 1, "quay.io/prometheus/node-exporter:v2"),
        ("FROM public.ecr.aws/docker/library/nginx:1.16", 1, "public.ecr.aws/docker/library/nginx:1.16"),
        ("FROM redis:7@sha256:" + "0" * 64, 1, "redis@sha256:" + "0" * 64),
        ("FROM \\\n  redis:7\n", 1, "redis:7"),
        ("FROM nginx:1.16\nRUN echo <<no\nFROM redis:7", 3, "redis:7"),
        ("# escape=`\nFROM `\nredis:7", 2, "redis:7"),
    ],
)
def test_ends_the_phase_for_an_unlisted_image(container: BuildContainer, text: str, place: int, wanted: str) -> None:
    write(container, text)
    run = container.run(_script(WEB))
    assert run.status != 0
    assert (
        f"toolkit: Dockerfile:{place}: {wanted} is not listed: add `- {wanted}` to `images` of the build" in run.output
    )
    assert [call[:2] for call in run.calls] == [["docker", "info"]]


def test_lets_a_listed_digest_miss_only_behind_a_closed_upstream(container: BuildContainer) -> None:
    digest = "sha256:" + "0" * 64
    write(container, f"FROM nginx:1.16@{digest}")
    run = container.run(_script(WEB))
    assert run.status == 0
    assert f"nginx@{digest} is not listed: the build fails if ECR lacks it" in run.output
    assert container.run(_script(WEB), FAKE_INFO=DOCKER_20).status != 0
    assert container.run(_script(replace(CONTEXTS, images=(NGINX,)))).status != 0
    assert container.run(_script(DIRECT)).status == 0
    assert rewritten(container) == f"FROM {REGISTRY}/docker-hub/library/nginx@{digest}\n"


@pytest.mark.parametrize("strategy", ["retag", "contexts"])
def test_takes_names_literally_for_retag_and_contexts(container: BuildContainer, strategy: str) -> None:
    literal = replace(NGINX, original="registry-1.docker.io/library/nginx:1.16")
    write(container, f"FROM {literal.original}")
    run = container.run(_script(replace(WEB, strategy=Strategy(strategy))))
    assert run.status != 0
    assert f"add `- {literal.original}` to `images` of the build" in run.output
    assert container.run(_script(replace(WEB, strategy=Strategy(strategy), images=(NGINX, literal)))).status == 0


def test_lets_a_default_miss_only_behind_a_closed_upstream(container: BuildContainer) -> None:
    write(container, "ARG BASE=quay.io/acme/base:2\nFROM $BASE")
    assert container.run(_script(WEB)).status == 0
    old = container.run(_script(WEB), FAKE_INFO=DOCKER_20)
    assert old.status != 0
    assert "quay.io/acme/base:2 is not listed" in old.output


def test_only_notes_a_miss_in_an_unused_stage(container: BuildContainer) -> None:
    write(
        container,
        "FROM redis:7 AS unused\nCOPY --from=redis:8 /a /b\nFROM nginx:1.16 AS used\nFROM nginx:1.16 AS also\n"
        "FROM used\nCOPY --from=2 /a /b\n",
    )
    run = container.run(_script(WEB))
    assert run.status == 0
    assert "Dockerfile:1: redis:7 is not listed: " in run.output
    assert run.output.count("; the last stage does without it") == 2


@pytest.mark.parametrize(
    "use", ["FROM x", "FROM nginx:1.16\nCOPY --from=x /a /b", "FROM nginx:1.16\nCOPY --from=1 / /"]
)
def test_ends_the_phase_for_a_miss_in_a_needed_stage(container: BuildContainer, use: str) -> None:
    write(container, f"FROM redis:7 AS X\nFROM x AS y\nFROM y AS z\n{use}\n".replace("=x", "=z"))
    run = container.run(_script(WEB))
    assert run.status != 0
    assert "Dockerfile:1: redis:7 is not listed" in run.output


def test_every_miss_of_every_dockerfile_is_named(container: BuildContainer) -> None:
    write(container, "FROM redis:7 AS a\nFROM redis:8\nCOPY --from=a / /")
    write(container, "FROM redis:9", "a b/Dockerfile=x")
    run = container.run(_script(replace(WEB, dockerfiles=("Dockerfile", "a b/Dockerfile=x"))))
    assert run.status != 0
    for place in ("Dockerfile:1: redis:7", "Dockerfile:2: redis:8", "a b/Dockerfile=x:1: redis:9"):
        assert place in run.output


COMMANDS = """\
export VERSION=2
cd base && docker build $OPTIONS -t acme/base:$VERSION .
docker buildx build --load \\
  --tag=acme/other:$COLOR .
sh -c 'docker tag x "acme/third"'
"""


@pytest.mark.parametrize("name", ["acme/base:2", "acme/other:red", "acme/third", "docker.io/acme/third:latest"])
def test_what_the_commands_make_is_let_through(container: BuildContainer, name: str) -> None:
    write(container, f"FROM {name}")
    build = replace(WEB, buildspec_commands=(COMMANDS,), environment_variables={"COLOR": "red"})
    assert container.run(_script(build)).status == 0
    without_color = container.run(_script(replace(build, environment_variables={})))
    assert (without_color.status == 0) is (":red" not in name)


@pytest.mark.parametrize(
    "command",
    [
        "docker run -t node:20 npm test",
        "docker run --tty node:20 npm test",
        "docker exec -t node:20 sh",
        "echo docker build -t node:20 .",
        "# docker build -t node:20 .",
        "docker build --target node:20 -t $X/node:20 .",
        "tar -t node:20",
    ],
)
def test_what_the_commands_only_use_is_a_miss(container: BuildContainer, command: str) -> None:
    write(container, "FROM node:20")
    run = container.run(_script(replace(WEB, buildspec_commands=(command,))))
    assert run.status != 0
    assert "Dockerfile:1: node:20 is not listed" in run.output


def test_ends_the_phase_for_an_absent_dockerfile(container: BuildContainer) -> None:
    run = container.run(_script(replace(WEB, dockerfiles=("web/Dockerfile",))))
    assert run.status != 0
    assert "there is no web/Dockerfile in the source" in run.output


def test_goes_on_without_a_dockerfile(container: BuildContainer) -> None:
    run = container.run(_script(WEB))
    assert run.status == 0
    assert "there is no Dockerfile at the root of the source to look at" in run.output


def test_mirrors_nothing_that_the_commands_build(container: BuildContainer) -> None:
    write(container, "FROM company/base:dev\nFROM company/other")
    commands = ("docker build -t company/base:dev base", "docker tag x company/other && docker build --tag $NAME .")
    assert container.run(_script(replace(WEB, buildspec_commands=commands))).status == 0


def test_with_on_miss_upstream_nobody_looks(container: BuildContainer) -> None:
    write(container, "FROM redis:7")
    assert container.run(_script(replace(WEB, on_miss="upstream"))).status == 0


@pytest.mark.parametrize("strategy", ["auto", "retag"])
def test_refuses_another_platform_for_retag(container: BuildContainer, strategy: str) -> None:
    write(container, "FROM --platform=linux/s390x nginx:1.16")
    run = container.run(_script(replace(WEB, strategy=Strategy(strategy))), FAKE_INFO=DOCKER_20)
    assert run.status != 0
    assert "Dockerfile:1: images that were given their name are for linux/" in run.output
    if strategy == "auto":
        assert container.run(_script(WEB)).status == 0


# --- direct


def test_writes_a_copy_that_starts_from_ecr(container: BuildContainer) -> None:
    text = (
        "# syntax=docker/dockerfile:1\n"
        "ARG VERSION=1.16\n"
        "ARG BASE=python:3.12\n"
        "FROM --platform=$BUILDPLATFORM nginx:${VERSION} AS nginx\n"
        "FROM   ${BASE}\tAS build   # no\n"
        "COPY --from=nginx --chown=1 /a /b\n"
        "COPY --from=quay.io/prometheus/node-exporter:v1.8.2 /a /b\n"
        "RUN --mount=type=bind,from=docker.io/library/nginx:1.16,target=/x \\\n"
        '    --mount=type=bind,"from=python:3.12",target=/y echo nginx:1.16\n'
        "ONBUILD COPY --from=nginx:1.16 /a /b\n"
        f"FROM {PINNED.original}\n"
        "FROM acme.example/base:1"
    )
    write(container, text)
    run = container.run(_script(DIRECT) + SHOW)
    assert run.status == 0, run.output
    assert (container.source / "Dockerfile").read_text() == text
    assert sorted(path.name for path in container.source.iterdir()) == ["Dockerfile"]
    assert rewritten(container) == (
        f"# syntax={REGISTRY}/docker-hub/docker/dockerfile:1\n"
        "ARG VERSION=1.16\n"
        "ARG BASE=python:3.12\n"
        f"FROM --platform=$BUILDPLATFORM {REGISTRY}/docker-hub/library/nginx:${{VERSION}} AS nginx\n"
        f"FROM   {REGISTRY}/base/python:3.12\tAS build   # no\n"
        "COPY --from=nginx --chown=1 /a /b\n"
        f"COPY --from={REGISTRY}/quay/prometheus/node-exporter:v1.8.2 /a /b\n"
        f"RUN --mount=type=bind,from={IN_ECR},target=/x \\\n"
        f'    --mount=type=bind,"from={REGISTRY}/base/python:3.12",target=/y echo nginx:1.16\n'
        "ONBUILD COPY --from=nginx:1.16 /a /b\n"
        f"FROM {REGISTRY}/docker-hub/library/alpine@{PINNED.digest}\n"
        "FROM acme.example/base:1\n"
    )
    assert "${BASE} is written down as python:3.12" in run.output
    [folder] = container.temporary.iterdir()
    assert run.output.endswith(f"[][{folder}/Dockerfile][]")


def test_keeps_line_ends_and_the_dockerignore_in_a_copy(container: BuildContainer) -> None:
    (container.source / "web").mkdir()
    (container.source / "web/Dockerfile").write_bytes(b"FROM nginx:1.16\r\nRUN true\r\n")
    write(container, "node_modules\n", "web/Dockerfile.dockerignore")
    run = container.run(_script(replace(DIRECT, dockerfiles=("web/Dockerfile",))))
    assert run.status == 0, run.output
    assert rewritten(container, "web/Dockerfile.dockerignore") == "node_modules\n"
    [folder] = container.temporary.iterdir()
    assert (folder / "web/Dockerfile").read_bytes() == f"FROM {IN_ECR}\r\nRUN true\r\n".encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FROM redis:7", "redis:7 is not listed"),
        ("FROM $BASE", "$BASE has no default"),
        ("FROM ngi\\\nnx:1.16", "nginx:1.16 is written over two lines"),
    ],
)
def test_ends_the_phase_for_a_name_that_direct_cannot_write(container: BuildContainer, text: str, said: str) -> None:
    write(container, text)
    run = container.run(_script(DIRECT))
    assert run.status != 0
    assert said in run.output


def test_leaves_unlisted_images_for_direct_with_upstream(container: BuildContainer) -> None:
    write(container, "FROM redis:7\nFROM nginx:1.16\n")
    run = container.run(_script(replace(DIRECT, on_miss="upstream")))
    assert run.status == 0, run.output
    assert rewritten(container) == f"FROM redis:7\nFROM {IN_ECR}\n"


def test_direct_needs_a_dockerfile(container: BuildContainer) -> None:
    run = container.run(_script(DIRECT))
    assert run.status != 0
    assert "there is no Dockerfile in the source" in run.output


# --- contexts


def test_exports_a_context_for_each_image(container: BuildContainer) -> None:
    write(container, "# syntax=docker/dockerfile:1\nFROM nginx:1.16\n")
    run = container.run(_script(CONTEXTS) + SHOW)
    assert run.status == 0, run.output
    expected = (
        f" --build-context nginx:1.16=docker-image://{IN_ECR}"
        f" --build-context {PINNED.original}=docker-image://{REGISTRY}/docker-hub/library/alpine@{PINNED.digest}"
        f" --build-context docker/dockerfile:1=docker-image://{REGISTRY}/docker-hub/docker/dockerfile:1"
        f" --build-arg BUILDKIT_SYNTAX={REGISTRY}/docker-hub/docker/dockerfile:1"
    )
    assert run.output.endswith(f"[{expected}][][]")


def test_exports_no_frontend_that_no_dockerfile_names(container: BuildContainer) -> None:
    write(container, "FROM nginx:1.16\n")
    assert "BUILDKIT_SYNTAX" not in container.run(_script(CONTEXTS) + SHOW).output


# --- builder


def test_makes_a_builder_with_mirrors_in_ecr(container: BuildContainer) -> None:
    run = container.run(_script(BUILDER) + SHOW)
    assert run.status == 0, run.output
    [create] = [call for call in run.calls if call[:3] == ["docker", "buildx", "create"]]
    assert f"image={REGISTRY}/docker-hub/moby/buildkit:buildx-stable-1" in create
    assert container.configurations == (
        f'[registry."docker.io"]\n  mirrors = ["{REGISTRY}/docker-hub"]\n'
        f'[registry."registry-1.docker.io"]\n  mirrors = ["{REGISTRY}/docker-hub"]\n'
        f'[registry."registry.hub.docker.com"]\n  mirrors = ["{REGISTRY}/docker-hub"]\n'
        f'[registry."quay.io"]\n  mirrors = ["{REGISTRY}/quay"]\n'
    )
    assert run.output.endswith("[][][toolkit]")


def test_closes_every_upstream_to_the_builder(container: BuildContainer) -> None:
    run = container.run(_script(BUILDER))
    [closing] = [call for call in run.calls if call[1] == "exec"]
    assert closing[2] == "buildx_buildkit_toolkit0"
    assert {"registry-1.docker.io", "quay.io"} <= set(closing)
    open_run = container.run(_script(replace(BUILDER, on_miss="upstream")))
    assert not [call for call in open_run.calls if call[1] == "exec"]


def test_a_builder_that_cannot_be_made_ends_the_phase(container: BuildContainer) -> None:
    run = container.run(_script(BUILDER), FAKE_CREATE_STATUS="1")
    assert run.status != 0
    assert f"cannot make a builder of {REGISTRY}/docker-hub/moby/buildkit:buildx-stable-1" in run.output


def test_gives_builders_of_the_build_the_mirrors(container: BuildContainer) -> None:
    assert container.run(_script(WEB)).status == 0
    made = container.home / ".docker/buildx/buildkitd.default.toml"
    assert made.read_text().startswith(f'[registry."docker.io"]\n  mirrors = ["{REGISTRY}/docker-hub"]\n')
    made.write_text("own")
    assert container.run(_script(WEB)).status == 0
    assert made.read_text() == "own"


# --- login


def secret(**fields: object) -> str:
    return json.dumps(fields)


def test_logs_in_with_the_account_of_the_secret(container: BuildContainer) -> None:
    run = container.run(
        _script(LOGIN), FAKE_SECRET=secret(other=[1, {"password": "no"}], username="bob", password="s3")
    )
    assert run.status == 0, run.output
    arn = LOGIN.docker_hub_secret
    query = ["--query", "SecretString", "--output", "text"]
    assert run.calls == [
        ["aws", "secretsmanager", "get-secret-value", "--region", "eu-central-1", "--secret-id", arn, *query],
        ["docker", "login", "--password-stdin", "--username", "bob"],
    ]
    assert run.stdin == "s3"
    assert "s3" not in run.output


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    password=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(
        lambda text: not text.endswith("\n")
    ),
    is_ascii=st.booleans(),
)
@example(password=PASSWORD, is_ascii=True)
@example(password='a"b\\/\b\f\r\t\u00e9\u20ac\U0001f600$(x)`', is_ascii=True)
def test_any_password_reaches_docker_as_it_is(container: BuildContainer, password: str, is_ascii: bool) -> None:
    text = json.dumps({"username": "bob", "password": password}, ensure_ascii=is_ascii)
    run = container.run(_script(LOGIN), FAKE_SECRET=text)
    assert run.status == 0, run.output
    assert run.stdin == password


@pytest.mark.parametrize("text", ["None", "s3cret", "{}", '{"username": "bob"}', '{"username": "b", "password": 5}'])
def test_refuses_a_secret_of_another_form(container: BuildContainer, text: str) -> None:
    run = container.run(_script(LOGIN), FAKE_SECRET=text)
    assert run.status != 0
    assert "as text" in run.output
    assert "s3cret" not in run.output
    assert not [call for call in run.calls if call[0] == "docker"]


def test_a_secret_that_cannot_be_read_ends_the_phase(container: BuildContainer) -> None:
    run = container.run(_script(LOGIN), FAKE_AWS_STATUS="254")
    assert run.status != 0
    assert f"cannot read {LOGIN.docker_hub_secret}" in run.output
