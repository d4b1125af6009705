"""The main job with everything real but AWS: Terraform, its AWS provider, a `docker-registry` upstream, skopeo as witness."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from tests.e2e.conftest import Laptop
from tests.support.real_parts import require
from tests.support.registry import RunningRegistry, running_registry
from tests.support.toolkit_run import Toolkit
from toolkit.oci.digest import Digest

# One story, told by one worker: the tests share its laptop.
pytestmark = pytest.mark.xdist_group("main job")

MANIFEST = """\
version: 1
name: shop
aws: {region: eu-west-1, resource_tags: {team: platform}}
images:
  - {source: "nginx:1.16", platforms: all}
  - {source: python, tags: ["3.12-slim", "3.13-slim"], platforms: [linux/amd64, linux/arm64]}
  - {source: "alpine:3.20", attestations: drop}
  - {source: "redis:7", repository: base/redis, repository_settings: {tag_mutability: immutable}}
builds:
  - name: web
    source: {type: GITHUB, location: "https://github.com/acme/web.git"}
    images: [nginx:1.16]
  - name: all
    source: {type: GITHUB, location: "https://github.com/acme/all.git"}
    images: [nginx:1.16]
    buildspec: buildspec.yml
    batch: {}
    webhook: {build_type: BUILD_BATCH, allow_forks: true}
"""
UPSTREAM = (
    "library/nginx:1.16",
    "library/python:3.12-slim",
    "library/python:3.13-slim",
    "library/alpine:3.20",
    "library/redis:7",
)


@dataclass(frozen=True)
class Story:
    """The laptop whose Docker Hub is a real `docker-registry`."""

    laptop: Laptop
    toolkit: Toolkit
    upstream: RunningRegistry

    def ecr(self, operation: str, **arguments: object) -> dict[str, object]:
        values = self.toolkit.environment
        client = boto3.client(
            "ecr",
            region_name="eu-west-1",
            endpoint_url=values["AWS_ENDPOINT_URL"],
            aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        )
        return dict(getattr(client, operation)(**arguments))

    def raw_in_ecr(self, reference: str) -> bytes:
        """What skopeo reads under a tag, or a digest, in the ECR stand-in."""
        data = self.ecr("get_authorization_token")["authorizationData"]
        token = base64.b64decode(data[0]["authorizationToken"]).decode()  # type: ignore[index]
        return self._skopeo(f"{self.laptop.ecr_host}/{reference}", "--creds", token)

    def raw_upstream(self, reference: str) -> bytes:
        return self._skopeo(f"{self.upstream.host}/{reference}")

    def _skopeo(self, reference: str, *options: str) -> bytes:
        program = require("skopeo")
        command = [program, "inspect", "--raw", "--tls-verify=false", *options, f"docker://{reference}"]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def story(open_laptop: Callable[[str], Laptop], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    laptop = open_laptop(MANIFEST)
    with running_registry(tmp_path_factory.mktemp("upstream")) as upstream:
        pairs = "".join(f"docker.io/{name} {upstream.host}/{name}\n" for name in UPSTREAM)
        (laptop.folder / "pairs.txt").write_text(pairs)
        laptop.toolkit.run("copy", "--list", "pairs.txt", "--cache-dir", "filling").expect(0)
        toolkit = Toolkit(laptop.folder, laptop.toolkit.environment)
        endpoints = toolkit.environment["TOOLKIT_REGISTRY_ENDPOINTS"]
        toolkit.environment["TOOLKIT_REGISTRY_ENDPOINTS"] = f"docker.io={upstream.url} {endpoints}"
        yield Story(laptop, toolkit, upstream)


@pytest.fixture(scope="module")
def planned(story: Story) -> dict[str, object]:
    """The first plan, before anything exists, saved for review."""
    before = len(story.upstream.manifest_gets())
    done = story.toolkit.run("plan", "--detailed-exitcode", "--format", "json", "--out", "plan.toolkit").expect(2)
    assert len(story.upstream.manifest_gets()) == before, "planning must not GET"
    assert story.ecr("describe_repositories")["repositories"] == [], "planning must not create"
    return done.document


@pytest.fixture(scope="module")
def applied(story: Story, planned: dict[str, object]) -> dict[str, object]:
    """The first apply: of the saved plan."""
    return story.toolkit.run("apply", "plan.toolkit", "--format", "json").expect(0).document


def test_the_plan_names_every_image_with_its_upstream_digest(story: Story, planned: dict[str, object]) -> None:
    seeds = {seed["key"]: seed for seed in planned["plan"]["seeds"]}  # type: ignore[index]
    assert len(seeds) == 5
    digest = str(Digest.of(story.raw_upstream("library/nginx:1.16")))
    assert seeds["docker-hub/library/nginx:1.16"]["source"]["digest"] == digest
    assert {seed["action"] for seed in seeds.values()} == {"copy"}


def test_apply_creates_the_repositories_as_the_manifest_says(story: Story, applied: dict[str, object]) -> None:
    repositories = {r["repositoryName"]: r for r in story.ecr("describe_repositories")["repositories"]}  # type: ignore[attr-defined]
    assert sorted(repositories) == [
        "base/redis",
        "docker-hub/library/alpine",
        "docker-hub/library/nginx",
        "docker-hub/library/python",
    ]
    assert repositories["base/redis"]["imageTagMutability"] == "IMMUTABLE"
    assert repositories["docker-hub/library/nginx"]["imageScanningConfiguration"] == {"scanOnPush": True}
    tags = story.ecr("list_tags_for_resource", resourceArn=repositories["base/redis"]["repositoryArn"])["tags"]
    assert {"Key": "team", "Value": "platform"} in tags  # type: ignore[operator]


def test_all_platforms_keep_the_digest_of_the_source(story: Story, applied: dict[str, object]) -> None:
    assert story.raw_in_ecr("docker-hub/library/nginx:1.16") == story.raw_upstream("library/nginx:1.16")


@pytest.mark.parametrize("tag", ["3.12-slim", "3.13-slim"])
def test_a_subset_keeps_the_digests_of_the_children(story: Story, applied: dict[str, object], tag: str) -> None:
    upstream = json.loads(story.raw_upstream(f"library/python:{tag}"))
    ours = json.loads(story.raw_in_ecr(f"docker-hub/library/python:{tag}"))
    wanted = {
        child["digest"]
        for child in upstream["manifests"]
        if child["platform"]["architecture"] in ("amd64", "arm64") and child["platform"]["os"] == "linux"
    }
    kept = {child["digest"]: child for child in ours["manifests"]}
    assert wanted <= set(kept)
    attestations = [c for c in kept.values() if c["digest"] not in wanted]
    assert all(c["annotations"]["vnd.docker.reference.digest"] in wanted for c in attestations)
    for digest in kept:
        assert str(Digest.of(story.raw_in_ecr(f"docker-hub/library/python@{digest}"))) == digest


def test_the_report_has_what_is_really_there(story: Story, applied: dict[str, object]) -> None:
    for outcome in applied["report"]["outcomes"]:  # type: ignore[index]
        assert outcome["status"] == "copied"
        assert str(Digest.of(story.raw_in_ecr(outcome["key"]))) == outcome["digest"]


@pytest.mark.slow  # 12 s of CPU: Terraform begins anew
def test_a_saved_plan_is_finished_by_another_machine(story: Story, applied: dict[str, object], tmp_path: Path) -> None:
    """Where a pipeline runs a job again: the plan and the state are there, Terraform's providers and our cache not."""
    story.ecr("batch_delete_image", repositoryName="docker-hub/library/alpine", imageIds=[{"imageTag": "3.20"}])
    shutil.rmtree(story.laptop.folder / ".toolkit" / "shop" / "eu-west-1" / ".terraform")
    again = story.toolkit.run("apply", "plan.toolkit", "--format", "json", "--cache-dir", str(tmp_path / "empty"))
    outcomes = again.expect(0).document["report"]["outcomes"]
    assert {outcome["key"] for outcome in outcomes if outcome["status"] == "copied"} == {
        "docker-hub/library/alpine:3.20"
    }
    assert {outcome["status"] for outcome in outcomes} == {"copied", "unchanged"}
    assert "nothing left to change" in again.stderr


def test_a_plan_without_a_cache_changes_nothing_and_reads_nothing(
    story: Story, applied: dict[str, object], tmp_path: Path
) -> None:
    before = len(story.upstream.manifest_gets())
    story.toolkit.run("plan", "--detailed-exitcode", "--cache-dir", str(tmp_path / "empty")).expect(0)
    assert len(story.upstream.manifest_gets()) == before


def test_a_second_apply_does_nothing_and_reads_nothing(story: Story, applied: dict[str, object]) -> None:
    before = len(story.upstream.manifest_gets())
    report = story.toolkit.run("apply", "--auto-approve", "--format", "json").expect(0).document["report"]
    assert {outcome["status"] for outcome in report["outcomes"]} == {"unchanged"}
    assert report["infra_changes"] == []
    assert len(story.upstream.manifest_gets()) == before


def test_a_saved_plan_is_refused_when_a_tag_has_moved(story: Story, applied: dict[str, object]) -> None:
    raw = story.raw_in_ecr("docker-hub/library/python:3.12-slim").decode()
    moved = {"repositoryName": "docker-hub/library/python", "imageManifest": raw, "imageTag": "3.13-slim"}
    kept = story.raw_in_ecr("docker-hub/library/python:3.13-slim").decode()
    story.toolkit.run("plan", "--out", "moved.toolkit").expect(0)
    story.ecr("put_image", **moved)
    done = story.toolkit.run("apply", "moved.toolkit").expect(7)
    assert "when the plan was made" in done.stderr
    story.ecr("put_image", **{**moved, "imageManifest": kept})


def test_a_saved_plan_that_was_damaged_is_refused(story: Story, applied: dict[str, object], tmp_path: Path) -> None:
    content = bytearray((story.laptop.folder / "plan.toolkit").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "damaged").write_bytes(content)
    assert "was changed after it was written" in story.toolkit.run("apply", str(tmp_path / "damaged")).expect(7).stderr


def test_a_plan_whose_state_is_a_file_stays_with_it(story: Story, applied: dict[str, object], tmp_path: Path) -> None:
    done = story.toolkit.run("apply", "plan.toolkit", "--work-dir", str(tmp_path / "elsewhere")).expect(7)
    assert f"a state that is a file in `{story.laptop.folder / '.toolkit'}" in done.stderr


def test_a_saved_plan_is_held_against_the_manifest_that_is_named(
    story: Story, applied: dict[str, object], tmp_path: Path
) -> None:
    changed = tmp_path / "images.yaml"
    changed.write_text(MANIFEST.replace("alpine:3.20", "alpine:3.21"))
    done = story.toolkit.run("apply", "plan.toolkit", "-f", str(changed)).expect(7)
    assert "is not the manifest that `plan.toolkit` was made from" in done.stderr


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"schema_version": 1, "plan": {}}'])
def test_what_is_no_saved_plan_is_refused(story: Story, tmp_path: Path, text: str | None) -> None:
    plan = tmp_path / "plan.toolkit"
    if text is not None:
        plan.write_text(text)
    assert "plan" in story.toolkit.run("apply", str(plan)).expect(7).stderr


def test_seed_alone_copies_what_is_missing(story: Story, applied: dict[str, object]) -> None:
    story.ecr("batch_delete_image", repositoryName="docker-hub/library/alpine", imageIds=[{"imageTag": "3.20"}])
    report = story.toolkit.run("seed", "--format", "json").expect(0).document["report"]
    changed = [o["key"] for o in report["outcomes"] if o["status"] == "copied"]
    assert changed == ["docker-hub/library/alpine:3.20"]


def test_a_wrong_account_is_refused(story: Story, applied: dict[str, object], tmp_path: Path) -> None:
    guarded = tmp_path / "images.yaml"
    guarded.write_text(MANIFEST.replace("aws: {", 'aws: {account_id: "999999999999", '))
    done = story.toolkit.run("plan", "-f", str(guarded)).expect(7)
    assert "`999999999999`" in done.stderr


@pytest.mark.slow
def test_destroying_a_removed_repository_is_refused_while_it_holds_images(
    story: Story, applied: dict[str, object], tmp_path: Path
) -> None:
    smaller = tmp_path / "images.yaml"
    smaller.write_text("".join(line for line in MANIFEST.splitlines(keepends=True) if "redis" not in line))
    done = story.toolkit.run("apply", "--auto-approve", "-f", str(smaller), "--destroy-removed").expect(7)
    assert "base/redis" in done.stdout
    assert "--allow-destroy" in done.stderr
    names = [r["repositoryName"] for r in story.ecr("describe_repositories")["repositories"]]  # type: ignore[attr-defined]
    assert "base/redis" in names


def test_apply_without_a_terminal_wants_a_flag(story: Story) -> None:
    done = story.toolkit.run("apply").expect(7)
    assert "--auto-approve" in done.stderr


@pytest.mark.slow  # 31 s of CPU: two applies
def test_lost_state_is_adopted(story: Story, applied: dict[str, object]) -> None:
    (story.laptop.folder / ".toolkit" / "shop" / "eu-west-1" / "terraform.tfstate").unlink()
    plan = story.toolkit.run("plan", "--format", "json").expect(0).document["plan"]
    assert {change["action"] for change in plan["infra_changes"]} == {"import"}
    imported = {change["address"] for change in plan["infra_changes"]}
    assert {
        'module.base_images.module.builds["all"].aws_iam_role_policy.batch["this"]',
        'module.base_images.module.builds["all"].aws_iam_role.batch["this"]',
        'module.base_images.module.builds["all"].aws_codebuild_webhook.this["this"]',
    } <= imported
    story.toolkit.run("apply", "--auto-approve").expect(0)
    story.toolkit.run("plan", "--detailed-exitcode").expect(0)
