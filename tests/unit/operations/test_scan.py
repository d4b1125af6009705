"""Which files are read, and how builds lead from one to another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.scanned_project import write_project
from toolkit.cli.render.scan_view import word_of
from toolkit.codebuild.coverage import Builder, Daemon, Kind, Verdict
from toolkit.codebuild.scan_report import ScanReport
from toolkit.errors import ManifestUnusable, Refused, UsageError
from toolkit.manifest.strategy import Strategy
from toolkit.operations.scan import Scan, ScanOptions, scan, write_additions
from toolkit.operations.scan_names import kind_of, look_alike

MANIFEST = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"


@pytest.fixture(autouse=True)
def _at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def scanned(files: dict[str, str], *paths: str, **options: object) -> Scan:
    write_project(Path(), files)
    asked = tuple(Path(path) for path in paths or (".",))
    manifest = Path("images.yaml") if "images.yaml" in files else None
    return scan(ScanOptions(asked, Path.cwd(), manifest, **options))  # type: ignore[arg-type]


def names(report: ScanReport) -> list[str]:
    return [f"{use.file}:{use.line} {use.reference}" for use in report.uses]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Dockerfile", "dockerfile"),
        ("Dockerfile.web", "dockerfile"),
        ("web.Dockerfile", "dockerfile"),
        ("Containerfile", "dockerfile"),
        ("Containerfile.web", "dockerfile"),
        ("web.Containerfile", "dockerfile"),
        ("web.dockerfile", "dockerfile"),
        ("dockerfile", "dockerfile"),
        ("Dockerfile-web", "dockerfile"),
        ("Dockerfile_web", "dockerfile"),
        ("Dockerfile2", "dockerfile"),
        ("Dockerfile.go", "dockerfile"),
        ("Dockerfile.dockerignore", None),
        ("Dockerfile.1.md", None),
        ("Dockerfile.J2", None),
        ("Dockerfile~", None),
        ("my-Dockerfile", None),
        ("compose-ci.yaml", "compose"),
        ("Compose.yml", "compose"),
        ("docker-compose_ci.yml", "compose"),
        ("docker-composeci.yml", "compose"),
        ("composer.yml", None),
        ("docker-compose.yml.j2", None),
        ("docker-bake-ci.hcl", "bake"),
        ("web.bake.json", "bake"),
        ("web_buildspec.yml", "buildspec"),
        ("compose.yaml", "compose"),
        ("compose.override.yml", "compose"),
        ("docker-compose.yml", "compose"),
        ("docker-compose.dev.yml", "compose"),
        ("docker-compose-test.yaml", "compose"),
        ("docker-bake.hcl", "bake"),
        ("docker-bake.override.json", "bake"),
        ("buildspec.yml", "buildspec"),
        ("buildspec-release.yaml", "buildspec"),
        ("web.buildspec.yml", "buildspec"),
        ("images.yaml", None),
        ("main.tf", None),
    ],
)
def test_files_are_known_by_their_names(name: str, kind: str | None) -> None:
    assert kind_of(Path(name)) == kind


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("my-Dockerfile", "a Dockerfile"),
        ("Dockerfile.1.md", "a Dockerfile"),
        ("Containerfile.tmpl", "a Dockerfile"),
        ("my.Dockerfile.ci", "a Dockerfile"),
        ("test_dockerfile.py", None),
        ("test_dockerfile_names.py", None),
        ("about-dockerfiles.md", None),
        ("Dockerfile", None),
        ("Dockerfile.dockerignore", None),
        ("ci.docker-compose.yml", "a compose file"),
        ("docker-compose.yaml.dist", "a compose file"),
        ("composer.yml", None),
        ("bake.hcl", "a bake file"),
        ("ci-bake.json", "a bake file"),
        ("handbake.json", None),
        ("mybuildspec.yml", "a buildspec"),
        ("images.yaml", None),
    ],
)
def test_tells_files_that_look_alike_from_the_rest(name: str, noun: str | None) -> None:
    assert look_alike(Path(name)) == noun


def test_reports_text_that_is_not_utf_8() -> None:
    Path("Dockerfile.bin").write_bytes(b"\x7fELF\0\xff\n" * 300)
    Path("Dockerfile.latin").write_bytes(b"FROM a\n# \xe4\n")
    assert [(one.file, one.line, one.is_fault) for one in scanned({}).report.troubles] == [
        ("Dockerfile.bin", 1, False),
        ("Dockerfile.latin", 2, True),
    ]


def test_reports_a_name_that_looks_like_a_dockerfile() -> None:
    files = {
        "Dockerfile.tmpl": "FROM {{ base }}\n{% if x %}\n{% endif %}\n",
        "my-Dockerfile": "FROM nginx:1.16\n",
        "buildspec.yml": _buildspec("docker build -f my-Dockerfile ."),
        "images.yaml": MANIFEST,
    }
    report = scanned(files).report
    assert report.is_clean
    assert names(report) == ["my-Dockerfile:1 docker.io/library/nginx:1.16"]
    assert [f"{one.file}: {one.message}" for one in report.troubles] == [
        "Dockerfile.tmpl: it looks like a Dockerfile and was not read: name it, if it is one"
    ]


@pytest.mark.parametrize(
    ("name", "text", "is_listed"),
    [
        ("ci_compose.yaml", "command: docker compose\n", False),
        ("ci_compose.yaml", "name: x\nservices:\n  a: {image: b}\n", True),
        ("compose.yaml.tmpl", "services:\n{% for x in y %}\n", True),
        ("bake.json", '{"oven": 1}', False),
        ("bake.json", '{"target": {}}', True),
        ("bake.hcl", 'target "x" {}\n', True),
        ("mybuildspec.yml", "version: 0.2\nphases: {}\n", True),
        ("mybuildspec.yml", "about: buildspecs\n", False),
        ("Dockerfile.md", "# About\n", True),
    ],
)
def test_only_what_looks_like_one_inside_too_is_listed(name: str, text: str, is_listed: bool) -> None:
    report = scanned({name: text}).report
    assert [one.file for one in report.troubles] == ([name] if is_listed else [])
    assert not report.faults


@pytest.mark.parametrize(
    "text",
    ["# About\n\nText.\nMore text.\n", "from x import y\nfrom z import a\n", "package main\n\nfunc x() {}\n", "MZ\0\1\n\2\n", ""],
)  # fmt: skip
def test_reports_text_that_is_not_a_dockerfile(text: str) -> None:
    for name, is_fault in (("Dockerfile.x", False), ("Dockerfile", True), ("web.Dockerfile", True)):
        report = scanned({name: text}, name.replace("Dockerfile.x", ".")).report
        assert [(one.file, one.is_fault) for one in report.troubles] == [(name, is_fault)]
        assert (name in report.files) == is_fault
        assert not report.uses
        assert scanned({name: text}, name).report.faults
        Path(name).unlink()


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffFROM a:1\n",
        "# x\r\n\r\narg V=1\r\nFROM a:$V\r\n",
        "# escape=`\nFROM `\n a:1\n",
        "FROM --platform=linux/amd64 a:1 as x\n",
        "# syntax=acme/x:1\nINCLUDE other\nFROM a:1\n",
    ],
)
def test_a_dockerfile_is_known_by_its_first_instruction(text: str) -> None:
    assert "docker.io/library/a:1" in [use.reference for use in scanned({"Dockerfile.x": text}).report.uses]


def test_skips_third_party_folders_and_links() -> None:
    write_project(Path("elsewhere"), {"Dockerfile": "FROM a:1\n"})
    files = {
        f"in/{name}/Dockerfile": "FROM a:1\n" for name in (".git", "node_modules", "vendor", ".venv", ".terraform")
    }
    write_project(Path(), {**files, "in/.ci/Dockerfile": "FROM b:1\n"})
    Path("in/link").symlink_to(Path("elsewhere").resolve())
    assert names(scanned({}, "in").report) == ["in/.ci/Dockerfile:1 docker.io/library/b:1"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("app.docker", "FROM a:1\n"),
        ("services.yml", "services: {x: {image: 'a:1'}}\n"),
        ("ci.yml", "version: 0.2\nphases: {build: {commands: ['docker pull a:1']}}\n"),
        ("targets.json", '{"target": {"x": {"dockerfile-inline": "FROM a:1"}}}'),
    ],
)
def test_any_file_is_read_when_it_is_named(name: str, text: str) -> None:
    assert [use.reference for use in scanned({name: text}, name).report.uses] == ["docker.io/library/a:1"]


def test_reads_a_dockerfile_as_its_builds_do() -> None:
    files = {
        "compose.yaml": "services: {a: {build: {context: web, args: {V: '1'}}}, b: {build: {context: web, args: {V: '2'}}}}",
        "web/Dockerfile": "ARG V=0\nFROM nginx:$V\n",
        "api/Dockerfile": "ARG V=0\nFROM nginx:$V\n",
    }
    assert names(scanned(files).report) == [
        "api/Dockerfile:2 docker.io/library/nginx:0",
        "web/Dockerfile:2 docker.io/library/nginx:1",
        "web/Dockerfile:2 docker.io/library/nginx:2",
    ]


def test_reads_a_dockerfile_of_any_name_for_a_build() -> None:
    files = {
        "ci/buildspec.yml": "version: 0.2\nphases: {build: {commands: ['docker build -f deploy/app.docker web']}}\n",
        "deploy/app.docker": "FROM a:1\n",
    }
    assert names(scanned(files).report) == ["deploy/app.docker:1 docker.io/library/a:1"]


def test_runs_commands_at_the_root_of_the_checkout() -> None:
    Path("app/.git").mkdir(parents=True)
    files = {
        "app/ci/buildspec.yml": "version: 0.2\nphases: {build: {commands: ['docker build .']}}\n",
        "app/Dockerfile": "FROM a:1\n",
    }
    assert names(scanned(files, "app/ci").report) == ["app/Dockerfile:1 docker.io/library/a:1"]


def test_compose_reads_the_variables_beside_it() -> None:
    files = {"compose.yaml": "services: {x: {image: 'a:$V'}}", ".env": "# x\nexport V='7'\n"}
    assert names(scanned(files).report) == ["compose.yaml:1 docker.io/library/a:7"]


def test_a_command_that_pulls_makes_its_compose_file_pull() -> None:
    files = {
        "buildspec.yml": "version: 0.2\nphases: {build: {commands: ['docker compose build --pull']}}\n",
        "compose.yaml": "services: {x: {build: .}}",
        "Dockerfile": "FROM a:1\n",
    }
    assert {use.pulls_always for use in scanned(files).report.uses} == {False, True}


def test_builds_with_the_builder_that_commands_choose() -> None:
    files = {
        "buildspec.yml": "version: 0.2\nphases: {build: {commands: ['docker buildx bake --builder own']}}\n",
        "docker-bake.json": '{"target": {"web": {}}}',
        "Dockerfile": "FROM a:1\n",
    }
    assert {use.builder for use in scanned(files, "buildspec.yml").report.uses} == {Builder.CONTAINER}


def test_names_that_builds_give_are_not_fetched() -> None:
    files = {
        "compose.yaml": "services: {base: {image: own/base, build: base}, web: {build: web}, job: {image: own/base}}",
        "base/Dockerfile": "FROM nginx:1.16\n",
        "web/Dockerfile": "FROM own/base\n",
        "images.yaml": MANIFEST,
    }
    assert scanned(files).report.is_clean


@pytest.mark.parametrize(
    ("files", "leaving"),
    [
        ({"buildspec.yml": "docker build -t nginx:1.27 ."}, {"Dockerfile"}),
        ({"buildspec.yml": "docker build -t x -t docker.io/library/nginx:1.27 ."}, {"Dockerfile"}),
        ({"buildspec.yml": "docker build -t nginx:1.27 web; docker build ."}, set()),
        ({"buildspec.yml": "docker build .; docker build -t nginx:1.27 web"}, {"Dockerfile"}),
        ({"buildspec.yml": "docker tag x nginx:1.27; docker build -t nginx:1.27 ."}, set()),
        ({"compose.yaml": "services: {a: {image: 'nginx:1.27', build: .}}"}, {"Dockerfile"}),
        ({"buildspec.yml": "docker build .; docker tag x nginx:1.27"}, {"Dockerfile"}),
        ({"buildspec.yml": "docker tag x nginx:1.27; docker rmi -f nginx:1.27; docker build ."}, {"Dockerfile"}),
        ({"buildspec.yml": "docker tag x nginx:1.27; docker image rm $X; docker build ."}, {"Dockerfile"}),
        ({"buildspec.yml": "docker tag x nginx:1.27; docker system prune -af; docker build ."}, {"Dockerfile"}),
        ({"buildspec.yml": "docker tag x nginx:1.27; docker image prune -f; docker build ."}, set()),
        ({"buildspec.yml": "docker tag x nginx:1.27; docker rmi y; docker build .; docker rmi nginx:1.27"}, set()),
        ({"buildspec.yml": "docker rmi nginx:1.27; docker tag x nginx:1.27; docker build ."}, set()),
        ({"buildspec.yml": "docker run nginx:1.27; docker build -t nginx:1.27 web"}, {"buildspec.yml"}),
        ({"buildspec.yml": "docker build -t nginx:1.27 web; docker run nginx:1.27"}, set()),
        ({"compose.yaml": "services: {b: {image: 'nginx:1.27', build: web}, a: {build: .}}"}, set()),
        ({"compose.yaml": "services: {a: {build: .}, b: {image: 'nginx:1.27', build: web}}"}, {"Dockerfile"}),
        ({"compose.yaml": "services: {a: {image: 'nginx:1.27'}, b: {image: 'nginx:1.27', build: web}}"}, set()),
        ({"docker-bake.json": '{"target": {"b": {"tags": ["nginx:1.27"], "context": "web"}, "a": {}}}'}, {"Dockerfile"}),
        ({"compose.yaml": "services: {a: {image: 'nginx:1.27', build: .}, b: {image: 'nginx:1.27', build: .}}"}, {"Dockerfile"}),
        ({"docker-bake.json": '{"target": {"a": {"tags": ["nginx:1.27"]}}}'}, {"Dockerfile"}),
    ],
)  # fmt: skip
def test_starts_only_from_images_made_before(files: dict[str, str], leaving: set[str]) -> None:
    texts = {name: text if name != "buildspec.yml" else _buildspec(text) for name, text in files.items()}
    texts |= {"Dockerfile": "FROM nginx:1.27\n", "web/Dockerfile": "FROM nginx:1.16\n", "images.yaml": MANIFEST}
    report = scanned(texts, *files).report
    assert {use.file for use in report.lost} == leaving
    assert report.missing == (("nginx:1.27",) if leaving else ())


BASE = "services: {base: {image: own/base, build: base}}"
USER = "services: {x: {build: web}, y: {image: own/base}}"


@pytest.mark.parametrize(
    ("files", "leaving"),
    [
        ({"a/compose.yaml": BASE.replace("build: base", "build: ../base")}, ["web/Dockerfile:1"]),
        ({"a/compose.yaml": BASE.replace("build: base", "build: ../base"), "b.bake.hcl": 'target "x" {\n  context = "web"\n}\n'}, ["web/Dockerfile:1"]),
        ({"base.yml": BASE, "compose.yaml": USER}, ["compose.yaml:1", "web/Dockerfile:1"]),
        ({"buildspec.yml": "docker build -t own/base base", "compose.yaml": USER}, ["compose.yaml:1", "web/Dockerfile:1"]),
        ({"buildspec.yml": "docker build -t own/base base; docker compose up", "compose.yaml": USER}, []),
        ({"buildspec.yml": "docker compose up; docker build -t own/base base", "compose.yaml": USER}, ["compose.yaml:1", "web/Dockerfile:1"]),
        ({"buildspec.yml": "docker compose -f base.yml -f compose.yaml up", "base.yml": BASE, "compose.yaml": USER}, []),
        ({"buildspec.yml": "docker compose -f base.yml build; docker build web", "base.yml": BASE}, []),
        ({"buildspec.yml": "docker build web; docker compose -f base.yml build", "base.yml": BASE}, ["web/Dockerfile:1"]),
        (
            {
                "buildspec.yml": "docker buildx build -t own/base base; docker buildx build web",
                "compose.yaml": "services: {web: {build: web}}",
            },
            ["web/Dockerfile:1"],
        ),
        ({"compose.yaml": BASE, "compose.override.yaml": USER}, []),
        ({"compose.yaml": BASE, "compose.ci.yaml": USER}, ["compose.ci.yaml:1", "web/Dockerfile:1"]),
        ({"compose.yaml": f"include: [base.yml]\n{USER}", "base.yml": BASE}, []),
    ],
)  # fmt: skip
def test_knows_images_built_before_by_the_same_file(files: dict[str, str], leaving: list[str]) -> None:
    texts = {name: _buildspec(text) if name == "buildspec.yml" else text for name, text in files.items()}
    texts |= {"base/Dockerfile": "FROM nginx:1.16\n", "web/Dockerfile": "FROM own/base\n", "images.yaml": MANIFEST}
    report = scanned(texts, "base.yml" if "base.yml" in files else ".", ".").report
    assert sorted({f"{use.file}:{use.line}" for use in report.lost}) == leaving


def test_leaves_if_one_build_finds_no_local_image() -> None:
    files = {
        "a.compose.yaml": "services: {base: {image: own/base, build: base}, web: {build: web}}",
        "b.compose.yaml": "services: {web: {build: web}}",
        "base/Dockerfile": "FROM nginx:1.16\n",
        "web/Dockerfile": "FROM own/base\n",
        "images.yaml": MANIFEST,
    }
    assert [use.built_by for use in scanned(files, "a.compose.yaml").report.uses] == [None, "a.compose.yaml"]
    assert [use.file for use in scanned(files, "a.compose.yaml", "b.compose.yaml").report.lost] == ["web/Dockerfile"]


def _buildspec(command: str) -> str:
    return f"version: 0.2\nphases:\n  build:\n    commands:\n      - {command}\n"


STAGES = "FROM a:1 AS dev\nFROM nginx:1.16 AS prod\nCOPY --from=b:1 / /\nFROM c:1 AS test\nCOPY --from=prod / /\n"


@pytest.mark.parametrize(
    ("files", "unreached"),
    [
        ({"compose.yaml": "services: {web: {build: {context: web, target: dev}}}"}, ["b:1", "c:1"]),
        ({"compose.yaml": "services: {web: {build: {context: web, target: prod}}}"}, ["a:1", "c:1"]),
        ({"compose.yaml": "services: {web: {build: {context: web, target: test}}}"}, ["a:1"]),
        ({"compose.yaml": "services: {web: {build: web}}"}, ["a:1"]),
        ({"compose.yaml": "services: {web: {build: {context: web, target: $OTHER}}}"}, []),
        ({"docker-bake.json": '{"target": {"a": {"context": "web", "target": "dev"}, "b": {"context": "web"}}}'}, []),
        ({"buildspec.yml": "docker build --target dev web"}, ["b:1", "c:1"]),
        (
            {
                "buildspec.yml": "docker build --target dev web",
                "compose.yaml": "services: {x: {build: {context: web, target: prod}}}",
            },
            ["c:1"],
        ),
    ],
)
def test_a_stage_that_no_build_needs_is_unreached(files: dict[str, str], unreached: list[str]) -> None:
    texts = {name: _buildspec(text) if name == "buildspec.yml" else text for name, text in files.items()}
    texts |= {"web/Dockerfile": STAGES, "images.yaml": MANIFEST}
    found = scanned(texts)
    assert sorted({use.written for use in found.report.lost if use.is_unreached}) == unreached
    lost = {use.written for use in found.report.lost}
    assert lost == {"a:1", "b:1", "c:1"}
    assert [entry.text for entry in found.additions] == ["a:1", "b:1", "c:1"]
    reached = scanned(texts, reached_only=True)
    assert {use.written for use in reached.report.lost} == lost - set(unreached)
    assert {entry.text for entry in reached.additions} == lost - set(unreached)
    assert not any(use.is_unreached for use in reached.report.uses)


def test_reaches_every_stage_with_the_legacy_builder() -> None:
    files = {
        "buildspec.yml": _buildspec("DOCKER_BUILDKIT=0 docker build --target prod web"),
        "web/Dockerfile": STAGES,
        "images.yaml": MANIFEST,
    }
    lost = scanned(files).report.lost
    assert [(use.written, use.is_unreached) for use in lost] == [("a:1", False), ("b:1", False), ("c:1", True)]


def test_passes_an_unreached_stage_that_is_mirrored() -> None:
    files = {
        "compose.yaml": "services: {web: {build: {context: ., target: dev}}}",
        "Dockerfile": "FROM nginx:1.16 AS dev\nFROM nginx:1.27\n",
        "images.yaml": MANIFEST,
    }
    report = scanned(files).report
    assert [(use.written, use.is_unreached) for use in report.lost] == [("nginx:1.27", True)]
    assert not report.upstreams
    assert scanned({**files, "images.yaml": MANIFEST.replace("1.16", "1.16, nginx:1.27")}).report.is_clean


def test_gives_an_unused_stage_the_arguments_of_the_builds() -> None:
    files = {
        "compose.yaml": "services: {web: {build: {context: ., target: dev, args: {V: '2'}}}}",
        "Dockerfile": "ARG V=1\nFROM nginx:1.16 AS dev\nFROM a:$V\n",
    }
    assert names(scanned(files).report)[1:] == ["Dockerfile:3 docker.io/library/a:2"]


def test_uses_the_images_of_stages_that_a_build_needs() -> None:
    files = {
        "compose.yaml": "services: {a: {build: .}, b: {build: {context: ., target: dev, args: {V: '1'}}}}",
        "Dockerfile": "FROM nginx:1.16 AS dev\nFROM nginx:1.16\n",
        "images.yaml": MANIFEST,
    }
    report = scanned(files).report
    assert report.is_clean
    assert {(use.line, use.outcome.verdict) for use in report.uses} == {
        (1, Verdict.IGNORED),
        (1, Verdict.STAYS),
        (2, Verdict.STAYS),
    }


def test_every_stage_counts_where_no_build_is_known() -> None:
    report = scanned({"web/Dockerfile": STAGES, "images.yaml": MANIFEST}).report
    assert report.missing == ("a:1", "b:1", "c:1")
    assert not any(use.is_unreached for use in report.uses)


BUILDSPEC = "version: 0.2\nphases:\n  build:\n    commands:\n"


def commands(*lines: str) -> str:
    return BUILDSPEC + "".join(f"      - {line}\n" for line in lines)


@pytest.mark.parametrize(
    "files",
    [
        {"buildspec.yml": commands("docker build --build-arg BASE=$(cat base) .")},
        {"buildspec.yml": commands("docker build --build-arg BASE=$BASE .")},
        {"compose.yaml": "services: {web: {build: {context: ., args: {BASE: $OTHER}}}}"},
        {"docker-bake.json": '{"target": {"web": {"args": {"BASE": "${OTHER}"}}}}'},
    ],
)
def test_reports_a_base_image_without_a_value(files: dict[str, str]) -> None:
    files |= {"Dockerfile": "ARG BASE=nginx:1.16\nFROM $BASE\n", "images.yaml": MANIFEST}
    report = scanned(files).report
    assert [(use.file, use.is_read, use.unset) for use in report.lost] == [("Dockerfile", False, ("BASE",))]
    assert scanned(files, values={"BASE": "nginx:1.16"}).report.is_clean


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {
                "buildspec.yml": commands("export TAG=1.27", "docker compose build --builder mine --build-arg V=9"),
                "compose.yaml": "services: {db: {image: 'nginx:${TAG:-1.16}'}, web: {build: .}}",
                "Dockerfile": "ARG V=1.16\nFROM nginx:$V\n",
            },
            ["compose.yaml nginx:1.27 buildkit", "Dockerfile nginx:9 container"],
        ),
        (
            {
                "buildspec.yml": commands("TAG=$(cat tag) docker compose up"),
                "compose.yaml": "services: {db: {image: 'nginx:${TAG:-1.16}'}}",
            },
            ["compose.yaml - buildkit"],
        ),
        (
            {
                "buildspec.yml": commands(
                    "TAG=1.27 docker buildx bake --set '*.args.W=9' --set *.platform=linux/arm64"
                ),
                "docker-bake.json": json.dumps(
                    {"variable": {"TAG": {"default": "1.16"}}, "target": {"default": {"args": {"V": "${TAG}"}}}}
                ),
                "Dockerfile": "ARG V=1.16\nARG W=1.16\nFROM nginx:$V\nFROM nginx:$W\nCOPY --from=0 x y\n",
            },
            ["Dockerfile nginx:1.27 buildkit", "Dockerfile nginx:9 buildkit"],
        ),
        (
            {
                "buildspec.yml": commands("cd ci && docker compose --env-file x.env build --builder mine"),
                "ci/x.env": "TAG=1.27\n",
                "ci/.env": "TAG=1.16\n",
                "ci/compose.yaml": "include: [more/compose.yaml]\n",
                "ci/more/compose.yaml": "services: {web: {build: {dockerfile_inline: 'FROM nginx:${TAG:-1.16}'}}}",
            },
            ["ci/more/compose.yaml nginx:1.27 container"],
        ),
        (
            {
                "buildspec.yml": commands("cd ci/deep && COMPOSE_ENV_FILES=x.env docker compose up"),
                "ci/deep/x.env": "TAG=1.27\n",
                "ci/compose.yaml": "services: {db: {image: 'nginx:${TAG:-1.16}'}}",
            },
            ["ci/compose.yaml nginx:1.27 buildkit"],
        ),
        (
            {
                "buildspec.yml": commands("docker compose --project-directory ci up"),
                "ci/compose.yaml": "services: {db: {image: 'nginx:1.27'}}",
            },
            ["ci/compose.yaml nginx:1.27 buildkit"],
        ),
        (
            {
                "buildspec.yml": commands("docker buildx bake -f ci/x.json"),
                "ci/x.json": json.dumps({"target": {"default": {"context": "web"}}}),
                "web/Dockerfile": "FROM nginx:1.27\n",
            },
            ["web/Dockerfile nginx:1.27 buildkit"],
        ),
        (
            {
                "buildspec.yml": commands("docker buildx bake web"),
                "docker-bake.json": json.dumps({"target": {"web": {"args": {"V": "1.27"}}}}),
                "compose.yaml": "services: {web: {build: svc}}",
                "svc/Dockerfile": "ARG V=1.16\nFROM nginx:$V\n",
            },
            ["svc/Dockerfile nginx:1.27 buildkit"],
        ),
        (
            {
                "buildspec.yml": "version: 0.1\nphases: {build: {commands: ['cd web', 'docker build .']}}\n",
                "Dockerfile": "FROM nginx:1.27\n",
            },
            ["Dockerfile nginx:1.27 buildkit"],
        ),
        (
            {
                "buildspec.yml": commands("docker compose up"),
                ".env": "COMPOSE_FILE=services:ci/db.yml\nTAG=1.27\n",
                "services": "services: {web: {image: 'nginx:$TAG'}}",
                "ci/db.yml": "services: {db: {image: 'redis:7'}}",
            },
            ["services nginx:1.27 buildkit", "ci/db.yml redis:7 buildkit"],
        ),
        (
            {
                "buildspec.yml": commands("TAG=1.27 docker compose up"),
                "compose.yaml": "services: {db: {image: 'nginx:1.16'}}",
                "compose.override.yaml": "services: {db: {image: 'nginx:${TAG:-1.16}'}}",
            },
            ["compose.override.yaml nginx:1.27 buildkit"],
        ),
    ],
)
def test_passes_settings_of_a_command_to_its_files(files: dict[str, str], expected: list[str]) -> None:
    report = scanned({**files, "images.yaml": MANIFEST}, strategy=Strategy.RETAG).report
    assert not report.faults
    lost = {
        f"{use.file} {(use.reference or '-').removeprefix('docker.io/library/')} {use.builder}"
        for use in report.lost
        if use.reference != "docker.io/library/nginx:1.16"
    }
    assert lost == set(expected)


@pytest.mark.parametrize("command", ["docker compose -f x.yml up", "docker compose --env-file x.yml up"])
def test_reports_an_absent_file_of_a_command(command: str) -> None:
    report = scanned({"buildspec.yml": commands(command), "compose.yaml": "services: {}"}).report
    assert [one.message for one in report.faults] == ["there is no `x.yml`, which it uses"]


def test_gives_each_target_the_platform_of_the_command() -> None:
    files = {
        "buildspec.yml": commands("docker buildx bake --set *.platform=linux/arm64"),
        "docker-bake.json": '{"target": {"web": {"platforms": ["linux/s390x"]}}}',
        "Dockerfile": "FROM nginx:1.16\n",
    }
    assert {use.platform for use in scanned(files, "buildspec.yml").report.uses} == {"linux/arm64"}


def test_every_stage_counts_where_the_target_is_not_known() -> None:
    files = {
        "docker-bake.hcl": 'variable "STAGE" {}\ntarget "web" {\n  target = STAGE\n}\n',
        "Dockerfile": "FROM nginx:1.16 AS one\nFROM nginx:1.27 AS two\nFROM one\n",
        "images.yaml": MANIFEST,
    }
    assert [use.written for use in scanned(files).report.lost] == ["nginx:1.27"]
    assert scanned(files, values={"STAGE": "one"}, reached_only=True).report.is_clean


def test_named_contexts_take_the_place_of_images() -> None:
    files = {
        "compose.yaml": "services: {web: {build: {context: ., additional_contexts: {base: 'service:x', b: 'docker-image://c:1'}}}}",
        "Dockerfile": "FROM base\nCOPY --from=b x y\n",
    }
    assert names(scanned(files).report) == ["Dockerfile:2 docker.io/library/c:1"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"compose.yaml": "services: {x: {build: nowhere}}"}, "compose.yaml:1: there is no `nowhere/Dockerfile`"),
        (
            {"buildspec.yml": "phases: {build: {commands: ['docker compose -f x.yml up']}}"},
            "buildspec.yml:1: there is no `x.yml`",
        ),
        ({"Dockerfile": "FROM a\nFOO"}, "Dockerfile:2: it is not an instruction"),
    ],
)
def test_reports_what_cannot_be_followed(files: dict[str, str], message: str) -> None:
    report = scanned(files).report
    assert any(f"{one.file}:{one.line}: {one.message}".startswith(message) for one in report.faults)
    assert not report.is_clean


def test_lets_an_override_leave_out_the_folder() -> None:
    files = {
        "compose.yaml": "services: {web: {build: web}}",
        "compose.override.yaml": "services: {web: {build: {args: {V: '1'}}}}",
        "web/Dockerfile": "ARG V=0\nFROM alpine:$V\n",
    }
    report = scanned(files).report
    assert not report.troubles
    assert names(report) == ["web/Dockerfile:2 docker.io/library/alpine:1"]


def test_names_powershell_once() -> None:
    files = {
        "buildspec.yml": "version: 0.2\nenv:\n  shell: powershell.exe\nphases:\n  build:\n    commands:\n"
        "      - $V = Get-Content v.txt\n      - .\\build.ps1\n      - docker pull nginx:1.16\n",
    }
    report = scanned(files).report
    assert [(one.line, one.is_fault, "powershell.exe" in one.message) for one in report.troubles] == [(3, False, True)]
    assert names(report) == ["buildspec.yml:9 docker.io/library/nginx:1.16"]
    assert [one.is_fault for one in scanned(files, is_strict=True).report.troubles] == [True]


def test_files_that_a_command_joins_are_one_project() -> None:
    files = {
        "buildspec.yml": _buildspec("docker compose -f compose.yaml -f ci/more.yaml build"),
        "compose.yaml": "services:\n  web: {image: 'a:1', platform: linux/arm64}\n  db: {image: 'db:1'}\n",
        "ci/more.yaml": "services:\n  web:\n    image: a:2\n",
    }
    report = scanned(files, "buildspec.yml").report
    assert [(use.file, use.line, use.written, use.platform) for use in report.uses] == [
        ("ci/more.yaml", 3, "a:2", "linux/arm64"),
        ("compose.yaml", 3, "db:1", None),
    ]


def test_says_who_builds_what_an_included_file_builds() -> None:
    files = {
        "compose.yaml": "include: [base/compose.yaml]\nservices: {job: {image: own/base}}",
        "base/compose.yaml": "services: {base: {image: own/base, build: .}}",
        "base/Dockerfile": "FROM a:1\n",
    }
    found = scanned(files, "compose.yaml").report
    assert [(use.file, use.built_by) for use in found.uses] == [
        ("base/Dockerfile", None),
        ("compose.yaml", "base/compose.yaml"),
    ]


def test_reads_the_others_beside_a_file_that_is_not_text() -> None:
    Path("a").mkdir()
    Path("a/Dockerfile").write_bytes(b"FROM a\n\xff")
    report = scanned({"b/Dockerfile": "FROM b:1\n"}).report
    assert [(one.file, one.line) for one in report.faults] == [("a/Dockerfile", 2)]
    assert names(report) == ["b/Dockerfile:1 docker.io/library/b:1"]


def test_reports_a_broken_link_and_skips_a_pipe() -> None:
    Path("a").mkdir()
    Path("a/Dockerfile").symlink_to("nowhere")
    Path("b").mkdir()
    os.mkfifo("b/Dockerfile")
    assert [f"{one.file}: {one.message}" for one in scanned({}).report.faults] == [
        "a/Dockerfile: it cannot be read: No such file or directory"
    ]


def test_paths_that_are_not_there_are_all_named() -> None:
    with pytest.raises(UsageError, match="`x`, `y`"):
        scanned({}, "x", ".", "y")


def test_a_manifest_that_cannot_be_used_ends_the_scan() -> None:
    with pytest.raises(ManifestUnusable):
        scanned({"images.yaml": "version: 1\n", "Dockerfile": "FROM a\n"})


def test_the_strategy_decides_and_brings_its_builder() -> None:
    files = {"Dockerfile": "FROM nginx:1.16\n", "images.yaml": MANIFEST}
    for strategy in Strategy:
        [use] = scanned(files, strategy=strategy).report.uses
        assert use.builder is (Builder.CONTAINER if strategy is Strategy.BUILDER else Builder.BUILDKIT)
        assert use.is_kept is (strategy not in (Strategy.LOGIN, Strategy.NONE))
        assert strategy in use.kept_by or not use.is_kept


COMPOSE = "services: {x: {build: .}}"
BAKE = '{"target": {"default": {}}}'


@pytest.mark.parametrize(
    ("strategy", "command", "verdicts"),
    [
        (Strategy.DIRECT, "docker build .", {Verdict.LEAVES}),
        (Strategy.DIRECT, "docker build $TOOLKIT_BUILD_CONTEXTS .", {Verdict.LEAVES}),
        (Strategy.DIRECT, 'docker build --file "$TOOLKIT_DOCKERFILE" .', {Verdict.STAYS}),
        (Strategy.DIRECT, "docker build -f ${TOOLKIT_DOCKERFILES}/Dockerfile .", {Verdict.STAYS}),
        (Strategy.DIRECT, "docker build - < $TOOLKIT_DOCKERFILE", {Verdict.STAYS}),
        (Strategy.DIRECT, "docker compose build", {Verdict.LEAVES}),
        (Strategy.DIRECT, "docker buildx bake", {Verdict.LEAVES}),
        (Strategy.CONTEXTS, "docker buildx build .", {Verdict.LEAVES}),
        (Strategy.CONTEXTS, 'docker build --file "$TOOLKIT_DOCKERFILE" .', {Verdict.LEAVES}),
        (Strategy.CONTEXTS, "docker buildx build $TOOLKIT_BUILD_CONTEXTS .", {Verdict.STAYS}),
        (Strategy.CONTEXTS, "docker compose build", {Verdict.LEAVES}),
        (Strategy.AUTO, "docker build .", {Verdict.STAYS}),
        (Strategy.DIRECT, "docker build .; docker build -f $TOOLKIT_DOCKERFILE .", {Verdict.LEAVES, Verdict.STAYS}),
        (Strategy.DIRECT, "make image", {Verdict.STAYS}),  # the Dockerfile alone: nobody knows what builds it
    ],
)
def test_serves_commands_that_use_the_strategys_variable(
    strategy: Strategy, command: str, verdicts: set[Verdict]
) -> None:
    files = {
        "buildspec.yml": _buildspec(command),
        "Dockerfile": "FROM nginx:1.16\n",
        "images.yaml": MANIFEST,
    }
    if "compose" in command:
        files["compose.yaml"] = COMPOSE
    if "bake" in command:
        files["docker-bake.json"] = BAKE
    report = scanned(files, strategy=strategy).report
    assert {use.outcome.verdict for use in report.uses} == verdicts
    assert not report.faults


def test_an_old_daemon_serves_less() -> None:
    files = {
        "compose.yaml": "services: {x: {build: {context: ., pull: true}}}",
        "Dockerfile": "FROM nginx:1.16\n",
        "images.yaml": MANIFEST,
    }
    assert scanned(files).report.is_clean
    [use] = scanned(files, daemon=Daemon("20.10")).report.uses
    assert use.outcome.verdict is Verdict.LEAVES


@pytest.mark.parametrize(
    ("command", "builder"),
    [
        ("docker build .", Builder.LEGACY),
        ("DOCKER_BUILDKIT=1 docker build .", Builder.BUILDKIT),
        ("docker buildx build .", Builder.BUILDKIT),
    ],
)
def test_builds_without_buildkit_before_docker_23(command: str, builder: Builder) -> None:
    files = {
        "buildspec.yml": f"version: 0.2\nphases: {{build: {{commands: ['{command}']}}}}\n",
        "Dockerfile": "FROM nginx:1.16\n",
        "images.yaml": MANIFEST,
    }
    [use] = scanned(files, daemon=Daemon("20.10")).report.uses
    assert (use.builder, use.builders[Strategy.BUILDER]) == (builder, Builder.CONTAINER)


def test_adds_a_missing_image_once() -> None:
    digest = "sha256:" + "a" * 64
    files = {
        "Dockerfile": f"FROM --platform=linux/arm64 alpine:3\nFROM alpine:3\nFROM redis@{digest}\nFROM busybox:1@{digest}\nFROM busybox:1\nFROM node\n",
        "images.yaml": MANIFEST,
    }
    found = scanned(files)
    assert found.report.missing == (
        '{source: "alpine:3", platforms: [linux/amd64, linux/arm64]}',
        f'{{source: "busybox:1@{digest}", platforms: all}}',
        "node:latest",
    )
    before = Path("images.yaml").stat()
    Path("images.yaml").chmod(0o640)
    write_additions(Path("images.yaml"), found.additions)
    assert Path("images.yaml").stat().st_mode & 0o777 == 0o640
    assert before.st_ino != Path("images.yaml").stat().st_ino
    again = scan(ScanOptions((Path(),), Path.cwd(), Path("images.yaml")))
    assert not again.additions
    assert [use.written for use in again.report.lost] == [f"redis@{digest}"]


def test_a_linked_manifest_stays_a_link(tmp_path: Path) -> None:
    found = scanned({"Dockerfile": "FROM node:20\n", "infra/images.yaml": MANIFEST})
    Path("images.yaml").symlink_to("infra/images.yaml")
    write_additions(Path("images.yaml"), found.additions)
    assert Path("images.yaml").is_symlink()
    assert "node:20" in Path("infra/images.yaml").read_text()


def test_a_manifest_that_cannot_take_it_is_left_as_it_is() -> None:
    found = scanned({"Dockerfile": "FROM node:20\n", "images.yaml": MANIFEST.replace("[nginx", "&x [nginx")})
    before = Path("images.yaml").read_bytes()
    with pytest.raises(Refused, match="nothing was added"):
        write_additions(Path("images.yaml"), found.additions)
    assert Path("images.yaml").read_bytes() == before
    assert not list(Path().glob("*.new")) + list(Path().glob(".*.new"))


def test_a_buildspec_of_a_batch_is_read_with_the_variables_of_the_batch_only() -> None:
    files = {
        "z-buildspec.yml": "batch: {build-list: [{buildspec: ci/buildspec.yml, env: {variables: {V: 1}}}]}\n",
        "ci/buildspec.yml": "phases: {build: {commands: ['docker pull nginx:$V']}}\n",
    }
    assert names(scanned(files).report) == ["ci/buildspec.yml:1 docker.io/library/nginx:1"]


def test_a_batch_reads_its_own_commands_once_for_each_build_and_keeps_their_images_apart() -> None:
    spec = """\
batch: {build-matrix: {dynamic: {env: {variables: {V: [1, 2]}}}}}
phases: {build: {commands: ['docker pull base:2', 'docker build -t base:$V .', 'docker run base:1']}}
"""
    report = scanned({"buildspec.yml": spec, "Dockerfile": "FROM scratch\n"}).report
    assert {(use.reference, use.built_by) for use in report.uses} == {
        ("docker.io/library/base:2", None),
        ("docker.io/library/base:1", None),
    }


def test_a_service_that_is_extended_is_read_from_its_own_folder_and_alone() -> None:
    files = {
        "compose.yml": "services: {web: {extends: {file: common/base.yml, service: app}}, "
        "own: {image: 'own:1', extends: {file: common/base.yml, service: imaged}}}\n",
        "common/base.yml": "services:\n"
        "  app: {extends: inner, environment: [A=1]}\n"
        "  inner: {build: ./app}\n"
        "  imaged: {image: 'replaced:1'}\n"
        "  unused: {image: 'never:1'}\n",
        "common/app/Dockerfile": "FROM nginx:1.16\n",
    }
    report = scanned(files).report
    assert names(report) == [
        "common/app/Dockerfile:1 docker.io/library/nginx:1.16",
        "compose.yml:1 docker.io/library/own:1",
    ]
    assert not report.faults


def test_a_later_file_of_a_list_replaces_images_and_the_first_gives_the_folder() -> None:
    spec = "phases: {build: {commands: ['docker compose -f deploy/a.yml -f b.yml up']}}\n"
    files = {
        "buildspec.yml": spec,
        "deploy/a.yml": "services: {db: {image: 'redis:1'}, web: {build: ./web}}\n",
        "b.yml": "services: {db: {image: 'redis:$TAG'}, cache: {build: ./cache}}\n",
        "deploy/.env": "TAG=2\n",
        "deploy/web/Dockerfile": "FROM a:1\n",
        "deploy/cache/Dockerfile": "FROM b:1\n",
    }
    report = scanned(files).report
    assert [use.reference.rpartition("/")[2] for use in report.uses if use.reference] == ["redis:2", "b:1", "a:1"]
    assert not report.faults


def test_an_included_list_is_one_project_with_its_own_folder_and_variables() -> None:
    files = {
        "compose.yml": "include:\n  - path: [b/x.yaml, b/y.yaml]\n    project_directory: p\n    env_file: e/.env\n",
        ".env": "OUTER=1\n",
        "e/.env": "OUTER=9\nINNER: $OUTER\n",
        "b/x.yaml": "services: {b: {image: 'redis:2'}}\n",
        "b/y.yaml": "services: {b: {image: 'redis:$INNER.$OUTER'}, web: {build: .}}\n",
        "p/Dockerfile": "FROM a:1\n",
    }
    report = scanned(files).report
    assert names(report) == ["b/y.yaml:1 docker.io/library/redis:1.1", "p/Dockerfile:1 docker.io/library/a:1"]
    assert not report.faults


def test_bake_reads_a_compose_file_that_a_command_names() -> None:
    files = {
        "buildspec.yml": "phases: {build: {commands: ['docker buildx bake -f stack.yaml']}}\n",
        "stack.yaml": "services: {web: {build: web}}\n",
        "web/Dockerfile": "FROM nginx:1.16\n",
    }
    assert names(scanned(files).report) == ["web/Dockerfile:1 docker.io/library/nginx:1.16"]


def test_a_compose_file_finds_the_folders_of_variables_from_its_own() -> None:
    files = {
        "buildspec.yml": "phases: {build: {commands: ['cd deploy; docker compose -f stack.yml build']}}\n",
        "deploy/stack.yml": "services: {a: {build: '${PWD}/web'}, b: {build: '${CODEBUILD_SRC_DIR}/api'}}\n",
        "deploy/web/Dockerfile": "FROM a:1\n",
        "api/Dockerfile": "FROM b:1\n",
    }
    report = scanned(files).report
    assert names(report) == ["api/Dockerfile:1 docker.io/library/b:1", "deploy/web/Dockerfile:1 docker.io/library/a:1"]
    assert not report.faults


def test_an_image_of_an_unknown_platform_is_proposed_for_the_machine() -> None:
    files = {"images.yaml": MANIFEST, "Dockerfile": "FROM --platform=odd node:20\n"}
    assert scanned(files).report.missing == ("node:20",)


JAVA_TEST = (
    'import org.testcontainers.containers.*;\nclass T { Object db = new PostgreSQLContainer<>("postgres:16"); }\n'
)


def _words(scan: Scan) -> dict[str, str]:
    return {use.written: word_of(use) for use in scan.report.uses}


def test_tests_run_images_and_ryuk() -> None:
    files = {
        "src/test/java/T.java": JAVA_TEST,
        "src/Other.java": "class Other {}",
        "buildspec.yml": _buildspec("./mvnw verify"),
    }
    found = scanned(files)
    assert _words(found) == {"postgres:16": "leaves", "testcontainers/ryuk": "unknown"}
    assert found.report.files == {"buildspec.yml": "buildspec", "src/test/java/T.java": "tests"}
    assert found.report.missing == ("postgres:16",)
    assert "test_tools: true" in next(use.remedy for use in found.report.uses if not use.is_read)


def test_the_preset_names_ryuk_to_every_library_but_gos() -> None:
    manifest = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [postgres:16]\ntest_tools: true\n"
    go = 'import "github.com/testcontainers/testcontainers-go"\nvar x = testcontainers.Run(ctx, "postgres:16")\n'
    found = scanned({"T.java": JAVA_TEST, "images.yaml": manifest})
    assert _words(found) == {"postgres:16": "stays", "testcontainers/ryuk": "stays"}
    found = scanned({"T.java": "", "x_test.go": go, "images.yaml": manifest})
    assert _words(found) == {"postgres:16": "stays", "testcontainers/ryuk": "unknown"}
    module = {"go.mod": "require github.com/testcontainers/testcontainers-go v0.44.0\n", "images.yaml": manifest}
    assert _words(scanned(module))["testcontainers/ryuk:0.14.0"] == "stays"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"src/test/resources/testcontainers.properties": "ryuk.container.image=acme/ryuk:1\n"}, {"acme/ryuk:1"}),
        ({"buildspec.yml": "TESTCONTAINERS_RYUK_DISABLED=true ./mvnw verify"}, set()),
        (
            {"src/test/resources/testcontainers.properties": "hub.image.name.prefix=r.example/hub/\n"},
            {"testcontainers/ryuk"},
        ),
    ],
)
def test_settings_name_ryuk_and_turn_it_off(files: dict[str, str], expected: set[str]) -> None:
    files = {name: _buildspec(text) if name == "buildspec.yml" else text for name, text in files.items()}
    found = scanned({**files, "src/test/java/T.java": JAVA_TEST})
    assert {use.written for use in found.report.uses if "ryuk" in use.written} == expected
    prefix = "r.example/hub/" if "prefix" in "".join(files.values()) else ""
    assert f"{prefix}postgres:16" in _words(found)


def test_tests_find_what_their_commands_built_before() -> None:
    test = JAVA_TEST.replace("postgres:16", "web")
    before = scanned(
        {"T.java": test, "Dockerfile": "FROM a\n", "buildspec.yml": commands("docker build -t web .", "make test")}
    )
    assert _words(before)["web"] == "stays"
    assert [use.built_by for use in before.report.uses if use.written == "web"] == ["buildspec.yml"]
    after = scanned({"buildspec.yml": commands("make test", "docker build -t web .")})
    assert _words(after)["web"] == "leaves"
    elsewhere = scanned({"buildspec.yml": commands("docker build -t web .", "cd other && make test")})
    assert _words(elsewhere)["web"] == "leaves"


def test_images_of_ci_runners_leave_whatever_is_mirrored() -> None:
    workflow = "jobs: {t: {services: {db: {image: 'nginx:1.16'}}}}\n"
    manifest = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"
    files = {".github/workflows/t.yml": workflow, "images.yaml": manifest}
    [use] = scanned(files).report.uses
    assert (use.kind, word_of(use), use.remedy) == (Kind.RUN, "leaves", "name ECR's copy there")
    assert not use.kept_by


def test_a_source_is_looked_at_for_tests_whatever_its_name() -> None:
    found = scanned({"DockerfileTest.java": JAVA_TEST.replace("class T", "class DockerfileTest")})
    assert (found.report.files, found.report.troubles) == ({"DockerfileTest.java": "tests"}, ())


def test_links_to_sources_are_not_followed(tmp_path: Path) -> None:
    Path("T.java").symlink_to(tmp_path.parent / "outside.java")
    (tmp_path.parent / "outside.java").write_text(JAVA_TEST)
    assert scanned({}).report.uses == ()


def test_a_compose_file_of_comments_adds_nothing() -> None:
    files = {"compose.yaml": "services: {x: {image: a}}\n", "compose.extras.yaml": "# services:\n#   y: {image: b}\n"}
    assert [trouble.message for trouble in scanned(files).report.troubles] == []
