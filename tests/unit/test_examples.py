from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.golden import assert_golden
from tests.support.real_parts import require
from toolkit.manifest.loader import load
from toolkit.manifest.model import json_schema
from toolkit.manifest.strategy import Strategy
from toolkit.operations.scan import ScanOptions, scan
from toolkit.plan.resolve import resolve
from toolkit.terraform.root_module import render_input

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS = sorted(EXAMPLES.glob("**/images.yaml"))
DOCKERFILES = sorted(EXAMPLES.glob("**/Dockerfile"))
PIPELINES = EXAMPLES / "pipelines"
WORKFLOWS = sorted((*EXAMPLES.glob("**/github*.yml"), *EXAMPLES.parent.glob(".github/workflows/*")))


def parsed(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_every_example_manifest_is_valid(path: Path) -> None:
    desired = resolve(load(path))
    assert desired.images or desired.builds


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.parent.name)
def test_every_example_builds_from_what_its_manifest_has_mirrored_here_or_in_another_account(path: Path) -> None:
    report = scan(ScanOptions((path.parent,), path.parent, path)).report
    assert report.is_clean
    assert not report.missing
    assert all(use.mirror for use in report.uses)


def test_every_build_of_the_examples_lists_what_it_reads(tmp_path: Path) -> None:
    shutil.copytree(
        EXAMPLES, tmp_path / "examples"
    )  # each is a checkout of its own, and this repository has a Dockerfile
    found = 0
    for path in sorted(tmp_path.glob("examples/**/images.yaml")):
        for build in load(path).builds if path.parent.name != "complete" else ():
            files = tuple(path.parent / name for name in build.dockerfiles or ("Dockerfile",))
            asked = ScanOptions(files, path.parent, path, build=build.name, strategy=Strategy.RETAG)
            assert scan(asked).report.is_clean
            found += 1
    assert found > 7


def test_there_are_the_examples_that_the_readme_names() -> None:
    folders = {path.relative_to(EXAMPLES).parts[0] for path in MANIFESTS}
    assert folders == {"quickstart", "complete", "service", "monorepo", "organisation", "existing-root"}


def test_the_input_of_the_existing_root_module_is_rendered_from_its_manifest() -> None:
    text = render_input(resolve(load(EXAMPLES / "existing-root" / "images.yaml")))
    assert_golden("../../examples/existing-root/base-images.json", text)


def schema_fields(node: Any, defs: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Every field of the schema, `images[].source`; `*` for keys that users choose."""
    if "$ref" in node:
        yield from schema_fields(defs[node["$ref"].rpartition("/")[2]], defs, prefix)
    for form in node.get("anyOf", ()):
        yield from schema_fields(form, defs, prefix)
    for name, field in node.get("properties", {}).items():
        path = f"{prefix}.{name}" if prefix else name
        yield path
        yield from schema_fields(field, defs, path)
    if "items" in node:
        yield from schema_fields(node["items"], defs, f"{prefix}[]")
    values = [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]
    for value in values:
        if isinstance(value, dict):
            yield from schema_fields(value, defs, f"{prefix}.*")


def mentioned_fields(data: object, known: frozenset[str], prefix: str = "") -> Iterator[str]:
    """Every field that `data` mentions, in the same spelling."""
    if isinstance(data, list):
        for item in data:
            yield from mentioned_fields(item, known, f"{prefix}[]")
    if isinstance(data, dict):
        for name, value in data.items():
            path = f"{prefix}.{name}" if prefix else str(name)
            path = path if path in known else f"{prefix}.*"
            yield path
            yield from mentioned_fields(value, known, path)


def test_the_complete_example_mentions_every_field() -> None:
    schema = json_schema()
    known = frozenset(schema_fields(schema, schema["$defs"]))
    assert {
        "aws.region",
        "images[].repository_settings.encryption.type",
        "registries.*.credential.env.password",
    } <= known
    path = EXAMPLES / "complete" / "images.yaml"
    mentioned = frozenset(mentioned_fields(parsed(path), known))
    # Some fields are comments there, because they need others.
    comments = "\n".join(re.findall(r"#(.*)", path.read_text(encoding="utf-8")))
    commented = set(re.findall(r"\b(\w+):(?: |$)", comments, re.M))
    assert sorted(field for field in known - mentioned if field.rpartition(".")[2] not in commented) == []
    assert sorted(field for field in mentioned - known if not field.endswith(".*")) == []


def test_the_quickstart_dockerfile_starts_from_a_mirrored_image_by_its_own_name() -> None:
    [start] = re.findall(r"^FROM (.+)$", (EXAMPLES / "quickstart" / "Dockerfile").read_text(encoding="utf-8"), re.M)
    [build] = resolve(load(EXAMPLES / "quickstart" / "images.yaml")).builds
    assert start == "nginx:1.16"
    assert start in [image.original for image in build.images]


def images_of(dockerfile: str) -> set[str]:
    """What a build of it fetches: FROM and COPY --from of what is no stage, with the defaults of arguments."""
    for name, value in re.findall(r"^ARG (\w+)=(\S+)$", dockerfile, re.M):
        dockerfile = dockerfile.replace(f"${{{name}}}", value)
    stages = {stage for _, stage in re.findall(r"^FROM (\S+) AS (\S+)$", dockerfile, re.M)}
    named = re.findall(r"^FROM (\S+)", dockerfile, re.M) + re.findall(r"--from=(\S+)", dockerfile)
    return set(named) - stages - {"scratch"}


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_every_example_dockerfile_starts_from_the_images_of_its_build_and_they_are_all_used(path: Path) -> None:
    manifest = next(folder / "images.yaml" for folder in path.parents if (folder / "images.yaml").exists())
    builds = resolve(load(manifest)).builds
    [build] = [one for one in builds if one.name == path.parent.name] if len(builds) > 1 else builds
    assert images_of(path.read_text(encoding="utf-8")) == {image.original for image in build.images}
    # Where none is named it is the one at the root.
    assert [manifest.parent / name for name in build.dockerfiles or ("Dockerfile",)] == [path]


def test_the_monorepo_has_five_services() -> None:
    services = {path.parent.name for path in DOCKERFILES if "monorepo" in path.parts}
    assert services == {build.name for build in resolve(load(EXAMPLES / "monorepo" / "images.yaml")).builds}
    assert len(services) == 5


def texts() -> dict[str, str]:
    """Every file of the pipelines, by its name."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(PIPELINES.rglob("*")) if path.is_file()}


def test_there_is_a_pipeline_for_each_service() -> None:
    assert sorted(texts()) == [
        "Jenkinsfile",
        "apply.buildspec.yml",
        "atlantis-repos.yaml",
        "atlantis.yaml",
        "base-images.sh",
        "github-actions.yml",
        "gitlab-ci.yml",
        "main.tf",
        "nightly.buildspec.yml",
        "plan.buildspec.yml",
    ]


def test_every_apply_is_of_a_saved_plan_for_the_newest_commit() -> None:
    """What tests/pipelines executes, in a second."""
    applies = [line for text in texts().values() for line in text.splitlines() if re.search(r"\btoolkit apply ", line)]
    assert len(applies) == 6
    for line in applies:
        assert re.search(
            r'toolkit apply \S*(plan\.toolkit|PLANFILE)"? --require-commit "\$\w+" --lock-timeout 10m', line
        )


@pytest.mark.parametrize(("name", "text"), texts().items(), ids=texts())
def test_no_pipeline_has_long_lived_keys(name: str, text: str) -> None:
    assert not re.search(r"access[_-]key|AKIA[0-9A-Z]{16}|secrets\.AWS", text, re.IGNORECASE)


@pytest.mark.parametrize(
    ("path", "schema"), [("github-actions.yml", "github-workflows"), ("gitlab-ci.yml", "gitlab-ci")]
)
def test_a_pipeline_is_valid_by_the_schema_of_its_service(path: str, schema: str) -> None:
    program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*program, PIPELINES / path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_has_no_known_weakness() -> None:
    """zizmor knows those of GitHub's workflows."""
    program = [Path(sys.executable).with_name("zizmor"), "--offline", "--quiet"]
    done = subprocess.run([*program, PIPELINES / "github-actions.yml"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shell_script_has_no_known_fault() -> None:
    done = subprocess.run(
        [require("shellcheck"), PIPELINES / "base-images.sh"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def shell_of(pipeline: object) -> Iterator[str]:
    """Every text of a workflow that a shell runs."""
    if isinstance(pipeline, dict):
        for key, value in pipeline.items():
            yield from [value] if key == "run" and isinstance(value, str) else shell_of(value)
    if isinstance(pipeline, list):
        for item in pipeline:
            yield from shell_of(item)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_of_a_workflow_is_pinned_by_commit(path: Path) -> None:
    used = re.findall(r"\buses:(.*)", path.read_text(encoding="utf-8"))
    assert used
    assert [line for line in used if not re.fullmatch(r" [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_workflow_gives_what_a_stranger_can_write_to_a_shell(path: Path) -> None:
    workflow = parsed(path)
    assert "pull_request_target" not in workflow["on"]
    assert "${{" not in "\n".join(shell_of(workflow))


def test_atlantis_is_told_what_its_documentation_knows() -> None:
    """The keys of its pages on server-side and repository configuration."""
    server = parsed(PIPELINES / "atlantis-repos.yaml")
    [repository] = server["repos"]
    assert set(server) == {"repos", "workflows"}
    assert set(repository) == {"id", "branch", "workflow", "apply_requirements", "allowed_overrides"}
    assert set(repository["apply_requirements"]) <= {"approved", "mergeable", "undiverged"}
    stages = server["workflows"][repository["workflow"]]
    assert set(stages) == {"plan", "apply"}
    assert {kind for stage in stages.values() for step in stage["steps"] for kind in step} == {"env", "run"}
    [project] = parsed(PIPELINES / "atlantis.yaml")["projects"]
    assert set(project) == {"name", "dir", "autoplan"}
