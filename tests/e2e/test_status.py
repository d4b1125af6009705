"""`toolkit status` on a sandbox in which an upstream moves, a tag vanishes and somebody overwrites another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.roles import Calls, Role, actions_of, without
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.toolkit_run import Toolkit
from toolkit.manifest.loader import loads
from toolkit.plan.desired import ownership_tags
from toolkit.plan.resolve import resolve
from toolkit.terraform.iam_policy import Place, status_policy

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("status")]
REGION, ACCOUNT = "eu-west-1", "123456789012"
NAMES = ("moves", "vanishes", "overwritten", "fine")
MANIFEST = f"""\
version: 1
name: shop
aws: {{region: {REGION}, account_id: "{ACCOUNT}"}}
repositories: {{prefix: PREFIX}}
images: [{", ".join(f'"{name}:1"' for name in NAMES)}]
"""


class Shop:
    """Repositories below a prefix of its own, locked and filled."""

    def __init__(self, sandbox: RunningSandbox, folder: Path, prefix: str) -> None:
        self.sandbox = sandbox
        self.toolkit = Toolkit(folder, sandbox.environment())
        self.ecr = sandbox.client("ecr", REGION)
        self.prefix = f"{prefix}/docker-hub/library"
        for name in NAMES:
            self.create(name)
        self.manifest = MANIFEST.replace("PREFIX", prefix)
        (folder / "images.yaml").write_text(self.manifest)
        self.toolkit.run("lock").expect(0)
        self.toolkit.run("seed").expect(0)

    def create(self, name: str) -> None:
        tags = [{"Key": key, "Value": value} for key, value in ownership_tags("shop").items()]
        self.ecr.create_repository(repositoryName=f"{self.prefix}/{name}", tags=tags)

    def vanish(self, name: str) -> None:
        [tag] = self.sandbox.status.folder.rglob(f"library/{name}/_tags/1")
        tag.unlink()

    def overwrite(self, name: str) -> None:
        blob = {"mediaType": "x/y", "digest": "sha256:" + "a" * 64, "size": 3}
        document = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": blob,
            "layers": [],
        }
        self.ecr.put_image(
            repositoryName=f"{self.prefix}/{name}",
            imageManifest=json.dumps(document),
            imageManifestMediaType=document["mediaType"],
            imageTag="1",
        )

    def status(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        document = self.toolkit.run("status", *arguments, "--format", "json").expect(code).document
        return dict(document["status"])

    def states(self, report: dict[str, Any]) -> dict[str, str]:
        return {one["key"].rpartition("/")[2].removesuffix(":1"): one["state"] for one in report["images"]}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    references = [f"{name}:1" for name in NAMES]
    with running_sandbox(tmp_path_factory.mktemp("sandbox"), references) as sandbox:
        yield sandbox


@pytest.fixture
def shop(sandbox: RunningSandbox, tmp_path: Path, request: pytest.FixtureRequest) -> Shop:
    return Shop(sandbox, tmp_path, request.node.name.replace("_", "-"))


def test_sees_what_moved_vanished_and_was_overwritten_without_a_counted_pull(shop: Shop) -> None:
    assert set(shop.states(shop.status()).values()) == {"fine"}
    shop.sandbox.bump("moves:1")
    shop.toolkit.run("lock").expect(0)
    shop.vanish("vanishes")
    shop.overwrite("overwritten")
    shop.create("left-the-manifest")
    used, gets = shop.sandbox.pulls()["used"], len(shop.sandbox.manifest_gets())
    report = shop.status()
    assert shop.states(report) == {"moves": "behind", "vanishes": "gone", "overwritten": "overwritten", "fine": "fine"}
    assert (shop.sandbox.pulls()["used"], len(shop.sandbox.manifest_gets())) == (used, gets)
    moved = next(one for one in report["images"] if "moves" in one["key"])
    assert moved["behind_since"] and moved["newest"] == moved["admitted"] != moved["in_ecr"]
    assert report["extra_repositories"] == [f"{shop.prefix}/left-the-manifest"]

    failed = shop.toolkit.run("status", "--check", "--output", "json=status.json").expect(7)
    assert "status.failed" in failed.stderr
    shown = shop.toolkit.run("show", "status.json").expect(0).stdout
    assert failed.stdout.strip() in shown


def test_needs_exactly_the_rights_of_its_policy(shop: Shop) -> None:
    role = Role(shop.sandbox, REGION, "reader")
    statements = status_policy(resolve(loads(shop.manifest, "images.yaml")), Place(ACCOUNT, REGION))
    toolkit = role.toolkit(shop.toolkit.folder)
    shop.create("left-the-manifest")
    calls = Calls(shop.sandbox)
    calls.since()
    role.may(without(statements, "ecr:DescribeImageScanFindings"))
    denied = toolkit.run("status", "--format", "json").expect(4)
    assert denied.document["error"]["code"] == "aws.access_denied"
    role.may(statements)
    toolkit.run("status", "--cache-dir", "empty").expect(0)
    assert {action for action in calls.since() if action.startswith("ecr:")} == actions_of(statements)
