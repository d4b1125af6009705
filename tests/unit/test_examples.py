from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.golden import assert_golden
from toolkit.manifest.loader import load
from toolkit.manifest.model import json_schema
from toolkit.manifest.strategy import Strategy
from toolkit.operations.scan import ScanOptions, scan
from toolkit.plan.resolve import resolve
from toolkit.terraform.root_module import render_input

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS = sorted(EXAMPLES.glob("**/images.yaml"))
DOCKERFILES = sorted(EXAMPLES.glob("**/Dockerfile"))
PIPELINES = sorted((EXAMPLES / "pipelines").glob("*.yml"))
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


def test_every_build_of_the_examples_lists_what_it_reads() -> None:
    found = 0
    for path in MANIFESTS:
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
    mentioned = frozenset(mentioned_fields(parsed(EXAMPLES / "complete" / "images.yaml"), known))
    assert sorted(known - mentioned) == []
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


def shell_of(pipeline: object) -> Iterator[str]:
    """Every text of a pipeline that a shell runs."""
    if isinstance(pipeline, dict):
        for key, value in pipeline.items():
            if key in ("run", "script", "commands", "before_script"):
                yield from [value] if isinstance(value, str) else value
            else:
                yield from shell_of(value)
    if isinstance(pipeline, list):
        for item in pipeline:
            yield from shell_of(item)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_every_pipeline_validates_plans_and_applies_without_a_question(path: Path) -> None:
    shell = "\n".join(shell_of(parsed(path)))
    assert re.search(r"\btoolkit validate\b", shell)
    assert re.search(r"\btoolkit plan\b", shell)
    assert re.search(r"\btoolkit apply (--auto-approve|plan\.toolkit)", shell)


@pytest.mark.parametrize("name", ["github-actions", "gitlab-ci"])
def test_a_pipeline_with_artifacts_applies_what_it_has_shown(name: str) -> None:
    pipeline = parsed(EXAMPLES / "pipelines" / f"{name}.yml")
    jobs = pipeline.get("jobs", pipeline)
    assert re.search(r"toolkit plan --out \S*plan\.toolkit", "\n".join(shell_of(jobs["review"])))
    applies = [line for line in "\n".join(shell_of(jobs["apply"])).splitlines() if "toolkit apply" in line]
    assert all("apply plan.toolkit --require-commit" in line for line in applies)
    assert jobs["apply"]["needs"] in ("review", ["review"])


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_no_pipeline_has_long_lived_keys(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"access[_-]key|AKIA[0-9A-Z]{16}|secrets\.AWS", text, re.IGNORECASE)


def test_there_is_a_pipeline_for_each_of_the_three() -> None:
    assert [path.name for path in PIPELINES] == ["codepipeline-buildspec.yml", "github-actions.yml", "gitlab-ci.yml"]


def test_a_pull_request_is_scanned_and_its_findings_are_shown_beside_their_lines() -> None:
    gate = parsed(EXAMPLES / "pull-requests" / "github-actions.yml")
    assert "toolkit scan --check --format sarif . > scan.sarif" in "\n".join(shell_of(gate))
    upload = gate["jobs"]["scan"]["steps"][-1]
    assert upload["if"] == "always()"
    assert upload["with"]["sarif_file"] == "scan.sarif"
    assert gate["jobs"]["scan"]["permissions"] == {"contents": "read", "security-events": "write"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.name)
def test_every_action_of_a_workflow_is_pinned_by_commit(path: Path) -> None:
    used = re.findall(r"\buses:(.*)", path.read_text(encoding="utf-8"))
    assert used
    assert [line for line in used if not re.fullmatch(r" [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.name)
def test_every_job_of_a_workflow_has_the_permissions_that_its_steps_need(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        actions = {step["uses"].partition("@")[0]: step.get("with") for step in job["steps"] if "uses" in step}
        needed = {
            "actions/checkout": {"contents": "read"},
            "aws-actions/configure-aws-credentials": {"id-token": "write"},
            "github/codeql-action/upload-sarif": {"security-events": "write"},
        }
        assert job["permissions"] == {k: v for name in actions for k, v in needed.get(name, {}).items()}
        assert actions.get("actions/checkout", {"persist-credentials": False}) == {"persist-credentials": False}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.parent.name)
def test_no_workflow_gives_what_a_stranger_can_write_to_a_shell(path: Path) -> None:
    workflow = parsed(path)
    assert "pull_request_target" not in workflow["on"]
    assert "${{" not in "\n".join(shell_of(workflow))


def test_pull_requests_never_apply() -> None:
    github = parsed(EXAMPLES / "pipelines" / "github-actions.yml")["jobs"]
    assert github["plan"]["if"] == "github.event_name == 'pull_request'"
    assert github["apply"]["if"].startswith("github.event_name != 'pull_request' && ")
    assert "apply" not in "\n".join(shell_of(github["plan"]))
    gitlab = parsed(EXAMPLES / "pipelines" / "gitlab-ci.yml")
    assert [rule["if"] for rule in gitlab["plan"]["rules"]] == ['$CI_PIPELINE_SOURCE == "merge_request_event"']
    assert all('$CI_COMMIT_BRANCH == "main"' in rule["if"] for rule in gitlab["apply"]["rules"])
