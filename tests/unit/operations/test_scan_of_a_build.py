"""A scan for one build: what it says of a Dockerfile is what the build's own step does with it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.build_container import DOCKER_20, BuildContainer
from tests.support.scanned_project import write_project
from toolkit.codebuild.coverage import Builder, Daemon, Kind, Trait, Verdict
from toolkit.codebuild.fragment import render_fragment
from toolkit.codebuild.scan_report import ScanReport
from toolkit.errors import UsageError
from toolkit.manifest.loader import loads
from toolkit.manifest.strategy import OnMiss, Strategy
from toolkit.operations.scan import ScanOptions, scan
from toolkit.plan.resolve import resolve

DIGEST = "sha256:" + "a" * 64
MIRRORED = [
    *(
        "nginx:1.16",
        "node:20",
        "node:22",
        "moby/buildkit:buildx-stable-1",
        "docker/dockerfile:1",
        "quay.io/acme/base:1",
    ),
    {"source": f"httpd:2.4@{DIGEST}", "platforms": "all"},
    "httpd:2.2",
]
LISTED = [
    *("nginx:1.16", "moby/buildkit:buildx-stable-1", "httpd:2.2", "registry.hub.docker.com/library/node:22"),
]
LOOKING = (Strategy.AUTO, Strategy.RETAG, Strategy.HOSTS, Strategy.DIRECT)
"""One each of those that look alike: `contexts` as `retag`, and `builder` as `hosts`."""
SERVING = tuple(one for one in Strategy if one not in (Strategy.LOGIN, Strategy.NONE))

DOCKERFILES = {
    "listed": "FROM nginx:1.16\n",
    "spelled in full": "FROM docker.io/library/nginx:1.16\n",
    "spelled with a host of Docker Hub": "FROM registry-1.docker.io/library/nginx:1.16\n",
    "listed with a host of Docker Hub": "FROM registry.hub.docker.com/library/node:22\n",
    "listed with a host of Docker Hub, and spelled without": "FROM node:22\n",
    "not listed": "FROM node:20\n",
    "not listed, copied from": "FROM nginx:1.16\nCOPY --from=node:20 /a /b\n",
    "not listed, mounted": "FROM nginx:1.16\nRUN --mount=from=node:20,target=/x true\n",
    "not listed, in a stage that is not needed": "FROM node:20 AS tool\nFROM nginx:1.16\n",
    "not listed, elsewhere and in a stage that is not needed": "FROM quay.io/acme/base:1 AS tool\nFROM nginx:1.16\n",
    "not listed, by a variable": "ARG NODE=node:20\nFROM $NODE\n",
    "not listed, elsewhere": "FROM quay.io/acme/base:1\n",
    "not listed, a trigger": "FROM nginx:1.16\nONBUILD COPY --from=node:20 /a /b\n",
    "frontend not listed": "# syntax=docker/dockerfile:1\nFROM nginx:1.16\n",
    "not mirrored": "FROM redis:7\n",
    "not mirrored, of a registry that is closed": "FROM ghcr.io/acme/base:1\n",
    "not mirrored, of a registry that nobody knows": "FROM acme.example:5000/base:1\n",
    "built from nothing": "FROM scratch\n",
    "not listed, elsewhere and by a variable": "ARG TAG=1\nFROM quay.io/acme/base:$TAG\n",
    "a digest of a repository that is listed": f"FROM httpd@{DIGEST}\n",
}


WITH_A_LIST = (
    *("listed", "spelled in full", "not listed, copied from", "not mirrored"),
    *("listed with a host of Docker Hub", "listed with a host of Docker Hub, and spelled without"),
)


def manifest_text(strategy: Strategy, on_miss: OnMiss = "fail", **fields: object) -> str:
    build = {"name": "web", "source": {"type": "GITHUB", "location": "https://github.com/acme/web.git"}}
    build |= {"images": LISTED, "strategy": strategy, "on_miss": on_miss, **fields}  # type: ignore[dict-item]
    head = {"version": 1, "name": "shop", "aws": {"region": "eu-west-1"}}
    return json.dumps({**head, "images": MIRRORED, "builds": [build]})


def scanned(folder: Path, manifest: str, files: dict[str, str], **options: object) -> ScanReport:
    write_project(folder, {"images.yaml": manifest, **files})
    asked = ScanOptions((folder,), folder, folder / "images.yaml", build="web", **options)  # type: ignore[arg-type]
    return scan(asked).report


def step_of(manifest: str) -> str:
    [build] = resolve(loads(manifest, "images.yaml")).builds
    return render_fragment(build, region="eu-west-1", account_id="123456789012")


@pytest.mark.parametrize(("strategy", "docker"), [*((one, "28.5.2") for one in LOOKING), (Strategy.AUTO, "20.10.24")])
@pytest.mark.parametrize("name", DOCKERFILES)
def test_ends_the_step_as_the_scan_says(tmp_path: Path, name: str, strategy: Strategy, docker: str) -> None:
    manifest, container = manifest_text(strategy), BuildContainer(tmp_path / "container")
    files = {"Dockerfile": DOCKERFILES[name]}
    report = scanned(tmp_path / "scanned", manifest, files, daemon=Daemon(docker))
    write_project(container.source, files)
    info = {} if docker == "28.5.2" else {"FAKE_INFO": DOCKER_20}
    run = container.run(step_of(manifest), **info)
    ends = [use for use in report.uses if use.outcome.by is Trait.NOT_LISTED and use.outcome.verdict is Verdict.REFUSED]
    assert (run.status != 0) == bool(ends), run.output
    assert all(f"Dockerfile:{use.line}: " in run.output for use in ends)
    if run.status != 0:
        assert not report.is_clean


@pytest.mark.parametrize("strategy", [Strategy.RETAG, Strategy.CONTEXTS, Strategy.DIRECT])
@pytest.mark.parametrize("name", WITH_A_LIST)
def test_keeps_what_the_step_has_prepared(tmp_path: Path, name: str, strategy: Strategy) -> None:
    manifest, container = manifest_text(strategy, "upstream"), BuildContainer(tmp_path / "container")
    files = {"Dockerfile": DOCKERFILES[name]}
    report = scanned(tmp_path / "scanned", manifest, files)
    write_project(container.source, files)
    run = container.run(step_of(manifest) + '\nprintf "%s\\n" "${TOOLKIT_BUILD_CONTEXTS:-}"\n')
    assert run.status == 0, run.output
    left = {
        word.removeprefix("--from=")
        for file in container.temporary.rglob("Dockerfile")
        for word in file.read_text().split()
    }
    prepared = {
        Strategy.RETAG: {call[-1] for call in run.calls if call[:2] == ["docker", "tag"]},
        Strategy.CONTEXTS: {*re.findall(r"--build-context (\S+)=docker-image:", run.output)},
        Strategy.DIRECT: {
            use.written.removeprefix("docker.io/library/") for use in report.uses if use.written not in left
        },
    }[strategy]
    for use in report.uses:
        written = use.written.removeprefix("docker.io/library/")
        assert (use.outcome.verdict is Verdict.STAYS) == (written in prepared), (use.written, run.output)


def test_uses_the_settings_of_the_build(tmp_path: Path) -> None:
    manifest = manifest_text(Strategy.RETAG, "upstream", environment_type="ARM_CONTAINER")
    manifest = manifest.replace('"images": ["nginx', '"platforms": "all", "images": ["nginx', 1)
    report = scanned(tmp_path, manifest, {"Dockerfile": "FROM nginx:1.16\nCOPY --from=node:20 /a /b\n"})
    assert (report.build, report.strategy) == ("web", Strategy.RETAG)
    assert [use.outcome.verdict for use in report.uses] == [Verdict.STAYS, Verdict.LEAVES]
    assert {use.platform for use in report.uses} == {"linux/arm64"}


def test_what_is_said_by_hand_goes_before_the_build(tmp_path: Path) -> None:
    manifest = manifest_text(Strategy.RETAG, "upstream")
    files = {"Dockerfile": "FROM nginx:1.16\n"}
    report = scanned(tmp_path, manifest, files, strategy=Strategy.BUILDER, on_miss="fail", machine="linux/arm64")
    [use] = report.uses
    assert (report.strategy, use.builder, use.platform) == (Strategy.BUILDER, Builder.CONTAINER, "linux/arm64")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("FROM node:20\n", "add `- node:20` to `images` of the build `web`"),
        ("FROM redis:7\n", "add `- redis:7` to `images`, and `- redis:7` to those of the build `web`"),
    ],
)
def test_the_remedy_names_the_list_of_the_build(tmp_path: Path, text: str, remedy: str) -> None:
    [use] = scanned(tmp_path, manifest_text(Strategy.RETAG), {"Dockerfile": text}).uses
    assert (use.outcome.verdict, use.outcome.why) == (
        Verdict.REFUSED,
        "its build does not list it, so its step ends the build",
    )
    assert use.remedy == remedy


def test_adds_what_the_manifest_lacks_only(tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM node:20\nFROM redis:7\n"}
    assert scanned(tmp_path, manifest_text(Strategy.AUTO), files).missing == ("redis:7",)


def test_names_a_dockerfile_that_the_step_does_not_read(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    files = {"Dockerfile": "FROM node:20\n", "api/Dockerfile": "FROM node:20\n"}
    for fields, other in (({}, "api/Dockerfile"), ({"dockerfiles": ["api/Dockerfile"]}, "Dockerfile")):
        report = scanned(tmp_path, manifest_text(Strategy.AUTO, **fields), files)  # type: ignore[arg-type]
        message = "the step of `web` does not read it: add it to `dockerfiles`"
        assert [(one.file, one.message, one.is_fault) for one in report.troubles] == [(other, message, False)]
        assert {use.file: use.outcome.verdict for use in report.uses} == {
            **dict.fromkeys(files, Verdict.REFUSED),
            other: Verdict.STAYS,  # by hosts.toml
        }


def test_ends_the_step_for_an_absent_dockerfile(tmp_path: Path) -> None:
    fields = {"dockerfiles": ["Dockerfile", "api/Dockerfile"], "commands": ["docker build ."]}
    manifest, container = manifest_text(Strategy.AUTO, **fields), BuildContainer(tmp_path / "container")  # type: ignore[arg-type]
    files = {"Dockerfile": "FROM nginx:1.16\n"}
    [fault] = scanned(tmp_path / "scanned", manifest, files).faults
    assert (fault.file, fault.message) == (
        "images.yaml",
        "there is no `api/Dockerfile` in the source, so the step of `web` ends the build",
    )
    write_project(container.source, files)
    run = container.run(step_of(manifest))
    assert (run.status, "there is no api/Dockerfile in the source" in run.output) == (1, True)
    assert not scanned(tmp_path / "scanned", manifest_text(Strategy.RETAG, "upstream", **fields), files).faults  # type: ignore[arg-type]


def test_reads_the_commands_of_the_manifest(tmp_path: Path) -> None:
    manifest = """\
version: 1
name: shop
aws: {region: eu-west-1}
images: [nginx:1.16, node:20]
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16, node:20]
    strategy: retag
    environment_variables: {STAGE: build}
    dockerfiles: [web/Dockerfile]
    commands:
      - docker pull nginx:1.16
      - |
        cd web
        docker build --pull --target $STAGE .
"""
    files = {"web/Dockerfile": "FROM node:20 AS build\nFROM nginx:1.16\n", "docs/Dockerfile": "FROM nginx:1.16\n"}
    report = scanned(tmp_path, manifest, files)
    assert [(use.file, use.line, use.kind, use.pulls_always) for use in report.lost] == [
        ("images.yaml", 13, Kind.PULL, False),
        ("web/Dockerfile", 1, Kind.FROM, True),
    ]
    assert "images.yaml" not in report.files


def test_builds_the_root_without_commands(tmp_path: Path) -> None:
    files = {"Dockerfile": "FROM redis:7 AS test\nFROM nginx:1.16\n"}
    for strategy in SERVING:
        report = scanned(tmp_path, manifest_text(strategy), files)
        assert report.is_clean
        assert [use.outcome.verdict for use in report.uses] == [Verdict.IGNORED, Verdict.STAYS]


def test_reads_the_buildspec_of_the_source(tmp_path: Path) -> None:
    files = {"ci/web.yaml": "phases: {build: {commands: [docker pull redis:7]}}", "Dockerfile": "FROM nginx:1.16\n"}
    [use] = scanned(tmp_path, manifest_text(Strategy.AUTO, buildspec="ci/web.yaml"), files).lost
    assert (use.file, use.reference) == ("ci/web.yaml", "docker.io/library/redis:7")


def test_gives_the_buildspec_the_variables_of_the_build(tmp_path: Path) -> None:
    files = {
        "ci/web.yaml": "phases: {build: {commands: ['docker pull redis:${V:-6}']}}",
        "Dockerfile": "FROM nginx:1.16\n",
    }
    manifest = manifest_text(Strategy.AUTO, buildspec="ci/web.yaml", environment_variables={"V": "7"})
    assert [use.reference for use in scanned(tmp_path, manifest, files).lost] == ["docker.io/library/redis:7"]


def test_finds_the_root_of_the_source(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    files = {"api/Dockerfile": "FROM nginx:1.16\n", "shop/api/Dockerfile": "FROM node:20\n"}
    manifest = manifest_text(Strategy.AUTO, dockerfiles=["api/Dockerfile"], commands=["docker build api"])
    write_project(tmp_path, {"images.yaml": manifest, "shop/images.yaml": manifest, **files})
    found = scan(ScanOptions((tmp_path / "api",), tmp_path, tmp_path / "images.yaml", build="web")).report
    assert [(use.file, use.outcome.verdict) for use in found.uses] == [("api/Dockerfile", Verdict.STAYS)]
    (tmp_path / "api" / "Dockerfile").unlink()
    found = scan(ScanOptions((tmp_path / "shop",), tmp_path, tmp_path / "shop/images.yaml", build="web")).report
    assert [(use.file, use.outcome.verdict) for use in found.uses] == [("shop/api/Dockerfile", Verdict.REFUSED)]


def test_knows_what_commands_build(tmp_path: Path) -> None:
    texts = {"Dockerfile": "FROM own/base\n", "base/Dockerfile": "FROM nginx:1.16\n"}
    compose = {"compose.yaml": "services: {base: {image: own/base, build: base}, web: {build: .}}"}
    building = ["docker build --tag own/base base", "docker build ."]
    dockerfiles = ["Dockerfile", "base/Dockerfile"]
    for name, commands, files in (
        ("commands", building, texts),
        ("compose", ["docker compose build"], texts | compose),
    ):
        manifest = manifest_text(Strategy.AUTO, commands=commands, dockerfiles=dockerfiles)  # type: ignore[arg-type]
        container = BuildContainer(tmp_path / name / "container")
        write_project(container.source, files)
        report = scanned(tmp_path / name / "scanned", manifest, files)
        assert report.is_clean == (container.run(step_of(manifest)).status == 0) == (name == "commands")


@pytest.mark.parametrize(
    ("commands", "text"),
    [
        (["docker build --target web ."], "FROM nginx:1.16 AS web\nFROM node:20 AS test\n"),
        (["docker build --target web ."], "FROM node:20 AS tool\nFROM nginx:1.16 AS web\nFROM tool AS test\n"),
        (["docker build --target web ."], "FROM nginx:1.16 AS web\nFROM redis:7 AS test\n"),
        (["docker build --build-arg B=nginx:1.16 ."], "ARG B\nARG N=node:20\nFROM ${B}\nCOPY --from=node:20 /a /b\n"),
        (["docker build api"], "FROM node:20\n"),
    ],
)
def test_reads_the_dockerfiles_of_the_step(tmp_path: Path, commands: list[str], text: str) -> None:
    files = {"Dockerfile": text, "api/Dockerfile": "FROM nginx:1.16\n"}
    manifest, container = manifest_text(Strategy.AUTO, commands=commands), BuildContainer(tmp_path / "container")  # type: ignore[arg-type]
    write_project(container.source, files)
    assert container.run(step_of(manifest)).status != 0
    write_project(tmp_path / "shop", {"images.yaml": manifest, **files})
    asked = ScanOptions((tmp_path / "shop",), tmp_path / "shop", tmp_path / "shop/images.yaml", build="web")
    [use] = scan(asked).report.lost
    assert (use.file, use.outcome.verdict, use.outcome.by) == ("Dockerfile", Verdict.REFUSED, Trait.NOT_LISTED)
    assert scan(replace(asked, on_miss="upstream", strategy=Strategy.BUILDER)).report.is_clean


@pytest.mark.parametrize("text", ["ARG BASE\nFROM $BASE\n", "ARG BASE=nginx:1.16\nFROM $BASE\n"])
def test_direct_needs_a_default_of_what_a_base_is_named_by(tmp_path: Path, text: str) -> None:
    commands = ['docker build --build-arg BASE=nginx:1.16 --file "$TOOLKIT_DOCKERFILE" .']
    manifest, container = manifest_text(Strategy.DIRECT, commands=commands), BuildContainer(tmp_path / "container")  # type: ignore[arg-type]
    write_project(container.source, {"Dockerfile": text})
    is_clean = scanned(tmp_path / "scanned", manifest, {"Dockerfile": text}).is_clean
    assert is_clean == (container.run(step_of(manifest)).status == 0) == ("=" in text)


def test_copies_only_dockerfiles_that_the_step_reads(tmp_path: Path) -> None:
    files = {"api/Dockerfile": "FROM nginx:1.16\n"}
    [use] = scanned(tmp_path, manifest_text(Strategy.DIRECT), files).uses
    assert (use.outcome.verdict, use.outcome.by) == (Verdict.LEAVES, Trait.UNCHECKED)


def test_a_build_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    write_project(tmp_path, {"images.yaml": manifest_text(Strategy.AUTO)})
    with pytest.raises(UsageError, match="no build `api`") as caught:
        scan(ScanOptions((tmp_path,), tmp_path, tmp_path / "images.yaml", build="api"))
    assert caught.value.hint == "it has `web`"
    with pytest.raises(UsageError, match="no manifest that has a build `web`"):
        scan(ScanOptions((tmp_path,), tmp_path, build="web"))


def test_serves_nothing_to_a_build_that_logs_in(tmp_path: Path) -> None:
    document = json.loads(manifest_text(Strategy.LOGIN))
    for name in ("images", "on_miss"):
        del document["builds"][0][name]
    secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:hub-a1b2c3"
    document["registries"] = {"docker.io": {"credential": {"secretsmanager": secret}}}
    [use] = scanned(tmp_path, json.dumps(document), {"Dockerfile": "FROM nginx:1.16\n"}).uses
    assert (use.outcome.verdict, use.outcome.by) == (Verdict.LEAVES, Kind.FROM)


def test_tests_ask_ecr_for_what_the_prefix_of_their_build_leads_to(tmp_path: Path) -> None:
    def words(listed: str, strategy: str) -> dict[str, tuple[str, str]]:
        manifest = f"""\
version: 1
name: shop
aws: {{region: eu-west-1}}
images: ["confluentinc/cp-kafka:7", "postgres:16"]
test_tools: true
builds:
  - name: web
    source: {{type: GITHUB, location: "https://github.com/acme/web.git"}}
    strategy: {strategy}
    images: [{listed}]
"""
        java = "import org.testcontainers.containers.*;\n" + "".join(
            f'Object x = new GenericContainer<>("{name}");\n' for name in ("confluentinc/cp-kafka:7", "postgres:16")
        )
        files = {"T.java": java, "Dockerfile": "FROM scratch\n", "images.yaml": manifest}
        files[".github/workflows/x.yml"] = "jobs: {t: {container: 'node:20'}}\n"
        root = write_project(tmp_path, files)
        report = scan(ScanOptions((root,), root, root / "images.yaml", build="web")).report
        return {use.written: (use.outcome.verdict.value, use.outcome.by.value) for use in report.uses}

    ryuk = {"testcontainers/ryuk": ("stays", "named_by_step")}
    fitting = {"confluentinc/cp-kafka:7": ("stays", "named_by_step"), "postgres:16": ("refused", "misnamed_by_step")}
    assert words('"confluentinc/cp-kafka:7"', "hosts") == {**fitting, **ryuk}
    mixed = {"confluentinc/cp-kafka:7": ("stays", "run"), "postgres:16": ("stays", "run")}
    assert words('"confluentinc/cp-kafka:7", "postgres:16"', "retag") == {**mixed, **ryuk}
    leaving = {"confluentinc/cp-kafka:7": ("leaves", "run"), "postgres:16": ("leaves", "run")}
    assert words('"confluentinc/cp-kafka:7", "postgres:16"', "hosts") == {**leaving, **ryuk}
