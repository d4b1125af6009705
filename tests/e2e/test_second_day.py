"""A manifest that was applied and then changes: what leaves it, moves away or is destroyed, on the real Terraform."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.e2e.conftest import Laptop

HEAD = "version: 1\nname: shop\naws: {region: eu-west-1}\n"
IMAGES = "images: [app01:1, app02:1]\n"
WEB = 'source: {type: GITHUB, location: "https://github.com/acme/web.git"}, images: [app01:1], webhook: {allow_forks: true}'
WHOLE = f"{HEAD}{IMAGES}builds: [{{name: web, {WEB}}}]\n"
WITHOUT_APP02 = WHOLE.replace(", app02:1", "")
APP01, APP02 = "docker-hub/library/app01", "docker-hub/library/app02"
LOGS = "/aws/codebuild/shop-web"

pytestmark = pytest.mark.slow


class Day:
    """A laptop on which `WHOLE` was applied, and AWS beside it."""

    def __init__(self, laptop: Laptop) -> None:
        self.laptop = laptop
        self.run = laptop.toolkit.run

    def client(self, service: str) -> Any:
        values = self.laptop.toolkit.environment
        return boto3.client(
            service,  # type: ignore[call-overload]  # any of them
            region_name="eu-west-1",
            endpoint_url=values["AWS_ENDPOINT_URL"],
            aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
        )

    def repositories(self) -> list[str]:
        return sorted(r["repositoryName"] for r in self.client("ecr").describe_repositories()["repositories"])

    def log_groups(self) -> list[str]:
        return sorted(group["logGroupName"] for group in self.client("logs").describe_log_groups()["logGroups"])

    def projects(self) -> list[str]:
        return sorted(self.client("codebuild").list_projects()["projects"])

    def roles(self) -> list[str]:
        return sorted(
            role["RoleName"] for role in self.client("iam").list_roles()["Roles"] if "codebuild" in role["RoleName"]
        )

    def plan(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        return dict(self.run("plan", "--format", "json", *arguments).expect(code).document["plan"])

    def write_log(self) -> None:
        logs = self.client("logs")
        logs.create_log_stream(logGroupName=LOGS, logStreamName="build-1")
        logs.put_log_events(
            logGroupName=LOGS, logStreamName="build-1", logEvents=[{"timestamp": 1_795_000_000_000, "message": "built"}]
        )


@pytest.fixture
def day(open_laptop: Callable[[str], Laptop]) -> Day:
    day = Day(open_laptop(WHOLE))
    day.run("apply", "--auto-approve").expect(0)
    return day


def actions(plan: dict[str, Any]) -> dict[str, set[str]]:
    """By action: names of what Terraform does it to."""
    found: dict[str, set[str]] = {}
    for change in plan["infra_changes"]:
        found.setdefault(change["action"], set()).add(change["name"])
    return found


def test_a_repository_that_leaves_the_manifest_is_let_go_and_can_be_taken_back(day: Day) -> None:
    day.laptop.write(WITHOUT_APP02)
    plan = day.plan()
    assert actions(plan) == {"forget": {APP02}}
    assert [notice["code"] for notice in plan["notices"]].count("infra.let_go") == 1
    assert plan["refusals"] == []
    day.run("apply", "--auto-approve").expect(0)
    assert APP02 in day.repositories()
    assert day.client("ecr").list_images(repositoryName=APP02)["imageIds"]
    day.run("plan", "--detailed-exitcode").expect(0)

    day.laptop.write(WHOLE)
    assert "create" not in actions(day.plan())
    day.run("apply", "--auto-approve").expect(0)
    day.run("plan", "--detailed-exitcode").expect(0)


def test_a_removed_repository_with_images_is_destroyed_only_when_that_is_said(day: Day) -> None:
    day.laptop.write(WITHOUT_APP02)
    plan = day.plan("--destroy-removed", code=7)
    assert [refusal["code"] for refusal in plan["refusals"]] == ["infra.destroys_images"]
    assert [(loss["name"], len(loss["digests"]) > 0) for loss in plan["losses"]] == [(APP02, True)]
    day.run("apply", "--auto-approve", "--destroy-removed").expect(7)
    assert APP02 in day.repositories()

    day.run("apply", "--auto-approve", "--destroy-removed", "--allow-destroy").expect(0)
    assert day.repositories() == [APP01]
    day.run("plan", "--detailed-exitcode").expect(0)


def test_another_encryption_replaces_a_repository_with_images_only_when_that_is_said(day: Day) -> None:
    day.laptop.write(WHOLE.replace(IMAGES, "repositories: {encryption: {type: KMS}}\n" + IMAGES))
    codes = {refusal["code"] for refusal in day.plan(code=7)["refusals"]}
    assert codes == {"infra.destroys_repository"}
    day.run("apply", "--auto-approve", "--allow-destroy").expect(0)
    described = day.client("ecr").describe_repositories(repositoryNames=[APP01])["repositories"][0]
    assert described["encryptionConfiguration"]["encryptionType"] == "KMS"
    assert day.client("ecr").list_images(repositoryName=APP01)["imageIds"]
    day.run("plan", "--detailed-exitcode").expect(0)


def test_a_build_that_leaves_the_manifest_is_let_go_with_its_logs(day: Day) -> None:
    day.write_log()
    day.laptop.write(HEAD + IMAGES)
    assert actions(day.plan()) == {"forget": {"web"}}
    day.run("apply", "--auto-approve").expect(0)
    assert (day.projects(), day.log_groups()) == (["shop-web"], [LOGS])
    day.run("plan", "--detailed-exitcode").expect(0)


def test_a_destroyed_build_leaves_its_logs(day: Day) -> None:
    day.write_log()
    day.laptop.write(HEAD + IMAGES)
    plan = day.plan("--destroy-removed")
    assert {notice["code"] for notice in plan["notices"]} == {"infra.log_group_stays"}
    day.run("apply", "--auto-approve", "--destroy-removed").expect(0)
    assert (day.projects(), day.roles(), day.log_groups()) == ([], [], [LOGS])
    day.run("plan", "--detailed-exitcode").expect(0)


def test_another_name_on_the_same_state_is_refused_and_never_costs_logs(day: Day) -> None:
    day.laptop.write(WHOLE.replace("name: shop", "name: store"))
    work_dir = ("--work-dir", ".toolkit/shop/eu-west-1")
    refused = day.plan(*work_dir, code=7)["refusals"]
    assert {refusal["code"] for refusal in refused} == {"infra.destroys_build"}
    day.run("apply", "--auto-approve", "--allow-destroy", *work_dir).expect(0)
    assert day.log_groups() == [LOGS, "/aws/codebuild/store-web"]
    assert day.projects() == ["store-web"]
    day.run("plan", "--detailed-exitcode", *work_dir).expect(0)


def test_a_webhook_is_not_deleted_without_a_word(day: Day) -> None:
    day.laptop.write(WHOLE.replace(", webhook: {allow_forks: true}", ""))
    (refusal,) = day.plan(code=7)["refusals"]
    assert refusal["code"] == "infra.destroys_build"
    assert "webhook" in refusal["message"]


def test_another_region_on_the_same_state_is_refused_and_changes_nothing(day: Day) -> None:
    day.laptop.write(WHOLE.replace("eu-west-1", "us-east-1"))
    for command in (["plan"], ["apply", "--auto-approve"], ["destroy", "--auto-approve"]):
        done = day.run(*command, "--work-dir", ".toolkit/shop/eu-west-1", "--format", "json").expect(7)
        error = done.document["error"]
        assert error["code"] == "infra.other_region"
        assert "`eu-west-1`" in error["message"]
        assert "`us-east-1`" in error["message"]
    assert day.projects() == ["shop-web"]
    assert day.roles() == ["shop-web-codebuild-eu-west-1"]


def test_two_regions_of_one_manifest_share_no_directory(day: Day) -> None:
    day.laptop.write(WHOLE.replace("eu-west-1", "us-east-1"))
    plan = day.plan()
    assert set(actions(plan)) == {"create"}
    assert {path.name for path in (day.laptop.folder / ".toolkit/shop").iterdir()} == {"eu-west-1", "us-east-1"}


def test_a_state_of_another_account_is_refused(day: Day) -> None:
    state = day.laptop.folder / ".toolkit/shop/eu-west-1/terraform.tfstate"
    state.write_text(state.read_text().replace("123456789012", "210987654321"))
    error = day.run("plan", "--format", "json").expect(7).document["error"]
    assert error["code"] == "infra.other_account"
    assert "`210987654321`" in error["message"]
    assert "`123456789012`" in error["message"]


def test_destroy_says_what_is_lost_and_leaves_nothing(day: Day) -> None:
    day.write_log()
    done = day.run("destroy", "--auto-approve", "--format", "json").expect(0).document
    assert {loss["name"] for loss in done["plan"]["losses"]} == {APP01, APP02, LOGS}
    assert (day.repositories(), day.projects(), day.roles(), day.log_groups()) == ([], [], [], [])
    day.run("destroy", "--auto-approve").expect(0)


def test_destroy_can_keep_the_images(day: Day) -> None:
    said = day.run("destroy", "--auto-approve", "--keep-images").expect(0).stdout
    assert f"the repository `{APP01}` stays with its images" in said
    assert "left the manifest" not in said
    assert day.repositories() == [APP01, APP02]
    assert (day.projects(), day.roles(), day.log_groups()) == ([], [], [])


def test_destroy_asks_and_names_the_way_out(day: Day) -> None:
    done = day.run("destroy").expect(7)
    assert "--auto-approve" in done.stderr
    assert day.projects() == ["shop-web"]


def test_images_pushed_after_the_plan_are_not_destroyed(day: Day) -> None:
    day.laptop.write(WITHOUT_APP02)
    day.run("plan", "--destroy-removed", "--allow-destroy", "--out", "saved.plan").expect(0)
    _push_another(day, APP02)
    done = day.run("apply", "saved.plan").expect(7)
    assert "has images that it did not have when the plan was made (1)" in done.stderr
    assert APP02 in day.repositories()


def _push_another(day: Day, repository: str) -> None:
    ecr = day.client("ecr")
    image = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "1"}])["images"][0]
    manifest = json.dumps({**json.loads(image["imageManifest"]), "annotations": {"by": "somebody"}})
    ecr.put_image(
        repositoryName=repository,
        imageManifest=manifest,
        imageTag="mine",
        imageManifestMediaType=json.loads(manifest)["mediaType"],
    )


def test_nothing_is_left_to_make(open_laptop: Callable[[str], Laptop], tmp_path: Path) -> None:
    laptop = open_laptop(HEAD + "images: [app01:1]\n")
    laptop.toolkit.run("apply", "--auto-approve").expect(0)
    laptop.write(HEAD + "images: []\n")
    laptop.toolkit.run("apply", "--auto-approve").expect(0)
    laptop.toolkit.run("plan", "--detailed-exitcode").expect(0)
