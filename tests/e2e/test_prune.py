"""`toolkit prune` on a sandbox that fills up over the months: real indexes, signatures and pulls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.plain_http import plain_http
from tests.support.roles import Calls, Role, actions_of, without
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import Toolkit
from toolkit.manifest.loader import loads
from toolkit.plan.desired import ownership_tags
from toolkit.plan.resolve import resolve
from toolkit.terraform.iam_policy import Place, prune_policy

pytestmark = pytest.mark.xdist_group("prune")
REGION, ACCOUNT = "eu-west-1", "123456789012"
MANIFEST = f"""\
version: 1
name: shop
aws: {{region: {REGION}, account_id: "{ACCOUNT}"}}
images:
  - source: nginx
    tags: ["1.27", "1.16"]
    repository: REPOSITORY
    platforms: [linux/amd64, linux/arm64]
    signatures: keep
"""


class Shop:
    """A repository of its own, filled with both tags."""

    def __init__(self, sandbox: RunningSandbox, folder: Path, repository: str) -> None:
        self.sandbox = sandbox
        self.toolkit = Toolkit(folder, sandbox.environment())
        self.ecr = sandbox.client("ecr", REGION)
        tags = [{"Key": key, "Value": value} for key, value in ownership_tags("shop").items()]
        self.ecr.create_repository(repositoryName=repository, tags=tags)
        self.repository = repository
        self.manifest = MANIFEST.replace("REPOSITORY", repository)
        self.write(self.manifest)
        self.toolkit.run("seed").expect(0)

    def write(self, manifest: str) -> None:
        (self.toolkit.folder / "images.yaml").write_text(manifest)

    def drop_old_tag(self) -> None:
        self.write(self.manifest.replace(', "1.16"', ""))

    def details(self) -> dict[str, dict[str, Any]]:
        found = self.ecr.describe_images(repositoryName=self.repository)["imageDetails"]
        return {image["imageDigest"]: image for image in found}

    def tags(self) -> set[str]:
        return {tag for image in self.details().values() for tag in image.get("imageTags", ()) if "-" not in tag}

    def is_whole(self) -> bool:
        """Whether every index has its children, and every signature its image."""
        found = self.details()
        ids = [{"imageDigest": digest} for digest in found]
        for image in self.ecr.batch_get_image(repositoryName=self.repository, imageIds=ids)["images"]:
            document = json.loads(image["imageManifest"])
            if not {child["digest"] for child in document.get("manifests", ())} <= found.keys():
                return False
        named = {tag for image in found.values() for tag in image.get("imageTags", ()) if tag.startswith("sha256-")}
        return {f"sha256:{tag[7:71]}" for tag in named} <= found.keys()

    def has(self, digest: str) -> bool:
        """Whether the registry gives it out."""
        token = self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
        with plain_http(self.sandbox.status.ecr_endpoint) as http:
            path = f"/v2/{self.repository}/manifests/{digest}"
            return http.ask("HEAD", path, headers={"Authorization": f"Basic {token}"}).status == 200

    def prune(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        document = self.toolkit.run("prune", *arguments, "--format", "json").expect(code).document["prune"]
        return dict(document)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), ["nginx:1.27", "nginx:1.16"]) as sandbox:
        yield sandbox


@pytest.fixture
def shop(sandbox: RunningSandbox, tmp_path: Path, request: pytest.FixtureRequest) -> Shop:
    return Shop(sandbox, tmp_path, request.node.name.replace("_", "-"))


@pytest.mark.slow  # nine runs
def test_deletes_what_the_months_left_behind(shop: Shop) -> None:
    first = set(shop.details())
    shop.sandbox.bump("nginx:1.27")
    shop.toolkit.run("seed").expect(0)
    shop.drop_old_tag()
    assert shop.prune("--unpulled-for", "0s")["removals"] == []  # all of it is younger than a day
    shop.sandbox.age(days=31)

    shown = shop.prune()
    assert shown["totals"]["deleted"] > 3
    assert shown["is_dry_run"] and shown == shop.prune()  # a dry run is no pull, whatever it reads
    assert {tag for one in shown["removals"] for tag in one["tags"] if "-" not in tag} == {"1.16"}
    before = set(shop.details())

    done = shop.prune("--yes")
    assert {one["fate"] for one in done["removals"]} == {"deleted"}
    assert [one["digest"] for one in done["removals"]] == [one["digest"] for one in shown["removals"]]
    assert shop.has(next(iter(shop.details()))) and not any(shop.has(one["digest"]) for one in shown["removals"])
    assert set(shop.details()) == before - {one["digest"] for one in shown["removals"]}
    assert shop.tags() == {"1.27"} and not first <= set(shop.details()) and shop.is_whole()

    assert shop.prune("--yes")["removals"] == []
    assert "unchanged" in shop.toolkit.run("seed", "--dry-run").expect(0).stdout


def test_keeps_what_a_build_pulled(shop: Shop) -> None:
    shop.drop_old_tag()
    shop.sandbox.age(days=31)
    old = json.loads(
        shop.ecr.batch_get_image(repositoryName=shop.repository, imageIds=[{"imageTag": "1.16"}])["images"][0][
            "imageManifest"
        ]
    )
    assert shop.prune()["totals"]["deleted"] > 0
    child = old["manifests"][0]["digest"]
    shop.ecr.batch_get_image(repositoryName=shop.repository, imageIds=[{"imageDigest": child}])  # as docker pull does
    assert shop.prune()["removals"] == []


def test_needs_exactly_the_rights_of_its_policy(shop: Shop) -> None:
    role = Role(shop.sandbox, REGION, "pruner")
    statements = prune_policy(resolve(loads(shop.manifest, "images.yaml")), Place(ACCOUNT, REGION))
    role.may(statements)
    shop.drop_old_tag()
    shop.sandbox.age(days=31)
    toolkit = role.toolkit(shop.toolkit.folder)
    calls = Calls(shop.sandbox)
    calls.since()

    role.may(without(statements, "ecr:BatchDeleteImage"))
    denied = toolkit.run("prune", "--yes", "--format", "json").expect(4)
    assert denied.document["error"]["code"] == "aws.access_denied"
    assert {one["fate"] for one in denied.document["prune"]["removals"]} == {"failed"}
    role.may(statements)
    toolkit.run("prune", "--yes").expect(0)
    assert {action for action in calls.since() if action.startswith("ecr:")} == actions_of(statements)
